package master

import (
	"encoding/json"
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
	outcome := accesslog.Lost
	if w.timedOut {
		outcome = accesslog.Timeout
	}
	if w.gen.cfg.PythonLogging() {
		m.logLostInPython(lost, outcome)
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
	pen := log.NewPen()
	for _, r := range lost {
		pen.Write(lostEntry(r), &accesslog.Ending{Outcome: outcome, Taken: r.Since, App: r.Since, End: m.clock.Now()})
	}
	m.lost.Go(func() { // who reads it may be stuck
		_ = log.Close(outletWait)
	})
}

// logLostInPython has Python write the lines.
func (m *Master) logLostInPython(lost []ipc.InFlight, outcome accesslog.Outcome) {
	log := m.log
	for _, r := range lost {
		e := lostEntry(r)
		l := &ipc.LoggedRequest{
			Method: r.Method, Target: r.Target, Path: ipc.Latin1(e.PathInfo), Query: string(e.Query), Addr: r.Addr,
			Fields: [][2]string{}, Taken: r.Since.Microseconds(), Outcome: outcome.String(),
		}
		text, err := json.Marshal(l)
		if err != nil {
			continue // it always can
		}
		m.pyLog.request(string(text), func() {
			log.Warn().Msgf("Request that Python has not logged: %s", l)
		})
	}
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
