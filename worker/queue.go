package worker

import (
	"encoding/binary"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Complete requests that find no thread wait here, in e.ready, or with a sibling;
// see handoff.go.

// passOn finds somebody for the complete request of c while every thread is in a
// long call: a worker that is idle, or whoever is free first. When too many wait
// already it is refused.
func (e *engine) passOn(c *conn) {
	if limit := e.cfg.MaxQueue; limit > 0 && int64(len(e.ready))+e.siblings.waiting() >= int64(limit) {
		e.refuse(c, errQueueFull)
		return
	}
	if c.queuedAt == 0 {
		c.queuedAt = e.clock.Now()
	}
	if e.mayHandOff() && e.handOff(c) {
		return
	}
	e.queue(c)
}

// offerQueued gives away requests that were queued here for want of a sibling, or
// of room in the queue, when that has changed.
func (e *engine) offerQueued() {
	for len(e.ready) > 0 && e.mayHandOff() && e.handOff(e.ready[0]) {
	}
}

// overdue reports whether c's request has waited for longer than it may.
func (e *engine) overdue(c *conn) bool {
	return c.queuedAt != 0 && e.cfg.QueueTimeout > 0 && e.clock.Now()-c.queuedAt > int64(e.cfg.QueueTimeout)
}

// queue leaves the complete request of c to the next free thread. Meanwhile it is
// only watched for its client leaving.
func (e *engine) queue(c *conn) {
	c.state = queued
	c.leave()
	if c.queuedAt != 0 {
		c.waitIn(&e.waiting, c.queuedAt)
	}
	c.left = false
	e.ready = append(e.ready, c)
	e.watch(c, unix.EPOLLRDHUP)
}

// unqueue undoes queue, but for the state.
func (e *engine) unqueue(c *conn) {
	if i := slices.Index(e.ready, c); i >= 0 {
		e.ready = slices.Delete(e.ready, i, i+1)
	}
	if c.left {
		c.left = false
		e.leaving--
	}
	c.leave()
}

// leftWait is how long a request has to have waited before its client counts as
// gone. One that has only ended its sending looks the same, and is to have its
// answer where it does not have to wait for it.
const leftWait = 100 * time.Millisecond

// noteLeft is for a client that seems to have left while its request waits.
func (e *engine) noteLeft(c *conn) {
	e.unwatch(c)
	if !c.left {
		c.left = true
		e.leaving++
	}
	e.dropLeft()
}

// dropLeft drops the requests whose clients have left.
func (e *engine) dropLeft() {
	for i := 0; e.leaving > 0 && i < len(e.ready); {
		if c := e.ready[i]; c.left && e.waitedLong(c.queuedAt) {
			e.hangUp(c)
		} else {
			i++
		}
	}
}

// waitedLong reports whether a request that waits since then has waited for
// leftWait; 0: it does not wait.
func (e *engine) waitedLong(since int64) bool {
	return since != 0 && e.clock.Now()-since >= int64(leftWait)
}

// serveReady serves the connection that has waited longest.
func (e *engine) serveReady(t *thread) {
	c := e.ready[0]
	if e.waitedLong(c.queuedAt) && clientLeft(c.fd) {
		e.hangUp(c)
		return
	}
	e.unqueue(c)
	if e.overdue(c) {
		e.refuse(c, errOverdue)
		return
	}
	gen := c.gen
	e.serve(t, c)
	if c.gen == gen && c.state == reading && c.n > 0 {
		e.advance(t, c)
	}
}

// clientLeft reports whether the peer of fd has closed the connection. One that
// has only ended its sending looks the same; nginx and HAProxy take it for gone,
// too, where there is something to be saved by that.
func clientLeft(fd int) bool {
	return pollNow(fd, unix.POLLRDHUP)&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
}

// refuseOverdue answers requests that wait with the siblings for longer than they
// may, while all threads here, and so perhaps everywhere, are busy. The one that
// has waited longest comes first.
func (e *engine) refuseOverdue() {
	h := &e.siblings
	if e.cfg.QueueTimeout <= 0 || h.read < 0 || e.drained {
		return
	}
	for range takeInMax {
		var head [sinceAt + 8]byte
		n, _, err := unix.Recvfrom(h.read, head[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err != nil || n < len(head) {
			return
		}
		since := int64(binary.NativeEndian.Uint64(head[sinceAt:]))
		if since == 0 || e.clock.Now()-since <= int64(e.cfg.QueueTimeout) {
			return
		}
		e.receive(e.watcher.lead)
	}
}
