package integration

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
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
	s := start(t, "-w", "2", "--access-logfile", path, "probe")
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
