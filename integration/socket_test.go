package integration

import (
	"testing"
)

// gunicorn.socket: an application may look at the connection, and take it over;
// then the server writes nothing behind it.
func TestGunicornSocket(t *testing.T) {
	t.Parallel()
	for _, threads := range []string{"1", "3"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			s := start(t, "--threads", threads, "sockets")
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
