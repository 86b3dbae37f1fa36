package worker

import (
	"bytes"
	"strings"
	"time"

	"gowsgi/internal/accesslog"
	"gowsgi/internal/statsd"
	"gowsgi/protocol/http1"
	"gowsgi/protocol/ipc"
	"gowsgi/protocol/wsgi"
)

// How requests end, and who records it. Every request of which a byte arrived is
// recorded once, in scribe.record:
//
//	the response is written, or broken off        thread.settle
//	the rest of it, by the loop                   engine.settleLate
//	answered by the server without a call         engine.settleRefused
//	left by its client, or by this worker         engine.settleLeft
//	answered at the timeout, during the call      engine.settleTimedOut
//
// Where Python writes the access log, it does so at the end of a call, in the thread
// (Conclude); of all other requests pyLog tells it.
//
// A connection that is handed over takes its request along, unrecorded.

// maxLoggedLine is how much of a request line that makes no sense is logged.
const maxLoggedLine = 8190

// late is a response that the client has not taken whole when the application's
// thread went on. The connection keeps it.
type late struct {
	end   accesslog.Ending
	draft *accesslog.Draft // nil without an access log
	since int64            // when the thread went on
}

// scribe records how requests end. Each thread has one, and the loop one that the
// engine's mutex guards.
type scribe struct {
	slot  *ipc.Slot
	stats *statsd.Client // nil without a statsd daemon
	pen   *accesslog.Pen // nil without an access log

	entry accesslog.Entry
	// Of the request described: what its spans refer to, and where to look a field
	// up.
	buf     []byte
	line    []byte // scratch for a request line that came alone
	head    *http1.Request
	resp    *wsgi.Response // nil: none by the application
	environ [][]byte       // the environ keys the access log wants
}

func (s *scribe) init(e *engine, head *http1.Request, resp *wsgi.Response) {
	*s = scribe{slot: e.slot, stats: e.stats, head: head, resp: resp, environ: make([][]byte, len(e.access.Keys()))}
	if e.access != nil {
		s.pen = e.access.NewPen()
	}
}

// record counts a request that is over and writes its line; served says that the
// application was called for it.
func (s *scribe) record(entry *accesslog.Entry, end *accesslog.Ending, served bool) {
	s.count(end, served)
	if s.pen != nil {
		s.pen.Write(entry, end)
	}
}

// recordLate is record for a line that was begun earlier.
func (s *scribe) recordLate(draft *accesslog.Draft, end *accesslog.Ending) {
	s.count(end, true)
	if s.pen != nil {
		s.pen.Finish(draft, end)
	}
}

func (s *scribe) count(end *accesslog.Ending, served bool) {
	s.slot.Requests.Add(1)
	s.slot.BytesOut.Add(uint64(end.Sent))
	if end.Status >= 500 {
		s.slot.Errors.Add(1)
	}
	if s.stats != nil {
		s.stats.Request(end.Status, served, end.Taken)
	}
}

// describe makes the entry of a parsed request, whose spans refer to buf.
func (s *scribe) describe(c *conn, buf, pathInfo []byte) *accesslog.Entry {
	h := s.head
	s.buf = buf
	s.entry = accesslog.Entry{
		Addr:     c.remoteAddr(),
		Parsed:   true,
		Method:   h.Method.Of(buf),
		Target:   h.Target.Of(buf),
		Path:     h.Path.Of(buf),
		PathInfo: pathInfo,
		Query:    h.Query.Of(buf),
		Version:  h.Version.Of(buf),
		Fields:   s,
	}
	return &s.entry
}

// RequestField implements accesslog.Fields.
func (s *scribe) RequestField(name string) (value []byte) {
	for _, f := range s.head.Fields {
		if int(f.Name.Len) == len(name) && strings.EqualFold(string(f.Name.Of(s.buf)), name) {
			value = f.Value.Of(s.buf)
		}
	}
	return value
}

// ResponseField implements accesslog.Fields.
func (s *scribe) ResponseField(name string) []byte {
	if s.resp == nil {
		return nil
	}
	return s.resp.Header(name)
}

// EnvironKey implements accesslog.Fields.
func (s *scribe) EnvironKey(i int) []byte { return s.environ[i] }

// recorded reports whether anybody wants to know when requests end.
func (e *engine) recorded() bool { return e.access != nil || e.stats != nil || e.pyLog != nil }

// settle records how the thread's request ended. If the client has not taken the
// whole response yet, the connection keeps the record and the thread goes on.
func (t *thread) settle() {
	e, c := t.e, t.c
	if c.behind {
		t.endSharing()
	}
	switch t.answer.end() {
	case answerTaken: // by the timeout, which has recorded it
		c.gone = true
		return
	case answerCut:
		c.gone, t.outcome = true, accesslog.Timeout
	}
	end := accesslog.Ending{
		Outcome: t.outcome, Status: t.status(), Sent: t.sent, Queued: time.Duration(t.waited),
	}
	if e.recorded() {
		end.End = e.clock.Now()
		end.Taken = time.Duration(end.End - t.start)
		end.Write = time.Duration(t.blocked)
		end.App = end.Taken - end.Write
	}
	if e.pyLog != nil && !t.inPython {
		e.pyLog.Request(t.scribe.forPython(e, c, t.scribe.describe(c, c.buf, t.req.PathInfo), &end))
	}
	unsent := c.unsent()
	if unsent > 0 && !c.broken() {
		t.settleLater(&end)
		return
	}
	end.Sent = max(end.Sent-unsent, 0)
	var entry *accesslog.Entry
	if e.access != nil {
		entry = t.scribe.describe(c, c.buf, t.req.PathInfo)
	}
	t.scribe.record(entry, &end, t.outcome != accesslog.Refused)
}

// settleLater leaves the record to the connection.
func (t *thread) settleLater(end *accesslog.Ending) {
	l := &late{end: *end, since: end.End}
	if t.e.access != nil {
		l.draft = t.scribe.pen.Draft(t.scribe.describe(t.c, t.c.buf, t.req.PathInfo), end.Queued)
	}
	t.c.late = l
}

// settleLate records c's last response, if that has not been done: the client has
// taken it whole, or never will. e.mu is held, as by all that follows.
func (e *engine) settleLate(c *conn, outcome accesslog.Outcome) {
	l := c.late
	if l == nil {
		return
	}
	c.late = nil
	l.end.Sent = max(l.end.Sent-c.unsent(), 0)
	if l.end.Outcome == accesslog.OK {
		l.end.Outcome = outcome
	}
	now := e.clock.Now()
	l.end.Taken += time.Duration(now - l.since)
	l.end.Write += time.Duration(now - l.since)
	l.end.End = now
	e.scribe.recordLate(l.draft, &l.end)
}

// settleRefused records that the server answered c's request itself, with so many
// bytes of content.
func (e *engine) settleRefused(c *conn, err *http1.Error, sent int64) {
	e.settleUnserved(c, accesslog.Ending{Outcome: outcomeOf(err), Status: err.Status, Sent: sent})
}

// outcomeOf returns what a request comes to whose client made the mistake err.
func outcomeOf(err *http1.Error) accesslog.Outcome {
	if err == errTimeout {
		return accesslog.Timeout
	}
	return accesslog.Refused
}

// settleLeft records what was under way on a connection that ends without a word:
// the rest of a response, or a request that nobody served. The client left, unless
// the outcome is Lost: then the server did.
func (e *engine) settleLeft(c *conn, outcome accesslog.Outcome) {
	if c.state == calling {
		return // its thread records
	}
	e.settleLate(c, outcome)
	if (c.state != reading && c.state != queued) || len(firstLine(c.buf[:c.n])) == 0 {
		return
	}
	end := accesslog.Ending{Outcome: outcome}
	if outcome == accesslog.Aborted {
		end.Status = accesslog.StatusGone
	}
	e.settleUnserved(c, end)
}

// settleAll records what is under way when the worker leaves, but for running calls.
func (e *engine) settleAll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.table {
		if c != nil && c.state != calling {
			e.settleLeft(c, accesslog.Lost)
			e.release(c) // nothing is under way any more
		}
	}
}

// settleUnserved records a request that the application was not called for.
func (e *engine) settleUnserved(c *conn, end accesslog.Ending) {
	var entry *accesslog.Entry
	if e.access != nil || e.pyLog != nil {
		end.End = e.clock.Now()
		end.Taken = time.Duration(end.End - c.arrived)
		if c.queuedAt != 0 {
			end.Queued = time.Duration(end.End - c.queuedAt)
		}
		entry = e.describeUnserved(c)
	}
	e.tellPython(c, entry, &end)
	e.scribe.record(entry, &end, false)
}

// settleTimedOut records the 504 to c's request, whose call by t goes on, and has taken
// so long already.
func (e *engine) settleTimedOut(t *thread, c *conn, took time.Duration, sent int64) {
	end := accesslog.Ending{
		Outcome: accesslog.Timeout, Status: 504, Sent: sent,
		End: e.clock.Now(), Taken: took, App: took, Queued: time.Duration(t.waited),
	}
	var entry *accesslog.Entry
	if e.access != nil || e.pyLog != nil {
		entry = e.describeUnserved(c)
	}
	e.tellPython(c, entry, &end)
	e.scribe.record(entry, &end, true)
}

// describeUnserved makes the entry of a request that was perhaps not read whole, or
// makes no sense.
func (e *engine) describeUnserved(c *conn) *accesslog.Entry {
	s := &e.scribe
	if c.headLen > 0 { // it was parsed once, so it is known to be right
		_ = s.head.Parse(c.buf[:c.headLen], &e.rules)
		return s.describe(c, c.buf, e.pathInfo(c.buf))
	}
	line := firstLine(c.buf[:c.n])
	s.line = append(append(s.line[:0], line...), "\r\n\r\n"...)
	_ = s.head.Parse(s.line, &e.rules) // the missing Host is an error, and no matter
	s.head.Fields = s.head.Fields[:0]
	if s.head.Path.Len > 0 {
		return s.describe(c, s.line, e.pathInfo(s.line))
	}
	s.entry = accesslog.Entry{Addr: c.remoteAddr(), Target: line[:min(len(line), maxLoggedLine)]}
	return &s.entry
}

// pathInfo returns what PATH_INFO would have been.
func (e *engine) pathInfo(buf []byte) []byte {
	path := e.scribe.head.Path.Of(buf)
	if rest, ok := wsgi.SplitScript(path, e.script); ok {
		path = rest
	}
	return http1.AppendUnescaped(nil, path)
}

// firstLine returns the first line in b, behind the empty one that may precede it
// (RFC 9112, 2.2). The line may lack its end.
func firstLine(b []byte) []byte {
	line, rest, _ := bytes.Cut(b, []byte("\n"))
	if len(bytes.TrimSuffix(line, []byte("\r"))) == 0 {
		line, _, _ = bytes.Cut(rest, []byte("\n"))
	}
	return bytes.TrimSuffix(line, []byte("\r"))
}
