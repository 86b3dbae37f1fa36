package worker

import (
	"bytes"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/protocol/http1"
)

// Refusals of our own, beside the parser's.
var (
	errTimeout = &http1.Error{Status: 408, Reason: "the request took too long to arrive"}
	errScheme  = &http1.Error{Status: 400, Reason: "contradictory scheme headers"}
	// Too much to do (RFC 9110, 15.6.4).
	errQueueFull = &http1.Error{Status: 503, Reason: "too many requests wait"}
	errOverdue   = &http1.Error{Status: 503, Reason: "the request has waited too long"}
)

var continueLine = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// input reads what has come for c and serves it as far as that goes. t is the
// leader; e.mu is held, but not during calls. c may be closed, and reused, on
// return.
func (e *engine) input(t *thread, c *conn) {
	if c.buf == nil {
		c.buf = e.bufs.get(minBuffer)
	} else if c.n == len(c.buf) {
		e.grow(c, 2*c.n)
	}
	n, errno := rawRecv(c.fd, c.buf[c.n:])
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		e.awaitInput(c)
		return
	case errno != 0 || n == 0:
		e.hangUp(c)
		return
	}
	if c.n == 0 {
		c.arrived = e.clock.Now()
		c.waitIn(&e.head, c.arrived)
	}
	c.n += n
	if c.list == &e.body && !e.bodyProgress(c, n) {
		e.refuse(c, errTimeout)
		return
	}
	e.advance(t, c)
}

// bodyProgress notes that n bytes of content came in. It reports false if the
// client is slower than it may be.
func (e *engine) bodyProgress(c *conn, n int) bool {
	now := e.clock.Now()
	c.bodyCame += int64(n)
	c.waitIn(&e.body, now)
	return !e.bodyPace.tooSlow(now-c.bodySince, c.bodyCame)
}

// hangUp ends a connection whose client has closed it. With a request half sent
// there is nobody to tell.
func (e *engine) hangUp(c *conn) {
	if c.n > 0 {
		e.log.Debug().Bytes("peer", c.remoteAddr()).Msg("Ignored premature client disconnection.")
	}
	e.close(c)
}

// grow gives c a buffer of at least n bytes. Memory that is not written to yet
// costs nothing, so room for content that is announced is taken at once.
func (e *engine) grow(c *conn, n int) {
	b := e.bufs.get(n)
	copy(b, c.buf[:c.n])
	e.bufs.put(c.buf)
	c.buf = b
}

// awaitInput leaves c to the loop until more comes.
func (e *engine) awaitInput(c *conn) {
	if c.n == 0 && c.buf != nil {
		e.bufs.put(c.buf)
		c.buf = nil
	}
	e.watch(c, unix.EPOLLIN)
}

// advance serves the requests in c's buffer, in order, until one is incomplete
// or the connection has had its share of turns.
func (e *engine) advance(t *thread, c *conn) {
	for turn := 0; ; turn++ {
		complete, err := e.assemble(t, c)
		if err != nil {
			e.refuse(c, err)
			return
		}
		if !complete {
			e.awaitInput(c)
			return
		}
		if e.overdue(c) {
			e.refuse(c, errOverdue)
			return
		}
		if t == e.watcher.lead {
			e.passOn(c)
			return
		}
		if turn == maxPipelined {
			e.queue(c)
			return
		}
		gen := c.gen
		e.serve(t, c)
		if c.gen != gen || c.state != reading || c.n == 0 {
			return
		}
	}
}

// assemble looks whether c's request is complete: its head, and as much of its
// content as is wanted before the call.
func (e *engine) assemble(t *thread, c *conn) (complete bool, err *http1.Error) {
	if c.headLen == 0 {
		if c.preface != prefaceDone {
			if done, err := e.readPreface(c); !done || err != nil {
				return false, err
			}
		}
		n, err := c.scan.Scan(c.buf[:c.n], &e.rules)
		if n == 0 && err == nil {
			err = c.scan.CheckLine(c.buf[:c.n], &e.rules)
		}
		if n == 0 || err != nil {
			return false, err
		}
		if err := e.readHead(t, c, n); err != nil {
			return false, err
		}
	}
	if c.chunked {
		return e.assembleChunks(c)
	}
	if c.stream || c.length <= 0 {
		return true, nil
	}
	total := c.headLen + int(c.length)
	if c.n < total && total > len(c.buf) {
		e.grow(c, total)
	}
	return c.n >= total, nil
}

// readHead parses the complete head and notes what the connection needs of it.
func (e *engine) readHead(t *thread, c *conn, n int) *http1.Error {
	r := t.head
	t.parsedConn = nil
	if err := e.parse(c, r, n); err != nil {
		return err
	}
	if e.realIP.field != nil && c.speaksFor {
		if err := e.findClient(c, r); err != nil {
			return err
		}
	}
	t.parsedFor(c)
	c.headLen = n
	c.length, c.chunked = r.ContentLength, r.Chunked
	c.keepAlive = r.KeepAlive
	c.stream = c.length > e.cfg.RequestBuffer
	if c.length <= 0 && !c.chunked {
		return nil
	}
	c.bodySince, c.bodyCame = e.clock.Now(), 0
	c.waitIn(&e.body, c.bodySince)
	if r.ExpectContinue && c.n == n && !c.stream && !c.continued {
		c.continued = true
		rawSend(c.fd, continueLine)
	}
	return nil
}

// assembleChunks decodes what has come of a chunked content. When it gets longer
// than what is read ahead, the application's thread goes on with it.
func (e *engine) assembleChunks(c *conn) (complete bool, err *http1.Error) {
	for !c.decoded && !c.stream && c.n > c.headLen {
		if c.bodyLen == len(c.body) {
			e.growBody(c)
		}
		if err := c.decodeInto(c.body[c.bodyLen:], &c.bodyLen); err != nil {
			return false, err
		}
		if int64(c.bodyLen) >= e.cfg.RequestBuffer && !c.decoded {
			e.streamChunks(c)
		}
	}
	return c.decoded || c.stream, nil
}

// streamChunks leaves the rest of a chunked content to the application's thread.
func (e *engine) streamChunks(c *conn) {
	c.stream = true
	if len(c.buf)-c.headLen < streamBuffer {
		e.grow(c, c.headLen+streamBuffer)
	}
}

func (e *engine) growBody(c *conn) {
	b := e.bufs.get(max(minBuffer, 2*len(c.body)))
	copy(b, c.body[:c.bodyLen])
	if c.body != nil {
		e.bufs.put(c.body)
	}
	c.body = b
}

// decodeInto decodes buffered chunks into dst, adds the bytes written to *n, and
// closes the gap, so that what follows starts behind the head.
func (c *conn) decodeInto(dst []byte, n *int) *http1.Error {
	written, consumed, done, err := c.chunks.Decode(dst, c.buf[c.headLen:c.n])
	*n += written
	copy(c.buf[c.headLen:], c.buf[c.headLen+consumed:c.n])
	c.n -= consumed
	c.decoded = done
	return err
}

// serve calls the application with c's request. e.mu is held on entry and on
// return, not during the call; the lead may be another's then.
func (e *engine) serve(t *thread, c *conn) {
	if !t.hasParsed(c) {
		// Another thread parsed it, so it is known to be right.
		_ = e.parse(c, t.head, c.headLen)
		t.parsedFor(c)
	}
	c.state = calling
	c.leave()
	e.group.count()
	e.mu.Unlock()
	t.serve(c)
	t.yield()
	e.mu.Lock()
	if t.kept != nil {
		e.hold(t, c)
	}
	e.finish(c)
}

// finish decides what becomes of c after a response.
func (e *engine) finish(c *conn) {
	if c.taken {
		e.drop(c)
		return
	}
	if c.abort || c.gone {
		e.close(c)
		return
	}
	c.behind, c.shared = false, false
	_, end := c.content()
	if c.stream && !c.atEnd() {
		// Then nobody can tell where the next request begins.
		c.keepAlive, c.unread = false, true
		end = c.n
	}
	e.nextRequest(c, end)
	switch {
	case c.out != nil:
		e.flushLater(c)
	case !c.keepAlive:
		e.shut(c)
	default:
		e.resume(c)
	}
}

// atEnd reports whether all content of a streamed request has been read.
func (c *conn) atEnd() bool {
	if c.chunked {
		return c.decoded && c.bodyLen == 0
	}
	return c.read == c.length
}

// nextRequest drops the request that ends at byte end of the buffer.
func (e *engine) nextRequest(c *conn, end int) {
	c.n = copy(c.buf, c.buf[end:c.n])
	if c.body != nil {
		e.bufs.put(c.body)
		c.body, c.bodyLen = nil, 0
	}
	c.scan.Reset()
	c.chunks.Reset()
	c.serial++
	c.headLen, c.length, c.read, c.queuedAt = 0, -1, 0, 0
	c.chunked, c.stream, c.decoded, c.continued = false, false, false, false
	c.client.n = 0
}

// resume waits for the next request of c. What has been read of it is looked at
// by the caller.
func (e *engine) resume(c *conn) {
	c.state = reading
	if c.n > 0 {
		c.arrived = e.clock.Now()
		c.waitIn(&e.head, c.arrived)
		return
	}
	c.waitIn(&e.idling, e.clock.Now())
	e.awaitInput(c)
	if e.full {
		e.hasRoom() // it may be closed for another
	}
}

// shut ends c after its last response. When the client may still be sending, or has
// sent what nobody read, it is read for a while: to close would be to reset then.
func (e *engine) shut(c *conn) {
	if c.n == 0 && !c.unread && !c.hasSent() {
		e.close(c)
		return
	}
	e.lingerOn(c)
}

// lingerOn shuts c down for writing and discards what the client sends.
func (e *engine) lingerOn(c *conn) {
	if unix.Shutdown(c.fd, unix.SHUT_WR) != nil {
		e.close(c)
		return
	}
	e.release(c)
	c.state = lingering
	now := e.clock.Now()
	c.lingerEnd = now + int64(lingerMax)
	c.waitIn(&e.linger, now)
	e.watch(c, unix.EPOLLIN)
}

// discard reads and forgets input of a connection that was shut down. A client
// may be sending a long content and look for the answer only behind it; a reset
// would take that away.
func (e *engine) discard(c *conn) {
	buf := e.bufs.get(streamBuffer)
	n, errno := rawRecv(c.fd, buf)
	e.bufs.put(buf)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return
	case errno != 0 || n == 0:
		e.close(c)
		return
	}
	now := e.clock.Now()
	if now >= c.lingerEnd {
		e.close(c)
		return
	}
	c.waitIn(&e.linger, now)
}

// logRefused logs overload at most once a second, however many are refused.
func (e *engine) logRefused(err *http1.Error) {
	e.refused++
	now := e.clock.Now()
	if now < e.refusedLog {
		return
	}
	e.log.Warn().Int("status", err.Status).Int("requests", e.refused).
		Msgf("Overloaded: %d requests refused, the last because %s", e.refused, err.Reason)
	e.refused, e.refusedLog = 0, now+int64(time.Second)
}

// contentSent returns how much content is in the first n bytes of a response.
func contentSent(page []byte, n int) int64 {
	return int64(max(n-bytes.Index(page, blankLine)-len(blankLine), 0))
}

// refuse answers a request that cannot be served and ends the connection. The
// application never sees it.
func (e *engine) refuse(c *conn, err *http1.Error) {
	if err.Status == 503 {
		e.logRefused(err)
	} else {
		e.log.Warn().Int("status", err.Status).Msgf("Invalid request from ip=%s: %s", c.remoteAddr(), err.Reason)
	}
	head := bytes.HasPrefix(firstLine(c.buf[:c.n]), []byte("HEAD "))
	page := errorPage(err.Status, err.Reason, head)
	n, errno := rawSend(c.fd, page)
	e.settleRefused(c, err, contentSent(page, n))
	e.release(c)
	if errno != 0 || n != len(page) {
		e.close(c)
		return
	}
	e.lingerOn(c)
}
