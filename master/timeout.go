package master

import (
	"time"

	"gowsgi/protocol/ipc"
)

const (
	// checkLongest and checkShortest bound the pauses between looks at the
	// scoreboard; in between it is an eighth of the timeout, so a worker is ended at
	// most 12.5% late.
	checkLongest  = time.Second
	checkShortest = 50 * time.Millisecond
	// abortWait is what a worker gets after SIGABRT to print its stacks, hookedWait
	// what one with a worker_abort hook gets, to run that before.
	abortWait  = time.Second
	hookedWait = 5 * time.Second
)

// checkInterval returns the pause between two looks for a timeout.
func checkInterval(timeout time.Duration) time.Duration {
	return max(min(timeout/8, checkLongest), checkShortest)
}

// requestTimedOut acts on a worker that has lost a thread to a request. It has said
// so on the log and answered the client; the other threads go on until it is
// replaced. Gunicorn ends it at once, and all its requests with it; so do we where a
// worker_abort hook expects that.
func (m *Master) requestTimedOut(w *worker, msg ipc.Message, now time.Time) {
	w.timedOut = true
	if w.hooked() {
		w.stuck = true
		m.abort(w, now, "request", w.gen.cfg.Timeout)
		return
	}
	if w.state == serving && !w.recycle {
		w.recycle = true
		m.log.Info().Int("worker", w.pid).Dur("dur_ms", msg.Took).
			Msgf("Worker (pid:%d) is replaced, for a request that takes more than %s", w.pid, seconds(w.gen.cfg.Timeout))
	}
}

// hooked reports whether the worker has a worker_abort hook.
func (w *worker) hooked() bool { return w.gen.cfg.HasHook("worker_abort") }

// onlyStuck ends a worker that drains and has nothing left but requests that timed
// out: there is nothing to wait for. Its stacks are on the log since the timeout.
func (m *Master) onlyStuck(w *worker, now time.Time) {
	if w.state == draining && !w.stuck {
		w.stuck = true
		m.end(w, 0, now, "request timeout")
	}
}
