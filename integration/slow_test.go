package integration

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// narrow makes the kernel keep little of what the other end of a connection
// sends, so that a client that does not read is soon one that takes nothing.
func narrow(t testing.TB, c *gowsgitest.Conn) {
	t.Helper()
	if err := c.Conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
}

// PEP 3333, Buffering and Streaming: what was yielded reaches the client while
// the application goes on, also when the socket did not take it at once.
func TestOutputIsSentDuringTheCall(t *testing.T) {
	t.Parallel()
	const size = 20_000_000 // more than the kernel keeps
	for _, threads := range []string{"1", "2"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			s, _ := startOutputs(t, "--threads", threads, "--response-buffer", "20000000")
			g := newGate(t)
			c := s.Dial()
			c.Send("GET /ahead?size=" + itoa(size) + "&gate=" + url.QueryEscape(g.path) + " HTTP/1.1\r\nHost: x\r\n\r\n")
			g.waitStarted(1) // with nothing read
			c.ReadHead()
			if got := c.ReadN(size); got != strings.Repeat("x", size) {
				t.Fatal("got something else than was yielded")
			}
			g.open()
			if got := c.ReadN(4); got != "rest" {
				t.Errorf("got %q, want the rest", got)
			}
		})
	}
}

// Clients that read nothing keep no thread: what the application made waits in
// the response buffer.
func TestSlowReadersKeepNoThread(t *testing.T) {
	t.Parallel()
	s, _ := startOutputs(t, "--response-buffer", "20000000")
	var slow []*gowsgitest.Conn
	const size = 20_000_000
	for range 10 {
		c := s.Dial()
		c.Send("GET /big?size=" + itoa(size) + " HTTP/1.1\r\nHost: x\r\n\r\n")
		slow = append(slow, c)
	}
	for range 20 {
		s.GetOK("/one")
	}
	for _, c := range slow[:3] {
		if r := c.Response("GET"); len(r.Body) != size || r.Err != nil {
			t.Errorf("got %d bytes, %v, want %d", len(r.Body), r.Err, size)
		}
	}
	slow[3].Reset()
	s.GetOK("/one")
}

// A client that takes nothing of a response, or sends nothing of a request, loses
// its connection in time; one that owes the rest of a request is told so.
func TestClientTimeouts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		args   []string
		send   string
		status string // "": the connection ends without an answer
		logged string
	}{
		{"head", []string{"--header-timeout", "2"}, "GET / HT", "HTTP/1.1 408 ", `took too long`},
		{"nothing", []string{"--header-timeout", "0.2"}, "", "", ""},
		{"body", []string{"--body-timeout", "0.2"}, "POST /one HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx", "HTTP/1.1 408 ", `took too long`},
		{"chunk", []string{"--body-timeout", "0.2"}, "POST /one HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nx", "HTTP/1.1 408 ", `took too long`},
		{"body that is read by the application", []string{"--body-timeout", "0.2", "--request-buffer", "4"},
			"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx", "HTTP/1.1 408 ", `took too long`},
		{"response", []string{"--send-timeout", "0.2"}, "GET /big?size=30000000 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 ", `took it too slowly`},
		{"chunked response", []string{"--send-timeout", "0.2", "--threads", "2"}, "GET /many?n=3000 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 ", `took it too slowly`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, _ := startOutputs(t, tt.args...)
			c := s.Dial()
			narrow(t, c)
			if tt.send != "" {
				c.Send(tt.send)
			}
			if tt.logged != "" {
				s.Log.Wait(t, tt.logged)
			}
			got := c.Rest()
			if !strings.HasPrefix(got, tt.status) || tt.status == "" && got != "" {
				t.Errorf("got %.60q, want %q", got, tt.status)
			}
			if len(got) > 29_000_000 {
				t.Errorf("got %d bytes: the response was not cut", len(got))
			}
			// This client, too, may take too long for such a limit.
			if !gowsgitest.Eventually(func() bool { r := <-ask(s, "/one"); return r.err == nil && r.Status == 200 }) {
				t.Error("nobody is served afterwards")
			}
		})
	}
}

// --worker-connections: at the bound a connection that is idle is closed for a new
// one, the one that has been so for longest, and everybody is answered. With two
// threads the order in which two connections become idle is not that of their
// answers.
func TestWorkerConnections(t *testing.T) {
	t.Parallel()
	const bound = 3
	for _, args := range [][]string{{"--threads", "1"}, {"--threads", "2"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			s, _ := startOutputs(t, append(args, "--worker-connections", strconv.Itoa(bound), "--keep-alive", "60")...)
			var all, open []*gowsgitest.Conn
			for range 2 * bound {
				c := s.Dial()
				if r := c.Get("/one"); r.Body != "one" {
					t.Fatalf("got %v", r)
				}
				all = append(all, c)
			}
			for _, c := range all {
				c.Send("GET /one HTTP/1.1\r\nHost: test\r\n\r\n")
				if r, err := c.TryResponse("GET"); err == nil && r.Body == "one" {
					open = append(open, c)
				}
			}
			if len(open) != bound {
				t.Errorf("got %d connections open, want %d", len(open), bound)
			}
			if args[1] == "1" && !slices.Equal(open, all[bound:]) {
				t.Error("others than the last are open")
			}
		})
	}
}

// Hundreds of clients that send, or read, a byte now and then: one worker with one
// thread answers everybody else meanwhile.
func TestManySlowClients(t *testing.T) {
	t.Parallel()
	s, _ := startOutputs(t)
	const clients = 200
	const head = "GET /one HTTP/1.1\r\nHost: x\r\n\r\n"
	var senders, readers []*gowsgitest.Conn
	for range clients {
		senders = append(senders, s.Dial())
		c := s.Dial()
		narrow(t, c)
		c.Send("GET /big?size=1000000 HTTP/1.1\r\nHost: x\r\n\r\n")
		readers = append(readers, c)
	}
	c := s.Dial()
	for i := range len(head) {
		for _, slow := range senders {
			slow.Send(head[i : i+1])
		}
		for _, slow := range readers {
			slow.ReadN(1)
		}
		if r := c.Get("/one"); r.Body != "one" {
			t.Fatalf("round %d: got %v", i, r)
		}
	}
	for _, slow := range senders {
		if r := slow.Response("GET"); r.Body != "one" {
			t.Errorf("a slow sender got %v", r)
		}
	}
}
