// Package config holds gowsgi's settings: one table of them, the sources they
// come from, their validation, and the checked result, Config. Names, flags,
// environment variables, defaults and meanings are gunicorn's unless a setting's
// documentation says otherwise. The package reads no application code and opens
// no socket; it runs in the master, and workers get the result as JSON.
package config

import "time"

// Config is the checked result of all sources. The zero value is not valid;
// Load makes one. It travels to the workers as JSON.
type Config struct {
	// App is the application, MODULE[:VARIABLE] or MODULE:FACTORY(...).
	App AppSpec `json:"app"`

	Bind      []Address `json:"bind"`
	Backlog   int       `json:"backlog"`
	ReusePort bool      `json:"reuse_port"`

	Workers           int           `json:"workers"`
	Threads           int           `json:"threads"`
	WorkerClass       string        `json:"worker_class"` // "sync" or "gthread"
	Timeout           time.Duration `json:"timeout"`      // 0: no limit
	GracefulTimeout   time.Duration `json:"graceful_timeout"`
	KeepAlive         time.Duration `json:"keepalive"` // 0: close after each response
	MaxRequests       int           `json:"max_requests"`
	MaxRequestsJitter int           `json:"max_requests_jitter"`

	LimitRequestLine      int `json:"limit_request_line"`
	LimitRequestFields    int `json:"limit_request_fields"`
	LimitRequestFieldSize int `json:"limit_request_field_size"`

	Chdir      string   `json:"chdir"`      // absolute
	PythonPath []string `json:"pythonpath"` // in order
	Env        []string `json:"raw_env"`    // KEY=VALUE
	PIDFile    string   `json:"pidfile"`
	ProcName   string   `json:"proc_name"` // never empty: the application's name by default

	LogLevel        string `json:"loglevel"`  // debug, info, warning, error, critical
	ErrorLog        string `json:"errorlog"`  // path, or "-" for standard error
	AccessLog       string `json:"accesslog"` // path, "-" for standard output, "" for none
	AccessLogFormat string `json:"access_log_format"`
	LogFormat       string `json:"log_format"` // "text" or "json"

	// Python is the interpreter asked for by --python, or "".
	Python string `json:"python"`
}

// AppSpec is a parsed application argument.
type AppSpec struct {
	// Text is the argument as given.
	Text string `json:"text"`
	// Module is the dotted module name.
	Module string `json:"module"`
	// Attr is the name in the module, "application" by default. For a factory it
	// is the whole expression, with its literal arguments, as given.
	Attr string `json:"attr"`
}

// Address is one parsed bind setting.
type Address struct {
	// Text is the setting as given.
	Text string `json:"text"`
	// Network is "tcp", "unix" or "fd".
	Network string `json:"network"`
	// Host and Port are for tcp. An empty Host is every address, as 0.0.0.0.
	Host string `json:"host,omitempty"`
	Port int    `json:"port,omitempty"`
	// Path is for unix.
	Path string `json:"path,omitempty"`
	// FD is for fd.
	FD int `json:"fd,omitempty"`
}
