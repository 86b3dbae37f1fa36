package worker

import (
	"html"
	"io"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/internal/accesslog"
	"gowsgi/protocol/http1"
	"gowsgi/protocol/wsgi"
	"gowsgi/worker/python"
)

// StartResponse implements python.Handler.
func (t *thread) StartResponse(status []byte, headers python.Headers, excInfo bool) (python.Code, string) {
	if t.resp.Status != 0 {
		if !excInfo {
			return python.Twice, ""
		}
		if t.headSent {
			return python.Sent, ""
		}
		t.resp.Clear()
	} else if excInfo && t.headSent {
		return python.Sent, ""
	}
	reason := t.collect(&t.resp, status, headers)
	if reason == "" {
		reason = t.resp.Complete()
	}
	if reason != "" {
		t.resp.Clear()
		return python.Invalid, reason
	}
	if names := t.resp.Dropped(); names != 0 {
		t.e.tellDropped(names)
	}
	return python.OK, ""
}

// tellDropped says once of each hop-by-hop header that the application's is not
// sent.
func (e *engine) tellDropped(names wsgi.HopByHop) {
	if names &^= wsgi.HopByHop(e.dropped.Load()); names == 0 {
		return
	}
	if names &^= wsgi.HopByHop(e.dropped.Or(uint32(names))); names != 0 {
		e.log.Warn().Stringer("headers", names).
			Msgf("Not sent of the application's headers, because hop-by-hop headers are the server's (PEP 3333): %s. This is said once.", names)
	}
}

func (t *thread) collect(r *wsgi.Response, status []byte, headers python.Headers) string {
	if status != nil {
		if reason := r.SetStatus(status); reason != "" {
			return reason
		}
	}
	for i := range headers.Len() {
		name, value := headers.At(i)
		if reason := r.AddHeader(name, value); reason != "" {
			return reason
		}
	}
	return ""
}

// EarlyHints implements python.Handler (RFC 8297). After the head, and to a
// client of HTTP/1.0, nothing is sent.
func (t *thread) EarlyHints(headers python.Headers) (python.Code, string) {
	t.hints.Reset(1, nil, false)
	if reason := t.collect(&t.hints, nil, headers); reason != "" {
		return python.Invalid, reason
	}
	if t.headSent || t.head.Minor == 0 {
		return python.OK, ""
	}
	t.out = t.hints.AppendInterim(t.out[:0])
	return t.send(t.out, nil, false), ""
}

// Write implements python.Handler.
func (t *thread) Write(p []byte, last, mayBlock bool) (python.Code, string) {
	if t.py.Taken() {
		return python.Gone, ""
	}
	if t.resp.Status == 0 {
		if last && len(p) == 0 {
			return python.Invalid, "the application did not call start_response"
		}
		return python.Invalid, "the application sent content before it called start_response"
	}
	var head []byte
	if !t.headSent {
		// Also for no bytes: that is a write(b""), which sends the head (PEP 3333,
		// The start_response() Callable).
		head = t.openResponse(p, last)
	}
	p = t.bound(p, last)
	code := t.sendPart(head, p, last, mayBlock)
	if code != python.Gone {
		t.sent += int64(len(p))
	}
	if last && code != python.Gone {
		t.finished()
	}
	return code, ""
}

// openResponse decides the framing and returns the head, in t.out.
func (t *thread) openResponse(p []byte, last bool) []byte {
	complete := int64(-1)
	if last {
		complete = int64(len(p))
	}
	c := t.c
	t.framing = t.resp.Frame(complete)
	// Behind a 101 there is no HTTP.
	if t.framing == wsgi.Close || t.resp.Status == 101 || t.e.cfg.KeepAlive <= 0 || t.e.draining.Load() {
		c.keepAlive = false
	}
	t.headSent = true
	t.out = t.resp.AppendHead(t.out[:0], t.common, t.framing, c.keepAlive)
	return t.out
}

// bound cuts content that may not be sent: more than the Content-Length, or any
// where there can be none.
func (t *thread) bound(p []byte, last bool) []byte {
	switch t.framing {
	case wsgi.None:
		return nil
	case wsgi.Length:
		if left := t.resp.ContentLength - t.sent; int64(len(p)) > left {
			if !t.cut {
				t.cut = true
				t.e.log.Warn().Msgf("The response to %s is longer than its Content-Length of %d; the rest is dropped",
					t.requestLine(), t.resp.ContentLength)
			}
			return p[:left]
		}
	}
	return p
}

// requestLine names the request on the log.
func (t *thread) requestLine() string {
	return string(t.head.Method.Of(t.c.buf)) + " " + string(t.head.Target.Of(t.c.buf))
}

// finished notes that the application has produced all. A response shorter than
// it announced leaves the client waiting, so the connection is closed.
func (t *thread) finished() {
	if t.framing == wsgi.Length && t.sent < t.resp.ContentLength {
		t.e.log.Error().Msgf("The response to %s ends after %d of %d bytes",
			t.requestLine(), t.sent, t.resp.ContentLength)
		return
	}
	t.complete = true
}

var (
	lastChunk = []byte("0\r\n\r\n")
	crlf      = []byte("\r\n")
)

// sendPart sends the head, if there is one, and a part of the content, framed.
func (t *thread) sendPart(head, p []byte, last, mayBlock bool) python.Code {
	if t.framing != wsgi.Chunked {
		if len(p) <= smallBody {
			t.out = append(t.out[:len(head)], p...)
			return t.send(t.out, nil, mayBlock)
		}
		return t.send(head, p, mayBlock)
	}
	buf := t.out[:len(head)]
	if len(p) > 0 {
		buf = strconv.AppendUint(buf, uint64(len(p)), 16)
		buf = append(buf, crlf...)
		if len(p) <= smallBody {
			buf = append(buf, p...)
			buf = append(buf, crlf...)
			p = nil
		}
	}
	t.out = buf
	if len(p) > 0 {
		if code := t.send(buf, p, mayBlock); code == python.Gone {
			return code
		}
		buf = append(buf[:0], crlf...)
	}
	if last {
		buf = append(buf, lastChunk...)
	}
	t.out = buf
	return t.send(buf, nil, mayBlock)
}

// send writes a and then b. What the socket does not take is kept; when that is
// more than highWater, send waits if it may, or else says Wait.
func (t *thread) send(a, b []byte, mayBlock bool) python.Code {
	c := t.c
	if c.gone {
		return python.Gone
	}
	if len(a)+len(b) == 0 {
		return t.ahead(mayBlock)
	}
	if len(c.out) == 0 {
		n, errno := writeBoth(c.fd, a, b)
		if errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR {
			c.gone = true
			return python.Gone
		}
		a, b = skip(a, b, n)
	}
	if len(a)+len(b) == 0 {
		return python.OK
	}
	c.out = append(c.out, a...)
	if mayBlock {
		return t.sendBlocking(b)
	}
	c.out = append(c.out, b...)
	return t.ahead(false)
}

func writeBoth(fd int, a, b []byte) (int, unix.Errno) {
	n, errno := 0, unix.Errno(0)
	switch {
	case len(b) == 0:
		n, errno = rawSend(fd, a)
	case len(a) == 0:
		n, errno = rawSend(fd, b)
	default:
		n, errno = rawSend2(fd, a, b)
	}
	if errno != 0 {
		return 0, errno
	}
	return n, 0
}

// skip drops the first n bytes of a and b taken together.
func skip(a, b []byte, n int) ([]byte, []byte) {
	if n >= len(a) {
		return nil, b[n-len(a):]
	}
	return a[n:], b
}

// sendBlocking sends what is pending and then b, without copying more of b than
// may be kept.
func (t *thread) sendBlocking(b []byte) python.Code {
	c := t.c
	if len(b) > highWater {
		if !t.flushTo(0) {
			return python.Gone
		}
		for len(b) > highWater {
			n, ok := t.sendSome(b)
			if !ok {
				return python.Gone
			}
			b = b[n:]
		}
	}
	c.out = append(c.out, b...)
	return t.ahead(true)
}

// ahead sees to it that no more than highWater is pending.
func (t *thread) ahead(mayBlock bool) python.Code {
	switch {
	case t.c.gone:
		return python.Gone
	case len(t.c.out) <= highWater:
		return python.OK
	case !mayBlock:
		return python.Wait
	}
	return t.Flush()
}

// Flush implements python.Handler.
func (t *thread) Flush() python.Code {
	if !t.flushTo(highWater / 2) {
		return python.Gone
	}
	return python.OK
}

// flushTo writes pending output until at most n bytes are left. It blocks, up to
// writeWait without any progress.
func (t *thread) flushTo(n int) bool {
	c := t.c
	for len(c.out) > n {
		written, ok := t.sendSome(c.out)
		if !ok {
			return false
		}
		c.out = c.out[:copy(c.out, c.out[written:])]
	}
	return true
}

// sendSome writes some of b and returns how much. It blocks until the socket takes
// any; ok is false when it is broken, or takes nothing for writeWait.
func (t *thread) sendSome(b []byte) (n int, ok bool) {
	c := t.c
	for {
		n, errno := rawSend(c.fd, b)
		switch {
		case errno == 0:
			return n, true
		case errno == unix.EINTR || errno == unix.EAGAIN && t.awaitClient():
		default:
			c.gone = true
			return 0, false
		}
	}
}

// awaitClient blocks until the client takes more of the response, up to writeWait.
func (t *thread) awaitClient() bool {
	from := t.e.clock.Now()
	ready := awaitFD(t.c.fd, unix.POLLOUT, int(writeWait/time.Millisecond))
	t.blocked += t.e.clock.Now() - from
	if !ready {
		t.outcome = accesslog.Timeout
	}
	return ready
}

// Cut implements python.Handler.
func (t *thread) Cut() {
	t.c.abort = true
	_ = unix.Shutdown(t.c.fd, unix.SHUT_RDWR)
}

// ReadBody implements python.Handler: the content of a request that was longer
// than what is read ahead. It blocks, without the GIL, until there is some.
func (t *thread) ReadBody(p []byte) (int, string) {
	c := t.c
	if !c.stream || len(p) == 0 {
		return 0, ""
	}
	n, err := 0, error(nil)
	if c.chunked {
		n, err = t.readChunked(p)
	} else {
		n, err = t.readLength(p)
	}
	if err != nil && err != io.EOF {
		c.keepAlive = false
		return -1, err.Error()
	}
	return n, ""
}

func (t *thread) readLength(p []byte) (int, error) {
	c := t.c
	left := c.length - c.read
	if left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), left)]
	if have := int64(c.n-c.headLen) - c.read; have > 0 {
		n := copy(p, c.buf[c.headLen+int(c.read):c.n])
		c.read += int64(n)
		return n, nil
	}
	n, err := t.readSocket(p)
	c.read += int64(n)
	return n, err
}

func (t *thread) readChunked(p []byte) (int, error) {
	c := t.c
	for {
		if c.bodyLen > 0 {
			n := copy(p, c.body[:c.bodyLen])
			c.bodyLen = copy(c.body, c.body[n:c.bodyLen])
			return n, nil
		}
		if c.decoded {
			return 0, io.EOF
		}
		n := 0
		if c.n > c.headLen {
			if err := c.decodeInto(p, &n); err != nil {
				return 0, err
			}
			if n > 0 {
				return n, nil
			}
			if c.decoded {
				return 0, io.EOF
			}
		}
		got, err := t.readSocket(c.buf[c.n:])
		if err != nil {
			return 0, err
		}
		c.n += got
	}
}

// errBodyGone is what the application sees when the rest of the content does not
// come.
var errBodyGone = &http1.Error{Status: 400, Reason: "the client disconnected before the end of the request's content"}

// readSocket reads, waiting for input.
func (t *thread) readSocket(p []byte) (int, error) {
	c := t.c
	if t.expectsContinue() {
		rawSend(c.fd, continueLine)
	}
	for {
		n, errno := rawRecv(c.fd, p)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			if !awaitFD(c.fd, unix.POLLIN, int(readWait/time.Millisecond)) {
				return 0, errTimeout
			}
		case errno != 0 || n == 0:
			c.gone = true
			t.e.log.Warn().Msgf("Invalid request from ip=%s: %s", c.remoteAddr(), errBodyGone.Reason)
			return 0, errBodyGone
		default:
			return n, nil
		}
	}
}

// expectsContinue reports, once, whether the client waits for a 100 before it
// sends content.
func (t *thread) expectsContinue() bool {
	c := t.c
	yes := t.head.ExpectContinue && !t.headSent && !c.continued && c.read == 0 && c.n == c.headLen && c.bodyLen == 0
	c.continued = true
	return yes
}

// appendCommon appends the field lines that every final response has (RFC 9110,
// 6.6.1 and 10.2.4).
func appendCommon(b []byte, now time.Time) []byte {
	b = append(b, "Server: gowsgi\r\nDate: "...)
	b = now.UTC().AppendFormat(b, "Mon, 02 Jan 2006 15:04:05 GMT")
	return append(b, "\r\n"...)
}

// errorPage returns a whole response of the server's own, after which the
// connection is closed.
func errorPage(status int, reason string, head bool) []byte {
	title := http1.StatusText(status)
	text := title
	if reason != "" {
		text = reason
	}
	body := "<html>\n  <head>\n    <title>" + title + "</title>\n  </head>\n  <body>\n    <h1><p>" + title +
		"</p></h1>\n    " + html.EscapeString(text) + "\n  </body>\n</html>\n"
	page := "HTTP/1.1 " + strconv.Itoa(status) + " " + title + "\r\n" + string(appendCommon(nil, time.Now())) +
		"Connection: close\r\nContent-Type: text/html\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n"
	if status == 503 {
		page += "Retry-After: 1\r\n"
	}
	page += "\r\n"
	if head {
		return []byte(page)
	}
	return []byte(page + body)
}
