package worker

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/internal/accesslog"
	"gowsgi/protocol/http1"
)

// How a connection comes to the engine and leaves it.

// accept takes one connection, and its request if that is there already. One
// only, so that the connections of a burst spread over the workers that wait. It
// reports whether there was one.
func (e *engine) accept(t *thread, i int) bool {
	if !e.roomFor(e.listeners[i].fd) {
		return false
	}
	fd, errno := rawAccept(e.listeners[i].fd, &t.peer)
	switch errno {
	case 0:
	case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
		if e.closeIdle() {
			return true // it is tried again
		}
		e.pauseAccept(errno)
		return false
	default: // EAGAIN: a sibling was faster; ECONNABORTED: the client was
		return false
	}
	e.input(t, e.newConn(fd, i, &t.peer))
	return true
}

// pauseAccept takes the listeners out of the set for half a second: without
// descriptors every event would come back at once.
func (e *engine) pauseAccept(errno unix.Errno) {
	e.log.Error().Err(errno).Int64("connections", int64(e.open)).Msg("Cannot accept connections for a while")
	for _, l := range e.listeners {
		_ = e.top.del(l.fd)
	}
	e.acceptAt = e.clock.Now() + int64(500*time.Millisecond)
}

// makeRoom is for a worker that has as many connections as it may. It closes an
// idle one, and reports true, or sees to it that the worker is not asked for more
// until one ends or becomes idle.
func (e *engine) makeRoom() bool {
	if e.closeIdle() {
		return true
	}
	e.full = true
	for _, l := range e.listeners {
		_ = e.top.del(l.fd)
	}
	if !e.drained {
		_ = e.top.del(e.siblings.read)
	}
	return false
}

// roomFor reports whether a connection that waits on fd may be taken. Nobody is
// closed for one that does not: looks at the listeners often find nothing.
func (e *engine) roomFor(fd int) bool {
	return e.open < e.most || pollNow(fd, unix.POLLIN) != 0 && e.makeRoom()
}

// listenAgain undoes makeRoom and pauseAccept, as far as both are over.
func (e *engine) listenAgain() {
	if e.full || e.acceptAt != 0 || e.deaf {
		return
	}
	for _, l := range e.listeners {
		_ = e.listen(l)
	}
	if !e.drained {
		_ = e.listenHandoff()
	}
}

// hasRoom ends what makeRoom has begun.
func (e *engine) hasRoom() {
	e.full = false
	e.listenAgain()
}

const (
	// idleLooks bounds how many connections closeIdle looks at.
	idleLooks = 64
	// silence is how long a new connection may have sent nothing before it counts
	// as idle: its request may be on the way.
	silence = time.Second
)

// closeIdle closes the connection that has been idle for longest, if there is one:
// kept for another request, or new and silent. One whose request has arrived and
// was not read yet is not.
func (e *engine) closeIdle() bool {
	looks := 0
	for c := e.idling.first; c != nil && looks < idleLooks; c, looks = c.next, looks+1 {
		if pollNow(c.fd, unix.POLLIN) == 0 {
			e.close(c)
			return true
		}
	}
	now := e.clock.Now()
	for c := e.head.first; c != nil && looks < idleLooks; c, looks = c.next, looks+1 {
		if c.n == 0 && now-c.arrived >= int64(silence) && pollNow(c.fd, unix.POLLIN) == 0 {
			e.close(c)
			return true
		}
	}
	return false
}

// newConn makes the connection for an accepted descriptor.
func (e *engine) newConn(fd, listener int, sa *unix.RawSockaddrAny) *conn {
	var c *conn
	if n := len(e.free); n > 0 {
		c = e.free[n-1]
		e.free = e.free[:n-1]
	} else {
		c = new(conn)
	}
	e.gen++
	*c = conn{fd: fd, gen: e.gen, listener: listener, length: -1,
		chunks: http1.ChunkDecoder{Limit: e.rules.Body}}
	e.judgePeer(c, sa)
	for fd >= len(e.table) {
		e.table = append(e.table, make([]*conn, max(len(e.table), 64))...)
	}
	e.table[fd] = c
	e.open++
	e.slot.Connections.Add(1)
	if !e.listeners[listener].unix {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	c.arrived = e.clock.Now()
	c.waitIn(&e.head, c.arrived)
	return c
}

// watch registers c for the events of mask.
func (e *engine) watch(c *conn, mask uint32) {
	if c.watched && c.mask == mask {
		return
	}
	var err error
	if c.watched {
		err = e.conns.mod(c.fd, c.gen, mask)
	} else {
		err = e.conns.add(c.fd, c.gen, mask)
	}
	switch {
	case err == nil:
		c.watched, c.mask = true, mask
		return
	case c.state == calling: // it is its thread's to close
		e.lose(c, accesslog.Lost)
	default:
		e.close(c)
	}
	e.log.Error().Err(err).Msg("Cannot watch a connection")
}

// unwatch takes c out of the set: a level-triggered event that nobody acts on
// would come back at once.
func (e *engine) unwatch(c *conn) {
	if c.watched {
		_ = e.conns.del(c.fd)
		c.watched = false
	}
}

// close ends c for its client, and records what that leaves unfinished.
func (e *engine) close(c *conn) {
	if c.held {
		e.sendAllHeld()
	}
	e.settleLeft(c, accesslog.Aborted)
	if c.state != closed && atomic.LoadUint32(e.forks) != 0 {
		// A child of the application may hold a copy of the descriptor, and the
		// client would wait for that to be closed, too.
		_ = unix.Shutdown(c.fd, unix.SHUT_RDWR)
	}
	e.drop(c)
}

// drop ends c for this process. The descriptor leaves the epoll set with it, unless a child of
// the application holds a copy, so it is taken out.
func (e *engine) drop(c *conn) {
	if c.state == closed {
		return
	}
	if c.state == queued {
		e.unqueue(c)
	}
	e.unwatch(c)
	c.leave()
	c.state = closed
	e.release(c)
	e.table[c.fd] = nil
	_ = unix.Close(c.fd)
	if e.open--; e.full {
		e.hasRoom()
	}
	e.slot.Connections.Add(-1)
	e.free = append(e.free, c)
	if e.open == 0 && e.draining.Load() {
		e.wake()
	}
}

// release gives c's buffers back.
func (e *engine) release(c *conn) {
	e.discardOutput(c)
	if c.buf != nil {
		e.bufs.put(c.buf)
		c.buf, c.n = nil, 0
	}
	if c.body != nil {
		e.bufs.put(c.body)
		c.body, c.bodyLen = nil, 0
	}
}

// expire ends what has waited too long.
func (e *engine) expire(now int64) {
	for _, l := range e.lists {
		for c := l.first; c != nil && c.due <= now; c = l.first {
			switch {
			case l == &e.head && c.n > 0, l == &e.body:
				e.refuse(c, errTimeout)
			case l == &e.flush:
				e.flushOverdue(c, now)
			case l == &e.waiting:
				e.unqueue(c)
				e.refuse(c, errOverdue)
			case l == &e.linger:
				e.close(c)
			default:
				e.expireSilent(c, now)
			}
		}
	}
}

// closeSilent closes the connections in l that have sent nothing.
func (e *engine) closeSilent(l *deadlines) {
	for c := l.first; c != nil; {
		next := c.next
		if c.n == 0 && !c.hasSent() {
			e.close(c)
		}
		c = next
	}
}

// hasSent reports whether there is something of c to be read.
func (c *conn) hasSent() bool { return pollNow(c.fd, unix.POLLIN)&unix.POLLIN != 0 }

// expireSilent ends a connection that has waited for a request for too long. If one
// has come, and this process was held up and did not see it, it is read next instead.
func (e *engine) expireSilent(c *conn, now int64) {
	if !c.hasSent() {
		e.close(c)
		return
	}
	c.leave()
	e.head.add(c, now)
}
