package integration

import (
	"fmt"
	"strings"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// chunk is one chunk of n bytes.
func chunk(n int) string { return fmt.Sprintf("%x\r\n%s\r\n", n, strings.Repeat("x", n)) }

// postChunks sends a chunked request with content to inputs.py and returns the
// answer. The client goes on sending whatever comes.
func postChunks(c *gowsgitest.Conn, how, content string) *gowsgitest.Response {
	go func() {
		_, _ = c.Conn.Write([]byte("POST /?" + how + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + content))
	}()
	return c.Response("POST")
}

// RFC 9110, 15.5.14: what announces more than limit_request_body is refused before
// the application runs; chunks are counted as they come.
func TestLimitRequestBody(t *testing.T) {
	t.Parallel()
	s := start(t, "--limit-request-body", "3m", "--access-logfile", "-", "inputs")
	const most = 3 << 20
	tests := []struct {
		name, request string
		status        int
	}{
		{"nothing", "Content-Length: 0\r\n\r\n", 200},
		{"Content-Length one too many", "Content-Length: 3145729\r\n\r\n", 413},
		{"with an expectation", "Expect: 100-continue\r\nContent-Length: 3145729\r\n\r\n", 413},
		{"all of it sent", "Content-Length: 3145729\r\n\r\n" + strings.Repeat("x", most+1), 413},
		{"one large chunk", "Transfer-Encoding: chunked\r\n\r\n300001\r\n", 413},
		{"chunks that fit", "Transfer-Encoding: chunked\r\n\r\n" + chunk(most-1) + chunk(1) + "0\r\n\r\n", 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := s.In(t)
			mark := s.Log.Mark()
			c := s.Dial()
			go c.Conn.Write([]byte("POST /?read HTTP/1.1\r\nHost: x\r\n" + tt.request))
			r := c.Response("POST")
			if r.Status != tt.status || r.Close != (tt.status == 413) {
				t.Errorf("got %v, closed %t, want %d", r, r.Close, tt.status)
			}
			if tt.status == 413 {
				c.WaitClosed()
				s.Log.WaitAfter(t, mark, `\[WARNING\] Invalid request from ip=127\.0\.0\.1: content too large`)
			}
		})
	}
}

// Content that turns out to be bad or too long while the application reads it:
// reading raises, the client is told what is wrong if nothing was sent yet, one
// line is logged, and the connection ends.
func TestContentThatFailsLate(t *testing.T) {
	t.Parallel()
	s := start(t, "--limit-request-body", "4m", "inputs")
	tests := []struct {
		name, content string
		status        int
		reason        string
	}{
		{"too long", chunk(2<<20) + chunk(2<<20) + chunk(1), 413, "content too large"},
		{"chunk size", chunk(2<<20) + "nonsense\r\n", 400, "invalid chunk size"},
		{"chunk end", chunk(2<<20) + "1\r\nxy", 400, "chunk data does not end in CR LF"},
		{"trailer", chunk(2<<20) + "0\r\nContent-Length: 5\r\n\r\n", 400, "field not allowed in trailer section"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := s.In(t)
			for _, how := range []string{"read", "readline", "iter"} {
				mark := s.Log.Mark()
				c := s.Dial()
				r := postChunks(c, how, tt.content)
				if r.Status != tt.status || !r.Close || !strings.Contains(r.Body, tt.reason) {
					t.Errorf("%s: got %v, want %d and the end", how, r, tt.status)
				}
				c.WaitClosed()
				s.Log.WaitAfter(t, mark, `\[WARNING\] Invalid request from ip=127\.0\.0\.1: `+tt.reason)
			}
			// An application may answer all the same; the connection ends behind it.
			mark := s.Log.Mark()
			c := s.Dial()
			if r := postChunks(c, "caught", tt.content); r.Status != 200 || r.Body != "ConnectionResetError: "+tt.reason || !r.Close {
				t.Errorf("caught: got %v, want 200, the reason and the end", r)
			}
			c.WaitClosed()
			s.Log.WaitAfter(t, mark, `\[WARNING\] Invalid request from ip=127\.0\.0\.1: `+tt.reason)
		})
	}
	if n := s.Log.Count(`Invalid request`); n != 4*len(tests) {
		t.Errorf("%d lines, want one for each of %d requests", n, 4*len(tests))
	}
	if n := s.Log.Count(`Error handling`); n != 0 {
		t.Errorf("%d errors of the application were logged, want none: the client was at fault", n)
	}
}
