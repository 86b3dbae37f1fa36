package master

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

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

// checkTimeouts ends workers with a request in flight for longer than the
// timeout setting of their generation. Unlike gunicorn's heartbeat this works
// alike with one thread and with many, and says which request it was. A worker
// that is idle, or still importing, is never touched.
func (m *Master) checkTimeouts(now time.Time) {
	if now.Before(m.nextCheck) {
		return
	}
	m.nextCheck = time.Time{}
	clock := m.clock.Now()
	for _, w := range m.workers {
		timeout := w.gen.cfg.Timeout
		if timeout <= 0 || w.reaped {
			continue
		}
		if next := now.Add(checkInterval(timeout)); m.nextCheck.IsZero() || next.Before(m.nextCheck) {
			m.nextCheck = next
		}
		if w.state == booting || w.timedOut {
			continue
		}
		for _, r := range w.inFlight(clock) {
			if r.Since <= timeout {
				continue
			}
			logging.Critical(&m.log).Int("worker", w.pid).Str("method", r.Method).Str("target", r.Target).Dur("dur_ms", r.Since).
				Msgf("WORKER TIMEOUT (pid:%d) %s (%.1fs)", w.pid, requestText(r), r.Since.Seconds())
			w.timedOut = true
		}
		if w.timedOut {
			// The worker's fault handler prints all Python stacks, also when the
			// interpreter is stuck, and dies of the signal.
			m.end(w, unix.SIGABRT, now.Add(abortWait), fmt.Sprintf("request timeout (%s)", seconds(timeout)))
		}
	}
}
