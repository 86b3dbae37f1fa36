package master

import (
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"gowsgi/protocol/ipc"
)

// logDeath writes one line: why a worker is gone, in gunicorn's words where it has
// any, how it had lived, and what it was doing.
func (m *Master) logDeath(w *worker, now time.Time) {
	if m.stop != nil && m.stop.reason != "" && w.bootFailed == nil {
		// Ended because another one could not boot: nothing worth a line.
		return
	}
	if w.strange() {
		w.verdict = m.judge()
	}
	level, text := deathText(w)
	if w.verdict == oomKill && m.oom.limit > 0 {
		text += fmt.Sprintf(" (the limit is %s)", mebibytes(m.oom.limit))
	}
	age := now.Sub(w.spawned)
	served := w.board.sb.Slot(w.slot).Requests.Load()
	inFlight := w.inFlight(m.clock.Now())
	if level == zerolog.WarnLevel && len(inFlight) > 0 {
		level = zerolog.ErrorLevel // it took requests along
	}
	e := m.log.WithLevel(level).Int("worker", w.pid).Dur("lived_ms", age).
		Uint64("requests", served).Int64("memory_peak", w.maxRSS)
	if w.exit.Signaled() {
		e = e.Str("signal", unix.SignalName(w.exit.Signal()))
	} else {
		e = e.Int("exit_code", w.exit.ExitStatus())
	}
	if len(inFlight) > 0 {
		list := zerolog.Arr()
		for _, r := range inFlight {
			list.Dict(zerolog.Dict().Str("method", r.Method).Str("target", r.Target).Str("addr", r.Addr).
				Dur("dur_ms", r.Since).Str("phase", r.Phase.String()))
		}
		e = e.Array("in_flight", list)
	}
	if w.bootFailed == nil { // else that has been said, and it has not lived
		text += lifeText(age, served, w.maxRSS, inFlight)
	}
	e.Msg(text)
}

// lifeText says how a worker had lived and what it was doing.
func lifeText(age time.Duration, served uint64, maxRSS int64, inFlight []ipc.InFlight) string {
	var b strings.Builder
	fmt.Fprintf(&b, " [lived %.1fs, %d requests", age.Seconds(), served)
	if maxRSS > 0 {
		fmt.Fprintf(&b, ", peak memory %s", mebibytes(maxRSS))
	}
	for i, r := range inFlight {
		sep := ","
		if i == 0 {
			sep = "; in"
		}
		fmt.Fprintf(&b, "%s %s for %.1fs (%s)", sep, requestText(r), r.Since.Seconds(), r.Phase)
	}
	b.WriteByte(']')
	return b.String()
}

// strange reports whether the worker got a SIGKILL that was not the master's.
func (w *worker) strange() bool {
	return !w.killed && w.exit.Signaled() && w.exit.Signal() == unix.SIGKILL
}

// deathText returns the line for a worker's death. What the master did itself
// is named as such and never guessed at.
func deathText(w *worker) (zerolog.Level, string) {
	st := w.exit
	say := func(level zerolog.Level, format string, args ...any) (zerolog.Level, string) {
		return level, fmt.Sprintf("Worker (pid:%d) ", w.pid) + fmt.Sprintf(format, args...)
	}
	switch {
	case w.bootTimedOut:
		return say(zerolog.ErrorLevel, "was ended after boot timeout (%s)", seconds(w.gen.cfg.BootTimeout))
	case w.hung:
		return say(zerolog.ErrorLevel, "was ended after liveness timeout (%s)", seconds(w.gen.cfg.LivenessTimeout))
	case w.stuck, w.timedOut && w.killed:
		return say(zerolog.ErrorLevel, "was ended after request timeout (%s)", seconds(w.gen.cfg.Timeout))
	case w.killed && st.Signaled() && st.Signal() == unix.SIGKILL:
		return say(zerolog.ErrorLevel, "was killed after %s", w.killWhy)
	case w.verdict == oomKill:
		return say(zerolog.ErrorLevel, "was sent SIGKILL by the kernel: out of memory")
	case w.verdict == otherKill:
		return say(zerolog.ErrorLevel, "was sent SIGKILL! Not for want of memory: somebody sent it")
	case w.strange():
		return say(zerolog.ErrorLevel, "was sent SIGKILL! Perhaps out of memory?")
	case st.Signaled():
		return say(signalLevel(st.Signal(), w.state == draining), "was sent %s!", unix.SignalName(st.Signal()))
	case st.ExitStatus() != 0:
		return say(zerolog.ErrorLevel, "exited with code %d.", st.ExitStatus())
	case w.state == draining:
		// It said so itself: "Worker exiting".
		return say(zerolog.DebugLevel, "exited with code 0.")
	}
	// Nobody asked it to leave.
	return say(zerolog.WarnLevel, "exited with code 0.")
}

// signalLevel returns the level of a death by a signal that was not SIGKILL. A fault
// in the application's code is for somebody to mend, as an exit code is (gunicorn: a
// warning); a worker that somebody has told to leave is replaced, and that is all.
func signalLevel(sig unix.Signal, asked bool) zerolog.Level {
	switch sig {
	case unix.SIGTERM, unix.SIGQUIT, unix.SIGINT:
		if asked {
			return zerolog.InfoLevel
		}
		return zerolog.WarnLevel
	}
	return zerolog.ErrorLevel
}

// requestText names a request; the record of one may be torn.
func requestText(r ipc.InFlight) string {
	if r.Method == "" {
		return "a request"
	}
	return r.Method + " " + r.Target
}
