package integration

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gowsgi/internal/gowsgitest"
	"gowsgi/internal/status"
)

// hold keeps every thread of an outputs server busy until the gate opens.
func hold(t testing.TB, s *gowsgitest.Server, threads int) gate {
	t.Helper()
	g := newGate(t)
	for i := range threads {
		c := s.Dial()
		c.Send("GET /ahead?size=1&gate=" + url.QueryEscape(g.path) + " HTTP/1.1\r\nHost: x\r\n\r\n")
		g.waitStarted(i + 1)
	}
	return g
}

// waitLine waits until a file has a line with text in it.
func waitLine(t testing.TB, path, text string) {
	t.Helper()
	if !gowsgitest.Eventually(func() bool {
		data, _ := os.ReadFile(path)
		return strings.Contains(string(data), text)
	}) {
		data, _ := os.ReadFile(path)
		t.Fatalf("no %q in %q", text, data)
	}
}

// A request whose client has gone while it waited is not run, and its place in the
// queue is free at once. It does not matter whether its connection was known or
// waited to be accepted.
func TestClientThatLeftIsNotServed(t *testing.T) {
	t.Parallel()
	for _, threads := range []int{1, 2} {
		t.Run(itoa(threads)+" threads", func(t *testing.T) {
			t.Parallel()
			log := filepath.Join(t.TempDir(), "access")
			s, closed := startOutputs(t, "--threads", itoa(threads), "--keep-alive", "60",
				"--access-logfile", log, "--access-logformat", "%(r)s %(s)s %(X)s", "--max-queue", "1")
			kept := s.Dial()
			kept.Get("/one")
			g := hold(t, s, threads)
			sendGet(kept, "/closing?name=left")
			kept.Close()
			waitLine(t, log, "/closing?name=left HTTP/1.1 499 aborted")
			fresh := s.Dial()
			sendGet(fresh, "/closing?name=fresh")
			fresh.Close()
			waitLine(t, log, "/closing?name=fresh HTTP/1.1 499 aborted")
			stays := s.Dial()
			sendGet(stays, "/closing?name=stayed")
			again := s.Dial()
			sendGet(again, "/closing?name=refused")
			if r := again.Response("GET"); r.Status != 503 {
				t.Errorf("got %v, want 503: the queue is full", r)
			}
			g.open()
			if r := stays.Response("GET"); r.Status != 200 {
				t.Errorf("got %v", r)
			}
			if !gowsgitest.Eventually(func() bool { return countLines(closed, "stayed") == 1 }) {
				t.Error("who stayed was not served")
			}
			for _, name := range []string{"left", "fresh", "refused"} {
				if countLines(closed, name) != 0 {
					t.Errorf("%s was served", name)
				}
			}
		})
	}
}

// --queue-timeout: what has waited too long is told so then, not when a thread is
// free, wherever it waits: in its worker, on a connection that nobody has accepted
// yet, or in the queue that all workers share.
func TestOverdueIsAnsweredInTime(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 2} {
		t.Run(itoa(workers)+" workers", func(t *testing.T) {
			t.Parallel()
			s, closed := startOutputs(t, "-w", itoa(workers), "--queue-timeout", "0.3", "--keep-alive", "60")
			// One that has still to load Python would leave all requests to the other.
			waitStatus(t, s, "all workers serve", func(r *status.Report) bool { return r.Ready == workers })
			var waiting []*gowsgitest.Conn
			for range 4 {
				c := s.Dial()
				c.Get("/one")
				waiting = append(waiting, c)
			}
			g := hold(t, s, workers)
			for range 4 {
				waiting = append(waiting, s.Dial())
			}
			for i, c := range waiting {
				sendGet(c, "/closing?name=waiting"+itoa(i))
			}
			for i, c := range waiting {
				if r := c.Response("GET"); r.Status != 503 || r.Header.Get("Retry-After") == "" {
					t.Errorf("%d: got %v, want 503", i, r)
				}
			}
			g.open()
			// It may wait for too long, too, until the threads notice.
			if !gowsgitest.Eventually(func() bool { r := <-ask(s, "/one"); return r.err == nil && r.Status == 200 }) {
				t.Error("nobody is served afterwards")
			}
			for i := range waiting {
				if countLines(closed, "waiting"+itoa(i)) != 0 {
					t.Errorf("%d was run after all", i)
				}
			}
		})
	}
}

// gowsgi.client_disconnected tells an application that works for nobody.
func TestClientDisconnected(t *testing.T) {
	t.Parallel()
	for _, threads := range []string{"1", "2"} {
		for _, how := range []string{"close", "reset"} {
			t.Run(how+" "+threads+" threads", func(t *testing.T) {
				t.Parallel()
				s, noted := startOutputs(t, "--threads", threads)
				g := newGate(t)
				c := s.Dial()
				sendGet(c, "/disconnected?gate="+url.QueryEscape(g.path))
				g.waitStarted(1)
				if how == "reset" {
					c.Reset()
				} else {
					c.Close()
				}
				waitLine(t, noted, "False-True\n")
				s.GetOK("/one")
			})
		}
	}
}

// A client that has ended its sending behind its request is answered: only where a
// request has to wait does that look like one that has gone.
func TestHalfClosedClientIsAnswered(t *testing.T) {
	t.Parallel()
	s, _ := startOutputs(t)
	for _, target := range []string{"/one", "/many?n=100"} {
		c := s.Dial()
		sendGet(c, target)
		c.CloseWrite()
		if r := c.Response("GET"); r.Status != 200 || r.Err != nil {
			t.Errorf("%s: got %d, %v", target, r.Status, r.Err)
		}
	}
}
