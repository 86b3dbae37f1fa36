package worker

import (
	"io"
	"os"
	"time"

	"gowsgi/internal/accesslog"
	"gowsgi/internal/logging"
)

// openLog makes the log of the process, before there is Python.
func (p *process) openLog() {
	var w io.Writer = p.errorLog
	if p.cfg.PythonLogging() && !p.parent.boot.Check {
		p.pyLog = newPyLog(w, logging.New(w, p.cfg.LogFormat, p.cfg.LogLevel, os.Getpid()))
		w = p.pyLog
	}
	p.log = logging.New(w, p.cfg.LogFormat, p.cfg.LogLevel, os.Getpid(), p.outlets.Sinks()...)
}

// closePyLog sees to it that no line of the log waits for Python any more, which
// gets that long for those that do.
func (p *process) closePyLog(wait time.Duration) {
	if p.pyLog != nil {
		p.pyLog.Close(wait)
	}
}

// openAccess opens the access log, if there is one.
func (p *process) openAccess() (err error) {
	o, ok := p.cfg.AccessOptions(os.Getpid())
	if !ok {
		return nil
	}
	if p.cfg.AccessToSyslog() {
		o.Also = p.outlets.Syslog.AccessLines
	}
	o.Lost = func(lines int) {
		p.log.Error().Int("lines", lines).Msgf("%d lines of the access log were lost: nobody read it", lines)
	}
	p.access, err = accesslog.Open(o)
	return err
}

// flushLogs writes what is left of the access log, or gives it to Python, before the
// process is killed.
func (p *process) flushLogs() {
	if p.access != nil {
		p.access.FlushWithin(outletWait)
	}
	if p.pyLog != nil {
		p.pyLog.Flush(outletWait)
	}
}
