package wsgi

import (
	"bytes"
	"strconv"
)

// Framing says how the end of a response's content is told (RFC 9112, 6.3).
type Framing uint8

// The ways.
const (
	// Length: by Content-Length.
	Length Framing = iota
	// Chunked: by the last chunk.
	Chunked
	// Close: by the end of the connection, towards HTTP/1.0 clients.
	Close
	// None: there is no content, by the request's method or the status.
	None
)

// String returns the framing's name.
func (f Framing) String() string {
	return [...]string{"length", "chunked", "close", "none"}[f]
}

// Response is the head of one response, as the application gave it. The zero
// value is ready after Reset; its buffer is reused from response to response.
type Response struct {
	// Status is the code, 0 before SetStatus.
	Status int
	// ContentLength is the application's, -1 if it gave none.
	ContentLength int64

	status []byte // "200 OK"
	fields []byte // the application's field lines, each with its CRLF
	http10 bool
	head   bool
}

// Reset prepares for the response to one request: HTTP/1.minor, and whether its
// method is HEAD.
func (r *Response) Reset(minor uint8, head bool) {
	r.status, r.fields = r.status[:0], r.fields[:0]
	r.Status, r.ContentLength = 0, -1
	r.http10, r.head = minor == 0, head
}

// Clear forgets what the application gave, for start_response with exc_info:
// nothing of the replaced head survives (PEP 3333, Error Handling).
func (r *Response) Clear() {
	r.status, r.fields = r.status[:0], r.fields[:0]
	r.Status, r.ContentLength = 0, -1
}

// SetStatus takes a status string, "200 OK". The reason for a refusal is returned,
// or "". Interim codes (1xx) are the server's, but for 101, which an application
// that took the connection over may need.
func (r *Response) SetStatus(s []byte) (reason string) {
	if len(s) < 3 || !isDigit(s[0]) || !isDigit(s[1]) || !isDigit(s[2]) || (len(s) > 3 && s[3] != ' ') {
		return "the status must be three digits, a space and a reason"
	}
	code := int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0')
	if code < 200 && code != 101 {
		return "the status must be 101 or at least 200"
	}
	if !fieldValue(s) {
		return "the status contains a control character"
	}
	r.Status = code
	r.status = append(r.status, s...)
	return ""
}

// AddHeader takes one header. The reason for a refusal is returned, or "". The
// headers that belong to the connection and not to the application are dropped,
// as gunicorn does (PEP 3333, Other HTTP Features, forbids them).
func (r *Response) AddHeader(name, value []byte) (reason string) {
	if len(name) == 0 || !token(name) {
		return "a response header's name is not a token"
	}
	if !fieldValue(value) {
		return "a response header's value contains a control character"
	}
	switch ownership(name) {
	case server:
		return ""
	case contentLength:
		return r.setLength(value)
	}
	r.fields = append(r.fields, name...)
	r.fields = append(r.fields, ':', ' ')
	r.fields = append(r.fields, value...)
	r.fields = append(r.fields, '\r', '\n')
	return ""
}

// setLength takes the application's Content-Length, which Frame writes.
func (r *Response) setLength(value []byte) string {
	v := bytes.Trim(value, " \t")
	n := int64(0)
	if len(v) == 0 || len(v) > 18 {
		return "Content-Length is not a number"
	}
	for _, c := range v {
		if !isDigit(c) {
			return "Content-Length is not a number"
		}
		n = n*10 + int64(c-'0')
	}
	if r.ContentLength >= 0 && r.ContentLength != n {
		return "Content-Length is given twice"
	}
	r.ContentLength = n
	return ""
}

// NoContent reports whether the response has no content whatever the application
// sends (RFC 9110, 6.4.1): to HEAD, and with 101, 204 and 304.
func (r *Response) NoContent() bool {
	return r.head || r.Status < 200 || r.Status == 204 || r.Status == 304
}

// Frame decides how the content is delimited. complete is its whole length when
// it is known because nothing follows the first part, or -1; then an application
// that gave no length gets one.
func (r *Response) Frame(complete int64) Framing {
	// The answer to a HEAD without content says nothing of what GET would get
	// (RFC 9110, 8.6).
	if r.ContentLength < 0 && complete >= 0 && r.Status != 304 && !(r.head && complete == 0) {
		r.ContentLength = complete
	}
	switch {
	case r.NoContent():
		return None
	case r.ContentLength >= 0:
		return Length
	case r.http10:
		return Close
	}
	return Chunked
}

// AppendHead appends the status line, the server's own field lines and the
// application's. common holds "Server" and "Date" lines. The version is 1.1 to
// every client (RFC 9110, 2.5: the highest the server conforms to).
func (r *Response) AppendHead(dst, common []byte, f Framing, keepAlive bool) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = append(dst, r.status...)
	if len(r.status) == 3 {
		dst = append(dst, ' ')
	}
	dst = append(dst, "\r\n"...)
	dst = append(dst, common...)
	if keepAlive {
		dst = append(dst, "Connection: keep-alive\r\n"...)
	} else {
		dst = append(dst, "Connection: close\r\n"...)
	}
	switch {
	case f == Chunked:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case r.ContentLength >= 0 && r.Status >= 200 && r.Status != 204:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, r.ContentLength, 10)
		dst = append(dst, "\r\n"...)
	}
	dst = append(dst, r.fields...)
	return append(dst, "\r\n"...)
}

// AppendInterim appends a 103 response with the headers added so far.
func (r *Response) AppendInterim(dst []byte) []byte {
	dst = append(dst, "HTTP/1.1 103 Early Hints\r\n"...)
	dst = append(dst, r.fields...)
	return append(dst, "\r\n"...)
}

// StatusText returns the application's status string, valid until Reset.
func (r *Response) StatusText() []byte { return r.status }

// Header returns the value of the last header of that name, which is compared
// without regard to case, or nil. It is for the access log.
func (r *Response) Header(name string) (value []byte) {
	for rest := r.fields; len(rest) > 0; {
		line, tail, _ := bytes.Cut(rest, crlf)
		n := len(name)
		if len(line) > n+1 && line[n] == ':' && equalFold(line[:n], name) {
			value = line[n+2:]
		}
		rest = tail
	}
	if value == nil && r.ContentLength >= 0 && equalFold([]byte("content-length"), name) {
		value = strconv.AppendInt(nil, r.ContentLength, 10)
	}
	return value
}

var crlf = []byte("\r\n")

// owner says whose a header is.
type owner uint8

const (
	application owner = iota
	server
	contentLength
)

// ownership looks at the length first: most names end there.
func ownership(name []byte) owner {
	switch len(name) {
	case 2:
		return serverIf(equalFold(name, "te"))
	case 4:
		return serverIf(equalFold(name, "date"))
	case 6:
		return serverIf(equalFold(name, "server"))
	case 7:
		return serverIf(equalFold(name, "trailer") || equalFold(name, "upgrade"))
	case 8:
		return serverIf(equalFold(name, "trailers"))
	case 10:
		return serverIf(equalFold(name, "connection") || equalFold(name, "keep-alive"))
	case 14:
		if equalFold(name, "content-length") {
			return contentLength
		}
	case 17:
		return serverIf(equalFold(name, "transfer-encoding"))
	case 18:
		return serverIf(equalFold(name, "proxy-authenticate"))
	case 19:
		return serverIf(equalFold(name, "proxy-authorization"))
	}
	return application
}

func serverIf(b bool) owner {
	if b {
		return server
	}
	return application
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// equalFold compares ASCII without regard to case; lower or mixed case in s.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c-'A' <= 'Z'-'A' {
		return c + 'a' - 'A'
	}
	return c
}

// token reports whether b consists of tchar only (RFC 9110, 5.6.2).
func token(b []byte) bool {
	for _, c := range b {
		if !tchar[c] {
			return false
		}
	}
	return true
}

// fieldValue reports whether b holds no control character but tab (RFC 9110, 5.5).
func fieldValue(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

var tchar = func() (t [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t[c] = true
	}
	return t
}()
