package integration

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
)

// How responses end that are the last of their connection.

// RFC 9112, 9.6: what a client sends behind its last request does not make the
// connection end in a reset, which would take what is on the way to the client along.
func TestMoreBehindTheLastRequest(t *testing.T) {
	t.Parallel()
	const size = 200_000 // more than the client's end of a connection holds unread
	s := start(t, "--access-logfile", "-", "outputs")
	for _, last := range []string{"1.1\r\nConnection: close", "1.0"} {
		s := s.In(t)
		mark := s.Stdout.Mark()
		g := newGate(t)
		c := s.Dial()
		c.Send("GET /gated?size=200000&gate=" + url.QueryEscape(g.path) + " HTTP/" + last + "\r\nHost: x\r\n\r\n")
		g.waitStarted(1)
		c.Send(strings.Repeat("GET /one?behind HTTP/1.1\r\nHost: x\r\n\r\n", 100))
		g.open()
		s.Stdout.WaitAfter(t, mark, `/gated\S* HTTP/1\.." 200 200000`)
		if r := c.Response("GET"); r.Err != nil || len(r.Body) != size {
			t.Errorf("HTTP/%q: got %d bytes, %v, want all %d", last, len(r.Body), r.Err, size)
		}
		c.WaitClosed()
	}
	if n := s.Stdout.Count(`behind`); n != 0 {
		t.Errorf("%d requests behind the last one were served, want none", n)
	}
}

// PEP 3333, Buffering and Streaming: what was sent before an exception arrives, also
// at a client that was behind. It is not less than a response if it is all of one.
func TestLastWordsArrive(t *testing.T) {
	t.Parallel()
	const size = 40_000_000 // more than sockets hold
	for _, threads := range []string{"1", "2"} {
		s, _ := startOutputs(t, "--threads", threads, "--response-buffer", "64m")
		for _, query := range []string{"", "&cl"} {
			t.Run(threads+" threads "+query, func(t *testing.T) {
				t.Parallel()
				s := s.In(t)
				c := s.Dial()
				c.Send("GET /last_words?size=40000000" + query + " HTTP/1.1\r\nHost: x\r\n\r\n")
				s.Log.Wait(t, `Error handling request GET /last_words\?size=40000000`+query+`$`)
				r, err := c.TryResponse("GET")
				if err != nil {
					t.Fatal(err)
				}
				if !strings.HasSuffix(r.Body, "last words") || len(r.Body) != size+len("last words") {
					t.Errorf("got %d bytes, want %d and the last words", len(r.Body), size)
				}
				if whole := query != ""; (r.Err == nil) != whole {
					t.Errorf("got %v at the end, want a whole response: %t", r.Err, whole)
				}
				c.WaitClosed()
			})
		}
	}
}

// RFC 9110, 15.2: interim responses do not run into each other: 100 comes behind the
// 103s the socket did not take at once.
func TestContinueBehindEarlyHints(t *testing.T) {
	t.Parallel()
	const hints = 2000 // of 8 KB
	for _, threads := range []string{"1", "2"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			s, _ := startOutputs(t, "--threads", threads, "--request-buffer", "1", "--response-buffer", "32m")
			g := newGate(t)
			c := s.Dial()
			c.Send("POST /many_hints?n=2000&gate=" + url.QueryEscape(g.path) + " HTTP/1.1\r\nHost: x\r\n" +
				"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
			g.waitStarted(1)
			c.SetDeadline(time.Now().Add(gowsgitest.Patience))
			for i := range hints {
				if head := c.ReadHead(); !strings.HasPrefix(head, "HTTP/1.1 103 Early Hints\r\nLink: </") || len(head) > 8200 {
					t.Fatalf("interim response %d: got %d bytes, %.60q, want a 103", i, len(head), head)
				}
			}
			if head := c.ReadHead(); head != "HTTP/1.1 100 Continue\r\n\r\n" {
				t.Fatalf("got %.60q, want 100", head)
			}
			if _, err := io.WriteString(c.Conn, "hello"); err != nil {
				t.Fatal(err)
			}
			if r := c.Response("POST"); r.Status != http.StatusOK || r.Body != "hello" {
				t.Errorf("got %v, want the content", r)
			}
		})
	}
}
