package integration

import (
	"net/url"
	"strings"
	"testing"
)

// PEP 3333, Other HTTP Features: hop-by-hop headers are the server's. They are
// dropped, as by gunicorn, and the log names each once.
func TestHopByHopHeaders(t *testing.T) {
	t.Parallel()
	s, _ := startOutputs(t)
	for _, version := range []string{"1.1", "1.0"} {
		for range 2 {
			c := s.Dial()
			c.Send("GET /hop HTTP/" + version + "\r\nHost: x\r\nConnection: close\r\n\r\n")
			head := c.ReadHead()
			if strings.Contains(head, "keep-alive") || strings.Contains(head, "transfer-encoding") {
				t.Errorf("HTTP/%s: got %q, want none of the application's hop-by-hop headers", version, head)
			}
			if !strings.Contains(head, "\r\nConnection: close\r\n") || !strings.Contains(head, "\r\nX-Own: 1\r\n") {
				t.Errorf("HTTP/%s: got %q, want the server's Connection and X-Own", version, head)
			}
			want := "9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"
			if version == "1.0" {
				want = "data: 1\n\ndata: 2\n\n"
			}
			if got := c.Rest(); got != want {
				t.Errorf("HTTP/%s: got %q, want %q", version, got, want)
			}
		}
	}
	s.Log.Wait(t, `\[WARNING\] Not sent .*PEP 3333.*: Connection, Transfer-Encoding\.`)
	if n := s.Log.Count(`Not sent`); n != 1 {
		t.Errorf("%d lines, want 1", n)
	}
}

// With hop_by_hop_headers=refuse it is the error that PEP 3333 wants.
func TestHopByHopHeadersRefused(t *testing.T) {
	t.Parallel()
	s, _ := startOutputs(t, "--hop-by-hop-headers", "refuse")
	if r := s.Get("/hop"); r.Status != 500 {
		t.Errorf("got %v, want 500", r)
	}
	s.Log.Wait(t, `ValueError: hop-by-hop headers are the server's \(PEP 3333\): Connection, Transfer-Encoding`)
}

// PEP 3333, The start_response() Callable: the first write() sends the head, even
// of nothing.
func TestWriteOfNothingSendsTheHead(t *testing.T) {
	t.Parallel()
	s, _ := startOutputs(t)
	g := newGate(t)
	c := s.Dial()
	c.Send("GET /write_nothing?gate=" + url.QueryEscape(g.path) + " HTTP/1.1\r\nHost: x\r\n\r\n")
	if head := c.ReadHead(); !strings.HasPrefix(head, "HTTP/1.1 200 OK\r\n") {
		t.Errorf("got %q, want the head", head)
	}
	g.open()
	const want = "8\r\nreturned\r\n0\r\n\r\n"
	if got := c.ReadN(len(want)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// RFC 9110, 7.8 and 15.2.2: a 101 only for a client that asked, and nothing of
// HTTP behind it.
func TestSwitchingProtocols(t *testing.T) {
	t.Parallel()
	s, _ := startOutputs(t)
	switching := "GET /upgrade?status=101+Switching+Protocols HTTP/1.1\r\nHost: x\r\n"
	c := s.Dial()
	c.Send(switching + "Connection: upgrade\r\nUpgrade: echo\r\n\r\nGET /one HTTP/1.1\r\nHost: x\r\n\r\n")
	head := c.ReadHead()
	if !strings.HasPrefix(head, "HTTP/1.1 101 Switching Protocols\r\n") ||
		!strings.Contains(head, "\r\nConnection: upgrade\r\n") || !strings.Contains(head, "\r\nUpgrade: echo\r\n") {
		t.Errorf("got %q, want 101 with the new protocol", head)
	}
	if rest := c.Rest(); rest != "" {
		t.Errorf("got %q behind a 101, want nothing", rest)
	}
	c = s.Dial()
	c.Send(switching + "\r\n")
	if r := c.Response("GET"); r.Status != 500 {
		t.Errorf("without Upgrade in the request: got %v, want 500", r)
	}
	s.Log.Wait(t, `ValueError: the status 101 is for requests that ask for an upgrade`)
	if r := s.Get("/upgrade?status=426+Upgrade+Required"); r.Status != 426 || r.Header.Get("Upgrade") != "echo" {
		t.Errorf("got %v with Upgrade %q, want 426 and echo", r, r.Header.Get("Upgrade"))
	}
}

// RFC 8297, 2: a 103 before the answer, with the headers given, as often as the
// application likes; none to HTTP/1.0, and none behind the head.
func TestEarlyHints(t *testing.T) {
	t.Parallel()
	s, _ := startOutputs(t)
	c := s.Dial()
	c.Send("GET /hints HTTP/1.1\r\nHost: x\r\n\r\n")
	for _, link := range []string{"</a>", "</b>"} {
		if got, want := c.ReadHead(), "HTTP/1.1 103 Early Hints\r\nLink: "+link+"\r\n\r\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if r := c.Response("GET"); r.Status != 200 || r.Body != "hinted" {
		t.Errorf("got %v, want 200", r)
	}
	old := s.Dial()
	old.Send("GET /hints HTTP/1.0\r\n\r\n")
	if r := old.Response("GET"); r.Status != 200 || r.Body != "hinted" {
		t.Errorf("HTTP/1.0: got %v, want 200 and no hints", r)
	}
}

// RFC 9110, 15.3.6: a 205 has no content, and says so.
func TestResetContent(t *testing.T) {
	t.Parallel()
	s, _ := startOutputs(t)
	c := s.Dial()
	for range 2 {
		if r := c.Get("/status?status=205+Reset+Content"); r.Status != 205 || r.Body != "" || r.ContentLength != 0 {
			t.Errorf("got %v with a length of %d, want 205 and nothing", r, r.ContentLength)
		}
	}
}

// RFC 9110, 9.3.6: what follows a CONNECT is not HTTP, whatever it is answered.
func TestConnectEndsTheConnection(t *testing.T) {
	t.Parallel()
	s := start(t, "--access-logfile", "-", "probe")
	c := s.Dial()
	c.Send("CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\nGET /pid?second HTTP/1.1\r\nHost: x\r\n\r\n")
	if r := c.Response("GET"); !r.Close {
		t.Errorf("got %v, want the connection closed", r)
	}
	c.WaitClosed()
	s.GetOK("/pid?last")
	s.Stdout.Wait(t, `last`)
	if s.Stdout.Count(`second`) != 0 {
		t.Error("what followed was served")
	}
}
