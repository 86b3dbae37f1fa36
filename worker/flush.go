package worker

import (
	"golang.org/x/sys/unix"

	"gowsgi/internal/accesslog"
)

// How output that a socket did not take at once goes out: by the loop, also while
// the application goes on with its call, or by the application's thread, when it
// has to wait anyway.
//
//	                          the socket takes all
//	call -- send ------------------------------------------> nothing kept
//	          | the rest is kept
//	          v                        the call needs room
//	       shared: the loop sends  <-----------------------> taken back: the thread sends
//	          |                            there is room
//	          | the call ends
//	          v
//	       flushing: the loop sends, and goes on with the connection

// push sends some of c's output. The outcome is OK unless the connection is not
// worth going on with.
func (e *engine) push(c *conn) accesslog.Outcome {
	n, err := c.out.write(c.fd)
	switch err {
	case nil:
	case unix.EAGAIN, unix.EINTR:
		return accesslog.OK
	case errFileShort:
		e.log.Error().Msgf("The response to ip=%s is cut: %v", c.remoteAddr(), err)
		return accesslog.Error
	default:
		return accesslog.Aborted
	}
	now := e.clock.Now()
	if c.out.drop(n, &e.bufs); c.out.empty() {
		c.out = nil
		c.leave()
		return accesslog.OK
	}
	if !c.out.progress(c.fd, n, now, e.sendPace) {
		e.cutSlowReader(c)
		return accesslog.Timeout
	}
	c.waitIn(&e.flush, now)
	return accesslog.OK
}

// flushLater leaves c's output to the loop, behind a call.
func (e *engine) flushLater(c *conn) {
	c.state = flushing
	if c.list != &e.flush { // else it waits already
		c.waitIn(&e.flush, e.clock.Now())
	}
	e.watch(c, unix.EPOLLOUT)
}

// output sends on with what a response left over, and goes on with the connection
// when that is done.
func (e *engine) output(t *thread, c *conn) {
	if outcome := e.push(c); outcome != accesslog.OK {
		e.settleLate(c, outcome)
		e.close(c)
		return
	}
	if c.out != nil {
		return
	}
	e.settleLate(c, accesslog.OK)
	if !c.keepAlive {
		e.shut(c)
		return
	}
	e.resume(c)
	if c.n > 0 {
		e.advance(t, c) // a pipelined request
	}
}

// share lets the loop send c's output while c is calling.
func (e *engine) share(c *conn) {
	if c.out.empty() {
		c.out, c.behind = nil, false
		return
	}
	c.behind, c.shared = true, true
	if c.list != &e.flush {
		c.waitIn(&e.flush, e.clock.Now())
	}
	e.watch(c, unix.EPOLLOUT)
}

// takeBack ends share: the thread that calls has c's output for itself.
func (e *engine) takeBack(c *conn) {
	c.shared = false
	c.leave()
	e.unwatch(c)
}

// outputBeside is output for a connection that is shared.
func (e *engine) outputBeside(c *conn) {
	if outcome := e.push(c); outcome != accesslog.OK {
		e.lose(c, outcome)
	} else if c.out == nil {
		e.takeBack(c)
	}
}

// lose gives up a connection that is calling, of which the thread learns when it
// looks.
func (e *engine) lose(c *conn, outcome accesslog.Outcome) {
	c.lost = outcome
	e.takeBack(c)
	_ = unix.Shutdown(c.fd, unix.SHUT_RDWR)
}

// discardOutput gives c's output back unsent.
func (e *engine) discardOutput(c *conn) {
	if c.out != nil {
		c.out.discard(&e.bufs)
		c.out = nil
	}
}

// flushOverdue decides what becomes of c, of whose output the socket has taken
// nothing for as long as it may.
func (e *engine) flushOverdue(c *conn, now int64) {
	if c.out.taking(c.fd, now, e.sendPace) {
		c.waitIn(&e.flush, now)
		return
	}
	e.cutSlowReader(c)
	if c.state == calling {
		e.lose(c, accesslog.Timeout)
		return
	}
	e.settleLate(c, accesslog.Timeout)
	e.close(c)
}

// cutSlowReader is for a client that is not waited for any more. With a reset the
// kernel does not wait for it either, which may hold megabytes of the response.
func (e *engine) cutSlowReader(c *conn) {
	e.log.Info().Msgf("The response to ip=%s is cut: the client took it too slowly", c.remoteAddr())
	_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}
