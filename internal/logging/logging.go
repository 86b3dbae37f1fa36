// Package logging writes the error log of master and workers, by zerolog, in
// one of two forms:
//
//	[2026-11-22 16:49:46 +0000] [14017] [INFO] Listening at: http://127.0.0.1:8000 (14017)
//	{"time":"2026-11-22T16:49:46.123Z","level":"info","pid":14017,"message":"Listening at: ..."}
//
// The first is gunicorn's error log format. Each event is one write(2), so
// events of several processes that append to one file do not mix (POSIX
// O_APPEND; on a pipe up to PIPE_BUF bytes). None ever waits for a reader: see Queue.
//
// Nothing a client or an application sends can forge an event: control
// characters are escaped, and no continuation line starts like an event.
package logging

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// FieldTraceback is the field of a traceback of several lines. Both it and the
// standard error field are shown in the text form; other fields only in JSON.
const FieldTraceback = "traceback"

// Formats, as the log_format setting names them.
const (
	FormatText = "text"
	FormatJSON = "json"
)

// New returns a logger that writes to w. Format is FormatText or FormatJSON;
// anything else is text. Level is gunicorn's loglevel (debug, info, warning,
// error, critical); anything else is info, as under gunicorn. Pid is the
// process the events are of. The logger may be used concurrently if w may be
// written to concurrently. Each event goes to the sinks, too, and to w in another form
// if that is a Diverter.
func New(w io.Writer, format, level string, pid int, sinks ...Sink) zerolog.Logger {
	lw := &writer{w: w, now: time.Now, pid: strconv.Itoa(pid), json: format == FormatJSON, sinks: sinks}
	lw.diverter, _ = w.(Diverter)
	if q, ok := w.(*Queue); ok {
		q.setLostLine(lw.lostLine)
	}
	return zerolog.New(lw).Level(ParseLevel(level))
}

// Sink is told of the events of a logger, beside its file.
type Sink interface {
	// Event takes an event: the name of its level (debug, info, warning, error or
	// critical) and its text, escaped, with the lines of a traceback behind "\n"
	// if it has one. It must not block, may be called concurrently, and must not
	// keep text.
	Event(level string, text []byte, traceback bool)
}

// Diverter is a writer that may take an event in another form than its line.
type Diverter interface {
	io.Writer
	// Divert takes an event as Sink.Event does, and reports whether it did; if
	// not, its line is written. It must not block.
	Divert(level string, text []byte) bool
}

// Critical starts an event of gunicorn's CRITICAL level. zerolog's own Fatal
// would end the process; this does not.
func Critical(l *zerolog.Logger) *zerolog.Event { return l.WithLevel(zerolog.FatalLevel) }

// Lines ends an event whose message may have several lines: the first is the
// message, the others go before the traceback, which may be empty.
func Lines(e *zerolog.Event, message, traceback string) {
	first, rest, more := strings.Cut(strings.TrimRight(message, "\n"), "\n")
	if more && traceback != "" {
		rest += "\n"
	}
	if rest += traceback; rest != "" {
		e = e.Str(FieldTraceback, rest)
	}
	e.Msg(first)
}

// ParseLevel returns the level of gunicorn's name for it; that of any other word is
// info, as under gunicorn.
func ParseLevel(name string) zerolog.Level {
	switch name {
	case "debug":
		return zerolog.DebugLevel
	case "warning":
		return zerolog.WarnLevel
	case "error":
		return zerolog.ErrorLevel
	case "critical":
		return zerolog.FatalLevel
	}
	return zerolog.InfoLevel
}

// levelName returns the level's name as Python's logging has it, in lower case.
func levelName(l zerolog.Level) string {
	switch l {
	case zerolog.TraceLevel, zerolog.DebugLevel:
		return "debug"
	case zerolog.WarnLevel:
		return "warning"
	case zerolog.ErrorLevel:
		return "error"
	case zerolog.FatalLevel, zerolog.PanicLevel:
		return "critical"
	}
	return "info"
}

// lostLine is the line for events that a Queue had no room for.
func (w *writer) lostLine(n int) []byte {
	event := fmt.Appendf(nil, `{"level":"error","lines":%d,"message":"%d lines of this log were lost here: nobody read it"}`+"\n", n, n)
	if w.json {
		return w.appendJSON(nil, zerolog.ErrorLevel, event)
	}
	return w.appendText(nil, zerolog.ErrorLevel, event)
}

// writer turns zerolog's events, JSON objects that begin with their level, into
// lines. Time and pid are added here and level names are changed here, because
// zerolog's own switches for them are variables of its package, shared with
// everybody else in the process.
type writer struct {
	w    io.Writer
	now  func() time.Time
	pid  string
	json bool

	sinks    []Sink
	diverter Diverter // w, if it is one
}

// Write is called for events without a level only.
func (w *writer) Write(p []byte) (int, error) { return w.WriteLevel(zerolog.NoLevel, p) }

// WriteLevel implements zerolog.LevelWriter.
func (w *writer) WriteLevel(level zerolog.Level, p []byte) (int, error) {
	if len(w.sinks) > 0 || w.diverter != nil {
		ev := decode(p)
		text := ev.append(nil)
		for _, s := range w.sinks {
			s.Event(levelName(level), text, ev.Traceback != "")
		}
		if w.diverter != nil && w.diverter.Divert(levelName(level), text) {
			return len(p), nil
		}
	}
	var line []byte
	if w.json {
		line = w.appendJSON(make([]byte, 0, len(p)+96), level, p)
	} else {
		line = w.appendText(make([]byte, 0, len(p)+64), level, p)
	}
	if _, err := w.w.Write(line); err != nil {
		return 0, err
	}
	return len(p), nil
}
