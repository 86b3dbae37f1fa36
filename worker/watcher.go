package worker

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/protocol/http1"
)

// watcher is the goroutine that sees to it that a long call does not stop the
// I/O. It lives as long as the process and owns nothing.
type watcher struct {
	// lead stands for the watcher as a leader. It runs no application.
	lead *thread
	// parked is set while the watcher sleeps because nothing runs; the next
	// call wakes it. So it costs an idle worker nothing, and a busy one a look
	// every millisecond.
	parked atomic.Bool
	kick   chan struct{}
}

const (
	// looks is how many times in a row nothing may be running before it parks.
	looks = 20
	// leadWait bounds how long, in milliseconds, the watcher waits for events
	// once a thread has taken the lead back.
	leadWait = 20
)

func (w *watcher) init(maxFields int) {
	w.lead = &thread{head: &http1.Request{Fields: make([]http1.Field, 0, maxFields)}}
	w.kick = make(chan struct{}, 1)
}

// running is called by a thread before its call. It costs one load while calls
// follow each other.
func (w *watcher) running() {
	if w.parked.Load() && w.parked.CompareAndSwap(true, false) {
		w.kick <- struct{}{}
	}
}

// watchCalls is the watcher's goroutine.
func (e *engine) watchCalls() {
	quiet := 0
	for {
		if quiet >= looks {
			e.watcher.parked.Store(true)
			// A call that began before parked was set is seen here.
			if !e.anyCall() || !e.watcher.parked.CompareAndSwap(true, false) {
				<-e.watcher.kick
			}
			quiet = 0
		}
		time.Sleep(shortCall)
		if e.look() {
			quiet = 0
		} else {
			quiet++
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

// look passes the lead on if its holder has been in a call for too long. It
// reports whether anything runs.
func (e *engine) look() bool {
	if !e.anyCall() {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.leader
	if t == nil || t == e.watcher.lead {
		return true
	}
	start := t.record.Started()
	if start == 0 || e.clock.Now()-start < int64(shortCall) {
		return true
	}
	e.epoch++
	if n := len(e.idle); n > 0 {
		next := e.idle[n-1]
		e.idle = e.idle[:n-1]
		e.leader = next
		next.wake <- struct{}{}
		return true
	}
	e.leader = e.watcher.lead
	e.stand()
	return true
}

// stand leads until an application thread does: everything but Python. Complete
// requests are queued.
func (e *engine) stand() {
	w := e.watcher.lead
	for e.leader == w && !e.over {
		e.tick()
		e.mu.Unlock()
		n, _ := e.conns.wait(w.events[:], leadWait)
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
		switch c.state {
		case reading:
			e.input(t, c)
		case flushing:
			e.output(t, c)
		case lingering:
			e.discard(c)
		default: // queued or calling: its thread does its I/O
			e.unwatch(c)
		}
		if e.epoch != epoch || e.over {
			return
		}
	}
}
