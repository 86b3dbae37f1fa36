package worker

import (
	"math"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/internal/logging"
)

// What happens to a call that takes longer than timeout. The thread cannot be
// freed, so the worker is on its way out from then on, but nobody else suffers:
//
//	at the timeout   a line on the log, and the stacks of all Python threads
//	                 504 to the client, or, if the response has begun, its end
//	                 an exception in the thread, for when it runs Python code again
//	                 the master is told, and has the worker replaced
//	when replaced    the other calls of the worker are finished
//	then             the master is told, and kills the process
//
// What the thread waits for its client does not count.

// reply says who answers the request of a thread's call: nobody yet, the
// application, or the watch over timeouts; whoever comes first. The upper bits
// number the calls, so that a late look does not hit the next one.
type reply struct{ word atomic.Uint32 }

const (
	answerOpen  = iota
	answerBegun // by the application
	answerCut   // begun, and broken off at the timeout
	answerTaken // 504
	answerMask  = 3
	answerCall  = 4 // added for each call
)

// begin takes the answer for the application. It reports false if the client has
// had a 504.
func (a *reply) begin() bool {
	w := a.word.Load()
	return w&answerMask == answerOpen && a.word.CompareAndSwap(w, w|answerBegun)
}

// taken reports whether the client has had a 504.
func (a *reply) taken() bool { return a.word.Load()&answerMask == answerTaken }

// end ends the call and returns how it was answered.
func (a *reply) end() uint32 {
	for {
		w := a.word.Load()
		if a.word.CompareAndSwap(w, w&^answerMask+answerCall) {
			return w & answerMask
		}
	}
}

// timeOut takes the answer of the call that word is of, or cuts it, and returns
// which: answerOpen if the call is over.
func (a *reply) timeOut(word uint32) uint32 {
	word &^= answerMask
	if a.word.CompareAndSwap(word|answerOpen, word|answerTaken) {
		return answerTaken
	}
	if a.word.CompareAndSwap(word|answerBegun, word|answerCut) {
		return answerCut
	}
	return answerOpen
}

// waiting adds up how long a call waits for its client. Of two waits at a time, one
// thread of the application reading content and another writing, the first that ends
// counts.
type waiting struct {
	total atomic.Int64 // nanoseconds
	since atomic.Int64 // ipc.Clock time; 0: it does not wait
}

func (w *waiting) begin(now int64) { w.since.Store(now) }

func (w *waiting) end(now int64) {
	if since := w.since.Swap(0); since != 0 {
		w.total.Add(now - since)
	}
}

// sum returns how long the call has waited until now.
func (w *waiting) sum(now int64) int64 {
	n := w.total.Load()
	if since := w.since.Load(); since != 0 {
		n += now - since
	}
	return n
}

const (
	// callsRarely and callsOften bound the pauses between looks at the calls; in
	// between it is an eighth of the timeout.
	callsRarely = time.Second
	callsOften  = 50 * time.Millisecond
	// unwindWait is what a thread gets, at least, to act on the exception.
	unwindWait = time.Second
	// stacksPatience is what the stacks get beyond that to reach the error log, behind
	// which the exception comes.
	stacksPatience = stacksWait
)

// checkCalls times out the calls that have run for too long. e.mu is held.
func (e *engine) checkCalls(now int64) {
	timeout := int64(e.cfg.Timeout)
	if timeout <= 0 {
		e.callsAt = math.MaxInt64
		return
	}
	e.callsAt = now + min(max(timeout/8, int64(callsOften)), int64(callsRarely))
	var late []lateCall
	for _, t := range e.threads {
		word := t.answer.word.Load()
		start := t.record.Started()
		if start == 0 || start == t.stuck || now-start-t.clientWait.sum(now) <= timeout {
			continue
		}
		if t.py.Taken() { // how long it takes is the application's business
			continue
		}
		if l, ok := e.timeOut(t, word, start, time.Duration(now-start)); ok {
			late = append(late, l)
		}
	}
	if len(late) == 0 {
		return
	}
	// With a worker_abort hook they are shown behind what it says, and once is enough.
	hooked := e.cfg.HasHook("worker_abort")
	if !hooked {
		e.stacks = e.stacksLog.write()
	}
	for _, l := range late {
		e.cutOff(l, !hooked)
	}
}

// lateCall is a call that has timed out.
type lateCall struct {
	t     *thread
	c     *conn
	state uint32 // answerTaken or answerCut
	head  bool   // of a HEAD request
	took  time.Duration
}

// timeOut takes the answer of the call of t that word is of, and names it on the log.
// ok is false if it has ended just now.
func (e *engine) timeOut(t *thread, word uint32, start int64, took time.Duration) (l lateCall, ok bool) {
	r, _ := t.record.InFlight(e.clock.Now())
	l = lateCall{t: t, c: t.c, head: r.Method == "HEAD", took: took}
	l.state = t.answer.timeOut(word)
	if l.state == answerOpen {
		return l, false
	}
	t.stuck = start
	e.unwound = e.clock.Now() + int64(unwindWait)
	logging.Critical(&e.log).Str("method", r.Method).Str("target", r.Target).Dur("dur_ms", took).
		Msgf("WORKER TIMEOUT (pid:%d) %s %s (%.1fs)", os.Getpid(), r.Method, r.Target, took.Seconds())
	return l, true
}

// cutOff ends a call that has timed out for everybody but its thread, in which an
// exception is raised if that is wanted.
func (e *engine) cutOff(l lateCall, raise bool) {
	t, c := l.t, l.c
	if l.state == answerTaken {
		page := errorPage(504, "the application took too long", l.head)
		n, _ := rawSend(c.fd, page)
		_ = unix.Shutdown(c.fd, unix.SHUT_WR)
		e.settleTimedOut(t, c, l.took, contentSent(page, n))
		t.record.SetAnswered()
	} else {
		_ = unix.Shutdown(c.fd, unix.SHUT_RDWR)
	}
	if raise { // a worker_abort hook runs in Python code, and soon
		t.py.Interrupt(e.stacks.wait)
	}
	e.group.timedOut(l.took)
}

// stuckForGood reports whether calls that have timed out have had the time to act on
// the exception, and the log that to take their stacks.
func (e *engine) stuckForGood(now int64) bool {
	if e.stacks != nil && e.stacks.done() {
		e.unwound = max(e.unwound, now+int64(unwindWait))
		e.stacks = nil
	}
	return now >= e.unwound && (e.stacks == nil || now >= e.unwound+int64(stacksPatience))
}

// stuckCalls returns how many calls are timed out and have not returned.
func (e *engine) stuckCalls() int {
	n := 0
	for _, t := range e.threads {
		if t.stuck != 0 && t.record.Started() == t.stuck {
			n++
		}
	}
	return n
}
