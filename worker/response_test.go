package worker

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"gowsgi/protocol/http1"
	"gowsgi/protocol/wsgi"
	"gowsgi/worker/python"
)

func TestErrorPage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status         int
		reason, within string
	}{
		{400, "the request line has no version", "the request line has no version"},
		{400, "<script>alert('1')</script> & \"more\"", "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &#34;more&#34;"},
		{408, "", "Request Timeout"},
		{414, "", ""}, {417, "", ""}, {431, "", ""}, {501, "", ""}, {505, "", ""},
		{500, "", "<h1><p>Internal Server Error</p></h1>"},
		{503, "too many requests wait", "too many requests wait"},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			page := string(errorPage(tt.status, tt.reason, method == "HEAD"))
			r := bufio.NewReader(strings.NewReader(page))
			resp, err := http.ReadResponse(r, &http.Request{Method: method})
			if err != nil {
				t.Fatalf("%d: %v in %q", tt.status, err, page)
			}
			body, err := io.ReadAll(resp.Body)
			if rest, _ := io.ReadAll(r); err != nil || len(rest) > 0 {
				t.Errorf("%d %s: %v, left %q", tt.status, method, err, rest)
			}
			if text := http1.StatusText(tt.status); resp.Status != strconv.Itoa(tt.status)+" "+text || !resp.Close {
				t.Errorf("got %q, close %t, want %q and close", resp.Status, resp.Close, text)
			}
			if _, err := http.ParseTime(resp.Header.Get("Date")); err != nil {
				t.Error(err)
			}
			if method == "GET" && (!strings.Contains(string(body), tt.within) || resp.ContentLength != int64(len(body))) {
				t.Errorf("%d: got %q, want %q in it", tt.status, body, tt.within)
			}
			if full := len(errorPage(tt.status, tt.reason, false)); method == "HEAD" && int64(full-len(page)) != resp.ContentLength {
				t.Errorf("%d: HEAD announces %d bytes, GET has %d", tt.status, resp.ContentLength, full-len(page))
			}
			if (resp.Header.Get("Retry-After") != "") != (tt.status == 503) {
				t.Errorf("%d: got Retry-After %q", tt.status, resp.Header.Get("Retry-After"))
			}
		}
	}
}

// TestWrite: what the application sends arrives, framed as its client can read
// it, and its mistakes are cut or told.
func TestWrite(t *testing.T) {
	t.Parallel()
	const get, old, head = "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"
	big := strings.Repeat("0123456789abcdef", 4000) // 64,000 bytes: written beside the head
	for _, tt := range []struct {
		name, head string
		status     string
		length     string // Content-Length of the application
		parts      []string
		framing    wsgi.Framing
		body       string
		cut        bool // the response is incomplete
	}{
		{name: "one part", head: get, parts: []string{"hello"}, framing: wsgi.Length, body: "hello"},
		{name: "nothing", head: get, parts: []string{""}, framing: wsgi.Length},
		{name: "two parts", head: get, parts: []string{"hel", "lo"}, framing: wsgi.Chunked, body: "hello"},
		{name: "big part", head: get, parts: []string{big}, framing: wsgi.Length, body: big},
		{name: "big chunks", head: get, parts: []string{big, "x", big}, framing: wsgi.Chunked, body: big + "x" + big},
		{name: "empty end", head: get, parts: []string{"hello", ""}, framing: wsgi.Chunked, body: "hello"},
		{name: "length given", head: get, length: "5", parts: []string{"hel", "lo"}, framing: wsgi.Length, body: "hello"},
		{name: "too long", head: get, length: "5", parts: []string{"hel", "lo, world", "!"}, framing: wsgi.Length, body: "hello"},
		{name: "too long at once", head: get, length: "2", parts: []string{big}, framing: wsgi.Length, body: "01"},
		{name: "too short", head: get, length: "6", parts: []string{"hel", "lo"}, framing: wsgi.Length, body: "hello", cut: true},
		{name: "HTTP/1.0", head: old, parts: []string{"hel", "lo"}, framing: wsgi.Close, body: "hello"},
		{name: "HTTP/1.0, one part", head: old, parts: []string{"hello"}, framing: wsgi.Length, body: "hello"},
		{name: "HEAD", head: head, parts: []string{"hel", "lo"}, framing: wsgi.None},
		{name: "HEAD with a length", head: head, length: "5", parts: []string{"hello"}, framing: wsgi.None},
		{name: "204", head: get, status: "204 No Content", parts: []string{"hello"}, framing: wsgi.None},
		{name: "304", head: get, status: "304 Not Modified", length: "9", parts: []string{""}, framing: wsgi.None},
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
			got := readResponse(client, tt.head)
			for i, p := range tt.parts {
				// The client reads all the time, so only the last may have to wait.
				if code, reason := th.Write([]byte(p), i == len(tt.parts)-1, true); code != python.OK {
					t.Fatalf("part %d: got %d, %q", i, code, reason)
				}
			}
			if th.flush(0) != python.OK {
				t.Fatal("the client is gone")
			}
			if th.framing != tt.framing || th.complete == tt.cut || th.sent != int64(len(tt.body)) {
				t.Errorf("got %v, complete %t, %d bytes, want %v, %t, %d", th.framing, th.complete, th.sent, tt.framing, !tt.cut, len(tt.body))
			}
			r.close(c)
			a := <-got
			if a.body != tt.body || (a.err != nil) != tt.cut || a.rest != "" {
				t.Errorf("the client got %d bytes, %v, left %q, want %d, cut %t", len(a.body), a.err, a.rest, len(tt.body), tt.cut)
			}
		})
	}
}

// answer is what a client got.
type answer struct {
	body, rest string
	header     http.Header
	err        error
}

// readResponse reads a response, and to the end of the connection, beside the
// test.
func readResponse(client net.Conn, head string) <-chan answer {
	method, _, _ := strings.Cut(head, " ")
	got := make(chan answer, 1)
	go func() {
		r := bufio.NewReader(client)
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			got <- answer{err: err}
			return
		}
		body, err := io.ReadAll(resp.Body)
		rest, _ := io.ReadAll(r)
		got <- answer{string(body), string(rest), resp.Header, err}
	}()
	return got
}

// TestWriteTooEarly: content needs a head (PEP 3333, The start_response()
// Callable).
func TestWriteTooEarly(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	c, _ := r.connect(t)
	th := r.calling(t, c, outside)
	for _, tt := range []struct {
		p      string
		last   bool
		reason string
	}{
		{"x", false, "before it called start_response"},
		{"x", true, "before it called start_response"},
		{"", true, "did not call start_response"},
	} {
		if code, reason := th.Write([]byte(tt.p), tt.last, false); code != python.Invalid || !strings.Contains(reason, tt.reason) {
			t.Errorf("%q, last %t: got %d, %q, want %q", tt.p, tt.last, code, reason, tt.reason)
		}
	}
	if th.headSent {
		t.Error("something was sent")
	}
}

// TestStartResponseTwice: the rules that depend on what was sent.
func TestStartResponseTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	c, _ := r.connect(t)
	th := r.calling(t, c, outside)
	for i, tt := range []struct {
		status  string
		excInfo bool
		code    python.Code
		now     int // the status afterwards
	}{
		{"bad", false, python.Invalid, 0},
		{"200 OK", false, python.OK, 200},
		{"201 Created", false, python.Twice, 200},
		{"500 Oops", true, python.OK, 500},
		{"bad", true, python.Invalid, 0},
		{"404 Not Found", false, python.OK, 404},
		{"sent", false, python.OK, 404}, // the head goes out
		{"500 Oops", true, python.Sent, 404},
		{"500 Oops", false, python.Twice, 404},
	} {
		code := python.OK
		if tt.status == "sent" {
			code, _ = th.Write([]byte("x"), false, false)
		} else {
			code, _ = th.StartResponse([]byte(tt.status), python.Headers{}, tt.excInfo)
		}
		if code != tt.code || th.resp.Status != tt.now {
			t.Errorf("step %d, %s: got %d, status %d, want %d, %d", i, tt.status, code, th.resp.Status, tt.code, tt.now)
		}
	}
}

// TestSlowClient: a client that does not read holds up to ResponseBuffer of a response
// in memory and no more; when it reads, everything comes.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	c, client := r.connect(t)
	th := r.calling(t, c, outside)
	th.resp.SetStatus([]byte("200 OK"))
	part := strings.Repeat("0123456789abcdef", 2048) // 32 KiB
	parts := 0
	for code := python.OK; code == python.OK; parts++ {
		if code, _ = th.Write([]byte(part), false, false); code != python.OK && code != python.Wait {
			t.Fatalf("got %d", code)
		}
		if c.out != nil && c.out.n > int(r.cfg.ResponseBuffer)+2*len(part) || parts > 1000 {
			t.Fatalf("%d bytes are kept after %d parts, want Wait at %d", c.out.n, parts, r.cfg.ResponseBuffer)
		}
		if code == python.Wait {
			break
		}
	}
	parts++
	got := readResponse(client, outside)
	if code := th.Flush(); code != python.OK || c.out != nil && c.out.n > int(r.cfg.ResponseBuffer)/2 {
		t.Errorf("got %d, want OK and room", code)
	}
	if code, _ := th.Write(nil, true, false); code != python.OK || th.flush(0) != python.OK {
		t.Errorf("got %d", code)
	}
	r.close(c)
	if a := <-got; a.err != nil || a.body != strings.Repeat(part, parts) {
		t.Errorf("got %d bytes, %v, want %d", len(a.body), a.err, parts*len(part))
	}
}

// TestClientGone: writing to nobody is noticed.
func TestClientGone(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	c, client := r.connect(t)
	th := r.calling(t, c, outside)
	th.resp.SetStatus([]byte("200 OK"))
	_ = client.Close()
	if code, _ := th.Write([]byte("x"), false, false); code != python.Gone || !c.gone {
		t.Errorf("got %d, gone %t, want Gone", code, c.gone)
	}
}
