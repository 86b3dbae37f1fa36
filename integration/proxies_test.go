//go:build proxies

package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
)

// The tests in this file run nginx and HAProxy, with the files of deploy/, in front
// of gowsgi: make proxies. They fail if the programs are not there.

// pace is how long a client of the traffic waits between two requests.
const pace = 10 * time.Millisecond

// trafficTime is how long the traffic of each test lasts.
func trafficTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("GOWSGI_PROXY_TIME")
	if text == "" {
		return time.Minute
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// front is a proxy that a test started.
type front struct {
	addr string
	log  *gowsgitest.Log
}

// startFront runs program with the file of deploy/ of that name, in which each of
// replace (old, new, ...) is done. The proxy listens on a free port, {front} in the
// texts; {dir} is a directory for its files. It is stopped at the end of the test.
func startFront(t *testing.T, program, file string, args []string, replace ...string) *front {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%v: install %s to run this test", err, program)
	}
	dir, addr := t.TempDir(), freeAddr(t)
	text := read(t, filepath.Join(gowsgitest.Root(), "deploy", file))
	fill := strings.NewReplacer("{front}", addr, "{dir}", dir)
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			t.Fatalf("deploy/%s has no %q", file, replace[i])
		}
		text = strings.ReplaceAll(text, replace[i], fill.Replace(replace[i+1]))
	}
	conf := write(t, dir, file, text)
	for i, a := range args {
		args[i] = strings.ReplaceAll(fill.Replace(a), "{conf}", conf)
	}
	cmd := exec.Command(path, args...)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	f := &front{addr: addr, log: gowsgitest.Collect(r)}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("log of %s:\n%s", program, f.log)
		}
	})
	return f
}

func startNginx(t *testing.T, upstream string) *front {
	return startFront(t, "nginx", "nginx.conf",
		[]string{"-p", "{dir}", "-c", "{conf}", "-e", "stderr", "-g", "daemon off; user root;"},
		"listen 80;", "listen {front};",
		"server 127.0.0.1:8000;", "server "+upstream+";",
		"/run/nginx.pid", "{dir}/pid",
		"/var/log/nginx/error.log", "stderr",
		"/var/log/nginx/access.log", "off",
		"\nhttp {\n", "\nhttp {\n    client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;\n"+
			"    fastcgi_temp_path {dir}/1; uwsgi_temp_path {dir}/2; scgi_temp_path {dir}/3;\n")
}

func startHAProxy(t *testing.T, file, upstream string, more ...string) *front {
	return startFront(t, "haproxy", file, []string{"-db", "-f", "{conf}"},
		append([]string{"bind :80", "bind {front}", "127.0.0.1:8000 ", upstream + " "}, more...)...)
}

// TestProxies: traffic through each proxy while gowsgi is reloaded every three
// seconds. Not one request fails, and not one is answered by the proxy.
func TestProxies(t *testing.T) {
	http := []string{"--keep-alive", "75", "--real-ip-header", "x-forwarded-for"}
	tcp := []string{"--keep-alive", "30", "--forwarded-allow-ips="}
	for _, tt := range []struct {
		name  string
		args  []string
		unix  bool
		start func(t *testing.T, upstream string) *front
		want  map[string]string // of the environ, of a client at 127.0.0.2
	}{
		{"nginx", http, false, startNginx, map[string]string{"HTTP_X_FORWARDED_FOR": "127.0.0.2"}},
		{"nginx over a unix socket", append([]string{"--unix-socket-mode", "600"}, http...), true, startNginx,
			map[string]string{"HTTP_X_FORWARDED_FOR": "127.0.0.2"}},
		{"HAProxy", http, false, func(t *testing.T, upstream string) *front {
			return startHAProxy(t, "haproxy.cfg", upstream)
		}, map[string]string{"HTTP_X_FORWARDED_FOR": "127.0.0.2"}},
		{"HAProxy with PROXY v2", append([]string{"--proxy-protocol", "v2"}, tcp...), false, func(t *testing.T, upstream string) *front {
			return startHAProxy(t, "haproxy-tcp.cfg", upstream)
		}, map[string]string{"PROXY_PROTOCOL": "TCP4"}},
		{"HAProxy with PROXY v1", append([]string{"--proxy-protocol", "v1"}, tcp...), false, func(t *testing.T, upstream string) *front {
			return startHAProxy(t, "haproxy-tcp.cfg", upstream, "send-proxy-v2 proxy-v2-options crc32c", "send-proxy")
		}, map[string]string{"PROXY_PROTOCOL": "TCP4"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := gowsgitest.Config{Dir: apps(), Args: append(append([]string{"-w", "2"}, tt.args...), "proxied")}
			if tt.unix {
				config.Bind = "unix:" + filepath.Join(t.TempDir(), "s")
			}
			s := gowsgitest.Start(t, config)
			s.WaitBooted(2)
			f := tt.start(t, upstreamOf(s))
			f.waitReady(t)
			checkClient(t, f, tt.want)
			reloads := runTraffic(t, s, f)
			s.Log.WaitN(t, "Reload complete", reloads)
			for _, line := range f.log.All(complaint) {
				t.Errorf("the proxy says: %s", line[0])
			}
			if lines := s.Log.All(`(?m)^.*(WARN|ERROR|Invalid request).*$`); len(lines) > 0 {
				t.Errorf("gowsgi says: %s, and %d more lines", lines[0][0], len(lines)-1)
			}
		})
	}
}

// complaint matches what the proxies log of a failure: nginx at these levels, HAProxy
// for every connection that ended in an unusual way, and when a check failed.
const complaint = `(?m)^.*\[(?:error|crit|alert|emerg)\].*$|^127\.0\.0\..*$|^.* is DOWN.*$`

// upstreamOf returns the server's address as the proxies write it.
func upstreamOf(s *gowsgitest.Server) string {
	if s.Network == "unix" {
		return "unix:" + s.Addr
	}
	return s.Addr
}

// waitReady waits until the proxy passes requests on.
func (f *front) waitReady(t *testing.T) {
	t.Helper()
	if !gowsgitest.Eventually(func() bool {
		c, err := f.dial()
		if err != nil {
			return false
		}
		defer c.close()
		r, err := c.get("/", false)
		return err == nil && r.Status == 200
	}) {
		t.Fatal("the proxy does not pass requests on")
	}
}

func (f *front) dial() (*client, error) {
	return dial(&gowsgitest.Server{Network: "tcp", Addr: f.addr})
}

// checkClient: the application sees the client and what the proxy says of it, and
// nothing the client says of itself.
func checkClient(t *testing.T, f *front, want map[string]string) {
	t.Helper()
	d := net.Dialer{Timeout: gowsgitest.Patience, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	conn, err := d.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &client{conn: conn, br: bufio.NewReader(conn)}
	for range 2 {
		r, err := c.roundTrip("GET", "GET /environ HTTP/1.1\r\nHost: example.org\r\nX-Forwarded-For: 6.6.6.6\r\n"+
			"Forwarded: for=6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Ssl: on\r\nX-Forwarded-Protocol: ssl\r\n"+
			"SCRIPT_NAME: /environ\r\nPATH_INFO: /x\r\n\r\n")
		if err != nil || r.Status != 200 {
			t.Fatalf("got %v, %v, want 200", r, err)
		}
		var got map[string]string
		if err := json.Unmarshal([]byte(r.Body), &got); err != nil {
			t.Fatal(err)
		}
		for key, value := range map[string]string{"REMOTE_ADDR": "127.0.0.2", "SCRIPT_NAME": "", "HTTP_SCRIPT_NAME": "",
			"PATH_INFO": "/environ", "wsgi.url_scheme": "http", "HTTP_HOST": "example.org"} {
			if got[key] != value {
				t.Errorf("%s is %q, want %q", key, got[key], value)
			}
		}
		for key, value := range want {
			if got[key] != value {
				t.Errorf("%s is %q, want %q", key, got[key], value)
			}
		}
	}
}

// traffic is what clients ask for, and what they expect.
var traffic = []struct {
	request string
	length  int // of the answer
}{
	{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 5},
	{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 1},
	{"GET /parts HTTP/1.1\r\nHost: x\r\n\r\n", 15},
	{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000), 6},
	{"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", 300 << 10},
	{"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 1},
}

// runTraffic sends requests through the proxy from eight clients, half of which
// keep their connections, and reloads the server meanwhile. It returns how often.
func runTraffic(t *testing.T, s *gowsgitest.Server, f *front) (reloads int) {
	t.Helper()
	l := &load{stop: make(chan struct{}), bodies: map[string]int{}}
	for i := range 8 {
		l.wg.Add(1)
		go func() {
			defer l.wg.Done()
			l.client(f, i%2 == 0)
		}()
	}
	end := time.After(trafficTime(t))
	reload := time.NewTicker(3 * time.Second)
	defer reload.Stop()
	for running := true; running; {
		select {
		case <-reload.C:
			s.Signal(syscall.SIGHUP)
			reloads++
			s.Log.WaitN(t, "Reload complete", reloads)
		case <-end:
			running = false
		}
	}
	l.end(t)
	t.Logf("%d requests, %d reloads, %d failures", l.answers, reloads, len(l.failures))
	if l.answers < 100 || reloads < 1 {
		t.Errorf("%d requests and %d reloads prove nothing", l.answers, reloads)
	}
	return reloads
}

// client asks for one thing after the other until the load is stopped.
func (l *load) client(f *front, keep bool) {
	var c *client
	defer func() { c.close() }()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		var err error
		if c == nil {
			c, err = f.dial()
		}
		if err == nil {
			err = l.ask(c, i%len(traffic))
		}
		if err != nil {
			l.fail(err)
		}
		if err != nil || !keep || c.closing {
			c.close()
			c = nil
		}
	}
}

func (l *load) ask(c *client, i int) error {
	what := traffic[i]
	method, _, _ := strings.Cut(what.request, " ")
	r, err := c.roundTrip(method, what.request)
	if err != nil {
		return fmt.Errorf("%.30q: %w", what.request, err)
	}
	l.mu.Lock()
	l.answers++
	l.mu.Unlock()
	if r.Status != 200 || len(r.Body) != what.length {
		return fmt.Errorf("%.30q: got %d with %d bytes", what.request, r.Status, len(r.Body))
	}
	return nil
}
