package wsgi

import (
	"strings"
	"testing"
)

// newResponse returns a response to a GET of HTTP/1.1.
func newResponse() *Response {
	r := new(Response)
	r.Reset(1, get, false)
	return r
}

var get = []byte("GET")

func methodOf(head bool) []byte {
	if head {
		return []byte("HEAD")
	}
	return get
}

// give gives r a status and headers, "Name: value" each, and fails the test when
// one is refused.
func give(tb testing.TB, r *Response, status string, headers ...string) {
	tb.Helper()
	if reason := r.SetStatus([]byte(status)); reason != "" {
		tb.Fatalf("status %q: %s", status, reason)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if reason := r.AddHeader([]byte(name), []byte(value)); reason != "" {
			tb.Fatalf("header %q: %s", h, reason)
		}
	}
}

// Reasons for refusals, as the application sees them.
const (
	badStatus   = "the status must be three digits, a space and a reason"
	lowStatus   = "the status must be 101 or at least 200"
	notAsked    = "the status 101 is for requests that ask for an upgrade"
	ctlStatus   = "the status contains a control character"
	badName     = "a response header's name is not a token"
	ctlValue    = "a response header's value contains a control character"
	badLength   = "Content-Length is not a number"
	twiceLength = "Content-Length is given twice"
)

func TestSetStatus(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, status, reason string
		code                 int
	}{
		{"pep3333-code-and-reason", "200 OK", "", 200},
		{"pep3333-long-reason", "404 Not Found", "", 404},
		{"rfc9112-4-empty-reason", "200 ", "", 200},
		{"rfc9112-4-no-space", "200", "", 200},
		{"rfc9112-4-obs-text", "200 \xc3\xa9t\xe9", "", 200},
		{"rfc9112-4-tab-in-reason", "200 a\tb", "", 200},
		{"rfc9110-15-unknown-code", "799 Own", "", 799},
		{"rfc9110-15-last-code", "999 Last", "", 999},
		{"rfc9110-15.2.2-101-unasked", "101 Switching Protocols", notAsked, 0},
		{"pep3333-empty", "", badStatus, 0},
		{"pep3333-two-digits", "20", badStatus, 0},
		{"pep3333-four-digits", "2000 OK", badStatus, 0},
		{"pep3333-no-code", "OK 200", badStatus, 0},
		{"pep3333-leading-space", " 200 OK", badStatus, 0},
		{"pep3333-sign", "+20 OK", badStatus, 0},
		{"pep3333-colon", "200: OK", badStatus, 0},
		{"pep3333-tab-for-space", "200\tOK", badStatus, 0},
		{"pep3333-byte-after-9", "2:0 OK", badStatus, 0},
		{"pep3333-byte-before-0", "2/0 OK", badStatus, 0},
		{"rfc9110-15.2-100", "100 Continue", lowStatus, 0},
		{"rfc9110-15.2-103", "103 Early Hints", lowStatus, 0},
		{"rfc9110-15.2-199", "199 Odd", lowStatus, 0},
		{"rfc9110-15-000", "000 None", lowStatus, 0},
		{"pep3333-newline", "200 OK\n", ctlStatus, 0},
		{"pep3333-crlf", "200 OK\r\nSet-Cookie: a=1", ctlStatus, 0},
		{"pep3333-cr", "200 O\rK", ctlStatus, 0},
		{"pep3333-nul", "200 O\x00K", ctlStatus, 0},
		{"pep3333-del", "200 O\x7fK", ctlStatus, 0},
		{"pep3333-escape", "200 \x1b[2J", ctlStatus, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newResponse()
			reason := r.SetStatus([]byte(tt.status))
			if reason != tt.reason || r.Status != tt.code {
				t.Errorf("got %d, %q, want %d, %q", r.Status, reason, tt.code, tt.reason)
			}
			want := tt.status
			if tt.reason != "" {
				want = ""
			}
			if got := string(r.StatusText()); got != want {
				t.Errorf("got text %q, want %q", got, want)
			}
		})
	}
}

// TestAddHeader: fields is what reaches the wire of the application's headers
// except Content-Length.
func TestAddHeader(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, header, value, reason, fields string
	}{
		{"rfc9110-5.1-name", "X-Name", "v", "", "X-Name: v\r\n"},
		{"rfc9110-5.1-case-kept", "x-nAmE", "v", "", "x-nAmE: v\r\n"},
		{"rfc9110-5.6.2-every-tchar", "!#$%&'*+-.^_`|~09azAZ", "v", "", "!#$%&'*+-.^_`|~09azAZ: v\r\n"},
		{"rfc9110-5.1-empty-name", "", "v", badName, ""},
		{"rfc9110-5.1-space-in-name", "X Name", "v", badName, ""},
		{"rfc9112-5.1-space-before-colon", "X-Name ", "v", badName, ""},
		{"rfc9110-5.1-colon-in-name", "X:Name", "v", badName, ""},
		{"rfc9110-5.1-pseudo-header", ":status", "v", badName, ""},
		{"rfc9110-5.1-crlf-in-name", "X\r\nY", "v", badName, ""},
		{"rfc9110-5.1-nul-in-name", "X\x00", "v", badName, ""},
		{"rfc9110-5.1-obs-text-in-name", "Gr\xfc\xdfe", "v", badName, ""},
		{"rfc9110-5.1-separator-in-name", "X/Name", "v", badName, ""},
		{"rfc9110-5.5-empty-value", "X", "", "", "X: \r\n"},
		{"rfc9110-5.5-space-and-tab", "X", "a \t b", "", "X: a \t b\r\n"},
		{"rfc9110-5.5-obs-text", "X", "\x80\xff", "", "X: \x80\xff\r\n"},
		{"rfc9110-5.5-crlf", "X", "a\r\nY: b", ctlValue, ""},
		{"rfc9110-5.5-lf", "X", "a\nY: b", ctlValue, ""},
		{"rfc9110-5.5-cr", "X", "a\rb", ctlValue, ""},
		{"rfc9110-5.5-nul", "X", "a\x00b", ctlValue, ""},
		{"rfc9110-5.5-del", "X", "a\x7fb", ctlValue, ""},
		{"rfc9112-5.2-obs-fold", "X", "a\r\n b", ctlValue, ""},
		{"pep3333-hop-connection", "Connection", "close", "", ""},
		{"pep3333-hop-any-case", "CONNECTION", "close", "", ""},
		{"pep3333-hop-keep-alive", "Keep-Alive", "timeout=5", "", ""},
		{"pep3333-hop-transfer-encoding", "Transfer-Encoding", "chunked", "", ""},
		{"pep3333-hop-te", "TE", "trailers", "", ""},
		{"pep3333-hop-trailer", "Trailer", "X", "", ""},
		{"pep3333-hop-trailers", "Trailers", "X", "", ""},
		{"pep3333-hop-upgrade", "Upgrade", "h2c", "", ""},
		{"pep3333-hop-proxy-authenticate", "Proxy-Authenticate", "Basic", "", ""},
		{"pep3333-hop-proxy-authorization", "Proxy-Authorization", "Basic x", "", ""},
		{"gunicorn-server", "Server", "app", "", ""},
		{"gunicorn-date", "Date", "today", "", ""},
		{"hop-bad-value-is-still-refused", "Connection", "a\r\nb", ctlValue, ""},
		{"same-length-kept-2", "DN", "v", "", "DN: v\r\n"},
		{"same-length-kept-4", "Link", "v", "", "Link: v\r\n"},
		{"same-length-kept-6", "Cookie", "v", "", "Cookie: v\r\n"},
		{"same-length-kept-7", "Expires", "v", "", "Expires: v\r\n"},
		{"same-length-kept-8", "Location", "v", "", "Location: v\r\n"},
		{"same-length-kept-10", "Set-Cookie", "v", "", "Set-Cookie: v\r\n"},
		{"same-length-kept-14", "Accept-Charset", "v", "", "Accept-Charset: v\r\n"},
		{"same-length-kept-17", "If-Modified-Since", "v", "", "If-Modified-Since: v\r\n"},
		{"same-length-kept-18", "Proxy-Authenticatf", "v", "", "Proxy-Authenticatf: v\r\n"},
		{"same-length-kept-19", "Content-Disposition", "v", "", "Content-Disposition: v\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newResponse()
			if reason := r.AddHeader([]byte(tt.header), []byte(tt.value)); reason != tt.reason {
				t.Errorf("got %q, want %q", reason, tt.reason)
			}
			if string(r.fields) != tt.fields {
				t.Errorf("got fields %q, want %q", r.fields, tt.fields)
			}
			if r.ContentLength != -1 {
				t.Errorf("got a length of %d, want none", r.ContentLength)
			}
			dropped := ""
			if strings.HasPrefix(tt.name, "pep3333-hop") {
				dropped = tt.header
			}
			if got := r.Dropped().String(); !strings.EqualFold(got, dropped) {
				t.Errorf("got %q dropped, want %q", got, dropped)
			}
			r.Clear()
			if r.Dropped() != 0 {
				t.Error("Clear did not forget what was dropped")
			}
		})
	}
}

// TestUpgrade: a 101 goes to a client that asked for it and names the protocol, a
// 426 names those it may ask for, and no other response has Upgrade (RFC 9110, 7.8).
func TestUpgrade(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, status string
		headers      []string
		want         string // behind the status line
		dropped      string
	}{
		{"rfc9110-7.8-101", "101 Switching Protocols", []string{"Upgrade: websocket", "Connection: Upgrade"},
			"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", ""},
		{"rfc9110-15.5.22-426", "426 Upgrade Required", []string{"upgrade: websocket", "Content-Length: 0"},
			"Connection: keep-alive, upgrade\r\nContent-Length: 0\r\nupgrade: websocket\r\n\r\n", ""},
		{"pep3333-hop-upgrade-with-200", "200 OK", []string{"Upgrade: h2c", "Content-Length: 0"},
			"Connection: keep-alive\r\nContent-Length: 0\r\n\r\n", "Upgrade"},
		{"pep3333-hop-te-with-101", "101 Switching Protocols", []string{"Keep-Alive: 5", "Upgrade: websocket", "TE: trailers"},
			"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", "Keep-Alive, TE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := new(Response)
			r.Reset(1, get, true)
			give(t, r, tt.status, tt.headers...)
			if reason := r.Complete(); reason != "" {
				t.Fatal(reason)
			}
			if _, got, _ := strings.Cut(headOf(r, -1), "\r\n"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if got := r.Dropped().String(); got != tt.dropped {
				t.Errorf("got %q dropped, want %q", got, tt.dropped)
			}
		})
	}
	r := new(Response)
	r.Reset(1, get, true)
	give(t, r, "101 Switching Protocols", "X: y")
	if r.Complete() != "the status 101 needs an Upgrade header" {
		t.Errorf("a 101 without Upgrade: got %q", r.Complete())
	}
	r.Clear()
	give(t, r, "426 Upgrade Required", "Upgrade: websocket")
	if got := string(r.AppendHead(nil, nil, Chunked, false)); !strings.Contains(got, "\r\nConnection: close, upgrade\r\n") {
		t.Errorf("got %q, want the connection closed", got)
	}
}

// TestConnect: a 2xx to CONNECT begins a tunnel, whose content has no framing
// (RFC 9110, 9.3.6); other answers are like any.
func TestConnect(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]string{
		"200 OK":        "HTTP/1.1 200 OK\r\nConnection: close\r\nX: y\r\n\r\n",
		"405 Forbidden": "HTTP/1.1 405 Forbidden\r\nConnection: keep-alive\r\nContent-Length: 5\r\nX: y\r\n\r\n",
	} {
		r := new(Response)
		r.Reset(1, []byte("CONNECT"), false)
		give(t, r, status, "Content-Length: 5", "X: y")
		if got := headOf(r, 5); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestEveryByte: of the 256 bytes, exactly tchar are names, and exactly what is
// no control character but tab are values (RFC 9110, 5.5 and 5.6.2).
func TestEveryByte(t *testing.T) {
	t.Parallel()
	for i := range 256 {
		c := byte(i)
		name := c > ' ' && c < 0x7f && !strings.ContainsRune("\"(),/:;<=>?@[\\]{}", rune(c))
		r := newResponse()
		if got := r.AddHeader([]byte{'X', c}, nil) == ""; got != name {
			t.Errorf("byte %#02x in a name: got %t, want %t", c, got, name)
		}
		value := c == '\t' || c >= ' ' && c != 0x7f
		if got := r.AddHeader([]byte("X"), []byte{'v', c}) == ""; got != value {
			t.Errorf("byte %#02x in a value: got %t, want %t", c, got, value)
		}
	}
}

func TestRepeatedHeaders(t *testing.T) {
	t.Parallel()
	r := newResponse()
	give(t, r, "200 OK", "Set-Cookie: a=1", "X: 1", "set-cookie: b=2", "Set-Cookie: a=1")
	want := "Set-Cookie: a=1\r\nX: 1\r\nset-cookie: b=2\r\nSet-Cookie: a=1\r\n"
	if string(r.fields) != want {
		t.Errorf("got %q, want %q: each, in order", r.fields, want)
	}
}

func TestContentLength(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		values []string
		reason string // of the last
		length int64
	}{
		{"rfc9110-8.6-number", []string{"12"}, "", 12},
		{"rfc9110-8.6-zero", []string{"0"}, "", 0},
		{"rfc9110-8.6-leading-zeros", []string{"0012"}, "", 12},
		{"rfc9110-5.5-whitespace-around", []string{" \t12 \t"}, "", 12},
		{"rfc9110-8.6-18-digits", []string{strings.Repeat("9", 18)}, "", 999999999999999999},
		{"rfc9110-8.6-same-twice", []string{"12", "12"}, "", 12},
		{"rfc9110-8.6-same-number-otherwise-written", []string{"12", "012"}, "", 12},
		{"rfc9110-8.6-two-values", []string{"12", "13"}, twiceLength, 12},
		{"rfc9110-8.6-zero-then-other", []string{"0", "13"}, twiceLength, 0},
		{"rfc9110-8.6-bad-after-good", []string{"12", "x"}, badLength, 12},
		{"rfc9110-8.6-list", []string{"12, 12"}, badLength, -1},
		{"rfc9110-8.6-empty", []string{""}, badLength, -1},
		{"rfc9110-8.6-only-space", []string{"  "}, badLength, -1},
		{"rfc9110-8.6-plus", []string{"+12"}, badLength, -1},
		{"rfc9110-8.6-minus", []string{"-12"}, badLength, -1},
		{"rfc9110-8.6-hexadecimal", []string{"0x12"}, badLength, -1},
		{"rfc9110-8.6-fraction", []string{"12.0"}, badLength, -1},
		{"rfc9110-8.6-underscore", []string{"1_2"}, badLength, -1},
		{"rfc9110-8.6-space-inside", []string{"1 2"}, badLength, -1},
		{"rfc9110-8.6-other-digits", []string{"\xd9\xa1"}, badLength, -1},
		{"rfc9110-8.6-int64-and-more", []string{"9223372036854775808"}, badLength, -1},
		{"rfc9110-8.6-2-to-the-64", []string{"18446744073709551617"}, badLength, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, reason := newResponse(), ""
			for i, v := range tt.values {
				if reason != "" {
					t.Fatalf("value %d: %s", i-1, reason)
				}
				reason = r.AddHeader([]byte("cOntent-Length"), []byte(v))
			}
			if reason != tt.reason || r.ContentLength != tt.length {
				t.Errorf("got %d, %q, want %d, %q", r.ContentLength, reason, tt.length, tt.reason)
			}
			if len(r.fields) != 0 {
				t.Errorf("got fields %q: Frame writes the length, once", r.fields)
			}
		})
	}
}

// TestClear: nothing of a replaced head survives, and the request is not
// forgotten (PEP 3333, Error Handling).
func TestClear(t *testing.T) {
	t.Parallel()
	for _, minor := range []uint8{0, 1} {
		for _, head := range []bool{false, true} {
			fresh, used := new(Response), new(Response)
			fresh.Reset(minor, methodOf(head), false)
			used.Reset(minor, methodOf(head), false)
			give(t, used, "304 Not Modified", "Content-Length: 12", "Set-Cookie: secret=1", "ETag: x")
			used.Clear()
			if used.Status != 0 || used.ContentLength != -1 || len(used.StatusText()) != 0 {
				t.Errorf("got %d, %d, %q, want nothing", used.Status, used.ContentLength, used.StatusText())
			}
			if v := used.Header("set-cookie"); v != nil {
				t.Errorf("got Set-Cookie %q, want none", v)
			}
			give(t, fresh, "500 Internal Server Error", "X: 1")
			give(t, used, "500 Internal Server Error", "X: 1")
			got, want := headOf(used, -1), headOf(fresh, -1)
			if got != want {
				t.Errorf("HTTP/1.%d, HEAD %t: got %q, want %q", minor, head, got, want)
			}
		}
	}
}

// TestReset: nothing of one response is in the next on the connection.
func TestReset(t *testing.T) {
	t.Parallel()
	r := new(Response)
	r.Reset(0, []byte("HEAD"), true)
	give(t, r, "404 Not Found", "Content-Length: 12", "X: 1")
	r.Reset(1, get, false)
	give(t, r, "200 OK")
	if got, want := headOf(r, -1), "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestHeader: the lookup is the access log's.
func TestHeader(t *testing.T) {
	t.Parallel()
	r := newResponse()
	give(t, r, "200 OK", "X-One: first", "x-one-more: other", "X-ONE: last", "Empty: ", "X: ne:two", "Content-Length: 12")
	for _, tt := range []struct {
		name, want string
		missing    bool
	}{
		{name: "x-one", want: "last"},
		{name: "X-One", want: "last"},
		{name: "x-one-more", want: "other"},
		{name: "x", want: "ne:two"},
		{name: "empty", want: ""},
		{name: "content-length", want: "12"},
		{name: "Content-Length", want: "12"},
		{name: "x-on", missing: true},
		{name: "x-one-", missing: true},
		{name: "", missing: true},
		{name: "date", missing: true},
	} {
		got := r.Header(tt.name)
		if string(got) != tt.want || (got == nil) != tt.missing {
			t.Errorf("%q: got %q (nil: %t), want %q", tt.name, got, got == nil, tt.want)
		}
	}
	// What is not sent is not logged.
	r = newResponse()
	give(t, r, "204 No Content")
	r.Frame(0)
	if got := r.Header("content-length"); got != nil {
		t.Errorf("204: got Content-Length %q, want none", got)
	}
}
