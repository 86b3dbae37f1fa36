package integration

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// startOutputs serves outputs.py and returns where it notes each close(). A client that
// is slow to go on keeps its connection.
func startOutputs(t *testing.T, args ...string) (*gowsgitest.Server, string) {
	t.Helper()
	closed := filepath.Join(t.TempDir(), "closed")
	return gowsgitest.Start(t, gowsgitest.Config{
		Dir: apps(), Args: append(append([]string{"--keep-alive", "60"}, args...), "outputs"), Env: []string{"CLOSED_LOG=" + closed},
	}), closed
}

// PEP 3333: what an application may return, and what goes on the wire for it.
func TestOutput(t *testing.T) {
	t.Parallel()
	const unknown = -1
	tests := []struct {
		target, want string
		length       int64 // of the Content-Length line, unknown: chunked
	}{
		{"/one", "one", 3}, // RFC 9112, 6.2 allows it, and it saves the client a chunk
		{"/several", "abcdef", unknown},
		{"/tuple", "abcd", 4},
		{"/empty", "", 0},
		{"/generator", "one,two,three", unknown},
		{"/write", "written,again,returned", unknown},
		{"/write_only", "written", 7},
		{"/length", "12345", 5},
		{"/parts", "abcdef", 6},
		{"/parts_close_raises", "abcdef", 6},
		{"/chunked_close_raises", "abcdef", unknown},
		{"/big?size=5000000", strings.Repeat("x", 5_000_000), 5_000_000},
		{"/big?size=5000000&cl", strings.Repeat("x", 5_000_000), 5_000_000},
		{"/big?size=0", "", 0},
		{"/file_iterated", "abc|def|gh", 10},
	}
	for _, threads := range []string{"1", "2"} {
		s, _ := startOutputs(t, "--threads", threads)
		for _, tt := range tests {
			t.Run(tt.target+" "+threads+" threads", func(t *testing.T) {
				t.Parallel()
				c := s.In(t).Dial()
				for range 2 { // the second finds the connection as it should be
					r := c.Get(tt.target)
					if r.Err != nil || r.Status != 200 || r.Body != tt.want {
						t.Fatalf("got %d, %d bytes, %v, want 200 and %d bytes", r.Status, len(r.Body), r.Err, len(tt.want))
					}
					if r.ContentLength != tt.length {
						t.Errorf("Content-Length %d (%v), want %d", r.ContentLength, r.TransferEncoding, tt.length)
					}
				}
				// HTTP/1.0 knows no chunks: the end of the connection ends the body.
				old := s.In(t).Dial()
				old.Send("GET " + tt.target + " HTTP/1.0\r\n\r\n")
				r := old.Response("GET")
				if r.Body != tt.want || len(r.TransferEncoding) != 0 {
					t.Errorf("HTTP/1.0: got %d bytes, %v, want %d", len(r.Body), r.TransferEncoding, len(tt.want))
				}
				old.WaitClosed()
				// RFC 9110, 9.3.2: the head as for GET, and no body.
				head := s.In(t).Dial()
				head.Send("HEAD " + tt.target + " HTTP/1.1\r\nHost: x\r\n\r\nGET /one HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
				if r := head.Response("HEAD"); r.Status != 200 || r.Body != "" {
					t.Errorf("HEAD: got %v, want 200 and nothing", r)
				}
				if r := head.Response("GET"); r.Body != "one" {
					t.Errorf("after HEAD: got %v, want what comes next", r)
				}
			})
		}
	}
}

// Each chunk is on the wire before the application is asked for the next (PEP
// 3333, Buffering and Streaming).
func TestStreaming(t *testing.T) {
	t.Parallel()
	for _, threads := range []string{"1", "2"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			s, _ := startOutputs(t, "--threads", threads)
			base := filepath.Join(t.TempDir(), "gate")
			c := s.Dial()
			c.Send("GET /stream?gate=" + url.QueryEscape(base) + " HTTP/1.1\r\nHost: x\r\n\r\n")
			c.ReadHead()
			for n := range 3 {
				chunk := "chunk " + strconv.Itoa(n) + ";"
				if got := c.ReadLine() + c.ReadN(len(chunk)+2); got != "8\r\n"+chunk+"\r\n" {
					t.Fatalf("got %q, want chunk %d", got, n)
				}
				// Only now may the application go on.
				g := gate{t, base + "." + strconv.Itoa(n)}
				g.waitStarted(1)
				g.open()
			}
			if got := c.ReadN(5); got != "0\r\n\r\n" {
				t.Errorf("got %q, want the last chunk", got)
			}
		})
	}
}

// PEP 3333, Error Handling.
func TestExcInfo(t *testing.T) {
	t.Parallel()
	s, _ := startOutputs(t)
	r := s.Get("/exc_info_before")
	if r.Status != 503 || r.Reason != "Sorry" || r.Body != "sorry" {
		t.Errorf("got %v, want 503 Sorry", r)
	}
	if r.Header.Get("X-First") != "" || r.Header.Get("X-Second") != "2" {
		t.Errorf("got %v, want only the later headers", r.Header)
	}
	c := s.Dial()
	c.Send("GET /exc_info_after HTTP/1.1\r\nHost: x\r\n\r\n")
	late, err := c.TryResponse("GET")
	if err == nil && (late.Err == nil || strings.Contains(late.Body, "never")) {
		t.Errorf("got %v, want it cut after the first part", late)
	}
	s.Log.Wait(t, `ValueError: after the headers`)
}

// What an application must not do: it is told, the client gets a 500 or sees that
// the answer is cut, and the process goes on.
func TestOutputErrors(t *testing.T) {
	t.Parallel()
	s, _ := startOutputs(t)
	statusOf := func(text string) string { return "/bad_status?status=" + url.QueryEscape(text) }
	headerOf := func(name, value string) string {
		return "/bad_header?name=" + url.QueryEscape(name) + "&value=" + url.QueryEscape(value)
	}
	tests := []struct{ name, target, logged string }{
		{"start_response twice", "/twice", `AssertionError|already`},
		{"no start_response", "/no_start", `start_response`},
		{"None returned", "/none", `TypeError`},
		{"text", "/text", `TypeError`},
		{"header value is a number", "/bad_types", `TypeError|str`},
		{"status without a number", statusOf("OK"), `(?i)status`},
		{"status 99", statusOf("99 Low"), `(?i)status`},
		{"status 1000", statusOf("1000 High"), `(?i)status`},
		{"status with a newline", statusOf("200 OK\r\nX: y"), `(?i)status`},
		{"header name with a space", headerOf("X Y", "z"), `(?i)header`},
		{"header name with a colon", headerOf("X:", "z"), `(?i)header`},
		{"empty header name", headerOf("", "z"), `(?i)header`},
		{"header value with a newline", headerOf("X", "a\r\nSet-Cookie: b=c"), `(?i)header`},
		{"header value with a carriage return", headerOf("X", "a\rb"), `(?i)header`},
		{"header value with NUL", headerOf("X", "a\x00b"), `(?i)header`},
		{"header beyond latin-1", headerOf("X", "\u2603"), `(?i)header|latin`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := s.In(t)
			mark := s.Log.Mark()
			c := s.Dial()
			c.Send("GET " + tt.target + " HTTP/1.1\r\nHost: x\r\n\r\n")
			r, err := c.TryResponse("GET")
			if err != nil || r.Err != nil || r.Status != 500 {
				t.Fatalf("got %v, %v, want 500", r, err)
			}
			if len(r.Header["Set-Cookie"]) != 0 || len(r.Header["X"]) != 0 {
				t.Errorf("got %v: the bad header was sent", r.Header)
			}
			s.Log.WaitAfter(t, mark, tt.logged)
			if got := s.GetOK("/one"); got != "one" {
				t.Errorf("then got %q", got)
			}
		})
	}
}

// PEP 3333, Error Handling: an exception after the first chunk cuts the answer so
// that no client takes it for a whole one: no last chunk with HTTP/1.1, a reset
// where only the end of the connection would end the body.
func TestTruncationIsVisible(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "2", "probe")
	for _, version := range []string{"1.1", "1.0"} {
		for _, target := range []string{"/late", "/raise?late=1&name=RuntimeError"} {
			c := s.Dial()
			c.Send("GET " + target + " HTTP/" + version + "\r\nHost: x\r\n\r\n")
			r, err := c.TryResponse("GET")
			if err == nil && r.Err == nil {
				t.Errorf("HTTP/%s %s: got a complete %v, want a cut one", version, target, r)
			}
			if err == nil && (r.Status != 200 || !strings.HasPrefix("the first part;", r.Body)) {
				t.Errorf("HTTP/%s %s: got %v, want the first part", version, target, r)
			}
		}
	}
	s.Log.WaitN(t, `Error handling request GET /`, 4)
	if n := s.Log.Count(`Booting worker`); n != 2 {
		t.Errorf("%d workers were started, want 2", n)
	}
}

// A body that is not as long as its Content-Length never makes the next response
// of the connection part of this one.
func TestContentLengthMismatch(t *testing.T) {
	t.Parallel()
	s, _ := startOutputs(t)
	c := s.Dial()
	c.Send("GET /short HTTP/1.1\r\nHost: x\r\n\r\nGET /one HTTP/1.1\r\nHost: x\r\n\r\n")
	r, err := c.TryResponse("GET")
	if err == nil && r.Err == nil {
		t.Errorf("short: got a complete %v, want a cut one", r)
	}
	if err == nil && r.Body != "short" {
		t.Errorf("short: got %q, want no more than the application gave", r.Body)
	}
	c = s.Dial()
	c.Send("GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
	if r := c.Response("GET"); r.Body != "long" {
		t.Errorf("long: got %v, want the promised 4 bytes", r)
	}
	c.Send("GET /one HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if rest := c.Rest(); rest != "" && !strings.HasPrefix(rest, "HTTP/1.1 200") {
		t.Errorf("long: got %q after it, want the next answer or the end", rest)
	}
}

// RFC 9110, 15.3.5 and 15.4.5; RFC 9112, 6.3: no body, whatever the application
// returns, and no framing that makes a client wait for one.
func TestStatusWithoutBody(t *testing.T) {
	t.Parallel()
	s, _ := startOutputs(t)
	for _, status := range []string{"204 No Content", "304 Not Modified"} {
		c := s.Dial()
		c.Send("GET /status?status=" + url.QueryEscape(status) + " HTTP/1.1\r\nHost: x\r\n\r\n")
		head := c.ReadHead()
		if !strings.HasPrefix(head, "HTTP/1.1 "+status+"\r\n") {
			t.Errorf("got %q, want %s", head, status)
		}
		if strings.Contains(strings.ToLower(head), "transfer-encoding") {
			t.Errorf("got %q, want no framing", head)
		}
		if r := c.Get("/one"); r.Body != "one" {
			t.Errorf("after %s: got %v", status, r)
		}
	}
	for _, status := range []string{"200 OK", "299 Any Reason: at all", "404 Not Found", "599 Own"} {
		r := s.Get("/status?status=" + url.QueryEscape(status))
		if got := strconv.Itoa(r.Status) + " " + r.Reason; got != status || r.Body != "a body" {
			t.Errorf("got %v with reason %q, want %s", r, r.Reason, status)
		}
	}
}

func TestResponseHeaders(t *testing.T) {
	t.Parallel()
	s, _ := startOutputs(t)
	c := s.Dial()
	c.Send("GET /headers HTTP/1.1\r\nHost: x\r\n\r\n")
	head := c.ReadHead()
	for _, want := range []string{
		"HTTP/1.1 200 OK\r\n", "\r\nDate: ", "\r\nContent-Type: text/plain\r\n",
		"\r\nSet-Cookie: a=1\r\n", "\r\nSet-Cookie: b=2\r\n", "\r\nX-Latin: caf\xe9\r\n", "\r\nX-Empty:",
	} {
		if !strings.Contains(head, want) {
			t.Errorf("got %q, want %q in it", head, want)
		}
	}
	if n := strings.Count(head, "\r\nServer:"); n != 1 {
		t.Errorf("%d Server lines, want 1", n)
	}
	if n := strings.Count(head, "\r\nDate:"); n != 1 {
		t.Errorf("%d Date lines, want 1", n)
	}
}

// PEP 3333: close() is called once, at the end of the request, however it ends.
func TestCloseIsCalled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := write(t, dir, "file", strings.Repeat("f", 100_000))
	for _, threads := range []string{"1", "2"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			s, closed := startOutputs(t, "--threads", threads)
			waitClosed := func(name string) {
				t.Helper()
				if !gowsgitest.Eventually(func() bool { return countLines(closed, name) > 0 }) {
					t.Errorf("%s was not closed", name)
				}
			}
			query := "&path=" + url.QueryEscape(path)
			for _, name := range []string{"closing", "closing_error", "closing_late_error", "closing_no_start", "file", "file_memory"} {
				for _, method := range []string{"GET", "HEAD"} {
					who := name + "." + method
					c := s.Dial()
					c.Send(method + " /" + name + "?name=" + who + query + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
					c.Rest()
					waitClosed(who)
				}
			}
			// The client goes away in the middle: with a FIN, with a reset, and when
			// nothing is sent to it that would tell.
			for _, how := range []string{"close", "reset", "head", "length"} {
				method := "GET"
				if how == "head" {
					method = "HEAD"
				}
				g := newGate(t)
				c := s.Dial()
				c.Send(method + " /closing_endless?name=" + how + "&gate=" + url.QueryEscape(g.path) + " HTTP/1.1\r\nHost: x\r\n\r\n")
				g.waitStarted(1)
				c.ReadHead()
				if how == "reset" {
					c.Reset()
				} else {
					c.Close()
				}
				waitClosed(how)
			}
			// What close() raises is logged and harms nobody.
			if r := s.Get("/close_raises"); r.Body != "fine" {
				t.Errorf("got %v", r)
			}
			s.Log.Wait(t, `RuntimeError: raised by close`)
			s.GetOK("/one")
			for _, name := range strings.Fields(read(t, closed)) {
				if n := countLines(closed, name); n != 1 {
					t.Errorf("%s was closed %d times", name, n)
				}
			}
		})
	}
}

func countLines(path, line string) int {
	data, _ := os.ReadFile(path)
	n := 0
	for _, l := range strings.Split(string(data), "\n") {
		if l == line {
			n++
		}
	}
	return n
}

// A client that reads slowly gets everything, and others are served meanwhile.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/many?n=2000", "/big?size=30000000"} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			s, _ := startOutputs(t, "--threads", "2")
			slow := s.Dial()
			slow.Send("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")
			slow.ReadHead()
			for range 20 {
				s.GetOK("/one")
			}
			slow.Close()
			c := s.Dial()
			if r := c.Get(target); r.Err != nil || len(r.Body) < 30_000_000 {
				t.Errorf("got %d bytes, %v", len(r.Body), r.Err)
			}
		})
	}
}

// A request body the application leaves unread, wholly or in part, neither becomes the
// next request nor makes the answer disappear.
func TestUnreadBody(t *testing.T) {
	t.Parallel()
	s, _ := startOutputs(t, "--keep-alive", "1")
	smuggled := "GET /bad_types HTTP/1.1\r\nHost: x\r\n\r\n"
	t.Run("all", func(t *testing.T) {
		for _, target := range []string{"/unread", "/unread_parts"} {
			for _, size := range []int{len(smuggled), 100_000, 3_000_000, 30_000_000} {
				body := strings.Repeat(smuggled, size/len(smuggled))
				for _, chunked := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s %d chunked %t", target, size, chunked), func(t *testing.T) {
						t.Parallel()
						sendUnread(t, s.In(t), target, body, chunked)
					})
				}
			}
		}
	})
	if s.Log.Count(`Error handling`) != 0 {
		t.Error("a body was served as a request")
	}
}

func sendUnread(t *testing.T, s *gowsgitest.Server, target, body string, chunked bool) {
	c := s.Dial()
	field, content := frame(body, chunked)
	done := make(chan error, 1)
	go func() {
		_, err := c.Conn.Write([]byte("POST " + target + " HTTP/1.1\r\nHost: x\r\n" + field + "\r\n" + content))
		done <- err
	}()
	if len(body) > 3_000_000 { // as a client that reads only when it has sent all
		if err := <-done; err != nil {
			t.Errorf("sending: %v", err)
		}
	}
	r := c.Response("POST")
	if r.Body != "not read" {
		t.Errorf("got %v", r)
	}
	// That the connection ends can be said if the whole answer is known in time.
	if last := target == "/unread" && len(body) > 1<<20; last != r.Close {
		t.Errorf("got %v, the last response: %v", r, r.Close)
	}
	// Either the connection goes on behind the body, or it is closed.
	if r, err := c.TryResponse("POST"); err == nil {
		t.Errorf("the body was answered with %v", r)
	}
}
