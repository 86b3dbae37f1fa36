// Package config holds gowsgi's settings: one table of them, the sources they
// come from, their validation, and the checked result, Config. Names, flags,
// environment variables, defaults and meanings are gunicorn's unless a setting's
// documentation says otherwise. The package reads no application code and opens
// no socket; it runs in the master, and workers get the result as JSON.
package config

import (
	"slices"
	"time"
)

// Config is the checked result of all sources. The zero value is not valid;
// Load makes one. It travels to the workers as JSON.
type Config struct {
	// ConfigFile is what -c says. Which file was read is Sources.File's answer
	// (gunicorn: config).
	ConfigFile string `json:"config"`
	// App is the application, MODULE[:VARIABLE] or MODULE:FACTORY(...).
	App AppSpec `json:"app"`

	// Bind lists the addresses to listen on, at least one (gunicorn: bind).
	Bind []Address `json:"bind"`
	// Backlog is the length of each listener's queue of connections that wait to
	// be accepted, 0 or more (listen(2); gunicorn: backlog).
	Backlog int `json:"backlog"`
	// ReusePort sets SO_REUSEPORT on TCP listeners. The master binds them all the
	// same; gunicorn's reuse_port makes each worker bind its own.
	ReusePort bool `json:"reuse_port"`
	// UnixSocketMode is the mode of the files of unix sockets, 0001 to 0777; 0 leaves
	// it to Umask. gunicorn has umask only.
	UnixSocketMode int `json:"unix_socket_mode"`
	// UnixSocketOwner is whom the files of unix sockets belong to; without it that is
	// whom workers run as. gunicorn has nothing like it.
	UnixSocketOwner Owner `json:"unix_socket_owner"`

	// Workers is the number of worker processes, 0 or more (gunicorn: workers).
	Workers int `json:"workers"`
	// Threads is the number of application threads of a worker, 1 or more. For
	// gunicorn's threads, 0 is accepted too and means 1.
	Threads int `json:"threads"`
	// WorkerClass is "sync" or "gthread": sync if and only if Threads is 1,
	// unless gthread was asked for (gunicorn: worker_class).
	WorkerClass string `json:"worker_class"`
	// Timeout is how long a request may run before its worker is ended and
	// replaced. Zero is no limit; otherwise it is a millisecond or more.
	// gunicorn: timeout, there whole seconds.
	Timeout time.Duration `json:"timeout"`
	// GracefulTimeout is how long a worker that was told to stop may finish open
	// requests before SIGKILL, 0 or more. gunicorn: graceful_timeout, there whole
	// seconds.
	GracefulTimeout time.Duration `json:"graceful_timeout"`
	// KeepAlive is how long an idle connection is kept for another request. Zero
	// closes it after each response. gunicorn: keepalive, there whole seconds.
	KeepAlive time.Duration `json:"keepalive"`
	// MaxRequests is after how many requests a worker is replaced; 0 is never
	// (gunicorn: max_requests).
	MaxRequests int `json:"max_requests"`
	// MaxRequestsJitter is the most that is added at random to MaxRequests, per
	// worker, if that is not 0 (gunicorn: max_requests_jitter).
	MaxRequestsJitter int `json:"max_requests_jitter"`
	// MaxWorkerMemory is how many bytes of memory a worker may have of its own
	// (proportional set size: shared pages count in part) before it is replaced;
	// 0: no limit.
	MaxWorkerMemory int64 `json:"max_worker_memory"`
	// MaxWorkerLifetime is how long after its start a worker is replaced, and
	// MaxWorkerLifetimeJitter the most that is added at random, per worker. 0: never.
	MaxWorkerLifetime       time.Duration `json:"max_worker_lifetime"`
	MaxWorkerLifetimeJitter time.Duration `json:"max_worker_lifetime_jitter"`
	// ReloadSurge is how many workers more than wanted may be starting at a time
	// while others are replaced, 1 or more.
	ReloadSurge int `json:"reload_surge"`
	// Reload replaces the workers when a file of a module they imported changes, or
	// one of ReloadExtraFiles, which are absolute (gunicorn: reload,
	// reload_extra_files). ReloadEngine is auto, inotify or poll (gunicorn:
	// reload_engine).
	Reload           bool     `json:"reload"`
	ReloadEngine     string   `json:"reload_engine"`
	ReloadExtraFiles []string `json:"reload_extra_files"`
	// BootTimeout is how long a worker may take to load the application before it
	// is ended and started again. 0: no limit.
	BootTimeout time.Duration `json:"boot_timeout"`
	// LivenessTimeout is how long a worker's event loop may stand still before the
	// worker is ended and replaced. It has nothing to do with how long requests
	// take. 0: no limit.
	LivenessTimeout time.Duration `json:"liveness_timeout"`
	// DrainDelay is how long the service goes on as usual after SIGTERM before it
	// begins to stop, 0 or more.
	DrainDelay time.Duration `json:"drain_delay"`
	// WorkerConnections is how many connections a worker has open at most, 0: as
	// many as it can. gunicorn: worker_connections, there 1000, and only for workers
	// that keep connections.
	WorkerConnections int `json:"worker_connections"`
	// MaxQueue is how many requests may wait for a free application thread; one
	// more is answered 503. 0: no limit. gunicorn has nothing like it.
	MaxQueue int `json:"max_queue"`
	// QueueTimeout is how long a request may wait for a free application thread
	// before it is answered 503. 0: no limit.
	QueueTimeout time.Duration `json:"queue_timeout"`
	// HeaderTimeout is how long a client may take for the head of a request, from
	// its first byte (on a new connection: from accept). 0: no limit. gunicorn's
	// sync worker waits for ever.
	HeaderTimeout time.Duration `json:"header_timeout"`
	// BodyTimeout is how long a client may send nothing of content that is waited
	// for. 0: no limit, and BodyMinRate has no effect.
	BodyTimeout time.Duration `json:"body_timeout"`
	// BodyMinRate is the least average rate of content in bytes a second, counted
	// from BodyTimeout after the head on. 0: any.
	BodyMinRate int `json:"body_min_rate"`
	// SendTimeout is how long a client may take nothing of a response that waits
	// for it. 0: no limit, and SendMinRate has no effect.
	SendTimeout time.Duration `json:"send_timeout"`
	// SendMinRate is the least average rate in bytes a second at which a response
	// that waits is taken, counted from SendTimeout after the wait began on. 0: any.
	SendMinRate int `json:"send_min_rate"`
	// RequestBuffer is how many bytes of content are read before the call; longer
	// content is read by the application, as it goes.
	RequestBuffer int64 `json:"request_buffer"`
	// ResponseBuffer is how many bytes the application may be ahead of the client,
	// per connection; the application's thread waits beyond that.
	ResponseBuffer int64 `json:"response_buffer"`
	// Sendfile lets the kernel send the files of wsgi.file_wrapper (gunicorn:
	// sendfile).
	Sendfile bool `json:"sendfile"`

	// LimitRequestLine, LimitRequestFields and LimitRequestFieldSize are the
	// numbers given, 0 or more; http1.Limits.Normalize says what they mean.
	LimitRequestLine      int `json:"limit_request_line"`
	LimitRequestFields    int `json:"limit_request_fields"`
	LimitRequestFieldSize int `json:"limit_request_field_size"`
	// LimitRequestBody is the greatest length of a request's content in bytes; 0:
	// no limit. gunicorn has nothing like it.
	LimitRequestBody int64 `json:"limit_request_body"`

	// HeaderMap is "drop", "refuse" or "dangerous": what becomes of fields with an
	// underscore in their names (gunicorn: header_map).
	HeaderMap string `json:"header_map"`
	// HopByHopHeaders is "drop" or "refuse": what becomes of hop-by-hop headers of the
	// application (PEP 3333, Other HTTP Features). gunicorn drops them.
	HopByHopHeaders string `json:"hop_by_hop_headers"`
	// StripHeaderSpaces accepts whitespace between a field name and its colon
	// (gunicorn: strip_header_spaces). It and the next four let through what is
	// refused otherwise; see http1.Compat.
	StripHeaderSpaces bool `json:"strip_header_spaces"`
	// PermitObsoleteFolding accepts folded field lines (gunicorn:
	// permit_obsolete_folding, which folds Host, Content-Length and
	// Transfer-Encoding too).
	PermitObsoleteFolding bool `json:"permit_obsolete_folding"`
	// PermitUnconventionalMethod accepts any token as a method (gunicorn:
	// permit_unconventional_http_method).
	PermitUnconventionalMethod bool `json:"permit_unconventional_http_method"`
	// PermitUnconventionalVersion accepts versions other than HTTP/1.x (gunicorn:
	// permit_unconventional_http_version).
	PermitUnconventionalVersion bool `json:"permit_unconventional_http_version"`
	// CasefoldHTTPMethod turns methods into upper case (gunicorn:
	// casefold_http_method, without effect unless lower case is permitted).
	CasefoldHTTPMethod bool `json:"casefold_http_method"`

	// Preload loads the application once, in the spawner, which forks the workers
	// (gunicorn: preload_app).
	Preload bool `json:"preload_app"`
	// Chdir is the directory of the application: absolute, and it existed when
	// the settings were loaded. The relative paths of PIDFile, ErrorLog,
	// AccessLog and Address are seen from there (gunicorn: chdir).
	Chdir string `json:"chdir"`
	// StartDir is the directory the server was started in, absolute. It stays on
	// sys.path behind Chdir (gunicorn: Application.load_config).
	StartDir string `json:"start_dir"`
	// PythonPath lists absolute directories in the order given. gunicorn puts
	// each before the others on sys.path, so that the last comes first
	// (gunicorn: pythonpath).
	PythonPath []string `json:"pythonpath"`
	// Env lists variables for the workers' environment as KEY=VALUE, KEY not
	// empty (gunicorn: raw_env).
	Env []string `json:"raw_env"`
	// User and Group are whom workers run as, from before CPython starts; the
	// master keeps its own identity. See Identity (gunicorn: user, group).
	User  User  `json:"user"`
	Group Group `json:"group"`
	// InitGroups gives workers all groups User is a member of (gunicorn:
	// initgroups).
	InitGroups bool `json:"initgroups"`
	// Umask is taken from the mode 0777 of unix sockets (gunicorn: umask, there
	// also for the heartbeat files, which gowsgi does not have).
	Umask int `json:"umask"`
	// Daemon detaches the server from whoever starts it (gunicorn: daemon).
	Daemon bool `json:"daemon"`
	// EnableStdio lets a daemon keep its standard streams (gunicorn:
	// enable_stdio_inheritance).
	EnableStdio bool `json:"enable_stdio_inheritance"`
	// PIDFile is the path of the pid file, "" for none (gunicorn: pidfile).
	PIDFile string `json:"pidfile"`
	// ForwardedAllowIPs says whose fields are believed: those of SecureSchemeHeaders
	// and ForwarderHeaders, and RealIPHeader's. Peers on unix sockets always are
	// (gunicorn: forwarded_allow_ips).
	ForwardedAllowIPs AllowList `json:"forwarded_allow_ips"`
	// SecureSchemeHeaders maps names of fields, in upper case, to the value by which
	// each says that the client spoke https (gunicorn: secure_scheme_headers).
	SecureSchemeHeaders map[string]string `json:"secure_scheme_headers"`
	// ForwarderHeaders lists names with an underscore, in upper case, that are taken
	// from peers that are believed; "*" is all (gunicorn: forwarder_headers).
	ForwarderHeaders []string `json:"forwarder_headers"`
	// RealIPHeader names the field in which a peer that is believed says whom it
	// speaks for: RealIPOff, RealIPForwardedFor or RealIPForwarded. gunicorn has
	// nothing like it.
	RealIPHeader string `json:"real_ip_header"`
	// ProxyProtocol is ProxyOff, ProxyV1, ProxyV2 or ProxyAuto (gunicorn:
	// proxy_protocol).
	ProxyProtocol string `json:"proxy_protocol"`
	// ProxyAllowIPs says who may begin a connection with a PROXY header. Peers on
	// unix sockets always may (gunicorn: proxy_allow_ips).
	ProxyAllowIPs AllowList `json:"proxy_allow_ips"`
	// ProcName names the processes. It is never empty: by default it is
	// DefaultProcName (gunicorn: proc_name).
	ProcName string `json:"proc_name"`

	// LogLevel is debug, info, warning, error or critical (gunicorn: loglevel,
	// which takes any other word for info; here it is refused).
	LogLevel string `json:"loglevel"`
	// ErrorLog is the path of the error log, "-" for standard error (gunicorn:
	// errorlog).
	ErrorLog string `json:"errorlog"`
	// AccessLog is the path of the access log, "-" for standard output, "" for
	// none (gunicorn: accesslog).
	AccessLog string `json:"accesslog"`
	// AccessLogFormat is a format accesslog.Parse takes (gunicorn:
	// access_log_format, but for "json").
	AccessLogFormat string `json:"access_log_format"`
	// AccessLogExclude lists paths, or beginnings of paths with "*" behind them,
	// whose requests stay out of the access log unless they fail; see
	// accesslog.CheckExclude. gunicorn has nothing like it.
	AccessLogExclude []string `json:"access_log_exclude"`
	// CaptureOutput makes standard output and error of all processes the file of
	// the error log, if that is one (gunicorn: capture_output).
	CaptureOutput bool `json:"capture_output"`
	// LogConfig is a file for Python's logging.config.fileConfig, LogConfigJSON one
	// with JSON for dictConfig, "" for none; LogConfigDict is what dictConfig gets,
	// and wins over them (gunicorn: logconfig, logconfig_json, logconfig_dict).
	LogConfig     string         `json:"logconfig"`
	LogConfigJSON string         `json:"logconfig_json"`
	LogConfigDict map[string]any `json:"logconfig_dict"`
	// LoggerClass is the dotted name of a Python class, see PythonLogging
	// (gunicorn: logger_class).
	LoggerClass string `json:"logger_class"`
	// LogFormat is the form of the error log, "text" or "json".
	LogFormat string `json:"log_format"`

	// Syslog sends the error log to SyslogAddr, which syslog.ParseAddress takes,
	// and the access log unless NoAccessToSyslog is set. Outlets puts these, and
	// SyslogPrefix and SyslogFacility, together (gunicorn: syslog, syslog_addr,
	// syslog_prefix, syslog_facility, disable_redirect_access_to_syslog).
	Syslog           bool   `json:"syslog"`
	SyslogAddr       string `json:"syslog_addr"`
	SyslogPrefix     string `json:"syslog_prefix"`
	SyslogFacility   string `json:"syslog_facility"`
	NoAccessToSyslog bool   `json:"disable_redirect_access_to_syslog"`
	// StatsdHost is where metrics go, "" for nowhere; statsd.ParseAddress takes it
	// (gunicorn: statsd_host, statsd_prefix, dogstatsd_tags).
	StatsdHost    string `json:"statsd_host"`
	StatsdPrefix  string `json:"statsd_prefix"`
	DogstatsdTags string `json:"dogstatsd_tags"`
	// BacklogMetric makes the master send the length of the accept queues every
	// second (gunicorn: enable_backlog_metric).
	BacklogMetric bool `json:"enable_backlog_metric"`

	// DefaultProcName is ProcName's default: App.Text, unless a configuration
	// file says otherwise (gunicorn: default_proc_name).
	DefaultProcName string `json:"default_proc_name"`

	// Hooks lists the hooks a Python configuration file defines, sorted (gunicorn:
	// Server Hooks).
	Hooks []string `json:"hooks,omitempty"`

	// Python is the interpreter asked for by --python, "" if none was: an
	// absolute path, or a name to look up on PATH.
	Python string `json:"python"`
	// PythonMode is auto, dlopen or hosted.
	PythonMode string `json:"python_mode"`
}

// HasHook reports whether the configuration file defines the hook of that name.
func (c *Config) HasHook(name string) bool { return slices.Contains(c.Hooks, name) }

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

// Settings returns all settings by name, as gunicorn's cfg object has them: nil, a
// bool, a number, a string, a list of strings, or a dictionary. User and group are
// the numbers workers run under.
func (c *Config) Settings() map[string]any {
	all := make(map[string]any, len(table))
	for i := range table {
		if s := &table[i]; !s.isAction() {
			all[s.name] = s.value(c)
		}
	}
	id, _ := c.Identity()
	all["user"], all["group"] = id.UID, id.GID
	return all
}
