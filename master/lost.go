package master

import (
	"net/url"
	"slices"
	"strings"

	"gowsgi/internal/accesslog"
	"gowsgi/protocol/ipc"
)

// logLost writes the lines of the access log for the requests a dead worker was
// running: every other one it has written itself. What is known of them is on the
// scoreboard.
func (m *Master) logLost(w *worker) {
	lost := slices.DeleteFunc(w.inFlight(m.clock.Now()), func(r ipc.InFlight) bool { return r.Answered })
	if len(lost) == 0 {
		return
	}
	if s := m.outlets.Statsd; s != nil {
		for range lost {
			s.Request(0, false, 0)
		}
	}
	o, ok := w.gen.cfg.AccessOptions(w.pid)
	if !ok {
		return
	}
	if s := m.outlets.Syslog; s != nil {
		o.Also = s.AccessLines
	}
	log, err := accesslog.Open(o)
	if err != nil {
		m.log.Warn().Err(err).Msg("Lost requests could not be logged")
		return
	}
	outcome := accesslog.Lost
	if w.timedOut {
		outcome = accesslog.Timeout
	}
	pen := log.NewPen()
	for _, r := range lost {
		pen.Write(lostEntry(r), &accesslog.Ending{Outcome: outcome, Taken: r.Since, App: r.Since, End: m.clock.Now()})
	}
	m.lost.Go(func() { // who reads it may be stuck
		_ = log.Close(outletWait)
	})
}

// lostEntry makes what a line says of a request of the scoreboard.
func lostEntry(r ipc.InFlight) *accesslog.Entry {
	if r.Method == "" { // its worker died while it wrote this
		return &accesslog.Entry{}
	}
	path, query, _ := strings.Cut(r.Target, "?")
	info, err := url.PathUnescape(path)
	if err != nil {
		info = path
	}
	return &accesslog.Entry{
		Addr: []byte(r.Addr), Parsed: true, Method: []byte(r.Method), Target: []byte(r.Target),
		Path: []byte(path), PathInfo: []byte(info), Query: []byte(query),
	}
}
