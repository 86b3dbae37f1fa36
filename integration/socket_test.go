package integration

import (
	"testing"
	"time"
)

// gunicorn.socket: an application may look at the connection, and take it over;
// then the server writes nothing behind it.
func TestGunicornSocket(t *testing.T) {
	t.Parallel()
	for _, threads := range []string{"1", "3"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			s := start(t, "--keep-alive", "60", "--threads", threads, "sockets")
			c := s.Dial()
			for range 2 {
				if r := c.Get("/look"); r.Body != "True True" {
					t.Errorf("got %v", r)
				}
			}
			sendGet(c, "/echo")
			const head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"
			if got := c.ReadN(len(head)); got != head {
				t.Fatalf("got %q", got)
			}
			for _, word := range []string{"one", "two"} {
				c.Send(word)
				if got := c.ReadN(len(word)); got != map[string]string{"one": "ONE", "two": "TWO"}[word] {
					t.Errorf("got %q for %q", got, word)
				}
			}
			c.Send("end")
			if got := c.Rest(); got != "" {
				t.Errorf("got %q behind the application's bytes", got)
			}
			if got := s.GetOK("/look"); got != "True True" {
				t.Errorf("afterwards: got %q", got)
			}
			if n := s.Log.Count(`\[ERROR\]|Traceback`); n != 0 {
				t.Errorf("%d complaints on the log", n)
			}
		})
	}
}

// A library may use the socket of an upgraded request in threads of its own, and
// for as long as it likes: the timeout is for requests.
func TestGunicornSocketInThreads(t *testing.T) {
	t.Parallel()
	for _, threads := range []string{"1", "3"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			s := start(t, "--threads", threads, "--timeout", "1", "sockets")
			c := s.Dial()
			c.Send("GET /threaded HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
			const head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"
			if got := c.ReadN(len(head)); got != head {
				t.Fatalf("got %q", got)
			}
			began := time.Now()
			for time.Since(began) < 3*time.Second { // several looks of the master
				c.Send("word")
				if got := c.ReadN(4); got != "WORD" {
					t.Fatalf("got %q", got)
				}
			}
			c.Send("end")
			if got := c.Rest(); got != "END" {
				t.Errorf("got %q, want the last word", got)
			}
			if got := s.GetOK("/look"); got != "True True" {
				t.Errorf("afterwards: got %q", got)
			}
			if n := s.Log.Count(`TIMEOUT|Traceback`); n != 0 {
				t.Errorf("%d complaints on the log", n)
			}
		})
	}
}
