package worker

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"gowsgi/config"
	"gowsgi/protocol/http1"
	"gowsgi/protocol/ipc"
)

// said is what a client, or an application, says of itself on the log.
type said struct{ method, target, user, referer, agent string }

// threadThat returns a thread that was told s. The parser refuses much of it;
// here the log has to bear it alone.
func threadThat(s said) *thread {
	th := &thread{e: &engine{clock: ipc.NewClock(), access: &accessLog{pid: 1}}, head: new(http1.Request), c: new(conn)}
	span := func(text string) http1.Span {
		off := len(th.c.buf)
		th.c.buf = append(th.c.buf, text...)
		return http1.Span{Off: uint32(off), Len: uint32(len(text))}
	}
	th.head.Minor = 1
	th.head.Method, th.head.Target = span(s.method), span(s.target)
	auth := "Basic " + base64.StdEncoding.EncodeToString([]byte(s.user))
	for _, f := range [][2]string{{"authorization", auth}, {"referer", s.referer}, {"user-agent", s.agent}} {
		th.head.Fields = append(th.head.Fields, http1.Field{Name: span(f[0]), Value: span(f[1])})
	}
	th.resp.Reset(1, false)
	th.resp.SetStatus([]byte("200 OK"))
	return th
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
	})
}

// checkText takes the default format's line apart as a reader of combined logs
// does: text, then items in quotes, in which a backslash takes what follows.
func checkText(t *testing.T, s said) {
	line := logged(t, threadThat(s), config.DefaultAccessLogFormat, 0)
	for i := range len(line) {
		if line[i] < ' ' || line[i] > '~' {
			t.Fatalf("byte %#02x in %q", line[i], line)
		}
	}
	var bare strings.Builder
	var items []string
	for rest := line; rest != ""; {
		c := rest[0]
		rest = rest[1:]
		switch c {
		case '\\': // of the user name, the only thing outside of quotes
			bare.WriteString(`\` + rest[:1])
			rest = rest[1:]
		case '"':
			item, after := untilQuote(t, rest)
			items, rest = append(items, item), after
		default:
			bare.WriteByte(c)
		}
	}
	if len(items) != 3 {
		t.Fatalf("got %d quoted items in %q, want 3", len(items), line)
	}
	want := []string{s.method + " " + s.target + " HTTP/1.1", or(s.referer), or(s.agent)}
	for i, item := range items {
		if got := unescape(t, item); got != want[i] {
			t.Errorf("item %d: got %q, want %q; line %q", i, got, want[i], line)
		}
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(bare.String(), " - "), " [")
	if !strings.Contains(s.user, " [") && unescape(t, name) != or(s.user) {
		t.Errorf("got user %q, want %q; line %q", unescape(t, name), or(s.user), line)
	}
}

func or(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// untilQuote cuts at the first quote without a backslash.
func untilQuote(t *testing.T, s string) (item, after string) {
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
	line := threadThat(s).appendJSON(nil, 0)
	var got struct {
		Method    string `json:"method"`
		Target    string `json:"target"`
		User      string `json:"user"`
		Referer   string `json:"referer"`
		UserAgent string `json:"user_agent"`
	}
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	for i := range line {
		if line[i] < ' ' || line[i] > '~' {
			t.Fatalf("byte %#02x in %q", line[i], line)
		}
	}
	for _, f := range []struct{ name, got, want string }{
		{"method", got.Method, s.method},
		{"target", got.Target, s.target},
		{"user", got.User, or(s.user)},
		{"referer", got.Referer, or(s.referer)},
		{"user_agent", got.UserAgent, or(s.agent)},
	} {
		if f.got != latin1(f.want) {
			t.Errorf("%s: got %q, want %q", f.name, f.got, latin1(f.want))
		}
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
