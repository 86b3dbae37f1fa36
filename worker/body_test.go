package worker

import (
	"fmt"
	"strings"
	"testing"

	"gowsgi/protocol/http1"
)

// TestReadBody: content that comes while the application reads, in all sizes of
// reads, and what goes wrong with it.
func TestReadBody(t *testing.T) {
	t.Parallel()
	const lengthHead = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n"
	const chunkedHead = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, tt := range []struct {
		name, head, early, late string // early is in the buffer with the head
		body, reason            string
	}{
		{"length, all early", lengthHead, "0123456789", "", "0123456789", ""},
		{"length, all late", lengthHead, "", "0123456789", "0123456789", ""},
		{"length, both", lengthHead, "012", "3456789", "0123456789", ""},
		{"length, more follows", lengthHead, "012", "3456789GET /", "0123456789", ""},
		{"length, client leaves", lengthHead, "012", "3", "0123", "the client disconnected"},
		{"chunks, all early", chunkedHead, "4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n", "", "0123456789", ""},
		{"chunks, all late", chunkedHead, "", "4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n", "0123456789", ""},
		{"chunks, both", chunkedHead, "4\r\n01", "23\r\n6\r\n456789\r\n0\r\n\r\n", "0123456789", ""},
		{"chunks, client leaves", chunkedHead, "4\r\n0123\r\n", "6\r\n45", "012345", "the client disconnected"},
		{"chunks, bad", chunkedHead, "4\r\n0123\r\n", "x\r\n", "0123", "chunk"},
	} {
		for _, step := range []int{1, 3, 100} {
			t.Run(fmt.Sprint(tt.name, " by ", step), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, testConfig())
				c, client := r.connect(t)
				th := r.calling(t, c, tt.head)
				c.stream = true
				c.n += copy(c.buf[c.n:], tt.early)
				send(t, client, tt.late)
				_ = client.Close()
				p, body := make([]byte, step), ""
				for {
					n, reason := th.ReadBody(p)
					if n > 0 {
						body += string(p[:n])
						continue
					}
					if (n < 0) != (tt.reason != "") || !strings.Contains(strings.ToLower(reason), tt.reason) {
						t.Errorf("got %d, %q at the end, want %q", n, reason, tt.reason)
					}
					break
				}
				if body != tt.body {
					t.Errorf("got %q, want %q", body, tt.body)
				}
				if c.atEnd() != (tt.reason == "") {
					t.Errorf("at end: got %t", c.atEnd())
				}
				if tt.reason != "" && c.keepAlive {
					t.Error("the connection would be used again")
				}
			})
		}
	}
}

// TestDecodePath: percent-decoding once, into memory that grows.
func TestDecodePath(t *testing.T) {
	t.Parallel()
	th := &thread{}
	long := strings.Repeat("%41", 20000)
	for _, tt := range []struct{ path, want string }{
		{"/", "/"},
		{"/plain", "/plain"},
		{"/a%20b", "/a b"},
		{"/%2520", "/%20"},
		{"/%00%ff", "/\x00\xff"},
		{"/caf%C3%a9", "/caf\xc3\xa9"},
		{"/%2e%2E/%2f", "/..//"},
		{"/100%", "/100%"},
		{"/%zz%4", "/%zz%4"},
		{"/a+b", "/a+b"},
		{"*", "*"},
		{"", ""},
		{long, strings.Repeat("A", 20000)},
		{"/a%20b", "/a b"},
	} {
		if got := string(th.decode([]byte(tt.path))); got != tt.want {
			t.Errorf("%.40q: got %.40q, want %.40q", tt.path, got, tt.want)
		}
	}
}

// TestScheme: what a trusted peer says, unless it contradicts itself.
func TestScheme(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, fields string
		https, ok    bool
	}{
		{"nothing", "", false, true},
		{"https", "X-Forwarded-Proto: https\r\n", true, true},
		{"http", "X-Forwarded-Proto: http\r\n", false, true},
		{"two that agree", "X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: on\r\n", true, true},
		{"two that agree on http", "X-Forwarded-Proto: http\r\nX-Forwarded-Ssl: off\r\n", false, true},
		{"two that disagree", "X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n", true, false},
		{"the other way round", "X-Forwarded-Ssl: off\r\nX-Forwarded-Proto: https\r\n", false, false},
		{"the same twice, different", "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n", true, false},
	} {
		th := parsedThread(t, "GET / HTTP/1.1\r\nHost: h\r\n"+tt.fields+"\r\n")
		th.e.forwarder = forwarderFields(proxied())
		ok := th.trustedFields()
		if ok != tt.ok || ok && th.req.HTTPS != tt.https {
			t.Errorf("%s: got https %t, %t, want %t, %t", tt.name, th.req.HTTPS, ok, tt.https, tt.ok)
		}
	}
}

// TestFill: who the request comes from, and whose word is taken for the scheme.
func TestFill(t *testing.T) {
	t.Parallel()
	const forwarded = "GET /app/a%20b HTTP/1.1\r\nHost: example.org:8\r\nX-Forwarded-Proto: https\r\n\r\n"
	for _, tt := range []struct {
		name, head, peer string
		unix             bool
		status           int
		https            bool
		server           string // SERVER_NAME:SERVER_PORT
	}{
		{"trusted peer", forwarded, "127.0.0.1:9", false, 0, true, ":"},
		{"any peer", forwarded, "203.0.113.7:9", false, 0, false, ":"},
		{"unix", forwarded, "", true, 0, true, "example.org:8"},
		{"contradiction", strings.Replace(forwarded, "\r\n\r\n", "\r\nX-Forwarded-Ssl: off\r\n\r\n", 1), "", true, 400, false, ""},
		{"its contradiction does not matter", strings.Replace(forwarded, "\r\n\r\n", "\r\nX-Forwarded-Ssl: off\r\n\r\n", 1), "203.0.113.7:9", false, 0, false, ":"},
		{"outside", outside, "203.0.113.7:9", false, 500, false, ""},
		{"outside of the proxy's SCRIPT_NAME", strings.Replace(forwarded, "Host", "SCRIPT_NAME: /ap/\r\nHost", 1), "127.0.0.1:9", false, 500, false, ""},
	} {
		th := parsedThread(t, tt.head)
		th.e.script, th.e.unixListener = "/app", []bool{tt.unix}
		th.lent = make([]byte, 64)
		th.c.headLen, th.c.length = len(tt.head), -1
		th.e.cfg = proxied()
		th.e.forwarder = forwarderFields(th.e.cfg)
		th.e.judgePeer(th.c, sockaddr(t, tt.peer))
		status, _ := th.fill()
		if status != tt.status {
			t.Errorf("%s: got %d, want %d", tt.name, status, tt.status)
		}
		if status != 0 {
			continue
		}
		q := &th.req
		addr, port, _ := strings.Cut(tt.peer, ":")
		if string(q.RemoteAddr) != addr || string(q.RemotePort) != port || string(q.PathInfo) != "/a b" {
			t.Errorf("%s: got peer %q, %q, path %q", tt.name, q.RemoteAddr, q.RemotePort, q.PathInfo)
		}
		if q.HTTPS != tt.https || string(q.ServerName)+":"+string(q.ServerPort) != tt.server {
			t.Errorf("%s: got https %t, server %q:%q", tt.name, q.HTTPS, q.ServerName, q.ServerPort)
		}
	}
	if !http1.NeedsUnescape([]byte("/a%20b")) {
		t.Error("the path above tests nothing")
	}
}
