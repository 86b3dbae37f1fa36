package master

import (
	"time"

	"gowsgi/config"
	"gowsgi/internal/logging"
)

// Starter is whoever started the server and waits for the outcome: Started, or the end
// of the process.
type Starter interface {
	// Sink gets the events of the log until Started is called.
	logging.Sink
	// Started is called once: the server listens, its log and pid file are there, and
	// a worker serves; or none can yet and the service goes on trying.
	Started()
}

// starterWait bounds how long a start may keep whoever waits for it.
const starterWait = time.Minute

// tellStarter lets whoever waits for the start go when its outcome is known. A start
// that fails ends the process instead.
func (m *Master) tellStarter(now time.Time) {
	switch {
	case m.opts.Starter == nil || m.starterTold:
		return
	case m.everReady, m.target == 0:
	case m.watch != nil && m.lastTraceback != "":
		// It failed, and waits for a file to change.
	case !now.Before(m.starterDue()):
		m.log.Error().Msgf("No worker is ready after %s; the start goes on", seconds(starterWait))
	default:
		return
	}
	m.starterTold = true
	m.opts.Starter.Started()
}

// starterDue returns when whoever waits for the start has waited for long enough, zero
// if nobody waits.
func (m *Master) starterDue() time.Time {
	if m.opts.Starter == nil || m.starterTold {
		return time.Time{}
	}
	return m.history.started.Add(starterWait)
}

// sinks returns who is told of the events of the log. A starter that sees the log
// itself is not told again.
func (m *Master) sinks(cfg *config.Config) []logging.Sink {
	sinks := m.outlets.Sinks()
	if m.opts.Starter != nil && !m.starterTold && !(cfg.ErrorLog == "-" && cfg.EnableStdio) {
		sinks = append(sinks, m.opts.Starter)
	}
	return sinks
}
