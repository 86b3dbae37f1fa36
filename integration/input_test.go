package integration

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// inputs is what inputs.py reports.
type inputs struct {
	Types  []string
	Count  int
	Size   int
	SHA256 string
	First  []string
	After  string
	Length *string `json:"content_length"`
	TE     *string `json:"transfer_encoding"`
}

// lines makes a body of n bytes in lines of different lengths, with a last one
// that has no newline.
func lines(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "line %d %s\n", i, strings.Repeat("x", i%97))
	}
	return strings.TrimSuffix(b.String()[:n-1], "\n") + "."
}

// frame returns the header field and the content that carry body.
func frame(body string, chunked bool) (field, content string) {
	if !chunked {
		return fmt.Sprintf("Content-Length: %d\r\n", len(body)), body
	}
	var b bytes.Buffer
	for size := 1; body != ""; size = size*3 + 1 {
		n := min(size, len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	b.WriteString("0\r\n\r\n")
	return "Transfer-Encoding: chunked\r\n", b.String()
}

// PEP 3333, Input and Error Streams: every way to read, small and large, with
// either framing. The end of the body is the end of the stream, and the next
// request of the connection is found behind it.
func TestInput(t *testing.T) {
	t.Parallel()
	bodies := []struct{ name, body string }{
		{"empty", ""},
		{"one byte", "x"},
		{"no newline", "just words"},
		{"small", lines(300)},
		{"only newlines", "\n\n\n"},
		{"200 KB", lines(200_000)},
		{"5 MB", lines(5_000_000)},
	}
	ways := []string{
		"read", "read(-1)", "read(None)", "read(n)", "read(big)", "read(0)", "readline", "readline(n)", "readline(-1)",
		"readlines", "readlines(n)", "iter", "mixed", "nothing",
	}
	for _, threads := range []string{"1", "2"} {
		s := start(t, "--keep-alive", "60", "--threads", threads, "inputs")
		for _, tt := range bodies {
			for _, chunked := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s chunked=%v threads=%s", tt.name, chunked, threads), func(t *testing.T) {
					t.Parallel()
					c := s.In(t).Dial()
					for _, how := range ways {
						if len(tt.body) > 1e6 && (how == "readline(n)" || threads == "2") {
							continue // 700,000 calls; and once is enough
						}
						checkInput(t, c, how, tt.body, chunked)
					}
				})
			}
		}
	}
}

func checkInput(t *testing.T, c *gowsgitest.Conn, how, body string, chunked bool) {
	t.Helper()
	field, content := frame(body, chunked)
	done := make(chan struct{})
	go func() {
		// Written beside the reading: the answer may come before the end of a body.
		defer close(done)
		fmt.Fprintf(c.Conn, "POST /?%s HTTP/1.1\r\nHost: x\r\n%s\r\n%s", how, field, content)
	}()
	r := c.Response("POST")
	<-done
	if r.Status != 200 {
		t.Fatalf("%s: got %v, want 200", how, r)
	}
	var got inputs
	r.JSON(t, &got)
	want := body
	if how == "nothing" {
		want = ""
	}
	sum := sha256.Sum256([]byte(want))
	if got.Size != len(want) || got.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("%s: read %d bytes (%v), want %d", how, got.Size, got.First, len(want))
	}
	if got.After != "" {
		t.Errorf("%s: %q came after the end", how, got.After)
	}
	if len(got.Types) > 1 || len(got.Types) == 1 && got.Types[0] != "bytes" {
		t.Errorf("%s: got %v, want bytes", how, got.Types)
	}
	if wantCount := countOf(how, body); wantCount >= 0 && got.Count != wantCount {
		t.Errorf("%s: %d parts, want %d", how, got.Count, wantCount)
	}
	if chunked && (got.Length != nil || got.TE == nil || *got.TE != "chunked") {
		t.Errorf("%s: CONTENT_LENGTH %v and HTTP_TRANSFER_ENCODING %v, want none and chunked", how, got.Length, got.TE)
	}
}

// countOf returns how many parts a way of reading must give, -1 where it may
// decide for itself.
func countOf(how, body string) int {
	n := strings.Count(body, "\n")
	if body != "" && !strings.HasSuffix(body, "\n") {
		n++
	}
	switch how {
	case "readline", "readline(-1)", "readlines", "iter", "readlines(n)":
		return n
	case "readline(n)":
		parts := 0
		for _, line := range strings.SplitAfter(body, "\n") {
			parts += (len(line) + 6) / 7
		}
		return parts
	case "read(n)":
		// read(n) gives n bytes unless the body ends (PEP 3333: as Python's file).
		return (len(body) + 999) / 1000
	}
	return -1
}

// What is in the same packet behind content that the application reads itself is the
// next request.
func TestInputPipelined(t *testing.T) {
	t.Parallel()
	s := start(t, "--keep-alive", "60", "--request-buffer", "10", "inputs")
	for _, chunked := range []bool{false, true} {
		field, content := frame(lines(3000), chunked)
		c := s.In(t).Dial()
		c.Send("POST /?read HTTP/1.1\r\nHost: x\r\n" + field + "\r\n" + content +
			"GET /?read HTTP/1.1\r\nHost: x\r\n\r\n")
		for _, want := range []int{3000, 0} {
			var got inputs
			c.Response("GET").JSON(t, &got)
			if got.Size != want {
				t.Errorf("chunked %t: got %d bytes of content, want %d", chunked, got.Size, want)
			}
		}
	}
}

// next() of an empty stream is StopIteration, not b"".
func TestInputNext(t *testing.T) {
	t.Parallel()
	s := start(t, "--keep-alive", "60", "inputs")
	c := s.Dial()
	c.Send("POST /?next HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\na\nb\nc\nd")
	r := c.Response("POST")
	var got inputs
	r.JSON(t, &got)
	if got.Size != 7 || got.First[0] != "a\n" {
		t.Errorf("got %v, want a line and the rest", got)
	}
}

// A client that sends its body slowly holds nobody up, and neither does one that
// never ends its head.
func TestSlowClientsHoldNobodyUp(t *testing.T) {
	t.Parallel()
	s := start(t, "inputs")
	head := s.Dial()
	head.Send("POST /?read HTTP/1.1\r\nHost: x\r\nConte")
	body := s.Dial()
	body.Send("POST /?read HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
	chunk := s.Dial()
	chunk.Send("POST /?read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\na\r\n12345")
	silent := s.Dial()
	for range 20 {
		if r := s.Post("/?read", "", "quick"); r.Status != 200 {
			t.Fatalf("got %v, want 200", r)
		}
	}
	head.Send("nt-Length: 10\r\n\r\n1234567890")
	body.Send("67890")
	chunk.Send("67890\r\n0\r\n\r\n")
	silent.Send("POST /?read HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n1234567890")
	for _, c := range []*gowsgitest.Conn{head, body, chunk, silent} {
		r := c.Response("POST")
		var got inputs
		r.JSON(t, &got)
		if got.Size != 10 {
			t.Errorf("got %v, want 10 bytes", r)
		}
	}
}

// A body that ends early never looks like a whole one to the application.
func TestInputThatEndsEarly(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, request string }{
		{"content-length", "Content-Length: 10\r\n\r\n12345"},
		{"chunk", "Transfer-Encoding: chunked\r\n\r\na\r\n12345"},
		{"between chunks", "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"},
		{"large", "Content-Length: 5000000\r\n\r\n" + strings.Repeat("x", 3_000_000)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, "inputs")
			c := s.Dial()
			c.Send("POST /?read HTTP/1.1\r\nHost: x\r\n" + tt.request)
			c.CloseWrite()
			if rest := c.Rest(); strings.Contains(rest, " 200 ") {
				t.Errorf("got %q for half a body", rest)
			}
			if r := s.Post("/?read", "", "whole"); r.Status != 200 {
				t.Errorf("then got %v, want 200", r)
			}
		})
	}
}

// RFC 9110, 10.1.1.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	s := start(t, "--keep-alive", "60", "inputs")
	c := s.Dial()
	for range 2 {
		c.Send("POST /?read HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
		if got := c.ReadHead(); got != "HTTP/1.1 100 Continue\r\n\r\n" {
			t.Fatalf("got %q, want 100 Continue", got)
		}
		c.Send("hello")
		r := c.Response("POST")
		var got inputs
		r.JSON(t, &got)
		if got.Size != 5 {
			t.Errorf("got %v, want 5 bytes", r)
		}
	}
	// Content that is refused is not waited for, and the response says so.
	refused := s.Dial()
	refused.Send("POST /?nothing HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5000000\r\n\r\n")
	if rest := refused.Rest(); !strings.HasPrefix(rest, "HTTP/1.1 200") || !strings.Contains(rest, "\r\nConnection: close\r\n") {
		t.Errorf("got %q, want 200 and close", rest)
	}
	// Sent with the body at once, and by a client of 1.0, there is nothing to say.
	old := s.Dial()
	old.Send("POST /?read HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
	if rest := old.Rest(); !strings.Contains(rest[:15], " 200 ") {
		t.Errorf("got %q, want 200", rest)
	}
}
