package config

import (
	"fmt"

	"gowsgi/internal/accesslog"
	"gowsgi/internal/logging"
)

// DefaultAccessLogFormat is the combined log format (gunicorn:
// access_log_format).
const DefaultAccessLogFormat = accesslog.Combined

// parseAccessLogFormat checks that accesslog.Parse takes s.
func parseAccessLogFormat(s string) (string, error) {
	_, err := accesslog.Parse(s)
	return s, err
}

// unknownAtoms are lines that name the atoms of the access log's format that say
// nothing. As under gunicorn they are logged as "-".
func (c *Config) unknownAtoms() (lines []string) {
	format, err := accesslog.Parse(c.AccessLogFormat)
	if err != nil {
		return nil // it was refused before
	}
	for _, atom := range format.Unknown() {
		lines = append(lines, fmt.Sprintf(`access_log_format: unknown atom %s is logged as "-"`, atom))
	}
	return lines
}

// AccessOptions returns what the access log of the process pid is opened with, but
// for Also; ok is false if there is none, or none that Go writes. With a JSON error log, the default format
// is JSON, too.
func (c *Config) AccessOptions(pid int) (o accesslog.Options, ok bool) {
	o = accesslog.Options{Path: c.AccessLog, Format: c.AccessLogFormat, Exclude: c.AccessLogExclude, PID: pid}
	if c.LogFormat == logging.FormatJSON && o.Format == DefaultAccessLogFormat {
		o.Format = accesslog.JSON
	}
	if c.PythonLogging() {
		o.Path = "" // Python writes it
	}
	return o, o.Path != "" || c.AccessToSyslog()
}

// parseExclude checks one rule of paths to leave out of the access log.
func parseExclude(s string) (string, error) { return s, accesslog.CheckExclude(s) }
