package worker

import (
	"golang.org/x/sys/unix"

	"gowsgi/protocol/http1"
	"gowsgi/protocol/ipc"
)

// Content that is read by the application, as it goes.

// ReadBody implements python.Handler: the content of a request that was longer
// than what is read ahead. It blocks, without the GIL, until there is some.
func (t *thread) ReadBody(p []byte) (int, string) {
	c := t.c
	if !c.stream || len(p) == 0 {
		return 0, ""
	}
	read := t.readLength
	if c.chunked {
		read = t.readChunked
	}
	n, err := read(p)
	if err == nil {
		return n, ""
	}
	c.keepAlive = false
	if t.inputErr == nil {
		t.inputErr = err
		t.logInvalid(err.Status, err.Reason)
	}
	return -1, err.Reason
}

// readLength reads content of a known length: 0 bytes at its end.
func (t *thread) readLength(p []byte) (int, *http1.Error) {
	c := t.c
	left := c.length - c.read
	if left == 0 {
		return 0, nil
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

// readChunked reads chunked content: 0 bytes at its end.
func (t *thread) readChunked(p []byte) (int, *http1.Error) {
	c := t.c
	for {
		if c.bodyLen > 0 {
			n := copy(p, c.body[:c.bodyLen])
			c.bodyLen = copy(c.body, c.body[n:c.bodyLen])
			return n, nil
		}
		if c.decoded {
			return 0, nil
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
				return 0, nil
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
func (t *thread) readSocket(p []byte) (int, *http1.Error) {
	c := t.c
	if t.expectsContinue() {
		t.send(continueLine, nil, false) // behind early hints, perhaps
	}
	for {
		n, errno := rawRecv(c.fd, p)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			if !t.awaitContent() {
				return 0, errTimeout
			}
		case errno != 0 || n == 0:
			c.gone = true
			return 0, errBodyGone
		default:
			c.bodyCame += int64(n)
			return n, nil
		}
	}
}

// awaitContent blocks until there is something to read. It reports false when
// nothing comes, or the client has been slower, while it was waited for, than it
// may be.
func (t *thread) awaitContent() bool {
	e := t.e
	start := e.clock.Now()
	t.record.SetPhase(ipc.Reading)
	t.clientWait.begin(start)
	came := awaitFD(t.c.fd, unix.POLLIN, milliseconds(e.bodyPace.wait))
	t.record.SetPhase(ipc.InApplication)
	now := e.clock.Now()
	t.clientWait.end(now)
	t.bodyWait += now - start
	return came && !e.bodyPace.tooSlow(t.bodyWait, t.c.bodyCame)
}

// expectsContinue reports, once, whether the client waits for a 100 before it
// sends content.
func (t *thread) expectsContinue() bool {
	yes := t.owesContinue()
	t.c.continued = true
	return yes
}

// owesContinue reports whether the client asked for a 100 before it sends content,
// and neither got it nor went ahead.
func (t *thread) owesContinue() bool {
	c := t.c
	return t.head.ExpectContinue && !t.headSent && !c.continued && c.read == 0 && c.n == c.headLen && c.bodyLen == 0
}
