package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
)

// datagrams collects what a daemon would get.
type datagrams struct {
	net.PacketConn
	mu  sync.Mutex
	got []string
}

func collect(t *testing.T, network, addr string) *datagrams {
	t.Helper()
	c, err := net.ListenPacket(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	d := &datagrams{PacketConn: c}
	var reading sync.WaitGroup
	reading.Go(func() {
		for buf := make([]byte, 64<<10); ; {
			n, _, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			d.mu.Lock()
			d.got = append(d.got, string(buf[:n]))
			d.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		_ = c.Close()
		reading.Wait()
		if t.Failed() {
			t.Logf("got %q", d.got)
		}
	})
	return d
}

// wait waits for a datagram that matches.
func (d *datagrams) wait(t *testing.T, pattern string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	if !gowsgitest.Eventually(func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, m := range d.got {
			if re.MatchString(m) {
				return true
			}
		}
		return false
	}) {
		t.Errorf("%s does not come", pattern)
	}
}

// sum adds the values of a statsd counter.
func (d *datagrams) sum(name string) (n int) {
	re := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `:(\d+)\|c`)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.got {
		for _, found := range re.FindAllStringSubmatch(m, -1) {
			k := 0
			_, _ = fmt.Sscan(found[1], &k)
			n += k
		}
	}
	return n
}

// gunicorn: syslog and its settings.
func TestSyslog(t *testing.T) {
	t.Parallel()
	d := collect(t, "udp", "127.0.0.1:0")
	s := start(t, "-w", "2", "--log-syslog", "--log-syslog-to", "udp://"+d.LocalAddr().String(),
		"--log-syslog-prefix", "shop", "--log-syslog-facility", "local3", "probe")
	s.Get("/raise?name=RuntimeError")
	s.Stop()
	d.wait(t, `^<158>gunicorn\.shop\.error: \[\d+\] Starting gowsgi `)
	d.wait(t, `^<158>gunicorn\.shop\.error: \[\d+\] Booting worker with pid: \d+$`)
	d.wait(t, `^<155>gunicorn\.shop\.error: \[\d+\] Error handling request GET /raise\?name=RuntimeError\nTraceback `)
	d.wait(t, `^<158>gunicorn\.shop\.access: \[\d+\] 127\.0\.0\.1 - - \[.*\] "GET /raise\?name=RuntimeError HTTP/1\.1" 500 `)
	d.wait(t, `^<158>gunicorn\.shop\.error: \[\d+\] Worker exiting \(pid: \d+\)$`)
	d.wait(t, `^<158>gunicorn\.shop\.error: \[\d+\] Shutting down: Master$`)
	if s.Log.Count("Booting worker") != 2 {
		t.Error("the error log is missing")
	}
	if out := s.Stdout.String(); out != "" {
		t.Errorf("standard output has %q, want nothing", out)
	}
}

// gunicorn: disable_redirect_access_to_syslog; the name of the processes by default.
func TestSyslogWithoutAccess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	d := collect(t, "unixgram", path)
	s := start(t, "--log-syslog", "--log-syslog-to", "unix://"+path, "--disable-redirect-access-to-syslog", "probe:application")
	s.GetOK("/pid")
	s.Stop()
	d.wait(t, `^<14>gunicorn\.probe\.application\.error: \[\d+\] Shutting down: Master$`)
	for _, m := range d.got {
		if strings.Contains(m, ".access:") {
			t.Errorf("got %q", m)
		}
	}
}

// A syslog daemon that is away holds nothing up: not the start, not requests, not
// the end.
func TestSyslogAway(t *testing.T) {
	t.Parallel()
	s := start(t, "--log-syslog", "--log-syslog-to", "unix:///nonexistent/log", "probe")
	begin := time.Now()
	for range 100 {
		s.GetOK("/pid")
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if took := time.Since(begin); took > gowsgitest.Patience {
		t.Errorf("it took %v", took)
	}
}

// gunicorn: statsd_host, statsd_prefix, dogstatsd_tags, enable_backlog_metric.
func TestStatsd(t *testing.T) {
	t.Parallel()
	d := collect(t, "udp", "127.0.0.1:0")
	s := start(t, "-w", "2", "--statsd-host", d.LocalAddr().String(), "--statsd-prefix", "svc.",
		"--dogstatsd-tags", "env:test", "--enable-backlog-metric", "probe")
	const n = 20
	for range n {
		s.GetOK("/pid")
	}
	s.Get("/raise?name=RuntimeError")
	c := s.Dial()
	c.Send("junk\r\n\r\n")
	c.Rest()
	d.wait(t, `(?m)^svc\.gunicorn\.workers:2\|g\|#env:test$`)
	d.wait(t, `(?m)^svc\.gunicorn\.backlog:\d+\|h\|#env:test$`)
	d.wait(t, `(?m)^svc\.gunicorn\.request\.duration:\d+(\.\d+)?\|ms\|#env:test$`)
	s.Stop()
	for name, want := range map[string]int{
		"svc.gunicorn.requests": n + 2, "svc.gunicorn.request.status.200": n, "svc.gunicorn.request.status.500": 1,
		"svc.gunicorn.request.status.400": 1, "svc.gunicorn.log.exception": 1, "svc.gunicorn.log.warning": 1,
	} {
		if !gowsgitest.Eventually(func() bool { return d.sum(name) == want }) {
			t.Errorf("%s: got %d, want %d", name, d.sum(name), want)
		}
	}
}

// gunicorn: capture_output. What anybody prints is in the file of the error log,
// also after it was moved away.
func TestCaptureOutput(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--preload"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			captureOutput(t, args)
		})
	}
}

func captureOutput(t *testing.T, args []string) {
	path := filepath.Join(t.TempDir(), "error.log")
	sock := filepath.Join(t.TempDir(), "s")
	s := gowsgitest.Launch(t, gowsgitest.Config{
		Dir: apps(), Bind: "unix:" + sock,
		Args: append(args, "--capture-output", "--error-logfile", path, "probe"),
	})
	c := dialWhenReady(t, sock)
	output := func() {
		t.Helper()
		c.Send("GET /output HTTP/1.1\r\nHost: x\r\n\r\n")
		if r := c.Response("GET"); r.Status != 200 {
			t.Fatalf("got %v", r)
		}
	}
	has := func() bool {
		text := read(t, path)
		return strings.Contains(text, "printed to stdout\n") && strings.Contains(text, "printed to stderr\n")
	}
	output()
	if !gowsgitest.Eventually(has) {
		t.Fatalf("got %q", read(t, path))
	}
	replace(t, path, "new\n")
	s.Signal(syscall.SIGUSR1)
	if !gowsgitest.Eventually(func() bool { output(); return has() }) {
		t.Fatalf("after SIGUSR1: got %q", read(t, path))
	}
	s.Stop()
	if text := s.Log.String() + s.Stdout.String(); text != "" {
		t.Errorf("standard output and error have %q, want nothing", text)
	}
	if !strings.Contains(read(t, path), "Shutting down: Master") {
		t.Error("the log itself is missing")
	}
}

// What the application prints while it is preloaded, and a hook in the spawner, is
// captured, too, in the new file after SIGUSR1.
func TestCaptureOutputOfTheSpawner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app.py", "print('imported', flush=True)\n\n"+
		"def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'']\n")
	write(t, dir, "gunicorn.conf.py", "import sys\npreload_app = capture_output = True\nerrorlog = 'error.log'\n"+
		"def when_ready(server):\n    print('ready', file=sys.stderr)\n"+
		"def child_exit(server, worker):\n    print('exited')\n")
	path, sock := filepath.Join(dir, "error.log"), filepath.Join(dir, "s")
	s := gowsgitest.Launch(t, gowsgitest.Config{Dir: dir, Bind: "unix:" + sock, Args: []string{"app"}})
	dialWhenReady(t, sock).Close()
	in := func(path, text string) {
		t.Helper()
		if !gowsgitest.Eventually(func() bool { return exists(path) && strings.Contains(read(t, path), text) }) {
			t.Fatalf("no %q in %q", text, read(t, path))
		}
	}
	has := func(text string) {
		t.Helper()
		in(path, text)
	}
	has("imported\n")
	has("ready\n")
	old := path + ".1"
	if err := os.Link(path, old); err != nil {
		t.Fatal(err)
	}
	replace(t, path, "new\n")
	s.Signal(syscall.SIGUSR1)
	in(old, "Handling signal: usr1") // two signals that are sent at once come in any order
	s.Signal(syscall.SIGTTIN)
	has("Handling signal: ttin")
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	has("exited\n")
	if text := s.Log.String() + s.Stdout.String(); text != "" {
		t.Errorf("standard output and error have %q, want nothing", text)
	}
}
