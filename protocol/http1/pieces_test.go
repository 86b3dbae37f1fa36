package http1

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// pieces are what requests are made of, and what goes wrong in them. TestPieces
// strings them together: it gets to accepted requests far more often than a
// fuzzer that changes single bytes.
var pieces = struct{ line, field, end, content []string }{
	line: []string{
		"GET / HTTP/1.1", "POST /a?b HTTP/1.1", "POST / HTTP/1.0", "HEAD / HTTP/1.2", "OPTIONS * HTTP/1.1",
		"CONNECT h:1 HTTP/1.1", "PUT http://h/%zz HTTP/1.1", "PUT /a b HTTP/1.1", "GET  / HTTP/1.1", "",
	},
	field: []string{
		"Host: h", "Connection: close", "Connection: keep-alive", "Connection: upgrade, Close", "Connection: content-length",
		"Trailer: Content-Length", "Expect: 100-continue", "A:\x80b", "Transfer_Encoding: chunked", "A:",
		"Content-Length: 5", "Content-Length:0", "content-length: 00005", "Content-Length: 5, 5",
		"Content-Length: +5", "Content-Length : 5", "Transfer-Encoding: chunked", "transfer-encoding:\tCHUNKED ",
		"Transfer-Encoding: chunked, chunked", "Transfer-Encoding: identity", "Transfer-Encoding: gzip, chunked",
		"Transfer-Encoding: x", "Transfer-Encoding:", "Transfer-Encoding:\x0bchunked", "Transfer-Encoding\r: chunked",
		"Host:", "Host: g", " folded", "\tchunked", "A: \x7f", "A", ":", "",
	},
	end: []string{"\r\n", "\n", "\r", "\r\r\n", "\n\r\n", "\x00\r\n"},
	content: []string{
		"hello", "5\r\nhello\r\n", "5;a=b\r\nhello\r\n", "5 ; a\r\nhello\r\n", "05\r\nhello\r\n", "5\nhello\r\n", "5\r\nhello", "0x5\r\nhello\r\n",
		"-5\r\n", "5;a\nhello\r\n", "5;\"\r\n\"\r\nhello\r\n", "ffffffffffffffff5\r\nhello\r\n", "0\r\n\r\n", "0\r\nA: b\r\n\r\n", "0;a\r\n\r\n", "0\r\n",
		"0\r\nContent-Length: 1\r\n\r\n", "0\n\r\n", "00\r\n\r\n", "0\r\n\n", "\r\n", "0\r\n\r\r\n",
	},
}

// mostly returns one of list[from:to], and one time in 20 any of list.
func mostly(rnd *rand.Rand, from, to int, list []string) string {
	if rnd.IntN(20) == 0 {
		from, to = 0, len(list)
	}
	return list[from+rnd.IntN(to-from)]
}

// piecesStream makes one to three requests.
func piecesStream(rnd *rand.Rand) []byte {
	var b bytes.Buffer
	for range 1 + rnd.IntN(3) {
		b.WriteString(mostly(rnd, 0, 7, pieces.line) + mostly(rnd, 0, 1, pieces.end))
		b.WriteString(mostly(rnd, 0, 1, pieces.field) + mostly(rnd, 0, 1, pieces.end))
		for range rnd.IntN(4) {
			b.WriteString(mostly(rnd, 1, 10, pieces.field) + mostly(rnd, 0, 1, pieces.end))
		}
		switch rnd.IntN(4) {
		case 0:
			b.WriteString(mostly(rnd, 10, 13, pieces.field) + "\r\n\r\n" + mostly(rnd, 0, 1, pieces.content))
		case 1:
			b.WriteString(mostly(rnd, 16, 18, pieces.field) + "\r\n\r\n")
			for range rnd.IntN(3) {
				b.WriteString(mostly(rnd, 1, 5, pieces.content))
			}
			b.WriteString(mostly(rnd, 12, 15, pieces.content))
		default:
			b.WriteString("\r\n")
		}
	}
	return b.Bytes()
}

// TestPieces holds random streams against net/http, and the pieces they may
// arrive in against the whole.
func TestPieces(t *testing.T) {
	t.Parallel()
	const streams = 20_000
	rnd := rand.New(rand.NewPCG(1, 2))
	complete, refused := 0, 0
	for range streams {
		in := piecesStream(rnd)
		whole := drive(fuzzRules, in)
		cut := rnd.IntN(len(in) + 1)
		if got := drive(fuzzRules, in, cut); got.events != whole.events {
			t.Fatalf("%q cut at %d:\n%s\nwhole:\n%s", in, cut, got.events, whole.events)
		}
		checkStream(t, in, whole)
		if t.Failed() {
			t.Fatalf("%q:\n%s", in, whole.events)
		}
		complete += len(whole.heads)
		if whole.err != nil {
			refused++
		}
	}
	t.Logf("%d streams, %d complete requests, %d refused", streams, complete, refused)
	if complete < streams/3 || refused < streams/3 {
		t.Error("the streams are not worth the time")
	}
}
