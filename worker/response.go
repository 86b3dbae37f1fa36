package worker

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

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
	if names := t.resp.Dropped(); names != 0 && reason == "" && t.e.cfg.HopByHopHeaders == "refuse" {
		reason = "hop-by-hop headers are the server's (PEP 3333): " + names.String()
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
	if t.headSent || t.head.Minor == 0 || t.answer.taken() {
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
	if t.complete {
		return python.Invalid, "the response is complete"
	}
	if t.whole {
		t.letGo()
	}
	var head []byte
	if !t.headSent {
		if !t.answer.begin() {
			return python.Gone, ""
		}
		// Also for no bytes: that is a write(b""), which sends the head (PEP 3333,
		// The start_response() Callable).
		complete := int64(-1)
		if last {
			complete = int64(len(p))
		}
		head = t.openResponse(complete)
	}
	n := len(p)
	if p = t.bound(p, last); len(p) == 0 && n > 0 && head == nil && t.leftUnheard() {
		return python.Gone, ""
	}
	whole := t.framing == wsgi.Length && t.sent+int64(len(p)) == t.resp.ContentLength
	t.keepNext = (last || whole) && t.mayHold(len(p))
	code := t.sendPart(head, p, last, mayBlock)
	t.keepNext = false
	if code != python.Gone {
		t.sent += int64(len(p))
	}
	switch {
	case code == python.Gone:
	case last:
		t.finished()
	case whole:
		t.whole = true
		t.py.Whole()
	}
	return code, ""
}

// openResponse decides the framing and returns the head, in t.out. complete is as
// for wsgi.Response.Frame.
func (t *thread) openResponse(complete int64) []byte {
	c := t.c
	t.framing = t.resp.Frame(complete)
	// Behind a 101 there is no HTTP.
	if t.framing == wsgi.Close || t.resp.Status == 101 || t.e.cfg.KeepAlive <= 0 || t.e.draining.Load() {
		c.keepAlive = false
	}
	// Content that nobody will read, or that nobody has asked the client for, hides
	// where the next request begins (RFC 9110, 10.1.1; RFC 9112, 9.6).
	if c.stream && !c.atEnd() && (complete >= 0 || t.owesContinue()) {
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

// leftUnheard reports whether the client has left, where nothing more is sent that
// would tell: content without end that is dropped would otherwise go on without end.
// Who has only ended its sending looks the same, and has the whole response.
func (t *thread) leftUnheard() bool {
	c := t.c
	if _, end := c.content(); !c.behind && c.n == end && atEOF(c.fd) {
		c.gone = true
	}
	return c.gone
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

// Cut implements python.Handler.
func (t *thread) Cut() {
	t.letGo()
	t.c.abort = true
	_ = unix.Shutdown(t.c.fd, unix.SHUT_RDWR)
}

// appendCommon appends the field lines that every final response has (RFC 9110,
// 6.6.1 and 10.2.4).
func appendCommon(b []byte, now time.Time) []byte {
	b = append(b, "Server: gowsgi\r\nDate: "...)
	b = now.UTC().AppendFormat(b, "Mon, 02 Jan 2006 15:04:05 GMT")
	return append(b, "\r\n"...)
}

// htmlText keeps a text from being markup. The html package has far more, which would
// be memory in every process.
var htmlText = strings.NewReplacer("&", "&amp;", "'", "&#39;", "<", "&lt;", ">", "&gt;", `"`, "&#34;")

// errorPage returns a whole response of the server's own, after which the
// connection is closed.
func errorPage(status int, reason string, head bool) []byte {
	title := http1.StatusText(status)
	text := title
	if reason != "" {
		text = reason
	}
	body := "<html>\n  <head>\n    <title>" + title + "</title>\n  </head>\n  <body>\n    <h1><p>" + title +
		"</p></h1>\n    " + htmlText.Replace(text) + "\n  </body>\n</html>\n"
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
