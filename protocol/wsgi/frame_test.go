package wsgi

import (
	"fmt"
	"strings"
	"testing"
)

// headOf frames r, whose content is complete bytes or of unknown length (-1), and
// returns its head. The connection is kept unless its end is the framing.
func headOf(r *Response, complete int64) string {
	f := r.Frame(complete)
	return string(r.AppendHead(nil, nil, f, f != Close))
}

// TestFrame: every combination of what framing depends on (RFC 9112, 6.3). The
// application's length is 5 where it gives one; 7 is what is known otherwise.
func TestFrame(t *testing.T) {
	t.Parallel()
	const (
		unknown  = iota // no length given, more parts may follow
		known           // no length given, 7 bytes and no more
		given           // 5 given
		bothSame        // 5 given, and 5 bytes are all
		both            // 5 given, 7 bytes sent: the caller cuts
	)
	names := [...]string{"unknown", "known", "given", "both the same", "both"}
	for _, status := range []int{200, 205, 206, 404, 500, 101, 204, 304} {
		for _, minor := range []uint8{0, 1, 2} {
			for _, head := range []bool{false, true} {
				for length := unknown; length <= both; length++ {
					r := new(Response)
					r.Reset(minor, methodOf(head), true)
					give(t, r, fmt.Sprint(status, " X"))
					complete := [...]int64{-1, 7, -1, 5, 7}[length]
					if length >= given {
						giveHeader(t, r, "Content-Length", "5")
					}
					want := wantFrame(status, minor, head, [...]int64{-1, 7, 5, 5, 5}[length], length >= given)
					f := r.Frame(complete)
					if got := (framed{f, r.NoContent(), framingFields(r, f)}); got != want {
						t.Errorf("%d, HTTP/1.%d, HEAD %t, length %s: got %+v, want %+v",
							status, minor, head, names[length], got, want)
					}
				}
			}
		}
	}
}

func giveHeader(tb testing.TB, r *Response, name, value string) {
	tb.Helper()
	if reason := r.AddHeader([]byte(name), []byte(value)); reason != "" {
		tb.Fatal(reason)
	}
}

// framed is an outcome: the framing, and which fields say it.
type framed struct {
	framing   Framing
	noContent bool
	fields    string
}

// framingFields returns the field lines that say the framing.
func framingFields(r *Response, f Framing) string {
	head := string(r.AppendHead(nil, nil, f, true))
	_, fields, _ := strings.Cut(head, "\r\nConnection: ")
	_, fields, _ = strings.Cut(fields, "\r\n")
	return strings.TrimSuffix(fields, "\r\n")
}

// wantFrame says it over again, in the words of RFC 9112, 6.3 and RFC 9110, 8.6.
func wantFrame(status int, minor uint8, head bool, length int64, byApp bool) framed {
	w := framed{framing: Chunked}
	switch {
	case status == 205 && !head:
		length, w.framing = 0, Length
	case head, status < 200, status == 204, status == 304:
		w.framing, w.noContent = None, true
	case length >= 0:
		w.framing = Length
	case minor == 0:
		w.framing = Close
	}
	switch {
	case w.framing == Chunked:
		w.fields = "Transfer-Encoding: chunked\r\n"
	case status < 200 || status == 204:
		// Content-Length is forbidden (RFC 9110, 8.6).
	case status == 304 && !byApp:
		// It would be that of the 200, which nobody knows.
	case length >= 0:
		w.fields = fmt.Sprintf("Content-Length: %d\r\n", length)
	}
	return w
}

func TestFramingString(t *testing.T) {
	t.Parallel()
	for f, want := range map[Framing]string{Length: "length", Chunked: "chunked", Close: "close", None: "none"} {
		if got := f.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAppendHead(t *testing.T) {
	t.Parallel()
	const common = "Server: s\r\nDate: d\r\n"
	for _, tt := range []struct {
		name      string
		status    string
		headers   []string
		f         Framing
		keepAlive bool
		want      string
	}{
		{
			"order", "200 OK", []string{"Content-Type: text/plain", "Content-Length: 2", "X: 1"}, Length, true,
			"HTTP/1.1 200 OK\r\n" + common + "Connection: keep-alive\r\nContent-Length: 2\r\nContent-Type: text/plain\r\nX: 1\r\n\r\n",
		},
		{
			"rfc9112-6.1-chunked", "200 OK", []string{"X: 1"}, Chunked, true,
			"HTTP/1.1 200 OK\r\n" + common + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\nX: 1\r\n\r\n",
		},
		{
			"rfc9112-9.6-close", "200 OK", nil, Close, false,
			"HTTP/1.1 200 OK\r\n" + common + "Connection: close\r\n\r\n",
		},
		{
			// The space before the reason belongs to the status line even
			// without one.
			"rfc9112-4-no-reason", "200", nil, None, true,
			"HTTP/1.1 200 \r\n" + common + "Connection: keep-alive\r\n\r\n",
		},
		{
			"rfc9112-4-empty-reason", "200 ", nil, None, true,
			"HTTP/1.1 200 \r\n" + common + "Connection: keep-alive\r\n\r\n",
		},
		{
			"rfc9110-8.6-204", "204 No Content", []string{"Content-Length: 0"}, None, true,
			"HTTP/1.1 204 No Content\r\n" + common + "Connection: keep-alive\r\n\r\n",
		},
		{
			"rfc9110-15.4.5-304-keeps-length", "304 Not Modified", []string{"Content-Length: 9"}, None, true,
			"HTTP/1.1 304 Not Modified\r\n" + common + "Connection: keep-alive\r\nContent-Length: 9\r\n\r\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newResponse()
			give(t, r, tt.status, tt.headers...)
			before := []byte("before ")
			if got := string(r.AppendHead(before, []byte(common), tt.f, tt.keepAlive)); got != "before "+tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestAppendInterim: 103 has the headers so far and no framing (RFC 8297).
func TestAppendInterim(t *testing.T) {
	t.Parallel()
	r := newResponse()
	giveHeader(t, r, "Link", "</a.css>; rel=preload")
	giveHeader(t, r, "Content-Length", "5")
	giveHeader(t, r, "Connection", "close")
	got := string(r.AppendInterim([]byte("x")))
	if want := "xHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestHeadWithoutContent: the answer to a HEAD for which the application made no
// content says nothing of what GET would get, unless the application does (RFC
// 9110, 8.6). A part that was made is the content GET would have.
func TestHeadWithoutContent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		head     bool
		headers  []string
		complete int64
		want     int64 // the length announced, -1 for none
	}{
		{"rfc9110-8.6-head-nothing", true, nil, 0, -1},
		{"rfc9110-8.6-head-part", true, nil, 7, 7},
		{"rfc9110-8.6-head-own-length", true, []string{"Content-Length: 5"}, 0, 5},
		{"rfc9110-8.6-head-own-zero", true, []string{"Content-Length: 0"}, 0, 0},
		{"rfc9110-8.6-get-nothing", false, nil, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := new(Response)
			r.Reset(1, methodOf(tt.head), false)
			give(t, r, "200 X", tt.headers...)
			want := ""
			if tt.want >= 0 {
				want = fmt.Sprintf("Content-Length: %d\r\n", tt.want)
			}
			if got := framingFields(r, r.Frame(tt.complete)); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
