package master

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// quickWait is what workers get to leave in a quick stop, as under gunicorn.
const quickWait = 2 * time.Second

// masterSignals are those the loop handles. SIGPIPE is among them so that a
// write to a closed standard error is an error and not the end; it is caught
// rather than ignored because workers would inherit "ignored" through exec.
var masterSignals = []os.Signal{
	unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2,
	unix.SIGTTIN, unix.SIGTTOU, unix.SIGWINCH, unix.SIGPIPE,
}

// logSignal writes gunicorn's line "Handling signal: term".
func (m *Master) logSignal(s os.Signal) {
	sig, ok := s.(unix.Signal)
	if !ok || sig == unix.SIGPIPE {
		return
	}
	name := unix.SignalName(sig)
	m.log.Info().Str("signal", name).Msgf("Handling signal: %s", strings.ToLower(strings.TrimPrefix(name, "SIG")))
}

// handleSignal does what a signal asks for. It never waits: what takes time is
// left to later turns of the loop.
func (m *Master) handleSignal(s os.Signal) {
	m.logSignal(s)
	now := time.Now()
	switch s {
	case unix.SIGTERM:
		m.terminate(now)
	case unix.SIGINT, unix.SIGQUIT:
		m.stopAll(&stopping{quick: true}, now)
	case unix.SIGHUP:
		m.hangUp()
	case unix.SIGUSR1:
		m.reopenLogs()
	case unix.SIGTTIN:
		m.scale(+1)
	case unix.SIGTTOU:
		m.scale(-1)
	case unix.SIGUSR2:
		m.upgrade()
	case unix.SIGWINCH:
		m.wind()
	}
}

// wind stops all workers and leaves the sockets open, so that another master on
// them can be tried alone. SIGHUP and SIGTTIN start workers again. A terminal
// sends SIGWINCH at every change of its size, so it counts only without one
// (gunicorn: only with --daemon).
func (m *Master) wind() {
	if m.env.terminal() {
		m.log.Debug().Msg("SIGWINCH ignored. Not daemonized")
		return
	}
	m.log.Info().Msg("graceful stop of workers")
	m.tellWorkers(m.target, 0)
	m.target = 0
	if m.reload != nil {
		m.reload.target = 0
	}
}

// terminate begins a graceful stop, drain_delay from now. A second SIGTERM ends
// that delay; one that comes later makes the stop a quick one, unless it comes so
// soon that it is the first one again: supervisors that signal a process and its
// group send two.
func (m *Master) terminate(now time.Time) {
	delay := m.gen.cfg.DrainDelay
	switch {
	case m.stop != nil:
		if now.Sub(m.stop.since) >= secondTerm {
			m.stopAll(&stopping{quick: true}, now)
		}
	case m.leaving != nil:
		m.stopAll(m.leaving, now)
	case delay > 0:
		m.leaving, m.leaveAt = &stopping{}, now.Add(delay)
		m.log.Info().Msgf("Stopping in %s, as drain_delay says", seconds(delay))
		m.notifyStopping()
	default:
		m.stopAll(&stopping{}, now)
	}
}

// secondTerm is how long after the first SIGTERM took effect another one is a
// wish of its own.
const secondTerm = time.Second

// stopAll ends the service. A quick stop overrides a graceful one in progress,
// and a second quick one ends what is left at once.
func (m *Master) stopAll(s *stopping, now time.Time) {
	switch {
	case m.stop == nil:
		if m.leaving == nil {
			m.notifyStopping()
		}
		m.stop, m.leaving = s, nil
		s.since = now
		for _, l := range m.sockets {
			m.letGo(l)
		}
		m.tellBoards()
	case s.quick && m.stop.quick && s.reason == "" && m.stop.reason == "":
		m.log.Info().Msg("Immediate shutdown requested")
		for _, w := range m.workers {
			m.end(w, 0, now, "a second quick shutdown")
		}
		return
	case s.quick && !m.stop.quick && s.reason == "":
		m.log.Info().Msg("Quick shutdown requested")
		m.stop.quick = true
	default:
		return
	}
	for _, w := range m.workers {
		switch {
		case s.quick:
			sig := unix.SIGQUIT
			if w.bootFailed != nil {
				sig = 0 // it is leaving, and its exit code is wanted
			}
			m.end(w, sig, now.Add(quickWait), "quick shutdown ("+seconds(quickWait)+")")
		case w.state != draining:
			m.retire(w, now)
		}
	}
}

// scale changes the wanted number of workers, never below one.
func (m *Master) scale(by int) {
	if m.stop != nil {
		return
	}
	before := m.target
	m.target = max(m.target+by, 1)
	if m.preparing {
		m.scaled += by
	}
	m.tellWorkers(before, m.target)
	if m.reload != nil {
		m.reload.target = max(m.reload.target+by, 1)
	}
}

// reopenLogs reopens the master's log and passes the request on. A worker that
// is still booting may not have its handler yet and would die of it; it gets
// the signal when it is ready.
func (m *Master) reopenLogs() {
	m.reopenLog()
	if p := m.gen.spawner; p != nil {
		if err := capture(p, m.gen.cfg); err != nil {
			m.log.Error().Err(err).Msg("Spawner's log could not be reopened")
		}
	}
	for _, w := range m.workers {
		if w.state == booting {
			w.reopen = true
		} else {
			m.signalWorker(w, unix.SIGUSR1)
		}
	}
}
