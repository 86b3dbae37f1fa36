package master

import (
	"time"

	"gowsgi/internal/logging"
)

const (
	// checkLongest and checkShortest bound the pauses between looks at the
	// scoreboard; in between it is an eighth of the timeout, so a request is
	// ended at most 12.5% late.
	checkLongest  = time.Second
	checkShortest = 50 * time.Millisecond
	// abortWait is what a worker gets after SIGABRT to print its stacks.
	abortWait = time.Second
)

// checkInterval returns the pause between two looks for a timeout.
func checkInterval(timeout time.Duration) time.Duration {
	return max(min(timeout/8, checkLongest), checkShortest)
}

// checkRequests ends a worker with a request in flight for longer than the timeout
// setting of its generation. Unlike gunicorn's heartbeat this works alike with one
// thread and with many, and says which request it was. A worker that is idle, or
// still importing, is never touched, nor one whose application took the connection
// over. It returns when to look again.
func (m *Master) checkRequests(w *worker, now time.Time) time.Duration {
	timeout := w.gen.cfg.Timeout
	if timeout <= 0 {
		return 0
	}
	if w.state == booting || w.timedOut {
		return checkInterval(timeout)
	}
	for _, r := range w.inFlight(m.clock.Now()) {
		if r.Since <= timeout || r.Taken {
			continue
		}
		logging.Critical(&m.log).Int("worker", w.pid).Str("method", r.Method).Str("target", r.Target).Dur("dur_ms", r.Since).
			Msgf("WORKER TIMEOUT (pid:%d) %s (%.1fs)", w.pid, requestText(r), r.Since.Seconds())
		w.timedOut = true
	}
	if w.timedOut {
		m.abort(w, now, "request", timeout)
	}
	return checkInterval(timeout)
}
