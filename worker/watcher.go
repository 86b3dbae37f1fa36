package worker

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/protocol/http1"
	"gowsgi/worker/python"
)

// watcher is the goroutine that sees to it that a long call does not stop the
// I/O. It sleeps until python.Watch tells of one, lives as long as the process
// and owns nothing.
type watcher struct {
	// lead stands for the watcher as a leader. It runs no application.
	lead *thread
	// long is the eventfd on which long calls are told.
	long   int
	parker *parker
}

// leadWait bounds how long the watcher waits for events once a thread has taken the
// lead back; and how long it leaves to others what only those should do who are idle.
const leadWait = 20 * time.Millisecond

func (w *watcher) init(maxFields int) {
	w.lead = &thread{head: &http1.Request{Fields: make([]http1.Field, 0, maxFields)}}
}

// watch starts the watch, and a watcher for each loop.
func (l loops) watch() error {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	var calls []python.Watched
	for _, e := range l {
		if e.watcher.long, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
			return os.NewSyscallError("eventfd", err)
		}
		if e.watcher.parker, err = newParker(e.conns); err != nil {
			return err
		}
		for _, t := range e.threads {
			calls = append(calls, python.Watched{Start: t.record.StartWord(), Long: e.watcher.long})
		}
		go e.watchCalls()
	}
	return python.Watch(calls, shortCall, wake)
}

// watchCalls is the watcher's goroutine.
func (e *engine) watchCalls() {
	var n [8]byte
	for {
		if _, err := unix.Read(e.watcher.long, n[:]); err == nil {
			e.look()
		}
	}
}

// anyCall reports whether a thread is in a call.
func (e *engine) anyCall() bool {
	for _, t := range e.threads {
		if t.record.Started() != 0 {
			return true
		}
	}
	return false
}

// look passes the lead on if its holder has been in a call for too long.
func (e *engine) look() {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.leader
	if t == nil || t == e.watcher.lead {
		return
	}
	// The watch, whose clock may differ by some microseconds, tells of a call
	// once: a call it has told of must not look short here.
	start := t.record.Started()
	if start == 0 || e.clock.Now()-start < int64(shortCall/2) {
		return
	}
	if n := len(e.idle); n > 0 {
		next := e.idle[n-1]
		e.idle = e.idle[:n-1]
		e.takeLead(next)
		next.wake <- struct{}{}
		return
	}
	e.takeLead(e.watcher.lead)
	e.stand()
}

// stand leads until an application thread does: everything but Python. Complete
// requests are queued. Connections that nobody has accepted for leadWait are
// accepted here: there is no idle sibling that would, and what they wait for shall
// be known, bounded and answered in time.
func (e *engine) stand() {
	w := e.watcher.lead
	since := e.clock.Now()
	if err := e.watcher.parker.begin(); err != nil {
		e.log.Error().Err(err).Msg("Cannot watch the connections during a long call")
	}
	defer e.watcher.parker.end()
	for e.leader == w && !e.over {
		now := e.tick()
		e.dropLeft()
		e.offerQueued()
		if now-since >= int64(leadWait) && !e.over {
			e.takeIn()
			e.refuseOverdue()
		}
		e.mu.Unlock()
		n := e.watcher.parker.wait(w.events[:], leadWait)
		e.mu.Lock()
		if e.leader != w {
			return
		}
		e.dispatch(w, w.events[:n])
	}
}

// dispatch acts on a batch of events for the leader t. When the lead is taken
// away during a call, the rest of the batch is stale: what is left of it is
// reported again.
func (e *engine) dispatch(t *thread, events []unix.EpollEvent) {
	epoch := e.epoch
	for i := range events {
		ev := &events[i]
		c := e.table[ev.Fd]
		if c == nil || c.gen != ev.Pad {
			continue
		}
		// What is held does not wait for uploads that are read, nor for files.
		if e.holding.any() && (c.state == flushing || e.holding.overdue(e.clock.Now())) {
			e.sendAllHeld()
		}
		t.pace.more = i+1 < len(events) || e.holding.any()
		switch c.state {
		case reading:
			e.input(t, c)
		case flushing:
			e.output(t, c)
		case lingering:
			e.discard(c)
		case calling:
			if c.shared {
				e.outputBeside(c)
				break
			}
			e.unwatch(c) // its thread does its I/O
		case queued:
			e.noteLeft(c)
		default:
			e.unwatch(c)
		}
		if e.epoch != epoch || e.over {
			return
		}
	}
}
