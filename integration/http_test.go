package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
)

// RFC 9112, 9.3; gunicorn: keepalive.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	s := start(t, "--keep-alive", "60", "probe")
	tests := []struct {
		name, version, field string
		kept                 bool
	}{
		{"1.1", "1.1", "", true},
		{"1.1 close", "1.1", "Connection: close\r\n", false},
		{"1.1 Close among others", "1.1", "Connection: foo, Close\r\n", false},
		{"1.0", "1.0", "", false},
		{"1.0 keep-alive", "1.0", "Connection: Keep-Alive\r\n", true},
		{"1.0 keep-alive and close", "1.0", "Connection: keep-alive, close\r\n", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := s.In(t).Dial()
			request := "GET /pid HTTP/" + tt.version + "\r\nHost: x\r\n" + tt.field + "\r\n"
			c.Send(request)
			r := c.Response("GET")
			if r.Status != 200 || r.Close == tt.kept {
				t.Errorf("got %v, close %v, want kept %v", r, r.Close, tt.kept)
			}
			if !tt.kept {
				c.WaitClosed()
				return
			}
			c.Send(request)
			if r := c.Response("GET"); r.Status != 200 {
				t.Errorf("then got %v, want 200", r)
			}
		})
	}
}

func TestKeepAliveTime(t *testing.T) {
	t.Parallel()
	t.Run("0 closes", func(t *testing.T) {
		t.Parallel()
		c := start(t, "--keep-alive", "0", "probe").Dial()
		if r := c.Get("/pid"); !r.Close {
			t.Error("the answer does not say that the connection is closed")
		}
		c.WaitClosed()
	})
	t.Run("1 waits a second", func(t *testing.T) {
		t.Parallel()
		c := start(t, "--keep-alive", "1", "probe").Dial()
		c.Get("/pid")
		began := time.Now()
		c.Get("/pid") // what is waited for begins behind the answer
		c.WaitClosed()
		if waited := time.Since(began); waited < 900*time.Millisecond || waited > gowsgitest.Patience {
			t.Errorf("closed after %v, want 1s", waited)
		}
	})
}

// RFC 9112, 9.3.2: answers in the order of the requests, however they arrive.
func TestPipelining(t *testing.T) {
	t.Parallel()
	for _, threads := range []string{"1", "4"} {
		s := start(t, "--keep-alive", "60", "--threads", threads, "probe")
		const n = 40
		var all strings.Builder
		for i := range n {
			fmt.Fprintf(&all, "POST /environ/%d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n%03d", i, i)
		}
		for _, step := range []int{all.Len(), 1, 7, 100} {
			t.Run(fmt.Sprintf("%d bytes at a time, %s threads", step, threads), func(t *testing.T) {
				t.Parallel()
				c := s.In(t).Dial()
				go func() {
					for rest := all.String(); rest != ""; {
						k := min(step, len(rest))
						if _, err := c.Write([]byte(rest[:k])); err != nil {
							return
						}
						rest = rest[k:]
					}
				}()
				for i := range n {
					r := c.Response("POST")
					var e environ
					r.JSON(t, &e)
					if want := fmt.Sprintf("/environ/%d", i); r.Status != 200 || e["PATH_INFO"][1] != want {
						t.Fatalf("answer %d is %d for %v, want 200 for %s", i, r.Status, e["PATH_INFO"], want)
					}
				}
			})
		}
	}
}

// Requests of many connections at once never get each other's answers.
func TestAnswersAreNotMixedUp(t *testing.T) {
	t.Parallel()
	for _, threads := range []string{"1", "3"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			s := start(t, "--keep-alive", "60", "--threads", threads, "probe")
			errs := make(chan error)
			const clients, each = 16, 60
			for id := range clients {
				go func() { errs <- askForMyself(s, id, each) }()
			}
			for range clients {
				if err := <-errs; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// askForMyself sends requests of different shapes and sizes, some in pieces, and
// checks that each answer is about the request.
func askForMyself(s *gowsgitest.Server, id, n int) error {
	c, err := dial(s)
	if err != nil {
		return err
	}
	defer c.close()
	for i := range n {
		name := fmt.Sprintf("%d-%d-%s", id, i, strings.Repeat("n", (id*i)%50))
		body := strings.Repeat("b", (id*7919+i*104729)%40_000)
		head := fmt.Sprintf("POST /environ/%s?q=%s HTTP/1.1\r\nHost: x\r\nX-Name: %s\r\nContent-Length: %d\r\n\r\n", name, name, name, len(body))
		if i%3 == 0 { // in two pieces, so that others come between
			c.conn.SetDeadline(time.Now().Add(gowsgitest.Patience))
			half := len(head) + len(body)/2
			all := head + body
			if _, err := c.conn.Write([]byte(all[:half])); err != nil {
				return err
			}
			head, body = all[half:], ""
		}
		r, err := c.roundTrip("POST", head+body)
		if err != nil {
			return fmt.Errorf("client %d, request %d: %w", id, i, err)
		}
		for _, want := range []string{`"PATH_INFO": ["str", "/environ/` + name + `"]`, `"QUERY_STRING": ["str", "q=` + name + `"]`, `"HTTP_X_NAME": ["str", "` + name + `"]`} {
			if r.Status != 200 || !strings.Contains(r.Body, want) {
				return fmt.Errorf("client %d, request %d: got %v, want %s", id, i, r, want)
			}
		}
	}
	return nil
}

// What is wrong with a request is answered by the server; the application never
// sees it, and the connection ends.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 5000)
	many := strings.Repeat("X: y\r\n", 101)
	tests := []struct {
		name, request string
		status        int
	}{
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
		{"no target", "GET HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"two spaces", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"bare newline", "GET / HTTP/1.1\nHost: x\n\n", 400},
		{"lower-case method", "get / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"bad version", "GET / HTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"HTTP/2.0", "GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
		{"HTTP/3.0", "GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505},
		{"target too long", "GET /" + long + " HTTP/1.1\r\nHost: x\r\n\r\n", 414},
		{"field too long", "GET / HTTP/1.1\r\nHost: x\r\nX: " + long + long + "\r\n\r\n", 431},
		{"too many fields", "GET / HTTP/1.1\r\nHost: x\r\n" + many + "\r\n", 431},
		{"space before the colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400},
		{"no colon", "GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n", 400},
		{"folded field", "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", 400},
		{"NUL in a value", "GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", 400},
		{"carriage return in a value", "GET / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n", 400},
		{"two hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},
		{"Content-Length is no number", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n", 400},
		{"Content-Length is signed", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\nx", 400},
		{"Content-Length twice", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400},
		{"Content-Length and chunked", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"chunked not last", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400},
		{"chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"unknown transfer coding", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nosuch, chunked\r\n\r\n0\r\n\r\n", 501},
		{"chunk size", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
		{"chunk without its end", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n", 400},
		{"unknown expectation", "POST / HTTP/1.1\r\nHost: x\r\nExpect: the unexpected\r\nContent-Length: 1\r\n\r\nx", 417},
	}
	s := start(t, "--access-logfile", "-", "probe")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := s.In(t)
			mark := s.Log.Mark()
			c := s.Dial()
			c.Send(tt.request + "GET /pid?second HTTP/1.1\r\nHost: x\r\n\r\n")
			r := c.Response("GET")
			if r.Status != tt.status {
				t.Errorf("got %v, want %d", r, tt.status)
			}
			if !r.Close {
				t.Error("the answer does not say that the connection ends")
			}
			if strings.Contains(r.Body, "second") || strings.Contains(r.Body, "aaaa") {
				t.Errorf("the answer repeats the request: %q", r.Body)
			}
			c.WaitClosed()
			s.Log.WaitAfter(t, mark, `\[WARNING\] Invalid request from ip=127\.0\.0\.1: \S`)
		})
	}
	s.GetOK("/pid?last")
	s.Stdout.Wait(t, `pid\?last`)
	if n := s.Stdout.Count(`" 200 `); n != 1 {
		t.Errorf("%d requests reached the application, want 1: %q", n, s.Stdout.Lines())
	}
}

// A client that speaks something else, and waits for an answer to its first line,
// gets it at once.
func TestOtherProtocols(t *testing.T) {
	t.Parallel()
	s := start(t, "--header-timeout", "600", "probe")
	for _, line := range []string{"SSH-2.0-OpenSSH_9.7\r\n", "EHLO example.org\r\n", "\x16\x03\x01\x02\x00\x01"} {
		c := s.Dial()
		c.Send(line)
		if r := c.Response("GET"); r.Status != 400 || !r.Close {
			t.Errorf("%q: got %v, want 400", line, r)
		}
		c.WaitClosed()
	}
}

// RFC 9110, 9.3.2: no answer to HEAD has content, a refusal neither.
func TestRefusedHead(t *testing.T) {
	t.Parallel()
	s := start(t, "probe")
	for _, request := range []string{
		"HEAD / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
		"\r\nHEAD / HTTP/1.1\r\n\r\n",
		"HEAD / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
	} {
		c := s.Dial()
		c.Send(request)
		if head := c.ReadHead(); !strings.HasPrefix(head, "HTTP/1.1 400 ") {
			t.Errorf("got %q, want 400", head)
		}
		if rest := c.Rest(); rest != "" {
			t.Errorf("got %q behind the head, want nothing", rest)
		}
	}
}

// gunicorn: limit_request_line, limit_request_fields, limit_request_field_size.
func TestRequestLimits(t *testing.T) {
	t.Parallel()
	const host = "Host: x\r\n\r\n"
	tests := []struct {
		name, flag, value string
		good, bad         string
		status            int
	}{
		{"line", "--limit-request-line", "60", "GET /pid?1 HTTP/1.1\r\n" + host, "GET /pid?" + strings.Repeat("1", 60) + " HTTP/1.1\r\n" + host, 414},
		{"unlimited line", "--limit-request-line", "0", "GET /pid?" + strings.Repeat("1", 7000) + " HTTP/1.1\r\n" + host, "", 0},
		{"fields", "--limit-request-fields", "3", "GET /pid HTTP/1.1\r\nA: 1\r\nB: 2\r\n" + host, "GET /pid HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\n" + host, 431},
		{"field size", "--limit-request-field_size", "40", "GET /pid HTTP/1.1\r\nA: 1\r\n" + host, "GET /pid HTTP/1.1\r\nA: " + strings.Repeat("1", 60) + "\r\n" + host, 431},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, "--keep-alive", "60", tt.flag, tt.value, "probe")
			c := s.Dial()
			c.Send(tt.good)
			if r := c.Response("GET"); r.Status != 200 {
				t.Errorf("within: got %v, want 200", r)
			}
			if tt.bad == "" {
				return
			}
			c.Send(tt.bad)
			if r := c.Response("GET"); r.Status != tt.status {
				t.Errorf("beyond: got %v, want %d", r, tt.status)
			}
		})
	}
}

// One byte at a time is as good as all at once.
func TestByteByByte(t *testing.T) {
	t.Parallel()
	s := start(t, "inputs")
	c := s.Dial()
	field, content := frame("some content\nin lines", true)
	for _, b := range []byte("POST /?read HTTP/1.1\r\nHost: x\r\n" + field + "\r\n" + content) {
		c.Send(string(b))
	}
	var got inputs
	c.Response("POST").JSON(t, &got)
	if got.Size != 21 {
		t.Errorf("got %d bytes, want 21", got.Size)
	}
}
