package accesslog

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// fields implements Fields from maps with names in lower case.
type fields struct {
	request, response map[string]string
	environ           []string
}

func find(m map[string]string, name string) []byte {
	if v, ok := m[name]; ok {
		return []byte(v)
	}
	return nil
}

func (f *fields) RequestField(name string) []byte  { return find(f.request, name) }
func (f *fields) ResponseField(name string) []byte { return find(f.response, name) }
func (f *fields) EnvironKey(i int) []byte          { return []byte(f.environ[i]) }

func basic(user string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user))
}

// pageView is a request that says something of itself everywhere, and its ending.
func pageView() (*Entry, *Ending) {
	e := &Entry{
		Addr: []byte("203.0.113.7"), Parsed: true, Method: []byte("POST"),
		Target: []byte("/caf%C3%A9/a%22b?q=1%20&r=%22"), Path: []byte("/caf%C3%A9/a%22b"),
		PathInfo: []byte("/caf\xc3\xa9/a\"b\n"), Query: []byte("q=1%20&r=%22"), Version: []byte("HTTP/1.1"),
		Fields: &fields{
			request: map[string]string{
				"authorization": basic("ann \"x\":secret"), "referer": `http://example.org/?a="b`,
				"user-agent": `Back\slash`, "x-latin": "caf\xe9", "x-empty": "",
			},
			response: map[string]string{"x-answer": "t\two", "content-length": "12"},
			environ:  []string{"ann\r\n", ""},
		},
	}
	return e, &Ending{
		Status: 404, Sent: 1234567890123, End: 5e9,
		Taken: 3*time.Second + 45678901*time.Nanosecond, App: 3 * time.Second,
		Write: 45678 * time.Microsecond, Queued: 1500 * time.Microsecond,
	}
}

// openLog opens a log in a file of its own.
func openLog(tb testing.TB, o Options) (l *Log, path string) {
	tb.Helper()
	if o.Path == "" {
		o.Path = filepath.Join(tb.TempDir(), "log")
	}
	o.PID = 4711
	l, err := Open(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close(patience) })
	return l, o.Path
}

// logged returns the line of a request in a format, without its end. Written at
// once and in two steps it must be the same.
func logged(tb testing.TB, format string, e *Entry, end *Ending) string {
	tb.Helper()
	f, err := Parse(format)
	if err != nil {
		tb.Fatal(err)
	}
	l := &Log{format: f, pid: "4711", filled: make(chan struct{}, 1)}
	pen := l.NewPen()
	pen.Write(e, end)
	line := string(l.buf)
	l.buf = l.buf[:0]
	pen.Finish(pen.Draft(e, end.Queued), end)
	if late := string(l.buf); late != line {
		tb.Errorf("%s: got %q in two steps, %q in one", format, late, line)
	}
	if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
		tb.Errorf("%s: got %q, want one line", format, line)
	}
	return strings.TrimSuffix(line, "\n")
}

func TestAtoms(t *testing.T) {
	t.Parallel()
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
		{"%(Q)s", "1500"},
		{"%(A)s", "3000000"},
		{"%(W)s", "45678"},
		{"%(X)s", "ok"},
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
		{"%(m)6s|%(m)-6s|%(m)2s|", "  POST|POST  |POST|"},
		{"%(s)5s|%(T)05d|%(T)-5d|%(T)05s|", "  404|00003|3    |    3|"},
		{"%(zzz)s", "-"},
	} {
		e, end := pageView()
		if got := logged(t, tt.format, e, end); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.format, got, tt.want)
		}
	}
	before := time.Now().Truncate(time.Second)
	e, end := pageView()
	at, err := time.Parse("[02/Jan/2006:15:04:05 -0700]", logged(t, "%(t)s", e, end))
	if err != nil || at.Before(before) || at.After(time.Now()) {
		t.Errorf("%%(t)s: got %v, %v, want now", at, err)
	}
}

// TestBareAtoms: a request that says nothing of itself, over a unix socket.
func TestBareAtoms(t *testing.T) {
	t.Parallel()
	e := &Entry{Parsed: true, Method: []byte("GET"), Target: []byte("/"), Version: []byte("HTTP/1.0")}
	got := logged(t, `%(h)s|%(u)s|%(r)s|%(U)s|%(q)s|%(H)s|%(s)s|%(b)s|%(f)s|%(a)s|%(T)s|%(M)s|%(D)s|%(L)s|%(X)s`, e,
		&Ending{Outcome: Lost})
	if want := "|-|GET / HTTP/1.0|||HTTP/1.0|-|0|-|-|0|0|0|0.000000|lost"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestNoVersion: of a request that a dead worker left the version is not known.
func TestNoVersion(t *testing.T) {
	t.Parallel()
	e := &Entry{Parsed: true, Method: []byte("GET"), Target: []byte("/x")}
	if got := logged(t, `"%(r)s"`, e, &Ending{}); got != `"GET /x"` {
		t.Errorf("got %q", got)
	}
}

// TestUnparsed: a line that is no request is shown as it came.
func TestUnparsed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ line, text, target string }{
		{"\x16\x03\x01", `\x16\x03\x01`, `"\u0016\u0003\u0001"`},
		{`GET "/`, `GET \"/`, `"GET \"/"`},
		{"", "-", "null"},
	} {
		e := &Entry{Target: []byte(tt.line)}
		end := &Ending{Outcome: Refused, Status: 400}
		got := logged(t, `"%(r)s" %(m)s %(U)s %(q)s %(H)s %(s)s %(f)s`, e, end)
		if want := `"` + tt.text + `" - - - - 400 -`; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		got = logged(t, JSON, e, end)
		if want := `"method":null,"target":` + tt.target + `,"protocol":null,"status":400,`; !strings.Contains(got, want) {
			t.Errorf("got %q, want it to contain %q", got, want)
		}
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	e, end := pageView()
	for o, want := range map[Outcome]string{OK: "ok", Error: "error", Aborted: "aborted",
		Refused: "refused", Timeout: "timeout", Taken: "taken", Lost: "lost"} {
		end.Outcome = o
		if got := logged(t, "%(X)s", e, end); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
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
		if got := string(user([]byte(tt.field))); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestJSONLine: the fields and their types.
func TestJSONLine(t *testing.T) {
	t.Parallel()
	e, end := pageView()
	line := logged(t, JSON, e, end)
	var got map[string]any
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	if at, err := time.Parse(time.RFC3339, got["time"].(string)); err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("got time %v, %v", got["time"], err)
	}
	if !regexp.MustCompile(`^\{"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",`).MatchString(line) {
		t.Errorf("got %s, want the time first", line)
	}
	delete(got, "time")
	want := map[string]any{
		"type": "access", "pid": 4711.0, "remote_addr": "203.0.113.7", "method": "POST",
		"target": "/caf%C3%A9/a%22b?q=1%20&r=%22", "protocol": "HTTP/1.1", "status": 404.0, "bytes": 1234567890123.0,
		"outcome": "ok", "dur_ms": 3045.678, "queue_ms": 1.5, "app_ms": 3000.0, "write_ms": 45.678,
		"user": `ann "x"`, "referer": `http://example.org/?a="b`, "user_agent": `Back\slash`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	bare := logged(t, JSON, &Entry{Parsed: true, Method: []byte("GET"), Target: []byte("/")}, &Ending{Outcome: Lost})
	for _, want := range []string{`"remote_addr":null`, `"status":null`, `"user":null`, `"referer":null`, `"dur_ms":0.000`, `"outcome":"lost"`} {
		if !strings.Contains(bare, want) {
			t.Errorf("got %s, want it to contain %s", bare, want)
		}
	}
}

// TestTick: the time of day goes on, by the Clock time of each ending, and JSON has
// milliseconds of it.
func TestTick(t *testing.T) {
	t.Parallel()
	f, _ := Parse(JSON)
	l := &Log{format: f, filled: make(chan struct{}, 1)}
	pen := l.NewPen()
	start := time.Now()
	at := func(now int64) time.Time {
		l.buf = l.buf[:0]
		pen.Write(new(Entry), &Ending{End: now})
		text, _, _ := strings.Cut(string(l.buf[len(`{"time":"`):]), `"`)
		when, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	const now = int64(time.Hour)
	if got := at(now); got.Sub(start).Abs() > 10*time.Second {
		t.Errorf("got %v, want now, %v", got, start)
	}
	first := at(pen.second)
	if first.Nanosecond() != 0 || !at(pen.second+1_999_999).Equal(first.Add(time.Millisecond)) ||
		!at(pen.stampUntil-1).Equal(first.Add(999*time.Millisecond)) {
		t.Errorf("the milliseconds do not follow the clock")
	}
	if got := at(pen.stampUntil + 5); got.Sub(start) > 10*time.Second {
		t.Errorf("got %v, want the time of day to be read anew", got)
	}
}

// TestExclude: a path may stay out of the log, but not when its request fails.
func TestExclude(t *testing.T) {
	t.Parallel()
	l := &Log{exclusions: newExclusions([]string{"/healthz", "/static/*", "/a%20b"}), filled: make(chan struct{}, 1)}
	l.format, _ = Parse("%(U)s")
	pen := l.NewPen()
	for _, tt := range []struct {
		path string
		end  Ending
		out  bool
	}{
		{"/healthz", Ending{Status: 200}, true},
		{"/healthz", Ending{Status: 399}, true},
		{"/healthz", Ending{Status: 400}, false},
		{"/healthz", Ending{Status: 503}, false},
		{"/healthz", Ending{Status: 200, Outcome: Aborted}, false},
		{"/healthz", Ending{Outcome: Lost}, false},
		{"/healthz/", Ending{Status: 200}, false},
		{"/HEALTHZ", Ending{Status: 200}, false},
		{"/health", Ending{Status: 200}, false},
		{"/static/", Ending{Status: 200}, true},
		{"/static/a/b.css", Ending{Status: 304}, true},
		{"/static", Ending{Status: 200}, false},
		{"/a%20b", Ending{Status: 200}, true},
		{"", Ending{Status: 200}, false},
	} {
		e := &Entry{Parsed: true, Path: []byte(tt.path)}
		for name, write := range map[string]func(){
			"at once":  func() { pen.Write(e, &tt.end) },
			"in steps": func() { pen.Finish(pen.Draft(e, 0), &tt.end) },
		} {
			l.buf = l.buf[:0]
			write()
			if out := len(l.buf) == 0; out != tt.out {
				t.Errorf("%s, %+v, %s: left out: %t, want %t", tt.path, tt.end, name, out, tt.out)
			}
		}
	}
}

// TestWriteAllocates nothing, in either form.
func TestWriteAllocates(t *testing.T) {
	if testing.CoverMode() != "" {
		t.Skip("coverage allocates")
	}
	for _, format := range []string{Combined, JSON, "%(H)s %(L)s %({x-a}i)s %({x-a}o)s %(U)20s"} {
		f, _ := Parse(format)
		l := &Log{format: f, filled: make(chan struct{}, 1)}
		pen := l.NewPen()
		e, end := pageView()
		e.Fields = nil // the maps of the test would
		if n := testing.AllocsPerRun(100, func() { l.buf = l.buf[:0]; pen.Write(e, end) }); n != 0 {
			t.Errorf("%s: got %v allocations a line, want none", format, n)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	for name, format := range map[string]string{"combined": Combined, "json": JSON} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			f, _ := Parse(format)
			l := &Log{format: f, filled: make(chan struct{}, 1)}
			pen := l.NewPen()
			e, end := pageView()
			e.Fields = nil
			for b.Loop() {
				l.buf = l.buf[:0]
				pen.Write(e, end)
			}
		})
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "no", "log")
	if _, err := Open(Options{Path: path}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names %s", err, path)
	}
	if _, err := Open(Options{Path: os.DevNull, Format: "%h"}); err == nil {
		t.Error("got no error for a format that makes no sense")
	}
}
