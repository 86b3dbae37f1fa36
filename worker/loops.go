package worker

import (
	"sync/atomic"
	"time"
)

// loops are the event loops of a worker. There is one, which its threads take turns
// at leading, unless Python code runs on several threads at a time (PEP 703): then
// each thread has a loop of its own, as if it were a worker, and a loop whose call
// is long hands its requests to another through the queue of the workers.
type loops []*engine

// group is what the loops of a worker have in common.
type group struct {
	loops, workers int
	// drained counts the loops that have left the listeners; the last closes them.
	drained atomic.Int32
	// quota is how many requests the worker serves before recycle is called, once;
	// 0: no limit.
	quota   uint64
	served  atomic.Uint64
	recycle func(served uint64)
	// timedOut is called after a call was timed out, onlyStuckLeft by a loop that
	// drains and has nothing left but such calls.
	timedOut      func(took time.Duration)
	onlyStuckLeft func()
}

// alone reports whether there is nobody to leave connections to.
func (g *group) alone() bool { return g.workers <= 1 && g.loops == 1 }

// count counts a request towards the quota.
func (g *group) count() {
	if g.served.Add(1) == g.quota {
		g.recycle(g.quota)
	}
}

// listen starts accepting, and taking connections out of the hand-off queue.
func (l loops) listen() error {
	for _, e := range l {
		for _, socket := range e.listeners {
			if err := e.listen(socket); err != nil {
				return err
			}
		}
		if err := e.listenHandoff(); err != nil {
			return err
		}
	}
	return nil
}

// drain makes all loops finish.
func (l loops) drain() {
	for _, e := range l {
		e.drain()
	}
}

// stop makes the threads of all loops leave as soon as their calls return.
func (l loops) stop() {
	for _, e := range l {
		e.stop()
	}
}

// settleAll records what is under way in all loops when the worker leaves.
func (l loops) settleAll() {
	for _, e := range l {
		e.settleAll()
	}
}
