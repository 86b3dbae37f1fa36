package wsgi

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"strconv"
	"strings"
	"testing"
)

// after is what follows a response on the connection: a reader that took one byte
// too many or too few would stumble over it.
const after = "HTTP/1.1 200 after\r\n\r\n"

// FuzzResponse: whatever of an application's status and headers is accepted,
// net/http reads back: the same status, the same fields in order, the same
// content, and not a byte of what follows.
func FuzzResponse(f *testing.F) {
	for _, seed := range []struct {
		status, headers, content string
	}{
		{"200 OK", "Content-Type: text/html\nSet-Cookie: a=1\nSet-Cookie: b=2", "hello"},
		{"200 OK", "Content-Length: 5\nX: \x80\xff", "hello"},
		{"204 No Content", "Content-Length: 0", ""},
		{"304 Not Modified", "ETag: \"x\"\nContent-Length: 12", ""},
		{"101 Switching Protocols", "Upgrade: websocket\nConnection: upgrade", "hello"},
		{"200", "Transfer-Encoding: chunked\nContent-Length: 3\nContent-Length: 3", "abc"},
		{"404 Not Found", "X: a\r b\nY : c\n: d\nPragma: no-cache", ""},
		{"200 OK", "Trailer: X\nKeep-Alive: timeout=1\nDate: x\nServer: y", strings.Repeat("x", 70000)},
	} {
		for flags := range uint8(16) {
			f.Add(seed.status, seed.headers, []byte(seed.content), flags)
		}
	}
	f.Fuzz(func(t *testing.T, status, headers string, content []byte, flags uint8) {
		checkResponse(t, status, strings.Split(headers, "\n"), content, flags)
	})
}

// checkResponse makes one response as the worker does. Of flags, bit 0 makes the
// request a HEAD, bit 1 HTTP/1.0, bit 2 the content's length known beforehand, bit
// 3 lets the request ask for an upgrade.
func checkResponse(t *testing.T, status string, headers []string, content []byte, flags uint8) {
	method := "GET"
	if flags&1 != 0 {
		method = "HEAD"
	}
	var r Response
	r.Reset(uint8(flags>>1&1^1), []byte(method), flags&8 != 0)
	if r.SetStatus([]byte(status)) != "" {
		return
	}
	accepted := accept(&r, headers)
	if r.Complete() != "" {
		return
	}
	if r.ContentLength >= 0 && !r.NoContent() {
		// The worker cuts what is longer, and closes after what is shorter.
		if int64(len(content)) < r.ContentLength {
			return
		}
		content = content[:r.ContentLength]
	}
	complete := int64(-1)
	if flags&4 != 0 {
		complete = int64(len(content))
	}
	framing := r.Frame(complete)
	if r.Status == 205 {
		content = nil
	}
	wire := r.AppendHead(nil, []byte("Server: gowsgi\r\nDate: Mon, 23 Nov 2026 01:11:25 GMT\r\n"), framing, framing != Close)
	wire = appendContent(t, wire, content, framing)
	if framing != Close {
		wire = append(wire, after...)
	}
	if framing == None {
		content = nil
	}
	rest := readBack(t, wire, method, &r, accepted, content)
	if framing != Close && string(rest) != after {
		t.Errorf("net/http left %q, want %q; wire %q", rest, after, wire)
	}
}

// accept gives r the headers, "name:value" each, and returns those it took.
func accept(r *Response, headers []string) (accepted [][2]string) {
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		before := len(r.fields)
		if r.AddHeader([]byte(name), []byte(value)) == "" && len(r.fields) > before {
			accepted = append(accepted, [2]string{name, value})
		}
	}
	return accepted
}

// appendContent appends the content in two parts, as the framing wants it.
func appendContent(t *testing.T, wire, content []byte, framing Framing) []byte {
	switch framing {
	case None:
		return wire
	case Length, Close:
		return append(wire, content...)
	}
	var b bytes.Buffer
	w := httputil.NewChunkedWriter(&b)
	for _, part := range [][]byte{content[:len(content)/2], content[len(content)/2:]} {
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return append(append(wire, b.Bytes()...), "\r\n"...)
}

// readBack reads wire with net/http, compares, and returns what it left unread.
func readBack(t *testing.T, wire []byte, method string, r *Response, accepted [][2]string, content []byte) (rest []byte) {
	br := bufio.NewReader(bytes.NewReader(wire))
	got, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("net/http: %v; wire %q", err, wire)
	}
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Errorf("reading content: %v; wire %q", err, wire)
	}
	if !bytes.Equal(body, content) {
		t.Errorf("got content %q, want %q; wire %q", body, content, wire)
	}
	if text := strings.TrimRight(string(r.StatusText()), " "); got.StatusCode != r.Status ||
		strings.TrimRight(got.Status, " \t") != strings.TrimRight(text, " \t") {
		t.Errorf("got status %d, %q, want %d, %q", got.StatusCode, got.Status, r.Status, text)
	}
	checkFields(t, got.Header, r, accepted)
	rest, err = io.ReadAll(br)
	if err != nil {
		t.Error(err)
	}
	return rest
}

// checkFields compares the fields net/http saw with those that were accepted and
// the server's own.
func checkFields(t *testing.T, got http.Header, r *Response, accepted [][2]string) {
	want := http.Header{"Server": {"gowsgi"}, "Date": {"Mon, 23 Nov 2026 01:11:25 GMT"}}
	for _, h := range accepted {
		name := textproto.CanonicalMIMEHeaderKey(h[0])
		want[name] = append(want[name], strings.Trim(h[1], " \t"))
	}
	// net/http adds this one for caches older than HTTP/1.1.
	if p := want["Pragma"]; len(p) > 0 && p[0] == "no-cache" && want["Cache-Control"] == nil {
		delete(got, "Cache-Control")
	}
	if v := got["Content-Length"]; v != nil && (len(v) != 1 || v[0] != strconv.FormatInt(r.ContentLength, 10)) {
		t.Errorf("got Content-Length %q, want %d", v, r.ContentLength)
	}
	delete(got, "Content-Length")
	delete(got, "Connection")
	for name, values := range want {
		if strings.Join(got[name], "\n") != strings.Join(values, "\n") || len(got[name]) != len(values) {
			t.Errorf("got %s: %q, want %q", name, got[name], values)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("got %v besides", got)
	}
}
