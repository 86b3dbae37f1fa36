package config

import (
	"cmp"
	"errors"
	"strings"

	"gowsgi/internal/outlet"
	"gowsgi/internal/statsd"
	"gowsgi/internal/syslog"
)

// checkSyslog checks where syslog messages are to go. As in gunicorn it does not
// matter while none are sent: files set the address to what the environment may
// not have.
func (c *Config) checkSyslog(origins map[*setting]string) error {
	if !c.Syslog {
		return nil
	}
	if _, err := syslog.ParseAddress(c.SyslogAddr); err != nil {
		return invalid("syslog_addr", c.SyslogAddr, origins, err)
	}
	if _, ok := syslog.Facility(c.SyslogFacility); !ok {
		return invalid("syslog_facility", c.SyslogFacility, origins, errors.New("unknown facility name"))
	}
	return nil
}

// invalid makes the error for a value that is wrong only beside another one.
func invalid(name, value string, origins map[*setting]string, reason error) error {
	origin := origins[settingNamed(name)]
	if origin == originDefault || origin == originFlags {
		origin = ""
	}
	return &Error{Setting: name, Value: value, Reason: reason.Error(), Source: origin}
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
// files. Load has checked what is used here.
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
