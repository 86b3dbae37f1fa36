package config

import (
	"cmp"
	"errors"
	"strings"

	"gowsgi/internal/outlet"
	"gowsgi/internal/statsd"
	"gowsgi/internal/syslog"
)

func parseSyslogAddr(s string) (string, error) {
	_, err := syslog.ParseAddress(s)
	return s, err
}

func parseFacility(s string) (string, error) {
	if _, ok := syslog.Facility(s); !ok {
		return "", errors.New("unknown facility name")
	}
	return s, nil
}

func parseStatsdHost(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	_, err := statsd.ParseAddress(s)
	return s, err
}

// AccessToSyslog reports whether lines of the access log go to syslog.
func (c *Config) AccessToSyslog() bool { return c.Syslog && !c.NoAccessToSyslog }

// Outlets returns where the log lines and metrics of the process pid go besides
// files. The addresses have been checked by Load.
func (c *Config) Outlets(pid int) (o outlet.Options) {
	if c.Syslog {
		address, _ := syslog.ParseAddress(c.SyslogAddr)
		facility, _ := syslog.Facility(c.SyslogFacility)
		o.Syslog = &syslog.Options{
			Address:  address,
			Facility: facility,
			Tag:      "gunicorn." + cmp.Or(c.SyslogPrefix, strings.ReplaceAll(c.ProcName, ":", ".")),
			PID:      pid,
			Access:   c.AccessToSyslog(),
		}
	}
	if c.StatsdHost != "" {
		address, _ := statsd.ParseAddress(c.StatsdHost)
		o.Statsd = &statsd.Options{Address: address, Prefix: c.StatsdPrefix, Tags: c.DogstatsdTags}
	}
	return o
}
