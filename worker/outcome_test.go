package worker

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/internal/accesslog"
	"gowsgi/worker/python"
)

// openLog opens an access log.
func openLog(t *testing.T, path, format string) *accesslog.Log {
	t.Helper()
	a, err := accesslog.Open(accesslog.Options{Path: path, Format: format, PID: 4711})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// logInto gives a rig that does not run yet an access log.
func (r *rig) logInto(a *accesslog.Log) {
	r.logTo(a, nil)
	for _, th := range r.threads {
		th.scribe.init(r.engine, th.head, &th.resp)
	}
}

// waitForText returns what is in the file once it contains text.
func waitForText(t *testing.T, path, text string) (content string) {
	t.Helper()
	waitFor(t, "waiting for "+text, func() bool {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		content = string(b)
		return strings.Contains(content, text)
	})
	return content
}

const (
	get  = "GET /a%20b?c HTTP/1.1\r\nHost: h\r\nUser-Agent: ua\r\n\r\n"
	post = "POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"
)

// TestOneLineForEach: whatever becomes of a request, it leaves one line and counts
// once; what never began leaves none.
func TestOneLineForEach(t *testing.T) {
	t.Parallel()
	expire := func(after time.Duration) func(*rig, *conn, net.Conn) {
		return func(r *rig, _ *conn, _ net.Conn) { r.expire(r.clock.Now() + int64(after)) }
	}
	leave := func(r *rig, c *conn, client net.Conn) {
		_ = client.Close()
		if c.state == reading {
			r.input(r.threads[0], c)
		}
		r.close(c)
	}
	parsed := `"GET /a%20b?c HTTP/1.1" GET /a b c ua `
	for _, tt := range []struct {
		name, in string
		then     func(r *rig, c *conn, client net.Conn)
		// want is of the format below, # for the length of an error page.
		want string
	}{
		{"nothing sent", "", leave, ""},
		{"nothing sent in time", "", expire(time.Minute + time.Second), ""},
		{"empty line only", "\r\n", leave, ""},
		{"half an empty line", "\r", leave, ""},
		{"nothing sent, worker leaves", "", func(r *rig, _ *conn, _ net.Conn) { r.settleAll() }, ""},

		{"no request line", "junk\r\n\r\n", nil, `"junk" - - - - 400 # refused`},
		{"TLS", "\x16\x03\x01\x02\x00\x01\n\r\n", nil, `"\x16\x03\x01\x02\x00\x01" - - - - 400 # refused`},
		{"quote", "GET \" HTTP/1.1\r\n\r\n", nil, `"GET \" HTTP/1.1" - - - - 400 # refused`},
		{"after an empty line", "\r\njunk\r\n\r\n", nil, `"junk" - - - - 400 # refused`},
		{"bad field", "GET /a%20b?c HTTP/1.1\r\nbad\r\n\r\n", nil, `"GET /a%20b?c HTTP/1.1" GET /a b c - 400 # refused`},
		{"version", "GET / HTTP/3.0\r\nHost: h\r\n\r\n", nil, `"GET / HTTP/3.0" - - - - 505 # refused`},
		{"long line", "GET /" + strings.Repeat("x", 9000), nil, `"GET /` + strings.Repeat("x", maxLoggedLine-5) + `" - - - - 414 # refused`},
		{"bad chunk", "GET /a%20b?c HTTP/1.1\r\nHost: h\r\nUser-Agent: ua\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", nil,
			parsed + "400 # refused"},

		{"half a head, client leaves", "GET /x HT", leave, `"GET /x HT" - - - - 499 0 aborted`},
		{"half a field, client leaves", get[:len(get)-5], leave, `"GET /a%20b?c HTTP/1.1" GET /a b c - 499 0 aborted`},
		{"half the content, client leaves", post + "ab", leave, `"POST /up HTTP/1.1" POST /up  - 499 0 aborted`},
		{"half a head, in no time", "GET /x HT", expire(time.Minute + time.Second), `"GET /x HT" - - - - 408 # timeout`},
		{"half the content, in no time", post + "ab", expire(time.Minute + time.Second),
			`"POST /up HTTP/1.1" POST /up  - 408 # timeout`},
		{"half a head, worker leaves", "GET /x HT", func(r *rig, _ *conn, _ net.Conn) { r.settleAll() }, `"GET /x HT" - - - - - 0 lost`},

		{"queued, client leaves", get, func(r *rig, c *conn, client net.Conn) {
			r.queue(c)
			leave(r, c, client)
		}, parsed + "499 0 aborted"},
		{"queued, worker leaves", get, func(r *rig, c *conn, _ net.Conn) { r.queue(c); r.settleAll() }, parsed + "- 0 lost"},
		{"queue full", get, func(r *rig, c *conn, _ net.Conn) { r.refuse(c, errQueueFull) },
			parsed + "503 # refused"},
		{"overdue", get, func(r *rig, c *conn, _ net.Conn) { r.queue(c); r.refuse(c, errOverdue) },
			parsed + "503 # refused"},
		{"refused, client gone", get, func(r *rig, c *conn, client net.Conn) { _ = client.Close(); r.refuse(c, errQueueFull) },
			parsed + "503 0 refused"},
		{"handed over", get, func(r *rig, c *conn, _ net.Conn) { r.drop(c) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "log")
			a := openLog(t, path, `"%(r)s" %(m)s %(U)s %(q)s %(a)s %(s)s %(b)s %(X)s`)
			cfg := testConfig()
			cfg.LimitRequestLine = 4094
			r := newRig(t, cfg)
			r.logInto(a)
			r.script = ""
			c, client := r.connect(t)
			if tt.in != "" {
				send(t, client, tt.in)
				// The watcher's lead reads and parses, and calls no application.
				for before := -1; c.state == reading && c.n != before && c.n < len(tt.in); {
					before = c.n
					r.input(r.watcher.lead, c)
				}
				unqueue(r, c)
			}
			if tt.then != nil {
				tt.then(r, c, client)
			}
			_ = client.Close()
			r.close(c)
			r.close(c)
			_ = a.Close(30 * time.Second)
			checkLog(t, path, tt.want)
			if want := uint64(min(len(tt.want), 1)); r.slot.Requests.Load() != want {
				t.Errorf("counted %d requests, want %d", r.slot.Requests.Load(), want)
			}
		})
	}
}

// unqueue takes a complete request back, so that a test decides about it.
func unqueue(r *rig, c *conn) {
	if c.state == queued {
		r.ready = nil
		c.state = reading
	}
}

func checkLog(t *testing.T, path string, want string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want != "" {
		want += "\n"
	}
	// How long a page of the server's own is does not matter.
	got := regexp.MustCompile(`[1-9]\d* (refused|timeout)\n$`).ReplaceAllString(string(text), "# $1\n")
	if got != want {
		t.Errorf("got %.500q, want %.500q", got, want)
	}
}

// TestServedEndings: how calls of the application come out, and what they say on
// the log.
func TestServedEndings(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 8<<20) // more than a socket takes
	respond := func(parts ...string) func(*thread, net.Conn) python.Result {
		return func(th *thread, _ net.Conn) python.Result {
			th.resp.SetStatus([]byte("201 Created"))
			for i, p := range parts {
				th.Write([]byte(p), i == len(parts)-1, false)
			}
			return python.Done
		}
	}
	for _, tt := range []struct {
		name string
		call func(th *thread, client net.Conn) python.Result
		then func(r *rig, c *conn, client net.Conn)
		want string // of `%(s)s %(X)s`
		sent int64  // -1: some, but less than big
	}{
		{"whole", respond("hello"), nil, "201 ok", 5},
		{"in parts", respond("hel", "lo"), nil, "201 ok", 5},
		{"no response", func(*thread, net.Conn) python.Result { return python.Failed }, nil, "500 error", int64(len(contentOf(errorPage(500, "", false))))},
		{"broken off", func(th *thread, _ net.Conn) python.Result {
			th.resp.SetStatus([]byte("201 Created"))
			th.Write([]byte("hel"), false, false)
			return python.Failed
		}, nil, "201 error", 3},
		{"too short", func(th *thread, _ net.Conn) python.Result {
			th.resp.SetStatus([]byte("200 OK"))
			th.resp.AddHeader([]byte("Content-Length"), []byte("9"))
			th.Write([]byte("hello"), true, false)
			return python.Done
		}, nil, "200 error", 5},
		{"client gone before", func(th *thread, client net.Conn) python.Result {
			_ = client.Close()
			th.resp.SetStatus([]byte("200 OK"))
			th.c.gone = true
			return python.ClientGone
		}, nil, "499 aborted", 0},
		{"client gone between", func(th *thread, client net.Conn) python.Result {
			th.resp.SetStatus([]byte("201 Created"))
			th.Write([]byte("hel"), false, false)
			_ = client.Close()
			th.Write([]byte("lo"), true, false)
			return python.ClientGone
		}, nil, "201 aborted", 3},
		{"slow client", respond(big), func(r *rig, c *conn, client net.Conn) {
			read := make(chan int, 1)
			go func() {
				n := 0
				for buf := make([]byte, 1<<20); n < len(big); {
					m, err := client.Read(buf)
					n += m
					if err != nil {
						break
					}
				}
				read <- n
			}()
			for c.state == flushing {
				awaitFD(c.fd, unix.POLLOUT, 1000)
				r.output(r.watcher.lead, c)
			}
			<-read
		}, "201 ok", int64(len(big))},
		{"client leaves the rest", respond(big), func(r *rig, c *conn, client net.Conn) {
			_ = client.Close()
			r.output(r.watcher.lead, c)
		}, "201 aborted", -1},
		{"client takes nothing", respond(big), func(r *rig, _ *conn, _ net.Conn) {
			r.expire(r.clock.Now() + int64(time.Minute+time.Second))
		}, "201 timeout", -1},
		{"worker leaves the rest", respond(big), func(r *rig, _ *conn, _ net.Conn) { r.settleAll() }, "201 lost", -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "log")
			a := openLog(t, path, `%(s)s %(X)s %(B)s %(D)s %(A)s %(W)s %({x}o)s`)
			r := newRig(t, testConfig())
			r.logInto(a)
			c, client := r.connect(t)
			th := r.calling(t, c, get)
			th.conclude(tt.call(th, client))
			th.settle()
			if text, _ := os.ReadFile(path); tt.then != nil && len(text) > 0 {
				t.Errorf("got %q before the response was written", text)
			}
			r.finish(c)
			if (c.state == flushing) != (tt.then != nil) {
				t.Fatalf("got state %v", c.state)
			}
			if tt.then != nil {
				tt.then(r, c, client)
			}
			r.close(c)
			_ = a.Close(30 * time.Second)
			checkEnding(t, path, tt.want, tt.sent, int64(len(big)), tt.then != nil)
			if n := r.slot.Requests.Load(); n != 1 {
				t.Errorf("counted %d requests, want 1", n)
			}
		})
	}
}

func contentOf(page []byte) []byte { return page[bytes.Index(page, blankLine)+len(blankLine):] }

// checkEnding checks a line of `%(s)s %(X)s %(B)s %(D)s %(A)s %(W)s %({x}o)s`: of the
// whole time each part is in the application or writing.
func checkEnding(t *testing.T, path, want string, sent, most int64, late bool) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(text))
	if len(f) != 7 || bytes.Count(text, []byte("\n")) != 1 {
		t.Fatalf("got %q, want one line of 7 items", text)
	}
	if got := f[0] + " " + f[1]; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var n [4]int64
	for i := range n {
		if n[i], err = strconv.ParseInt(f[2+i], 10, 64); err != nil || n[i] < 0 {
			t.Fatalf("got %q: %v", text, err)
		}
	}
	if sent >= 0 && n[0] != sent || sent < 0 && (n[0] == 0 || n[0] >= most) {
		t.Errorf("got %d bytes, want %d", n[0], sent)
	}
	if n[2]+n[3] > n[1]+1 || n[2]+n[3] < n[1]-1 {
		t.Errorf("got %d us in the application and %d writing, %d in all", n[2], n[3], n[1])
	}
	if !late && n[3] != 0 {
		t.Errorf("got %d us of writing for a response that went out at once", n[3])
	}
}
