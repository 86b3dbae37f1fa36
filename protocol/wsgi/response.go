package wsgi

import (
	"bytes"
	"strconv"

	"gowsgi/protocol/http1"
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
	// upgrade: an Upgrade field line is among them.
	upgrade bool
	dropped HopByHop // see Dropped

	// Of the request.
	http10, head, connect, mayUpgrade bool
}

// Reset prepares for the response to one request: HTTP/1.minor, its method, and
// whether it asked for an upgrade.
func (r *Response) Reset(minor uint8, method []byte, upgrade bool) {
	r.Clear()
	r.http10, r.mayUpgrade = minor == 0, upgrade
	r.head, r.connect = string(method) == "HEAD", string(method) == "CONNECT"
}

// Clear forgets what the application gave, for start_response with exc_info:
// nothing of the replaced head survives (PEP 3333, Error Handling).
func (r *Response) Clear() {
	r.status, r.fields = r.status[:0], r.fields[:0]
	r.Status, r.ContentLength = 0, -1
	r.upgrade, r.dropped = false, 0
}

// SetStatus takes a status string, "200 OK". It comes before the headers. The
// reason for a refusal is returned, or "". Interim codes (1xx) are the server's,
// but for 101, which an application that takes the connection over may need.
func (r *Response) SetStatus(s []byte) (reason string) {
	if len(s) < 3 || !isDigit(s[0]) || !isDigit(s[1]) || !isDigit(s[2]) || (len(s) > 3 && s[3] != ' ') {
		return "the status must be three digits, a space and a reason"
	}
	code := int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0')
	if code < 200 && code != 101 {
		return "the status must be 101 or at least 200"
	}
	if code == 101 && !r.mayUpgrade {
		return "the status 101 is for requests that ask for an upgrade"
	}
	if !http1.IsFieldValue(s) {
		return "the status contains a control character"
	}
	r.Status = code
	r.status = append(r.status, s...)
	return ""
}

// AddHeader takes one header. The reason for a refusal is returned, or "".
//
// Hop-by-hop headers are dropped, and Dropped tells. PEP 3333 (Other HTTP
// Features) forbids them to applications and would have the server raise an error.
// But gunicorn drops them, and so there are applications that rely on it: event
// streams with "Connection: keep-alive", views that pass on all of what another
// server answered. So are Server and Date, which the server sends itself. Upgrade
// is kept with 101 and 426, for which RFC 9110, 7.8 wants it.
func (r *Response) AddHeader(name, value []byte) (reason string) {
	if !http1.IsToken(name) {
		return "a response header's name is not a token"
	}
	if !http1.IsFieldValue(value) {
		return "a response header's value contains a control character"
	}
	if o := ownership(name); o != application {
		if o == contentLength {
			return r.setLength(value)
		}
		if o == server || !r.keepsHop(o) {
			return ""
		}
	}
	r.fields = append(r.fields, name...)
	r.fields = append(r.fields, ':', ' ')
	r.fields = append(r.fields, value...)
	r.fields = append(r.fields, '\r', '\n')
	return ""
}

// keepsHop decides about a hop-by-hop header, and reports whether it is sent.
func (r *Response) keepsHop(name owner) bool {
	if r.Status == 101 || r.Status == 426 {
		switch name {
		case hopUpgrade:
			r.upgrade = true
			return true
		case hopConnection: // AppendHead says what it would
			return false
		}
	}
	r.dropped |= 1 << (name - hopConnection)
	return false
}

// Dropped returns the hop-by-hop headers that were dropped.
func (r *Response) Dropped() HopByHop { return r.dropped }

// Complete looks at the head as a whole, when all headers have been added. The
// reason for a refusal is returned, or "".
func (r *Response) Complete() (reason string) {
	if r.Status == 101 && !r.upgrade {
		return "the status 101 needs an Upgrade header"
	}
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
	case r.connect && r.Status/100 == 2:
		return Close // a tunnel has no framing (RFC 9110, 9.3.6)
	case r.Status == 205:
		r.ContentLength = 0 // there can be no content (RFC 9110, 15.3.6)
		return Length
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
	switch {
	case keepAlive && !r.upgrade:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	case !r.upgrade:
		dst = append(dst, "Connection: close\r\n"...)
	case r.Status == 101:
		dst = append(dst, "Connection: upgrade\r\n"...)
	case keepAlive:
		dst = append(dst, "Connection: keep-alive, upgrade\r\n"...)
	default:
		dst = append(dst, "Connection: close, upgrade\r\n"...)
	}
	switch {
	case f == Chunked:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case f != Close && r.sendsLength():
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, r.ContentLength, 10)
		dst = append(dst, "\r\n"...)
	}
	dst = append(dst, r.fields...)
	return append(dst, "\r\n"...)
}

// sendsLength reports whether there is a Content-Length, and the status may have
// one (RFC 9110, 8.6).
func (r *Response) sendsLength() bool {
	return r.ContentLength >= 0 && r.Status >= 200 && r.Status != 204
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
	if value == nil && r.sendsLength() && equalFold([]byte("content-length"), name) {
		value = strconv.AppendInt(nil, r.ContentLength, 10)
	}
	return value
}

var crlf = []byte("\r\n")
