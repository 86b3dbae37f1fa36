package master

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/internal/sys"
	"gowsgi/protocol/ipc"
)

// reapAll collects all dead children: workers, and as process 1 or a subreaper
// also orphans it never started, which would stay zombies for ever.
//
// Two waiters cannot share a process: wait4(-1) takes the exit status of any
// child, so nobody else may wait for one. Of workers only the pid is kept, and
// what os/exec itself waits for while it starts one is over when Start returns,
// on this same goroutine. While a reload is prepared, though, Options may be
// running a program elsewhere and waiting for it; until that has ended only
// known pids are asked for, and orphans wait.
//
// os/signal drops a SIGCHLD when one is pending, and the kernel merges them, so
// one signal may mean many deaths: everything that is dead is collected each time.
func (m *Master) reapAll() {
	if m.preparing {
		for _, w := range m.workers {
			if w.reaped || w.pid == 0 {
				continue
			}
			if d, err := m.env.reap(w.pid); err == nil && d.PID == w.pid {
				m.reapedWorker(w, d)
			}
		}
		m.reapSpawners()
		if m.child != 0 {
			if d, err := m.env.reap(m.child); err == nil && d.PID == m.child {
				m.newMasterDied(d.Status)
			}
		}
		return
	}
	for {
		d, err := m.env.reap(-1)
		if err != nil && !errors.Is(err, unix.ECHILD) {
			m.log.Error().Err(err).Msg("waiting for children")
		}
		if err != nil || d.PID == 0 {
			return
		}
		m.reapedChild(d)
	}
}

// reapedChild finds out whose exit status that is.
func (m *Master) reapedChild(d sys.Death) {
	unnamed := false
	for _, w := range m.workers {
		if w.pid == d.PID {
			m.reapedWorker(w, d)
			return
		}
		unnamed = unnamed || w.pid == 0
	}
	switch s := m.spawners[d.PID]; {
	case s != nil:
		m.spawnerDied(s, d.Status)
	case d.PID == m.child:
		m.newMasterDied(d.Status)
	case unnamed:
		// A worker may be dead before its pid is known here.
		m.strangers[d.PID] = d
	default:
		m.log.Debug().Int("child", d.PID).Msgf("Reaped unknown child (pid:%d)", d.PID)
	}
}

// newMasterDied notes the end of a new master that this one had started. That the
// service goes on alone follows from the end of the link.
func (m *Master) newMasterDied(status unix.WaitStatus) {
	pid := m.child
	m.child = 0
	switch {
	case status.Signaled():
		m.log.Error().Int("master", pid).Str("signal", unix.SignalName(status.Signal())).
			Msgf("New master (pid:%d) was sent %s!", pid, unix.SignalName(status.Signal()))
	case status.ExitStatus() != 0:
		m.log.Error().Int("master", pid).Int("exit_code", status.ExitStatus()).
			Msgf("New master (pid:%d) exited with code %d.", pid, status.ExitStatus())
	default:
		m.log.Info().Int("master", pid).Msgf("New master (pid:%d) has left", pid)
	}
}

// reapedWorker records a worker's exit status. What it said last may still be
// in the pipe, so its death is not judged before that is read.
func (m *Master) reapedWorker(w *worker, d sys.Death) {
	w.reaped, w.exit, w.maxRSS = true, d.Status, d.MaxRSS
	w.status.Finish()
	m.bury(w)
}

// apply implements event.
func (e pipeDoneEvent) apply(m *Master) {
	if e.err != nil {
		m.log.Warn().Err(e.err).Int("worker", e.w.pid).Msgf("Worker (pid:%d) is not understood", e.w.pid)
	}
	e.w.pipeDone = true
	if e.w.pid == 0 {
		m.stillborn(e.w)
		return
	}
	m.bury(e.w)
}

// apply implements event. Messages are taken in any state: the worker may have
// died, or been told to leave, while they were on the way.
func (e messageEvent) apply(m *Master) {
	w := e.w
	switch e.msg.Kind {
	case ipc.KindStarted:
		m.workerStarted(w, e.msg.PID)
	case ipc.KindReady:
		m.workerReady(w)
	case ipc.KindBootFailed:
		if w.state == booting && w.bootFailed == nil {
			w.bootFailed = &e.msg
			m.bootFailed(w)
		}
	case ipc.KindFiles:
		if m.watch != nil {
			m.watch.Add(e.msg.Files, w.spawned)
		}
	case ipc.KindRecycle:
		if w.state == serving && !w.recycle {
			w.recycle = true
			m.logRecycle(w, e.msg)
		}
	case ipc.KindTimeout:
		m.requestTimedOut(w, e.msg, time.Now())
	case ipc.KindStuck:
		m.onlyStuck(w, time.Now())
	default:
		m.log.Warn().Int("worker", w.pid).Str("kind", string(e.msg.Kind)).Msgf("Worker (pid:%d) is not understood", w.pid)
	}
}

// logRecycle says why a worker is to be replaced.
func (m *Master) logRecycle(w *worker, msg ipc.Message) {
	line := m.log.Info().Int("worker", w.pid)
	if msg.Memory > 0 {
		line.Int64("memory", msg.Memory).Msgf("Autorestarting worker (pid:%d): it uses %s of memory, more than %s",
			w.pid, mebibytes(msg.Memory), mebibytes(w.gen.cfg.MaxWorkerMemory))
		return
	}
	line.Uint64("requests", msg.Requests).Msgf("Autorestarting worker after %d requests", msg.Requests)
}

// mebibytes formats a size for the log.
func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func (m *Master) workerReady(w *worker) {
	if w.state != booting {
		return
	}
	w.move(serving)
	m.nextCheck = time.Time{} // other limits hold from here
	m.everReady = true
	m.lastTraceback = ""
	m.history.boot = failure{}
	w.surge = false
	if w.reopen {
		m.signalWorker(w, unix.SIGUSR1)
	}
	m.reloadProven(w)
}

// bootFailed logs why a worker could not start, and ends the service if none
// ever has. A traceback is shown once and again when it changes; several
// workers fail alike at one start, and one worker fails alike for hours.
func (m *Master) bootFailed(w *worker) {
	if m.stop != nil {
		return
	}
	msg := w.bootFailed
	m.followTraceback(w, msg.Traceback)
	switch tb := msg.Traceback + "\n" + msg.Error; {
	case m.undecided(w):
		// Which shows it: a worker that is missing later fails with the same one, for
		// what is broken is on the disk.
		m.lastTraceback = tb
		m.abandonReload(msg.Error, msg.Traceback)
		return
	case tb == m.lastTraceback:
		m.log.Error().Int("worker", w.pid).Str("error", msg.Error).Msgf("Worker (pid:%d) failed to boot as before", w.pid)
	default:
		m.lastTraceback = tb
		m.logBootFailure(w)
	}
	m.bootBroken(msg.Error, msg.Traceback)
	if !m.everReady && m.watch == nil { // else a file may change that repairs it
		m.stopAtBoot(w.bootFailed.Code)
	}
}

func (m *Master) logBootFailure(w *worker) {
	msg := w.bootFailed
	if msg.Traceback != "" {
		m.log.Error().Int("worker", w.pid).Str("traceback", msg.Traceback).Msg("Exception in worker process")
	}
	if msg.Error != "" {
		m.log.Error().Int("worker", w.pid).Msg(msg.Error)
	}
}

// stopAtBoot ends a service that never was one: all workers would fail alike,
// and whoever started it is still watching. The worker that said so exits by
// itself; the others are told to.
func (m *Master) stopAtBoot(failed int) {
	code, reason := ipc.ExitBoot, "Worker failed to boot."
	if failed == ipc.ExitApp {
		code, reason = ipc.ExitApp, "App failed to load."
	}
	m.stopAll(&stopping{quick: true, code: code, reason: reason}, time.Now())
}

// bury completes a worker's death, when both halves of it are known.
func (m *Master) bury(w *worker) {
	if !w.reaped || !w.pipeDone {
		return
	}
	now := time.Now()
	m.logDeath(w, now)
	m.logLost(w)
	m.tellExit(w)
	asked := w.state == draining
	m.remember(w, asked || m.stop != nil)
	wasBooting := w.state == booting
	m.forget(w)
	if asked || m.stop != nil {
		return
	}
	m.backoff.died(w.wave, now.Sub(w.spawned), now)
	switch {
	case wasBooting && m.undecided(w):
		m.abandonReload("worker died before it was ready", "")
	case wasBooting && w.bootFailed == nil:
		_, text := deathText(w)
		m.bootBroken(text, "")
	}
	if delay := m.backoff.until.Sub(now); delay > 0 && m.wantsWorker() {
		m.log.Info().Dur("delay_ms", delay).Int("deaths", m.backoff.fails).
			Msgf("Next worker in %.1fs", delay.Seconds())
	}
}

// forget ends the record of a worker.
func (m *Master) forget(w *worker) {
	w.move(gone)
	delete(m.workers, w.age)
	w.surge = false
	if err := w.board.release(w.slot); err != nil {
		m.log.Warn().Err(err).Msg("closing a scoreboard")
	}
}
