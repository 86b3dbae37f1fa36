package accesslog

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

// said is what a client, or an application, says of itself on the log.
type said struct{ method, target, user, referer, agent string }

func (s said) entry() *Entry {
	return &Entry{
		Parsed: true, Method: []byte(s.method), Target: []byte(s.target), Version: []byte("HTTP/1.1"),
		Fields: &fields{request: map[string]string{
			"authorization": basic(s.user), "referer": s.referer, "user-agent": s.agent,
		}},
	}
}

// FuzzAccessLog: whatever is logged, a line stays one line with its fields where
// they belong, and can be turned back into what was said.
func FuzzAccessLog(f *testing.F) {
	f.Add("GET", "/", "", "", "")
	f.Add("GET", "/\"\\", "ann\n", "\x00\x1f\x7f", "caf\xe9\xff")
	f.Add("GET", "/ HTTP/1.1\" 200 0 \"-\" \"x\"\n127.0.0.1", "a] \"b", "\\\"", "\\")
	f.Add("G\r\nT", "\xe2\x80\xa8", "\\x41", "\\\\\"", "\u202e")
	f.Fuzz(func(t *testing.T, method, target, user, referer, agent string) {
		if strings.Contains(user, ":") {
			return
		}
		s := said{method, target, user, referer, agent}
		checkText(t, s)
		checkJSON(t, s)
		checkUnparsed(t, target)
	})
}

// checkPlain fails unless every byte of the line is printable ASCII.
func checkPlain(t *testing.T, line string) {
	t.Helper()
	for i := range len(line) {
		if line[i] < ' ' || line[i] > '~' {
			t.Fatalf("byte %#02x in %q", line[i], line)
		}
	}
}

// checkText takes the default format's line apart as a reader of combined logs
// does: text, then items in quotes, in which a backslash takes what follows.
func checkText(t *testing.T, s said) {
	line := logged(t, Combined, s.entry(), &Ending{Status: 200})
	checkPlain(t, line)
	bare, items := split(t, line)
	if len(items) != 3 {
		t.Fatalf("got %d quoted items in %q, want 3", len(items), line)
	}
	want := []string{s.method + " " + s.target + " HTTP/1.1", or(s.referer), or(s.agent)}
	for i, item := range items {
		if got := unescape(t, item); got != want[i] {
			t.Errorf("item %d: got %q, want %q; line %q", i, got, want[i], line)
		}
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(bare, " - "), " [")
	if !strings.Contains(s.user, " [") && unescape(t, name) != or(s.user) {
		t.Errorf("got user %q, want %q; line %q", unescape(t, name), or(s.user), line)
	}
}

// checkUnparsed looks at the line of a request line that makes no sense.
func checkUnparsed(t *testing.T, request string) {
	e := &Entry{Target: []byte(request)}
	end := &Ending{Outcome: Refused, Status: 400}
	line := logged(t, `"%(r)s" %(m)s %(U)s %(q)s %(H)s %(s)s`, e, end)
	checkPlain(t, line)
	bare, items := split(t, line)
	if len(items) != 1 || unescape(t, items[0]) != or(request) || bare != " - - - - 400" {
		t.Errorf("got %q for %q", line, request)
	}
	line = logged(t, JSON, e, end)
	checkPlain(t, line)
	var got struct{ Target string }
	if err := json.Unmarshal([]byte(line), &got); err != nil || got.Target != latin1(request) {
		t.Errorf("got %q, %v for %q", line, err, request)
	}
}

// split returns what is outside of quotes in the line, and what is in each pair.
func split(t *testing.T, line string) (bare string, items []string) {
	t.Helper()
	var b strings.Builder
	for rest := line; rest != ""; {
		c := rest[0]
		rest = rest[1:]
		switch c {
		case '\\': // of the user name, the only thing outside of quotes
			b.WriteString(`\` + rest[:1])
			rest = rest[1:]
		case '"':
			item, after := untilQuote(t, rest)
			items, rest = append(items, item), after
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), items
}

func or(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// untilQuote cuts at the first quote without a backslash.
func untilQuote(t *testing.T, s string) (item, after string) {
	t.Helper()
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return s[:i], s[i+1:]
		}
	}
	t.Fatalf("no closing quote in %q", s)
	return "", ""
}

// unescape undoes appendEscaped.
func unescape(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if s[i] != 'x' {
			b.WriteByte(s[i])
			continue
		}
		n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		b.WriteByte(byte(n))
		i += 2
	}
	return b.String()
}

// checkJSON reads the line as JSON: bytes are latin-1.
func checkJSON(t *testing.T, s said) {
	line := logged(t, JSON, s.entry(), &Ending{Status: 200})
	checkPlain(t, line)
	var got struct {
		Method    string `json:"method"`
		Target    string `json:"target"`
		User      string `json:"user"`
		Referer   string `json:"referer"`
		UserAgent string `json:"user_agent"`
		Status    int    `json:"status"`
	}
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	for _, f := range []struct{ name, got, want string }{
		{"method", got.Method, s.method},
		{"target", got.Target, s.target},
		{"user", got.User, s.user},
		{"referer", got.Referer, s.referer},
		{"user_agent", got.UserAgent, s.agent},
	} {
		if f.got != latin1(f.want) {
			t.Errorf("%s: got %q, want %q", f.name, f.got, latin1(f.want))
		}
	}
	if got.Status != 200 {
		t.Errorf("got status %d, want 200", got.Status)
	}
}

// latin1 decodes the bytes of s.
func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}
