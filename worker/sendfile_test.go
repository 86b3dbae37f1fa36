package worker

import (
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/protocol/wsgi"
	"gowsgi/worker/python"
)

// TestSendFile: framing and content of a file's response, and that its descriptor
// is closed whatever happens.
func TestSendFile(t *testing.T) {
	t.Parallel()
	const get, head = "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"
	small, big := "0123456789", strings.Repeat("0123456789abcdef", 500_000)
	for _, tt := range []struct {
		name, head, content string
		off                 int64
		status, length      string
		framing             wsgi.Framing
		body                string
		announced           string // Content-Length
		cut                 bool
	}{
		{name: "small", head: get, content: small, body: small, announced: "10"},
		{name: "big", head: get, content: big, body: big, announced: strconv.Itoa(len(big))},
		{name: "from an offset", head: get, content: big, off: 1_000_001, body: big[1_000_001:], announced: strconv.Itoa(len(big) - 1_000_001)},
		{name: "length given", head: get, content: small, length: "10", body: small, announced: "10"},
		{name: "a part", head: get, content: big, off: 16, length: "7000000", body: big[16:7_000_016], announced: "7000000"},
		{name: "nothing of it", head: get, content: small, length: "0", announced: "0"},
		{name: "less than announced", head: get, content: small, length: "11", body: small, announced: "11", cut: true},
		{name: "HTTP/1.0", head: "GET / HTTP/1.0\r\n\r\n", content: small, body: small, announced: "10"},
		{name: "HEAD", head: head, content: small, framing: wsgi.None, announced: "10"},
		{name: "HEAD with a length", head: head, content: small, length: "7", framing: wsgi.None, announced: "7"},
		{name: "204", head: get, content: small, status: "204 No Content", framing: wsgi.None},
		{name: "304", head: get, content: small, status: "304 Not Modified", framing: wsgi.None},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, testConfig())
			c, client := r.connect(t)
			th := r.calling(t, c, tt.head)
			if tt.status == "" {
				tt.status = "200 OK"
			}
			th.resp.SetStatus([]byte(tt.status))
			if tt.length != "" {
				th.resp.AddHeader([]byte("Content-Length"), []byte(tt.length))
			}
			f := tempFile(t, tt.content)
			fd := dup(t, f)
			got := readResponse(client, tt.head)
			if code, reason := th.SendFile(fd, tt.off, int64(len(tt.content))-tt.off); code != python.OK {
				t.Fatalf("got %d, %q", code, reason)
			}
			if th.framing != tt.framing || !th.complete {
				t.Errorf("got %v, complete %t, want %v", th.framing, th.complete, tt.framing)
			}
			if th.settle(); c.out != nil {
				r.finish(c)
				for c.state == flushing && awaitFD(c.fd, unix.POLLOUT, int(patience/time.Millisecond)) {
					r.output(th, c)
				}
			}
			if tt.cut != (c.state == closed) {
				t.Errorf("got state %v, cut %t", c.state, tt.cut)
			}
			r.close(c)
			if a := <-got; a.body != tt.body || (a.err != nil) != tt.cut || a.rest != "" || a.header.Get("Content-Length") != tt.announced {
				t.Errorf("the client got %d bytes, %v, left %q, %v, want %d", len(a.body), a.err, a.rest, a.header, len(tt.body))
			}
		})
	}
}

// TestSendFileRefused: what is no whole response is not sent.
func TestSendFileRefused(t *testing.T) {
	t.Parallel()
	f := tempFile(t, "0123456789")
	for _, tt := range []struct {
		name string
		prep func(th *thread)
		code python.Code
	}{
		{"no head", func(*thread) {}, python.Invalid},
		{"head sent", func(th *thread) {
			th.resp.SetStatus([]byte("200 OK"))
			th.Write([]byte("x"), false, false)
		}, python.Iterate},
		{"client gone", func(th *thread) {
			th.resp.SetStatus([]byte("200 OK"))
			_ = unix.Shutdown(th.c.fd, unix.SHUT_WR)
		}, python.Gone},
	} {
		r := newRig(t, testConfig())
		c, _ := r.connect(t)
		th := r.calling(t, c, outside)
		tt.prep(th)
		before := descriptors(t, f)
		if code, _ := th.SendFile(dup(t, f), 0, 10); code != tt.code {
			t.Errorf("%s: got %d, want %d", tt.name, code, tt.code)
		}
		if after := descriptors(t, f); after != before {
			t.Errorf("%s: %d descriptors of the file are open, want %d", tt.name, after, before)
		}
	}
}

// descriptors counts the descriptors of f that this process has.
func descriptors(t *testing.T, f *os.File) (n int) {
	t.Helper()
	links, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if to, err := os.Readlink("/proc/self/fd/" + l.Name()); err == nil && to == f.Name() {
			n++
		}
	}
	return n
}

// TestFileOfAClientThatLeaves: its descriptor goes with the connection.
func TestFileOfAClientThatLeaves(t *testing.T) {
	t.Parallel()
	f := tempFile(t, strings.Repeat("x", 8<<20))
	r := newRig(t, testConfig())
	c, client := r.connect(t)
	th := r.calling(t, c, outside)
	th.resp.SetStatus([]byte("200 OK"))
	if code, _ := th.SendFile(dup(t, f), 0, 8<<20); code != python.OK {
		t.Fatalf("got %d", code)
	}
	th.settle()
	if r.finish(c); c.state != flushing || descriptors(t, f) != 2 {
		t.Fatalf("got state %v, %d descriptors, want it flushing", c.state, descriptors(t, f))
	}
	if _, err := io.CopyN(io.Discard, client, 1000); err != nil {
		t.Fatal(err)
	}
	_ = client.Close()
	if r.output(th, c); c.state != closed || descriptors(t, f) != 1 {
		t.Errorf("got state %v, %d descriptors, want all closed", c.state, descriptors(t, f))
	}
}
