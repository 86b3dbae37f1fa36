package worker

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gowsgi/config"
	"gowsgi/internal/logging"
)

// accessLog writes one line a request, off the application's thread: a line goes
// into a buffer, which a goroutine writes out every flushEvery while there is
// something in it. A worker that is killed loses what is in the buffer.
type accessLog struct {
	file   *logging.Reopenable
	format []atom
	json   bool
	pid    int
	// keys are the environ keys the format asks for.
	keys []string

	// writing is held from taking the buffer to having written it.
	writing sync.Mutex

	mu sync.Mutex
	// buf is being filled, spare being written or empty.
	buf, spare []byte
	filled     chan struct{}
	flushed    sync.WaitGroup
	quit       chan struct{}
}

const (
	flushEvery = 50 * time.Millisecond
	// flushAt is how many bytes are buffered before the writer is not waited for
	// any more: the application's thread then writes itself.
	flushAt = 1 << 20
)

// atom is a piece of the format: literal text, or what kind and name stand for.
type atom struct {
	text string
	kind byte // a letter of gunicorn's language; i, o, e with name; 0: text
	// index of the environ key for kind 'e'.
	index int
}

func newAccessLog(cfg *config.Config, pid int) (*accessLog, error) {
	file, err := logging.Open(cfg.AccessLog, 1)
	if err != nil {
		return nil, err
	}
	a := &accessLog{
		file:   file,
		pid:    pid,
		filled: make(chan struct{}, 1),
		quit:   make(chan struct{}),
		json:   cfg.LogFormat == logging.FormatJSON && cfg.AccessLogFormat == config.DefaultAccessLogFormat,
	}
	a.compile(cfg.AccessLogFormat)
	a.flushed.Add(1)
	go a.writer()
	return a, nil
}

// compile takes the format apart. It has been validated by config.
func (a *accessLog) compile(format string) {
	for rest := format; rest != ""; {
		text, after, found := strings.Cut(rest, "%")
		if text != "" {
			a.format = append(a.format, atom{text: text})
		}
		if !found {
			return
		}
		if strings.HasPrefix(after, "%") {
			a.format = append(a.format, atom{text: "%"})
			rest = after[1:]
			continue
		}
		name, after, _ := strings.Cut(strings.TrimPrefix(after, "("), ")")
		a.format = append(a.format, a.compileAtom(name))
		rest = after[1:] // the conversion
	}
}

func (a *accessLog) compileAtom(name string) atom {
	if len(name) == 1 {
		return atom{kind: name[0]}
	}
	key, kind, _ := strings.Cut(strings.TrimPrefix(name, "{"), "}")
	at := atom{text: strings.ToLower(key), kind: kind[0] - 'a' + 1}
	if kind == "e" {
		at.index = slices.Index(a.keys, key)
		if at.index < 0 {
			at.index = len(a.keys)
			a.keys = append(a.keys, key)
		}
	}
	return at
}

// The kinds of atoms with a name, apart from the letters.
const (
	requestField  = 'i' - 'a' + 1
	responseField = 'o' - 'a' + 1
	environKey    = 'e' - 'a' + 1
)

// add puts a line into the buffer.
func (a *accessLog) add(line []byte) {
	a.mu.Lock()
	first := len(a.buf) == 0
	a.buf = append(a.buf, line...)
	full := len(a.buf) >= flushAt
	a.mu.Unlock()
	if first {
		select {
		case a.filled <- struct{}{}:
		default:
		}
	}
	if full {
		a.flush()
	}
}

// writer is the goroutine that writes the buffer out; close ends it.
func (a *accessLog) writer() {
	defer a.flushed.Done()
	for {
		select {
		case <-a.filled:
		case <-a.quit:
			a.flush()
			return
		}
		select {
		case <-time.After(flushEvery):
		case <-a.quit:
		}
		a.flush()
	}
}

// flush writes what is in the buffer.
func (a *accessLog) flush() {
	a.writing.Lock()
	defer a.writing.Unlock()
	a.mu.Lock()
	full := a.buf
	a.buf, a.spare = a.spare[:0], nil
	a.mu.Unlock()
	if len(full) > 0 {
		// There is nobody to tell about an access log that cannot be written.
		_, _ = a.file.Write(full)
	}
	a.mu.Lock()
	if a.spare == nil {
		a.spare = full
	}
	a.mu.Unlock()
}

// close writes the rest and returns when it is written.
func (a *accessLog) close() {
	close(a.quit)
	a.flushed.Wait()
}

// logAccess makes the line of t's request.
func (t *thread) logAccess() {
	a := t.e.access
	taken := time.Duration(t.e.clock.Now() - t.start)
	if a.json {
		t.line = t.appendJSON(t.line[:0], taken)
	} else {
		t.line = t.line[:0]
		for i := range a.format {
			t.line = t.appendAtom(t.line, &a.format[i], taken)
		}
	}
	t.line = append(t.line, '\n')
	a.add(t.line)
}

// appendAtom appends one piece of the line, in gunicorn's language.
func (t *thread) appendAtom(b []byte, at *atom, taken time.Duration) []byte {
	c, h := t.c, t.head
	switch at.kind {
	case 0:
		return append(b, at.text...)
	case 'h':
		return append(b, c.remoteAddr()...)
	case 'l':
		return append(b, '-')
	case 'u':
		return appendEscaped(b, orDash(t.user()))
	case 't':
		return time.Now().AppendFormat(b, "[02/Jan/2006:15:04:05 -0700]")
	case 'r':
		b = appendEscaped(b, h.Method.Of(c.buf))
		b = appendEscaped(append(b, ' '), h.Target.Of(c.buf))
		return appendProtocol(append(b, ' '), h.Minor)
	case 'm':
		return appendEscaped(b, h.Method.Of(c.buf))
	case 'U':
		return appendEscaped(b, t.req.PathInfo)
	case 'q':
		return appendEscaped(b, h.Query.Of(c.buf))
	case 'H':
		return appendProtocol(b, h.Minor)
	case 's':
		return strconv.AppendInt(b, int64(t.resp.Status), 10)
	case 'B', 'b':
		return strconv.AppendInt(b, t.sent, 10)
	case 'f':
		return appendEscaped(b, orDash(t.requestField("referer")))
	case 'a':
		return appendEscaped(b, orDash(t.requestField("user-agent")))
	case requestField:
		return appendEscaped(b, orDash(t.requestField(at.text)))
	case responseField:
		return appendEscaped(b, orDash(t.resp.Header(at.text)))
	case environKey:
		return appendEscaped(b, orDash(t.environ[at.index]))
	}
	return t.appendTime(b, at.kind, taken)
}

// appendProtocol appends the version the client spoke; minor is one digit.
func appendProtocol(b []byte, minor uint8) []byte {
	return append(append(b, "HTTP/1."...), '0'+minor)
}

// appendTime appends the time taken: T seconds, M milliseconds, D microseconds,
// L seconds with six decimals; Q the microseconds in the queue; and p, the process.
func (t *thread) appendTime(b []byte, kind byte, taken time.Duration) []byte {
	switch kind {
	case 'T':
		return strconv.AppendInt(b, int64(taken/time.Second), 10)
	case 'M':
		return strconv.AppendInt(b, int64(taken/time.Millisecond), 10)
	case 'D':
		return strconv.AppendInt(b, int64(taken/time.Microsecond), 10)
	case 'Q':
		return strconv.AppendInt(b, t.waited/int64(time.Microsecond), 10)
	case 'L':
		return strconv.AppendFloat(b, taken.Seconds(), 'f', 6, 64)
	}
	b = strconv.AppendInt(append(b, '<'), int64(t.e.access.pid), 10)
	return append(b, '>')
}

// appendJSON appends the line as an object with typed fields.
func (t *thread) appendJSON(b []byte, taken time.Duration) []byte {
	c, h := t.c, t.head
	b = append(b, `{"time":"`...)
	b = time.Now().UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = strconv.AppendInt(append(b, `","type":"access","pid":`...), int64(t.e.access.pid), 10)
	b = appendJSONString(append(b, `,"remote_addr":`...), c.remoteAddr())
	b = appendJSONString(append(b, `,"method":`...), h.Method.Of(c.buf))
	b = appendJSONString(append(b, `,"target":`...), h.Target.Of(c.buf))
	b = append(appendProtocol(append(b, `,"protocol":"`...), h.Minor), '"')
	b = strconv.AppendInt(append(b, `,"status":`...), int64(t.resp.Status), 10)
	b = strconv.AppendInt(append(b, `,"bytes":`...), t.sent, 10)
	b = strconv.AppendFloat(append(b, `,"dur_ms":`...), float64(taken.Microseconds())/1000, 'f', 3, 64)
	b = strconv.AppendFloat(append(b, `,"queue_ms":`...), float64(t.waited/1000)/1000, 'f', 3, 64)
	b = appendJSONString(append(b, `,"user":`...), orDash(t.user()))
	b = appendJSONString(append(b, `,"referer":`...), orDash(t.requestField("referer")))
	b = appendJSONString(append(b, `,"user_agent":`...), orDash(t.requestField("user-agent")))
	return append(b, '}')
}

// requestField returns the value of the last field of that name (lower case), or
// nil.
func (t *thread) requestField(name string) (value []byte) {
	for _, f := range t.head.Fields {
		if int(f.Name.Len) == len(name) && strings.EqualFold(string(f.Name.Of(t.c.buf)), name) {
			value = f.Value.Of(t.c.buf)
		}
	}
	return value
}

// user returns the user name of Basic authentication, or nil.
func (t *thread) user() []byte {
	v := string(t.requestField("authorization"))
	if len(v) < 6 || !strings.EqualFold(v[:6], "basic ") {
		return nil
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(v[6:]))
	if err != nil {
		return nil
	}
	name, _, _ := strings.Cut(string(decoded), ":")
	return []byte(name)
}

var dash = []byte("-")

func orDash(b []byte) []byte {
	if len(b) == 0 {
		return dash
	}
	return b
}

const hexDigits = "0123456789abcdef"

// appendEscaped appends a value so that it can neither end a quoted item nor a
// line: a quote and a backslash get a backslash, everything that is not printable
// ASCII becomes \xHH.
func appendEscaped(b, value []byte) []byte {
	for _, c := range value {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c > '~':
			b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}

// appendJSONString appends a value as a JSON string; bytes beyond ASCII are
// taken as latin-1.
func appendJSONString(b, value []byte) []byte {
	b = append(b, '"')
	for _, c := range value {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c > '~':
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// accessKeys returns the environ keys the access log needs.
func (a *accessLog) accessKeys() []string {
	if a == nil {
		return nil
	}
	return a.keys
}
