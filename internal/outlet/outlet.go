// Package outlet holds where a process's log lines and metrics go besides files: a
// syslog and a statsd daemon. Neither is ever waited for.
package outlet

import (
	"time"

	"gowsgi/internal/logging"
	"gowsgi/internal/statsd"
	"gowsgi/internal/syslog"
)

// Options say which outlets there are; nil means none.
type Options struct {
	Syslog *syslog.Options
	Statsd *statsd.Options
}

// Outlets are those of one process. The zero value has none.
type Outlets struct {
	Syslog *syslog.Writer // nil: none
	Statsd *statsd.Client // nil: none
}

// Open opens them. It does not block.
func Open(o Options) Outlets {
	var out Outlets
	if o.Syslog != nil {
		out.Syslog = syslog.Open(*o.Syslog)
	}
	if o.Statsd != nil {
		out.Statsd = statsd.Open(*o.Statsd)
	}
	return out
}

// Sinks returns what a logger of the error log is to tell its events.
func (o Outlets) Sinks() (sinks []logging.Sink) {
	if o.Syslog != nil {
		sinks = append(sinks, o.Syslog)
	}
	if o.Statsd != nil {
		sinks = append(sinks, o.Statsd)
	}
	return sinks
}

// Close sends what is left, which may take wait at most for each.
func (o Outlets) Close(wait time.Duration) {
	if o.Syslog != nil {
		o.Syslog.Close(wait)
	}
	if o.Statsd != nil {
		o.Statsd.Close(wait)
	}
}
