package worker

import (
	"golang.org/x/sys/unix"

	"gowsgi/internal/accesslog"
	"gowsgi/protocol/ipc"
	"gowsgi/worker/python"
)

// The thread's side of sending; flush.go has the loop's.

// send writes a and then b. What the socket does not take is left to the loop.
// When more than the response buffer would wait then, send waits until the rest
// fits if it may, and says Wait if not.
func (t *thread) send(a, b []byte, mayBlock bool) python.Code {
	c := t.c
	if c.behind {
		t.catchUp()
	}
	if c.gone {
		return python.Gone
	}
	if !c.behind {
		if len(a)+len(b) == 0 {
			return python.OK
		}
		if t.keepNext && t.keepBack(a) {
			return python.OK
		}
		n, errno := writeBoth(c.fd, a, b)
		if errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR {
			c.gone = true
			return python.Gone
		}
		if n == len(a)+len(b) {
			return python.OK
		}
		a, b = skip(a, b, n)
	}
	return t.keep(a, b, mayBlock)
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

// catchUp looks what the loop has made of the output it was left, and sends some
// of it.
func (t *thread) catchUp() {
	e, c := t.e, t.c
	e.mu.Lock()
	defer e.mu.Unlock()
	if c.out != nil && c.lost == accesslog.OK {
		e.outputBeside(c)
	}
	c.behind = c.out != nil
	t.noteLost()
}

// noteLost takes over what the loop found out about the client.
func (t *thread) noteLost() {
	if c := t.c; c.lost != accesslog.OK {
		c.gone, t.outcome = true, c.lost
	}
}

// endSharing makes the output the thread's until engine.finish.
func (t *thread) endSharing() {
	e, c := t.e, t.c
	e.mu.Lock()
	defer e.mu.Unlock()
	c.behind, c.shared = false, false
	c.leave()
	t.noteLost()
}

// keep leaves a and b to the loop.
func (t *thread) keep(a, b []byte, mayBlock bool) python.Code {
	e, c := t.e, t.c
	e.mu.Lock()
	defer e.mu.Unlock()
	if c.out == nil {
		c.out = newOutput(c.fd, e.clock.Now())
	}
	c.out.add(a, &e.bufs)
	limit := int(e.cfg.ResponseBuffer)
	if mayBlock && c.out.n+len(b) > limit {
		if b = t.drainUntil(b, limit); c.gone {
			return python.Gone
		}
	}
	c.out.add(b, &e.bufs)
	if c.out.n > limit {
		e.share(c)
		return python.Wait
	}
	e.share(c)
	return python.OK
}

// drainUntil sends what is kept and then b, until no more than limit is left, and
// returns what is left of b. The mutex is held on entry and on return.
func (t *thread) drainUntil(b []byte, limit int) []byte {
	t.drain(max(0, limit-len(b)))
	t.e.mu.Unlock()
	defer t.e.mu.Lock()
	for len(b) > limit && !t.c.gone {
		b = b[t.sendSome(b):]
	}
	return b
}

// Flush implements python.Handler.
func (t *thread) Flush() python.Code {
	limit := int(t.e.cfg.ResponseBuffer)
	if !t.complete {
		limit /= 2 // not to wait again at once
	}
	return t.flush(limit)
}

// Take implements python.Handler. What the application does with the connection is
// its own, and may take as long as it likes.
func (t *thread) Take() {
	t.letGo()
	t.flush(0)
	t.record.Take()
}

// flush waits until no more than limit bytes of output are left.
func (t *thread) flush(limit int) python.Code {
	e, c := t.e, t.c
	e.mu.Lock()
	defer e.mu.Unlock()
	if t.noteLost(); c.out != nil && !c.gone {
		t.drain(limit)
	}
	if c.gone {
		return python.Gone
	}
	if c.out != nil {
		e.share(c)
	}
	return python.OK
}

// drain takes c's output back from the loop and sends it until no more than limit
// bytes are left, or c is gone. It blocks, without the mutex.
func (t *thread) drain(limit int) {
	e, c := t.e, t.c
	e.takeBack(c)
	for c.out.n > limit && !c.gone {
		e.mu.Unlock()
		n, err := c.out.write(c.fd)
		switch {
		case err == nil:
			t.progress(n)
		case err == unix.EAGAIN:
			t.awaitOutput()
		case err != unix.EINTR:
			c.gone = true
		}
		e.mu.Lock()
		if err == nil {
			c.out.drop(n, &e.bufs)
		}
	}
}

// sendSome sends some of b, past the output, of which there is none, and returns
// how much. It blocks until the socket takes any, or c is gone.
func (t *thread) sendSome(b []byte) int {
	c := t.c
	for !c.gone {
		n, errno := rawSend(c.fd, b)
		switch errno {
		case 0:
			t.progress(n)
			return n
		case unix.EAGAIN:
			t.awaitOutput()
		case unix.EINTR:
		default:
			c.gone = true
		}
	}
	return 0
}

// awaitOutput blocks until the socket takes something, or c is gone: for taking
// nothing, or too slowly.
func (t *thread) awaitOutput() {
	e, c := t.e, t.c
	from := e.clock.Now()
	t.record.SetPhase(ipc.Writing)
	t.clientWait.begin(from)
	defer func() {
		t.record.SetPhase(ipc.InApplication)
		now := e.clock.Now()
		t.blocked += now - from
		t.clientWait.end(now)
	}()
	for !awaitFD(c.fd, unix.POLLOUT, milliseconds(e.sendPace.wait)) {
		if !c.out.taking(c.fd, e.clock.Now(), e.sendPace) {
			t.tooSlow()
			return
		}
	}
}

// progress notes that n bytes went out.
func (t *thread) progress(n int) {
	if !t.c.out.progress(t.c.fd, n, t.e.clock.Now(), t.e.sendPace) {
		t.tooSlow()
	}
}

func (t *thread) tooSlow() {
	t.c.gone, t.outcome = true, accesslog.Timeout
	t.e.cutSlowReader(t.c)
}
