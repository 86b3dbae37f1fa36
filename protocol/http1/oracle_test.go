package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var spaceBeforeExt = regexp.MustCompile("[0-9a-fA-F][ \t]+;")

// checkNetHTTP lets net/http read what we accepted: it must accept it too, and
// see the same content and the same next request. rest is what follows the
// request in the stream.
//
// Justified differences, all of them harmless for framing:
//   - One empty line before the request-line, which net/http refuses.
//   - Targets that net/url refuses, for instance with a malformed escape. They
//     are replaced for the comparison.
//   - A Trailer field that announces a field we refuse in trailer sections:
//     net/http refuses the announcement already.
//   - Whitespace between a chunk-size and its extension, which RFC 9112, 7.1.1
//     tells a recipient to remove.
//   - Chunked content that is mostly chunk lines and extensions, which net/http
//     refuses above a bound of its own.
func checkNetHTTP(t *testing.T, r *Request, head, wire, body, rest []byte) {
	t.Helper()
	plain := bytes.TrimPrefix(head, []byte("\r\n"))
	target := string(r.Target.Of(head))
	urlOK := true
	if _, err := url.ParseRequestURI(target); err != nil && r.Form != Authority {
		urlOK = false
		plain = bytes.Replace(plain, []byte(" "+target+" "), []byte(" / "), 1)
	}
	var stream []byte
	for _, part := range [][]byte{plain, wire, rest} {
		stream = append(stream, part...)
	}
	// Large enough for net/http, which wants all trailers in one buffer.
	br := bufio.NewReaderSize(bytes.NewReader(stream), len(stream)+16)
	req, err := http.ReadRequest(br)
	if err != nil {
		if r.Chunked && strings.Contains(err.Error(), "bad trailer key") {
			return
		}
		t.Fatalf("net/http refuses %q: %v", head, err)
	}
	got, err := io.ReadAll(req.Body)
	if err != nil {
		if r.Chunked && strings.Contains(err.Error(), "too much non-data") {
			return
		}
		if r.Chunked && strings.Contains(err.Error(), "invalid byte in chunk length") && spaceBeforeExt.Match(wire) {
			return
		}
		t.Fatalf("net/http refuses the content %q of %q: %v", wire, head, err)
	}
	if !bytes.Equal(got, body) {
		t.Errorf("%q: content %q, net/http has %q", head, body, got)
	}
	if got, _ := io.ReadAll(br); !bytes.Equal(got, rest) {
		t.Errorf("%q: %d bytes are left, net/http leaves %d", head, len(rest), len(got))
	}
	wantLength := max(r.ContentLength, 0)
	if r.Chunked {
		wantLength = -1
	}
	if req.ContentLength != wantLength {
		t.Errorf("%q: length %d, net/http has %d", head, wantLength, req.ContentLength)
	}
	// CONNECT ends the connection here; net/http leaves that to its callers.
	if req.Close == r.KeepAlive && r.Form != Authority {
		t.Errorf("%q: keep-alive %t, net/http wants to close: %t", head, r.KeepAlive, req.Close)
	}
	if got, want := string(r.Host.Of(head)), req.Host; urlOK && got != want && !strings.Contains(got, "%") {
		t.Errorf("%q: host %q, net/http has %q", head, got, want)
	}
	if got, want := len(r.Fields), countFields(head); got != want {
		t.Errorf("%q: %d fields, want %d", head, got, want)
	}
}

// countFields counts the lines between the request-line and the empty line.
func countFields(head []byte) int {
	return bytes.Count(bytes.TrimPrefix(head, []byte("\r\n")), []byte("\r\n")) - 2
}
