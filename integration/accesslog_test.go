package integration

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
)

// accessLine sends one request and returns the line it left.
func accessLine(t *testing.T, s *gowsgitest.Server, request string) string {
	t.Helper()
	mark := s.Stdout.Mark()
	c := s.Dial()
	c.Send(request)
	c.Rest()
	return s.Stdout.WaitAfter(t, mark, `.*`)[0]
}

// gunicorn: access_log_format, the default.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	s := start(t, "--access-logfile", "-", "hello")
	got := accessLine(t, s, "GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\nReferer: http://e/\r\nUser-Agent: curl/8\r\nConnection: close\r\n\r\n")
	want := regexp.MustCompile(`^127\.0\.0\.1 - - \[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "GET /a%20b\?c=d HTTP/1\.1" 200 11 "http://e/" "curl/8"$`)
	m := want.FindStringSubmatch(got)
	if m == nil {
		t.Fatalf("got %q, want it to match %s", got, want)
	}
	at, err := time.Parse("02/Jan/2006:15:04:05 -0700", m[1])
	if err != nil || time.Since(at) > time.Hour || time.Since(at) < -time.Minute {
		t.Errorf("%q is not the present time (%v)", m[1], err)
	}
	got = accessLine(t, s, "POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\nx")
	if !strings.HasSuffix(got, `"POST / HTTP/1.0" 200 11 "-" "-"`) {
		t.Errorf("got %q", got)
	}
}

// gunicorn: access_log_format, the atoms.
func TestAccessLogAtoms(t *testing.T) {
	t.Parallel()
	tests := []struct{ format, want string }{
		{"%(h)s", `127\.0\.0\.1`},
		{"%(l)s", `-`},
		{"%(u)s", `alice`},
		{"%(r)s", `POST /p%C3%A4th\?q=%31 HTTP/1\.1`},
		{"%(m)s", `POST`},
		{"%(q)s", `q=%31`},
		{"%(H)s", `HTTP/1\.1`},
		{"%(s)s", `200`},
		{"%(B)s", `11`},
		{"%(b)s", `11`},
		{"%(f)s", `http://from/`},
		{"%(a)s", `agent/1`},
		{"%(T)s", `\d`},
		{"%(M)s", `\d{1,4}`},
		{"%(D)s", `\d{1,7}`},
		{"%(L)s", `\d\.\d{6}`},
		{"%(p)s", `<\d+>`},
		{"%(t)s", `\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]`},
		{"%({x-request-id}i)s", `id 7`},
		{"%({X-Request-ID}i)s", `id 7`},
		{"%({x-nosuch}i)s", `-`},
		{"%({content-type}o)s", `text/plain`},
		{"%({x-nosuch}o)s", `-`},
		{"%({server_protocol}e)s", `HTTP/1\.1`},
		{"%({wsgi.url_scheme}e)s", `http`},
		{"%({SERVER_PROTOCOL}e)s", `HTTP/1\.1`},
		{"%({x-nosuch}e)s", `-`},
		{"100%% %(m)s%(m)s", `100% POSTPOST`},
	}
	for _, tt := range tests {
		t.Run(tt.format, func(t *testing.T) {
			t.Parallel()
			s := start(t, "--access-logfile", "-", "--access-logformat", tt.format, "hello")
			got := accessLine(t, s, "POST /p%C3%A4th?q=%31 HTTP/1.1\r\nHost: x\r\nReferer: http://from/\r\nUser-Agent: agent/1\r\n"+
				"Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte("alice:secret"))+"\r\n"+
				"X-Request-ID: id 7\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx")
			if !regexp.MustCompile(`^` + tt.want + `$`).MatchString(got) {
				t.Errorf("got %q, want it to match %s", got, tt.want)
			}
		})
	}
}

// Nothing a client sends makes a second line, ends a quoted field, or reaches a
// terminal as a control character.
func TestAccessLogCannotBeForged(t *testing.T) {
	t.Parallel()
	basic := func(user string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":x")) + "\r\n"
	}
	tests := []struct{ name, format, target, header string }{
		{"newline in the path", `%(U)s`, "/%0a127.0.0.1%20forged", ""},
		{"carriage return in the path", `%(U)s`, "/%0dforged", ""},
		{"newline in the query", `%(q)s`, "/?%0aforged", ""},
		{"escape sequence in the path", `%(U)s`, "/%1b%5b31mforged", ""},
		{"NUL in the path", `%(U)s`, "/%00forged", ""},
		{"C1 control in the path", `%(U)s`, "/%9bforged", ""},
		{"quote in the path", `"%(U)s"`, "/%22%20forged%20%22", ""},
		{"backslash and quote in the path", `"%(U)s"`, "/%5c%22%20forged", ""},
		{"newline in the user, default format", ``, "/", basic("eve\n127.0.0.1 - forged")},
		{"quote in the user", `"%(u)s"`, "/", basic(`eve" forged "`)},
		{"quotes in the user agent", `"%(a)s"`, "/", "User-Agent: a\" forged \"b\r\n"},
		{"quotes in the referer", `"%(f)s"`, "/", "Referer: a\" forged \"b\r\n"},
		{"quotes in a header", `"%({x}i)s"`, "/", "X: a\" forged\r\n"},
		{"tab in a header", `"%({x}i)s"`, "/", "X: a\tforged\r\n"},
		{"8-bit header", `"%({x}i)s"`, "/", "X: \x9bforged\xe4\r\n"},
		{"newline in an environ key", `%({path_info}e)s`, "/%0aforged", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			args := []string{"--access-logfile", "-", "hello"}
			if tt.format != "" {
				args = append(args, "--access-logformat", tt.format+" END")
			}
			s := start(t, args...)
			line := accessLine(t, s, "GET "+tt.target+" HTTP/1.1\r\nHost: x\r\n"+tt.header+"Connection: close\r\n\r\n")
			if tt.format != "" && !strings.HasSuffix(line, "END") {
				t.Errorf("the line ends early: %q", line)
			}
			for _, r := range line {
				if r < 0x20 || r >= 0x7f && r < 0xa0 {
					t.Errorf("control character %#x in %q", r, line)
				}
			}
			if strings.HasPrefix(tt.format, `"`) {
				inner := strings.TrimSuffix(strings.TrimPrefix(line, `"`), `" END`)
				unescaped := regexp.MustCompile(`\\.`).ReplaceAllString(inner, "")
				if strings.Contains(unescaped, `"`) {
					t.Errorf("a quote is not escaped in %q", line)
				}
			}
			accessLine(t, s, "GET / HTTP/1.0\r\n\r\n")
			if n := len(s.Stdout.Lines()); n != 2 {
				t.Errorf("%d lines for 2 requests: %q", n, s.Stdout.Lines())
			}
		})
	}
}

// One line for each request, whatever became of it, and none lost at the stop.
func TestAccessLogHasEveryRequest(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	s := start(t, "-w", "2", "--keep-alive", "10", "--access-logfile", path, "probe")
	c := s.Dial()
	const n = 200
	for i := range n {
		if r := c.Get(fmt.Sprintf("/pid?n=%d", i)); r.Status != 200 {
			t.Fatalf("got %v, want 200", r)
		}
		if i%50 == 49 {
			c = s.Dial()
		}
	}
	s.Get("/raise?name=RuntimeError")
	s.Stop()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if got := strings.Count(string(data), fmt.Sprintf("/pid?n=%d HTTP/1.1\" 200 ", i)); got != 1 {
			t.Errorf("request %d has %d lines, want 1", i, got)
		}
	}
	if !strings.Contains(string(data), `/raise?name=RuntimeError HTTP/1.1" 500 `) {
		t.Error("the failed request is missing")
	}
}

// No access log unless asked for.
func TestNoAccessLog(t *testing.T) {
	t.Parallel()
	s := start(t, "hello")
	s.GetOK("/")
	s.Stop()
	if out := s.Stdout.String() + s.Log.String(); strings.Contains(out, "GET /") {
		t.Errorf("got %q, want no access line", out)
	}
}

// Every request leaves one line, however it ends; a connection that sent nothing
// leaves none.
func TestAccessLogEndings(t *testing.T) {
	t.Parallel()
	for name, args := range accessWriters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testAccessLogEndings(t, args)
		})
	}
}

// accessWriters are the flags that have Go or Python write the access log.
var accessWriters = map[string][]string{"Go": nil, "Python": {"--logger-class", "quietlog.Logger"}}

func testAccessLogEndings(t *testing.T, args []string) {
	s := start(t, append(args, "--access-logfile", "-", "--access-logformat", `"%(r)s" %(s)s %(X)s`, "outputs")...)
	const tail = " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	for _, tt := range []struct{ name, request, want string }{
		{"served", "GET /one" + tail, `"GET /one HTTP/1.1" 200 ok`},
		{"junk", "junk\r\n\r\n", `"junk" 400 refused`},
		{"TLS", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\r\n\r\n", `"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1" 400 refused`},
		{"forged", "GET /\" 200 ok\n\"GET /one HTTP/1.1\r\n\r\n", `"GET /\" 200 ok" 400 refused`},
		{"bad field", "GET /one HTTP/1.1\r\nHost: x\r\nbad\r\n\r\n", `"GET /one HTTP/1.1" 400 refused`},
		{"version", "GET /one HTTP/4.0\r\nHost: x\r\n\r\n", `"GET /one HTTP/4.0" 505 refused`},
		{"coding", "POST /one HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", `"POST /one HTTP/1.1" 501 refused`},
		{"chunk", "POST /one HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", `"POST /one HTTP/1.1" 400 refused`},
		{"field", "GET /one HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 9000) + "\r\n\r\n", `"GET /one HTTP/1.1" 431 refused`},
		{"no start_response", "GET /no_start" + tail, `"GET /no_start HTTP/1.1" 500 error`},
		{"shorter than its length", "GET /short" + tail, `"GET /short HTTP/1.1" 200 error`},
		{"whole, in parts", "GET /parts" + tail, `"GET /parts HTTP/1.1" 200 ok`},
		{"close raises", "GET /parts_close_raises" + tail, `"GET /parts_close_raises HTTP/1.1" 200 ok`},
		{"an exception behind the whole", "GET /whole_then_raises" + tail, `"GET /whole_then_raises HTTP/1.1" 200 error`},
	} {
		if got := accessLine(t, s, tt.request); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	if t.Failed() {
		return
	}
	for _, tt := range []struct{ name, request, want string }{
		{"half a head", "GET /half HTTP/1.1\r\nHo", `"GET /half HTTP/1.1" 499 aborted`},
		{"half a line", "GET /ha", `"GET /ha" 499 aborted`},
		{"half the content", "POST /half HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab", `"POST /half HTTP/1.1" 499 aborted`},
		{"nothing", "", ""},
		{"empty line", "\r\n", ""},
	} {
		mark := s.Stdout.Mark()
		c := s.Dial()
		if tt.request != "" {
			c.Send(tt.request)
		}
		c.CloseWrite()
		c.WaitClosed()
		// Its line may come later than the end of its connection, and where Python
		// writes it than the next request's.
		if tt.want != "" {
			s.Stdout.WaitAfter(t, mark, "^"+regexp.QuoteMeta(tt.want)+"$")
		}
		s.GetOK("/one")
		s.Stdout.WaitAfter(t, mark, `^"GET /one `)
		got := s.Stdout.Lines()[mark:]
		want := []string{tt.want, `"GET /one HTTP/1.1" 200 ok`}
		if tt.want == "" {
			want = want[1:]
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, want)
		}
	}
}

// A slow reader's line comes when the response is written, with the time that took,
// and the thread has gone on long before.
func TestAccessLogOfSlowReader(t *testing.T) {
	t.Parallel()
	s := start(t, "--access-logfile", "-", "--access-logformat", "%(U)s %(s)s %(B)s %(X)s %(D)s %(A)s %(W)s", "outputs")
	const size = 200 << 10
	request := "GET /big?size=" + fmt.Sprint(size) + " HTTP/1.1\r\nHost: x\r\n\r\n"
	c := s.Dial()
	// Enough requests in a row to fill what the system buffers, but one response.
	const count = 60
	c.Send(strings.Repeat(request, count))
	s.GetOK("/one") // the thread is free
	s.Stdout.Wait(t, `^/one 200 3 ok `)
	before := s.Stdout.Count(`^/big `)
	if before == count {
		t.Fatalf("all %d responses fit into the system's buffers", count)
	}
	for range count {
		if r := c.Response("GET"); r.Status != 200 || len(r.Body) != size {
			t.Fatalf("got %d, %d bytes", r.Status, len(r.Body))
		}
	}
	lines := s.Stdout.WaitN(t, `^/big 200 (\d+) ok (\d+) (\d+) (\d+)$`, count)
	waited := 0
	for _, m := range lines {
		if m[1] != fmt.Sprint(size) {
			t.Errorf("got %q", m[0])
		}
		waited = max(waited, atoi(t, m[4]))
	}
	if waited == 0 {
		t.Errorf("nobody waited for the client: %q", lines)
	}
	if n := s.Stdout.Count(`^/big `); n != count {
		t.Errorf("got %d lines, want %d", n, count)
	}
}

// What is refused for overload has its line, too.
func TestAccessLogOfOverload(t *testing.T) {
	t.Parallel()
	for name, args := range accessWriters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testAccessLogOfOverload(t, args)
		})
	}
}

func testAccessLogOfOverload(t *testing.T, args []string) {
	s := start(t, append(args, "-w", "1", "--max-queue", "1", "--keep-alive", "30",
		"--access-logfile", "-", "--access-logformat", "%(U)s %(s)s %(X)s", "probe")...)
	// A busy worker accepts nobody new.
	a, b, held := s.Dial(), s.Dial(), s.Dial()
	pidOn(t, a)
	pidOn(t, b)
	g := newGate(t)
	sendGet(held, g.target())
	g.waitStarted(1)
	sendGet(a, "/environ")
	sendGet(b, "/environ") // one of them waits, the other is refused
	s.Stdout.Wait(t, `^/environ 503 refused$`)
	g.open()
	for _, c := range []*gowsgitest.Conn{a, b, held} {
		c.Response("GET")
	}
	s.Stdout.Wait(t, `^/wait 200 ok$`)
	s.Stdout.Wait(t, `^/environ 200 ok$`)
	if n := len(s.Stdout.Lines()); n != 5 {
		t.Errorf("%d lines for 5 requests: %q", n, s.Stdout.Lines())
	}
}

// JSON lines have typed fields, and --log-format json makes the default format JSON.
func TestAccessLogJSON(t *testing.T) {
	t.Parallel()
	s := start(t, "--access-logfile", "-", "--access-logformat", "json", "hello")
	line := accessLine(t, s, "GET /a?b=\"c HTTP/1.1\r\nHost: x\r\nUser-Agent: a\"b\r\nConnection: close\r\n\r\n")
	var got struct {
		Method, Target, Protocol, Outcome string
		Status, Bytes, PID                int
		Dur                               float64 `json:"dur_ms"`
		Agent                             string  `json:"user_agent"`
		User                              *string
	}
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	if got.Method != "GET" || got.Target != `/a?b="c` || got.Protocol != "HTTP/1.1" || got.Outcome != "ok" ||
		got.Status != 200 || got.Bytes != 11 || got.PID == 0 || got.Dur <= 0 || got.Agent != `a"b` || got.User != nil {
		t.Errorf("got %+v of %q", got, line)
	}
}

// --access-log-exclude: health checks leave no line, unless they fail. An atom that
// gunicorn would show as a dash is one, with a warning.
func TestAccessLogExclude(t *testing.T) {
	t.Parallel()
	s := start(t, "--access-logfile", "-", "--access-logformat", "%(U)s %(s)s %(zz)s",
		"--access-log-exclude", "/pid", "--access-log-exclude", "/rais*", "probe")
	s.Log.Wait(t, `WARNING.*access_log_format: unknown atom %\(zz\)s is logged as "-"`)
	s.GetOK("/pid")
	s.Get("/raise?name=RuntimeError")
	s.GetOK("/environ")
	s.Stdout.Wait(t, `^/environ 200 -$`)
	if got, want := s.Stdout.Lines(), []string{"/raise 500 -", "/environ 200 -"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A request whose worker dies has its line from the master.
func TestAccessLogOfTheDead(t *testing.T) {
	t.Parallel()
	const format = `%(h)s "%(r)s" %(s)s %(X)s`
	for _, tt := range []struct {
		name string
		args []string
		end  func(s *gowsgitest.Server)
		want string
	}{
		{"killed", nil, func(s *gowsgitest.Server) { _ = syscall.Kill(s.WaitBooted(1)[0], syscall.SIGKILL) }, `- lost$`},
		{"timed out", []string{"-t", "1"}, func(*gowsgitest.Server) {}, `(-|504) timeout$`},
		{"quick stop", nil, func(s *gowsgitest.Server) { s.Signal(syscall.SIGQUIT) }, `- lost$`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for name, args := range accessWriters {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					s := start(t, slices.Concat(args, tt.args, []string{"-w", "1", "--access-logfile", "-", "--access-logformat", format, "probe"})...)
					testLineOfTheDead(t, s, tt.end, tt.want, tt.name == "quick stop")
				})
			}
		})
	}
}

func testLineOfTheDead(t *testing.T, s *gowsgitest.Server, end func(*gowsgitest.Server), want string, stops bool) {
	g := newGate(t)
	a := ask(s, g.target())
	g.waitStarted(1)
	end(s)
	s.Stdout.Wait(t, `^127\.0\.0\.1 "GET /wait\?gate=.*" `+want)
	<-a
	if s.Running() && !stops {
		s.Stop()
	}
	s.Wait()
	if n := s.Stdout.Count("/wait"); n != 1 {
		t.Errorf("%d lines, want 1: %q", n, s.Stdout.Lines())
	}
}
