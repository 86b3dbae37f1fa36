package worker

import (
	"math/rand/v2"

	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/worker/python"
)

// mainOnly makes the bridge's side of a main thread that serves nothing itself,
// because the application's threads do.
func mainOnly(e *engine) *thread {
	t := &thread{e: e}
	t.py = python.NewThread(t, 0)
	return t
}

// tend is the main thread's part while the application's threads serve: it waits
// for the end of all loops, and runs the Python signal handlers, which only it may.
func (p *process) tend() {
	signals := p.loops[0].signalFD
	for _, e := range p.loops {
		fds := []unix.PollFd{
			{Fd: int32(e.overFD), Events: unix.POLLIN},
			{Fd: int32(signals), Events: unix.POLLIN},
		}
		for {
			_, _ = unix.Poll(fds, -1) // an interruption is a signal
			if fds[0].Revents != 0 {
				break
			}
			drainFD(signals)
			p.main.py.CheckSignals()
		}
	}
}

// quota returns how many requests this worker serves before it asks to be
// replaced; 0 for no limit. The jitter keeps workers from doing so all at once
// (gunicorn: max_requests_jitter).
func quota(cfg *config.Config) uint64 {
	if cfg.MaxRequests <= 0 {
		return 0
	}
	n := uint64(cfg.MaxRequests)
	if cfg.MaxRequestsJitter > 0 {
		n += rand.Uint64N(uint64(cfg.MaxRequestsJitter) + 1)
	}
	return n
}
