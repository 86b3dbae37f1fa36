package worker

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gowsgi/config"
	"gowsgi/internal/logging"
)

func TestCompile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, format string
		atoms        []atom
		keys         []string
	}{
		{"empty", "", nil, nil},
		{"text", "text", []atom{{text: "text"}}, nil},
		{"percent", "%%", []atom{{text: "%"}}, nil},
		{"percent before an atom's name", "%%(h)s", []atom{{text: "%"}, {text: "(h)s"}}, nil},
		{"letter", "%(h)s", []atom{{kind: 'h'}}, nil},
		{"number", "%(B)d", []atom{{kind: 'B'}}, nil},
		{"text around", "a %(m)s b", []atom{{text: "a "}, {kind: 'm'}, {text: " b"}}, nil},
		{"side by side", "%(m)s%(U)s", []atom{{kind: 'm'}, {kind: 'U'}}, nil},
		{"conversion's letter in text", "%(h)ss", []atom{{kind: 'h'}, {text: "s"}}, nil},
		{"request field", "%({X-Name}i)s", []atom{{kind: requestField, text: "x-name"}}, nil},
		{"response field", "%({Set-Cookie}o)s", []atom{{kind: responseField, text: "set-cookie"}}, nil},
		{
			"environ keys", "%({REMOTE_USER}e)s %({wsgi.url_scheme}e)s",
			[]atom{{kind: environKey, text: "remote_user"}, {text: " "}, {kind: environKey, text: "wsgi.url_scheme", index: 1}},
			[]string{"REMOTE_USER", "wsgi.url_scheme"},
		},
		{"end in percent", "a%%", []atom{{text: "a"}, {text: "%"}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var a accessLog
			a.compile(tt.format)
			if !slices.Equal(a.format, tt.atoms) || !slices.Equal(a.keys, tt.keys) {
				t.Errorf("got %+v, %q, want %+v, %q", a.format, a.keys, tt.atoms, tt.keys)
			}
		})
	}
}

// logged returns t's line in the given format, without its line end.
func logged(tb testing.TB, th *thread, format string, taken time.Duration) string {
	tb.Helper()
	th.e.access.format, th.e.access.keys = nil, nil
	th.e.access.compile(format)
	var b []byte
	for i := range th.e.access.format {
		b = th.appendAtom(b, &th.e.access.format[i], taken)
	}
	return string(b)
}

// pageView is a thread at the end of a request like any other.
func pageView(t testing.TB) *thread {
	th := parsedThread(t, "POST /caf%C3%A9/a%22b?q=1%20&r=%22 HTTP/1.1\r\n"+
		"Host: example.org\r\n"+
		"Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte("ann \"x\":secret"))+"\r\n"+
		"Referer: http://example.org/?a=\"b\r\n"+
		"User-Agent: first\r\nuser-agent: Back\\slash\r\n"+
		"X-Empty:\r\n"+
		"X-Latin: caf\xe9\r\n\r\n")
	th.req.PathInfo = []byte("/caf\xc3\xa9/a\"b\n")
	th.c.setPeer(sockaddr(t.(*testing.T), "203.0.113.7:1234"))
	th.e.access.pid = 4711
	th.resp.Reset(1, false)
	th.resp.SetStatus([]byte("404 Not Found"))
	th.resp.AddHeader([]byte("X-Answer"), []byte("one"))
	th.resp.AddHeader([]byte("x-answer"), []byte("t\two"))
	th.resp.AddHeader([]byte("Content-Length"), []byte("12"))
	th.sent = 1234567890123
	th.environ = make([][]byte, 8)
	th.environ[0] = []byte("ann\r\n")
	return th
}

func TestAtoms(t *testing.T) {
	t.Parallel()
	const taken = 3*time.Second + 45678901*time.Nanosecond
	for _, tt := range []struct{ format, want string }{
		{"%(h)s", "203.0.113.7"},
		{"%(l)s", "-"},
		{"%(u)s", `ann \"x\"`},
		{"%(r)s", "POST /caf%C3%A9/a%22b?q=1%20&r=%22 HTTP/1.1"},
		{"%(m)s", "POST"},
		{"%(U)s", `/caf\xc3\xa9/a\"b\x0a`},
		{"%(q)s", "q=1%20&r=%22"},
		{"%(H)s", "HTTP/1.1"},
		{"%(s)s", "404"},
		{"%(B)s", "1234567890123"},
		{"%(B)d", "1234567890123"},
		{"%(b)s", "1234567890123"},
		{"%(f)s", `http://example.org/?a=\"b`},
		{"%(a)s", `Back\\slash`},
		{"%(T)s", "3"},
		{"%(T)d", "3"},
		{"%(M)s", "3045"},
		{"%(D)s", "3045678"},
		{"%(L)s", "3.045679"},
		{"%(p)s", "<4711>"},
		{"%({User-Agent}i)s", `Back\\slash`},
		{"%({user-AGENT}i)s", `Back\\slash`},
		{"%({X-Latin}i)s", `caf\xe9`},
		{"%({X-Empty}i)s", "-"},
		{"%({X-None}i)s", "-"},
		{"%({X-Answer}o)s", `t\x09wo`},
		{"%({content-length}o)s", "12"},
		{"%({X-None}o)s", "-"},
		{"%({REMOTE_USER}e)s", `ann\x0d\x0a`},
		{"%({REMOTE_USER}e)s%({OTHER}e)s", `ann\x0d\x0a-`},
		{"100%% \"%(m)s\" é", `100% "POST" é`},
	} {
		if got := logged(t, pageView(t), tt.format, taken); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.format, got, tt.want)
		}
	}
	before := time.Now().Add(-time.Second)
	at, err := time.Parse("[02/Jan/2006:15:04:05 -0700]", logged(t, pageView(t), "%(t)s", 0))
	if err != nil || at.Before(before.Truncate(time.Second)) || at.After(time.Now()) {
		t.Errorf("%%(t)s: got %v, %v, want now", at, err)
	}
}

// TestBareAtoms: a request that says nothing of itself, over a unix socket.
func TestBareAtoms(t *testing.T) {
	t.Parallel()
	th := parsedThread(t, "GET / HTTP/1.0\r\n\r\n")
	th.resp.Reset(0, false)
	th.c.setPeer(sockaddr(t, ""))
	got := logged(t, th, `%(h)s|%(u)s|%(r)s|%(U)s|%(q)s|%(H)s|%(b)s|%(f)s|%(a)s|%(T)s|%(M)s|%(D)s|%(L)s`, 0)
	if want := "|-|GET / HTTP/1.0|||HTTP/1.0|0|-|-|0|0|0|0.000000"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUser(t *testing.T) {
	t.Parallel()
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, tt := range []struct{ name, field, want string }{
		{"name and password", "Basic " + encode("ann:x"), "ann"},
		{"scheme in any case", "bAsIc " + encode("ann:x"), "ann"},
		{"more space", "Basic   " + encode("ann:x"), "ann"},
		{"colons in the password", "Basic " + encode("ann:x:y"), "ann"},
		{"no colon", "Basic " + encode("ann"), "ann"},
		{"no name", "Basic " + encode(":x"), ""},
		{"line end in the name", "Basic " + encode("a\nb:x"), "a\nb"},
		{"not base64", "Basic !!!!", ""},
		{"nothing", "Basic ", ""},
		{"other scheme", "Bearer " + encode("ann:x"), ""},
		{"scheme only", "Basic", ""},
	} {
		th := parsedThread(t, "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: "+tt.field+"\r\n\r\n")
		if got := string(th.user()); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestJSONLine: the fields and their types.
func TestJSONLine(t *testing.T) {
	t.Parallel()
	th := pageView(t)
	var got map[string]any
	line := th.appendJSON(nil, 3*time.Second+45678901*time.Nanosecond)
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	if at, err := time.Parse(time.RFC3339, got["time"].(string)); err != nil || time.Since(at) > time.Minute {
		t.Errorf("got time %v, %v", got["time"], err)
	}
	delete(got, "time")
	want := map[string]any{
		"type": "access", "pid": 4711.0, "remote_addr": "203.0.113.7", "method": "POST",
		"target": "/caf%C3%A9/a%22b?q=1%20&r=%22", "protocol": "HTTP/1.1", "status": 404.0, "bytes": 1234567890123.0,
		"dur_ms": 3045.678, "queue_ms": 0.0, "user": `ann "x"`, "referer": `http://example.org/?a="b`, "user_agent": `Back\slash`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// openLog opens an access log in a file of its own.
func openLog(t *testing.T, cfg *config.Config) *accessLog {
	t.Helper()
	a, err := newAccessLog(cfg, 4711)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.file.Close() })
	return a
}

// TestJSONChoice: JSON lines replace the default format only. Who asks for a
// format gets it.
func TestJSONChoice(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		logFormat, accessFormat string
		json                    bool
	}{
		{logging.FormatJSON, config.DefaultAccessLogFormat, true},
		{logging.FormatJSON, "%(m)s", false},
		{logging.FormatText, config.DefaultAccessLogFormat, false},
	} {
		a := openLog(t, &config.Config{AccessLog: filepath.Join(t.TempDir(), "log"), LogFormat: tt.logFormat, AccessLogFormat: tt.accessFormat})
		if a.json != tt.json {
			t.Errorf("%s, %s: got %t, want %t", tt.logFormat, tt.accessFormat, a.json, tt.json)
		}
		a.close()
	}
}

func TestAccessLogCannotOpen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "no", "log")
	if _, err := newAccessLog(&config.Config{AccessLog: path}, 1); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names %s", err, path)
	}
}

// TestLogAccess: a request's line reaches the file, by the writer itself.
func TestLogAccess(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ logFormat, pattern string }{
		{logging.FormatText, `^203\.0\.113\.7 - ann \\"x\\" \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "POST /caf%C3%A9/a%22b\?q=1%20&r=%22 HTTP/1\.1" 404 1234567890123 "http://example\.org/\?a=\\"b" "Back\\\\slash"\n$`},
		{logging.FormatJSON, `^\{"time":".*\}\n$`},
	} {
		path := filepath.Join(t.TempDir(), "log")
		a := openLog(t, &config.Config{AccessLog: path, LogFormat: tt.logFormat, AccessLogFormat: config.DefaultAccessLogFormat})
		th := pageView(t)
		th.e.access = a
		th.start = th.e.clock.Now()
		th.logAccess()
		got := waitForText(t, path, "\n")
		if !regexp.MustCompile(tt.pattern).MatchString(got) {
			t.Errorf("got %q, want a match of %s", got, tt.pattern)
		}
		a.close()
	}
}

// waitForText returns what is in the file once it contains text.
func waitForText(t *testing.T, path, text string) string {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), text) {
			return string(b)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q does not come; got %q", text, b)
		}
	}
}
