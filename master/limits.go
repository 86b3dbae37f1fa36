package master

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/internal/logging"
)

// slowBoot is after how long a worker that still loads the application gets a
// line on the log, whatever boot_timeout says.
const slowBoot = time.Minute

// checkWorkers ends workers that have outlived a limit: of the boot, of the silence
// of its event loop (that of a request is theirs to watch); and has those replaced whose life is over.
func (m *Master) checkWorkers(now time.Time) {
	m.checkLifetimes(now)
	if now.Before(m.nextCheck) {
		return
	}
	elapsed := now.Sub(m.lastCheck)
	m.lastCheck, m.nextCheck = now, time.Time{}
	for _, w := range m.workers {
		if w.reaped {
			continue
		}
		m.checkAgain(now, m.checkBoot(w, now))
		m.checkAgain(now, m.checkLiveness(w, now, elapsed))
	}
}

// checkAgain sees to it that workers are looked at again within d; 0: never.
func (m *Master) checkAgain(now time.Time, d time.Duration) {
	if d <= 0 {
		return
	}
	if next := now.Add(d); m.nextCheck.IsZero() || next.Before(m.nextCheck) {
		m.nextCheck = next
	}
}

// checkLifetimes marks workers as to be replaced whose max_worker_lifetime is over.
func (m *Master) checkLifetimes(now time.Time) {
	for _, w := range m.workers {
		if w.state == serving && !w.recycle && !w.retireAt.IsZero() && !now.Before(w.retireAt) {
			w.recycle = true
			age := now.Sub(w.spawned)
			m.log.Info().Int("worker", w.pid).Dur("lived_ms", age).
				Msgf("Autorestarting worker (pid:%d) after %.0fs", w.pid, age.Seconds())
		}
	}
}

// abort ends a worker in a way that shows where it is: its fault handler prints
// all Python stacks, also when the interpreter is stuck, and dies of the signal.
func (m *Master) abort(w *worker, now time.Time, why string, limit time.Duration) {
	wait := abortWait
	if w.hooked() {
		wait = hookedWait
	}
	m.end(w, unix.SIGABRT, now.Add(wait), fmt.Sprintf("%s timeout (%s)", why, seconds(limit)))
}

// checkBoot ends a worker that takes longer than boot_timeout to load the
// application. It returns when to look again.
func (m *Master) checkBoot(w *worker, now time.Time) time.Duration {
	if w.state != booting {
		return 0
	}
	age, limit := now.Sub(w.spawned), w.gen.cfg.BootTimeout
	if limit > 0 && age >= limit {
		logging.Critical(&m.log).Int("worker", w.pid).Dur("lived_ms", age).
			Msgf("WORKER BOOT TIMEOUT (pid:%d) the application is not loaded after %.1fs", w.pid, age.Seconds())
		w.bootTimedOut = true
		m.abort(w, now, "boot", limit)
		m.backoff.died(w.wave, 0, now) // it has not lived, however long it took
		if m.undecided(w) {
			m.abandonReload("worker did not load the application in time", "")
		}
		return 0
	}
	if age >= slowBoot && !w.slowBoot {
		w.slowBoot = true
		m.log.Warn().Int("worker", w.pid).Dur("lived_ms", age).
			Msgf("Worker (pid:%d) has not loaded the application after %s", w.pid, seconds(slowBoot))
	}
	next := time.Duration(0)
	if !w.slowBoot {
		next = slowBoot - age
	}
	if limit > 0 && (next == 0 || limit-age < next) {
		next = limit - age
	}
	return next
}

// checkLiveness ends a worker whose event loop has not turned for
// liveness_timeout, which is none of a request's business: the loop turns while
// calls run. elapsed is the time since the last look; of that no more counts than
// two looks are apart, so that a machine that was suspended, or a master that was
// stopped, takes no worker for hung. It returns when to look again.
func (m *Master) checkLiveness(w *worker, now time.Time, elapsed time.Duration) time.Duration {
	limit := w.gen.cfg.LivenessTimeout
	if limit <= 0 || w.state != serving {
		return 0
	}
	every := checkInterval(limit)
	beat := w.board.sb.Slot(w.slot).Beat.Load()
	if beat != w.beat {
		w.beat, w.silent = beat, 0
		return every
	}
	w.silent += min(elapsed, 2*every)
	if w.silent < limit {
		return every
	}
	if m.env.stopped(w.pid) {
		// Somebody looks at it, or wants it to wait.
		w.silent = 0
		return every
	}
	logging.Critical(&m.log).Int("worker", w.pid).Dur("dur_ms", w.silent).
		Msgf("WORKER HANGS (pid:%d) its event loop has not turned for %.1fs", w.pid, w.silent.Seconds())
	w.hung = true
	m.abort(w, now, "liveness", limit)
	return 0
}
