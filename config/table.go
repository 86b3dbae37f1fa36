package config

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Action is what a command line asks for.
type Action int

// Actions.
const (
	// ActionRun serves the application.
	ActionRun Action = iota
	// ActionCheck loads the application once and ends: exit 0 or 1 (gunicorn:
	// check_config).
	ActionCheck
	// ActionPrint writes Config.Print and then does as ActionCheck (gunicorn:
	// print_config).
	ActionPrint
	// ActionVersion prints the version.
	ActionVersion
	// ActionHelp writes Help.
	ActionHelp
)

// String returns the action's name.
func (a Action) String() string {
	return [...]string{"run", "check", "print", "version", "help"}[a]
}

// setting is one row of the table from which flags, --help, --print-config,
// sources and validation come.
type setting struct {
	// name is gunicorn's, if it has the setting; --print-config and messages
	// show it.
	name string
	// flag is the long flag without dashes, short a letter or "". Without a flag
	// it is the positional argument, or a setting of configuration files only.
	flag, short string
	// aliases are further long flags.
	aliases []string
	// ours marks a flag gunicorn does not have. It must be spelled in full, so
	// that every prefix that is unique under gunicorn stays unique.
	ours bool
	// env is the environment variable that changes the default, "" for none;
	// fromEnv turns its value into one of the setting, nil if they are the same.
	env     string
	fromEnv func(string) string
	// meta stands for the value in --help; "" marks a flag without a value.
	meta string
	// bare is the value of a flag that is given without one, "" if there must be a
	// value (argparse: nargs="?", const).
	bare string
	// off marks a flag without a value that switches the setting off.
	off bool
	// unit is the unit of a number, "" for a plain count.
	unit string
	// defaults are the texts of the default, parsed like any other; none leaves
	// the zero value.
	defaults []string
	section  string
	doc      string

	// accessor leads to the value; it is zero for a flag that is an action.
	accessor
	action Action
}

// isAction reports whether s asks for an action instead of holding a value.
func (s *setting) isAction() bool { return s.ptr == nil }

// fileOnly reports whether only a configuration file can set it.
func (s *setting) fileOnly() bool { return s.flag == "" && s.meta == "" }

// takesValue reports whether the flag is followed by a value.
func (s *setting) takesValue() bool { return s.meta != "" }

// names returns all long flags, without dashes.
func (s *setting) names() []string {
	if s.flag == "" {
		return nil
	}
	return append([]string{s.flag}, s.aliases...)
}

// display returns the flags as messages name them: "-w/--workers".
func (s *setting) display() string {
	return displayFlags(s.short, s.names())
}

func displayFlags(short string, long []string) string {
	var parts []string
	if short != "" {
		parts = append(parts, "-"+short)
	}
	for _, l := range long {
		parts = append(parts, "--"+l)
	}
	return strings.Join(parts, "/")
}

// Sections of --help, in its order.
const (
	sectionApp       = "Application"
	sectionSocket    = "Server Socket"
	sectionWorkers   = "Worker Processes"
	sectionSecurity  = "Security"
	sectionMechanics = "Server Mechanics"
	sectionLogging   = "Logging"
	sectionNaming    = "Process Naming"
	sectionDebugging = "Debugging"
	sectionOther     = "Other"
)

// table is every setting, in the order of --help.
var table = []setting{
	{
		name: "wsgi_app", meta: "MODULE[:VARIABLE]", section: sectionApp,
		doc:      `The application: a callable in a module, "application" by default, or a call with literal arguments, MODULE:FACTORY("x", debug=True).`,
		accessor: one(func(c *Config) *AppSpec { return &c.App }, parseApp, formatApp).orNone(),
	},
	{
		name: "config", flag: "config", short: "c", meta: "FILE", section: sectionApp,
		defaults: []string{"./" + gunicornFile},
		doc:      "The configuration file: PATH, file:PATH or python:MODULE. By default " + gunicornFile + " or " + tomlFile + " in the start directory, if there is one; /dev/null is none. Set in a file itself it has no effect.",
		accessor: text(func(c *Config) *string { return &c.ConfigFile }),
	},
	{
		name: "python", flag: "python", ours: true, meta: "PATH", section: sectionApp,
		doc:      "The Python to load: an interpreter, its name on PATH, or the directory of a virtual environment. By default that of the environment gowsgi is installed in, then $VIRTUAL_ENV, then .venv beside the application, then python3 on PATH.",
		accessor: text(func(c *Config) *string { return &c.Python }),
	},
	{
		name: "python_mode", flag: "python-mode", ours: true, meta: "MODE", section: sectionApp,
		env: "GOWSGI_PYTHON_MODE", defaults: []string{"auto"},
		doc:      "How Python and the server come together in a worker: dlopen loads the shared libpython into a process of the server, hosted loads the server into a process of the interpreter, auto is dlopen where there is that library and else hosted.",
		accessor: checked(func(c *Config) *string { return &c.PythonMode }, oneOf("auto", "dlopen", "hosted")),
	},
	{
		name: "bind", flag: "bind", short: "b", meta: "ADDRESS", section: sectionSocket,
		env: "PORT", fromEnv: func(port string) string { return "0.0.0.0:" + port },
		defaults: []string{"127.0.0.1:8000"},
		doc:      "The address to listen on: HOST, HOST:PORT, :PORT, [V6]:PORT, unix:PATH or fd://N. Repeatable.",
		accessor: many(func(c *Config) *[]Address { return &c.Bind }, parseAddress, formatAddress),
	},
	{
		name: "backlog", flag: "backlog", meta: "INT", unit: "connections", section: sectionSocket,
		defaults: []string{"2048"},
		doc:      "How many connections may wait to be accepted, per address (listen(2)).",
		accessor: count(func(c *Config) *int { return &c.Backlog }),
	},
	{
		name: "reuse_port", flag: "reuse-port", section: sectionSocket,
		doc:      "Set SO_REUSEPORT on TCP sockets, so that another server can bind the same address.",
		accessor: boolean(func(c *Config) *bool { return &c.ReusePort }),
	},
	{
		name: "unix_socket_mode", flag: "unix-socket-mode", ours: true, meta: "OCTAL", section: sectionSocket,
		doc:      "The mode of the files of unix sockets, such as 660. To connect takes the permission to write. By default 777 less umask.",
		accessor: fileMode(func(c *Config) *int { return &c.UnixSocketMode }),
	},
	{
		name: "unix_socket_owner", flag: "unix-socket-owner", ours: true, meta: "USER[:GROUP]", section: sectionSocket,
		doc:      "Whom the files of unix sockets belong to, by name or number: USER, USER:GROUP or :GROUP. By default whom the workers run as.",
		accessor: one(func(c *Config) *Owner { return &c.UnixSocketOwner }, parseOwner, func(o Owner) string { return o.Text }),
	},
	{
		name: "workers", flag: "workers", short: "w", meta: "INT", section: sectionWorkers,
		env: "WEB_CONCURRENCY", defaults: []string{"1"},
		doc:      "The number of worker processes.",
		accessor: count(func(c *Config) *int { return &c.Workers }),
	},
	{
		name: "worker_class", flag: "worker-class", short: "k", meta: "NAME", section: sectionWorkers,
		defaults: []string{"sync"},
		doc: "sync or gthread; sync with more than one thread is gthread. The paths of gunicorn's own two classes " +
			"mean the same, and in a Python file the classes themselves.",
		accessor: checked(func(c *Config) *string { return &c.WorkerClass }, parseWorkerClass).orClass(),
	},
	{
		name: "threads", flag: "threads", meta: "INT", section: sectionWorkers,
		defaults: []string{"1"},
		doc:      "The number of application threads of a worker. 0 is 1.",
		accessor: count(func(c *Config) *int { return &c.Threads }),
	},
	{
		name: "timeout", flag: "timeout", short: "t", meta: "SECONDS", unit: "seconds", section: sectionWorkers,
		defaults: []string{"30"},
		doc:      "How long a request may run before its worker is ended and replaced. 0 is no limit.",
		accessor: seconds(func(c *Config) *time.Duration { return &c.Timeout }),
	},
	{
		name: "graceful_timeout", flag: "graceful-timeout", meta: "SECONDS", unit: "seconds", section: sectionWorkers,
		defaults: []string{"30"},
		doc:      "How long a worker that was told to stop may finish open requests before it is killed.",
		accessor: seconds(func(c *Config) *time.Duration { return &c.GracefulTimeout }),
	},
	{
		name: "keepalive", flag: "keep-alive", meta: "SECONDS", unit: "seconds", section: sectionWorkers,
		defaults: []string{"2"},
		doc:      "How long an idle connection is kept for another request. 0 closes it after each response.",
		accessor: seconds(func(c *Config) *time.Duration { return &c.KeepAlive }),
	},
	{
		name: "max_requests", flag: "max-requests", meta: "INT", unit: "requests", section: sectionWorkers,
		defaults: []string{"0"},
		doc:      "After how many requests a worker is replaced. 0 is never.",
		accessor: count(func(c *Config) *int { return &c.MaxRequests }),
	},
	{
		name: "max_requests_jitter", flag: "max-requests-jitter", meta: "INT", unit: "requests", section: sectionWorkers,
		defaults: []string{"0"},
		doc:      "The most that is added to max_requests at random, per worker, so that not all are replaced at once.",
		accessor: count(func(c *Config) *int { return &c.MaxRequestsJitter }),
	},
	{
		name: "max_worker_memory", flag: "max-worker-memory", ours: true, meta: "SIZE", unit: "bytes", section: sectionWorkers,
		defaults: []string{"0"},
		doc:      "How much memory of its own (PSS) a worker may use before it is replaced: bytes, or a number with k, m or g. Looked at once a second. 0 is no limit.",
		accessor: size(func(c *Config) *int64 { return &c.MaxWorkerMemory }),
	},
	{
		name: "max_worker_lifetime", flag: "max-worker-lifetime", ours: true, meta: "SECONDS", unit: "seconds", section: sectionWorkers,
		defaults: []string{"0"},
		doc:      "How long after its start a worker is replaced. 0 is never.",
		accessor: seconds(func(c *Config) *time.Duration { return &c.MaxWorkerLifetime }),
	},
	{
		name: "max_worker_lifetime_jitter", flag: "max-worker-lifetime-jitter", ours: true, meta: "SECONDS", unit: "seconds", section: sectionWorkers,
		defaults: []string{"0"},
		doc:      "The most that is added to max_worker_lifetime at random, per worker, so that not all are replaced at once.",
		accessor: seconds(func(c *Config) *time.Duration { return &c.MaxWorkerLifetimeJitter }),
	},
	{
		name: "reload_surge", flag: "reload-surge", ours: true, meta: "INT", unit: "workers", section: sectionWorkers,
		defaults: []string{"1"},
		doc:      "How many workers more than wanted may be starting at a time while others are replaced.",
		accessor: one(func(c *Config) *int { return &c.ReloadSurge }, parsePositive, strconv.Itoa),
	},
	{
		name: "boot_timeout", flag: "boot-timeout", ours: true, meta: "SECONDS", unit: "seconds", section: sectionWorkers,
		defaults: []string{"0"},
		doc:      "How long a worker may take to load the application before its stacks are logged and it is started again. 0 is no limit.",
		accessor: seconds(func(c *Config) *time.Duration { return &c.BootTimeout }),
	},
	{
		name: "liveness_timeout", flag: "liveness-timeout", ours: true, meta: "SECONDS", unit: "seconds", section: sectionWorkers,
		defaults: []string{"60"},
		doc:      "How long a worker's event loop may stand still, whatever requests it runs, before the worker is replaced. 0 is no limit.",
		accessor: seconds(func(c *Config) *time.Duration { return &c.LivenessTimeout }),
	},
	{
		name: "drain_delay", flag: "drain-delay", ours: true, meta: "SECONDS", unit: "seconds", section: sectionWorkers,
		defaults: []string{"0"},
		doc:      "How long the server goes on as usual after SIGTERM before it begins to stop, for load balancers that still send requests. A second SIGTERM ends the wait.",
		accessor: seconds(func(c *Config) *time.Duration { return &c.DrainDelay }),
	},
	{
		name: "worker_connections", flag: "worker-connections", meta: "INT", unit: "connections", section: sectionWorkers,
		defaults: []string{"10000"},
		doc:      "How many connections a worker has open at most. At the bound idle ones are closed for new ones, and when none is idle, nothing is accepted. 0 is no bound but that of the process (ulimit -n).",
		accessor: count(func(c *Config) *int { return &c.WorkerConnections }),
	},
	{
		name: "max_queue", flag: "max-queue", ours: true, meta: "INT", unit: "requests", section: sectionWorkers,
		defaults: []string{"2048"},
		doc:      "How many requests may wait while every application thread is busy; one more is answered 503. 0 is no limit.",
		accessor: count(func(c *Config) *int { return &c.MaxQueue }),
	},
	{
		name: "queue_timeout", flag: "queue-timeout", ours: true, meta: "SECONDS", unit: "seconds", section: sectionWorkers,
		defaults: []string{"0"},
		doc:      "How long a request may wait for a free application thread before it is answered 503. 0 is no limit.",
		accessor: seconds(func(c *Config) *time.Duration { return &c.QueueTimeout }),
	},
	{
		name: "header_timeout", flag: "header-timeout", ours: true, meta: "SECONDS", unit: "seconds", section: sectionWorkers,
		defaults: []string{"60"},
		doc:      "How long a client may take to send the head of a request before it is answered 408. 0 is no limit.",
		accessor: seconds(func(c *Config) *time.Duration { return &c.HeaderTimeout }),
	},
	{
		name: "body_timeout", flag: "body-timeout", ours: true, meta: "SECONDS", unit: "seconds", section: sectionWorkers,
		defaults: []string{"60"},
		doc:      "How long a client may send nothing while content of its request is waited for, before it is answered 408. 0 is no limit, and none for body_min_rate either.",
		accessor: seconds(func(c *Config) *time.Duration { return &c.BodyTimeout }),
	},
	{
		name: "body_min_rate", flag: "body-min-rate", ours: true, meta: "INT", unit: "bytes/s", section: sectionWorkers,
		defaults: []string{"240"},
		doc:      "The average rate at which a client must send content, counted from body_timeout after the head on; a slower one is answered 408. 0 is any.",
		accessor: count(func(c *Config) *int { return &c.BodyMinRate }),
	},
	{
		name: "send_timeout", flag: "send-timeout", ours: true, meta: "SECONDS", unit: "seconds", section: sectionWorkers,
		defaults: []string{"60"},
		doc:      "How long a client may take nothing of a response that waits for it, before its connection is closed. 0 is no limit, and none for send_min_rate either.",
		accessor: seconds(func(c *Config) *time.Duration { return &c.SendTimeout }),
	},
	{
		name: "send_min_rate", flag: "send-min-rate", ours: true, meta: "INT", unit: "bytes/s", section: sectionWorkers,
		defaults: []string{"240"},
		doc:      "The average rate at which a client must take a response that waits for it, counted from send_timeout after the wait began on; the connection of a slower one is closed. 0 is any.",
		accessor: count(func(c *Config) *int { return &c.SendMinRate }),
	},
	{
		name: "request_buffer", flag: "request-buffer", ours: true, meta: "SIZE", unit: "bytes", section: sectionWorkers,
		defaults: []string{"1048576"},
		doc:      "How much content of a request is read before it takes an application thread: bytes, or a number with k, m or g. Longer content is read while the application runs.",
		accessor: size(func(c *Config) *int64 { return &c.RequestBuffer }),
	},
	{
		name: "response_buffer", flag: "response-buffer", ours: true, meta: "SIZE", unit: "bytes", section: sectionWorkers,
		defaults: []string{"1048576"},
		doc:      "How much of a response is kept for a client that reads slowly, beyond what the kernel keeps: bytes, or a number with k, m or g. The application's thread waits only for the rest to fit.",
		accessor: size(func(c *Config) *int64 { return &c.ResponseBuffer }),
	},
	{
		name: "limit_request_line", flag: "limit-request-line", meta: "INT", unit: "bytes", section: sectionSecurity,
		defaults: []string{"4094"},
		doc:      "The longest request line. 0 is 1 MiB; anything above 8190 is 8190.",
		accessor: count(func(c *Config) *int { return &c.LimitRequestLine }),
	},
	{
		name: "limit_request_fields", flag: "limit-request-fields", meta: "INT", unit: "fields", section: sectionSecurity,
		defaults: []string{"100"},
		doc:      "The largest number of header fields. 0 and anything above 32768 is 32768.",
		accessor: count(func(c *Config) *int { return &c.LimitRequestFields }),
	},
	{
		name: "limit_request_field_size", flag: "limit-request-field_size", aliases: []string{"limit-request-field-size"},
		meta: "INT", unit: "bytes", section: sectionSecurity,
		defaults: []string{"8190"},
		doc:      "The longest header field line. 0 is 8190.",
		accessor: count(func(c *Config) *int { return &c.LimitRequestFieldSize }),
	},
	{
		name: "limit_request_body", flag: "limit-request-body", ours: true, meta: "SIZE", unit: "bytes", section: sectionSecurity,
		defaults: []string{"0"},
		doc:      "The longest content of a request; k, m and g behind the number are KiB, MiB and GiB. More is answered 413. 0 is no limit.",
		accessor: size(func(c *Config) *int64 { return &c.LimitRequestBody }),
	},
	{
		name: "header_map", flag: "header-map", meta: "WORD", section: sectionSecurity,
		defaults: []string{"drop"},
		doc:      "What becomes of header fields with an underscore in their name, which look to the application like others with a hyphen: drop leaves them out, refuse answers 400, dangerous passes them on.",
		accessor: checked(func(c *Config) *string { return &c.HeaderMap }, oneOf("drop", "refuse", "dangerous")).noneIs("refuse"),
	},
	{
		name: "hop_by_hop_headers", flag: "hop-by-hop-headers", ours: true, meta: "WORD", section: sectionSecurity,
		defaults: []string{"drop"},
		doc:      "What becomes of hop-by-hop headers of the application, such as Connection and Transfer-Encoding, which are the server's (PEP 3333): drop leaves them out and says so once, refuse raises an error in start_response.",
		accessor: checked(func(c *Config) *string { return &c.HopByHopHeaders }, oneOf("drop", "refuse")),
	},
	{
		name: "strip_header_spaces", flag: "strip-header-spaces", section: sectionSecurity,
		doc:      "Accept whitespace between the name of a header field and its colon. A proxy in front may see another field there: only if there is none.",
		accessor: boolean(func(c *Config) *bool { return &c.StripHeaderSpaces }),
	},
	{
		name: "permit_obsolete_folding", flag: "permit-obsolete-folding", section: sectionSecurity,
		doc:      "Accept header fields that go on in the next line, except Host, Content-Length and Transfer-Encoding.",
		accessor: boolean(func(c *Config) *bool { return &c.PermitObsoleteFolding }),
	},
	{
		name: "permit_unconventional_http_method", flag: "permit-unconventional-http-method", section: sectionSecurity,
		doc:      "Accept methods shorter than 3 or longer than 20 characters, with lower-case letters or #.",
		accessor: boolean(func(c *Config) *bool { return &c.PermitUnconventionalMethod }),
	},
	{
		name: "permit_unconventional_http_version", flag: "permit-unconventional-http-version", section: sectionSecurity,
		doc:      "Accept HTTP versions below 1.0 and from 2.0 on; they are read as 1.0 and 1.1.",
		accessor: boolean(func(c *Config) *bool { return &c.PermitUnconventionalVersion }),
	},
	{
		name: "casefold_http_method", flag: "casefold-http-method", section: sectionSecurity,
		doc:      "Turn methods into upper case. Lower case is refused before unless permit_unconventional_http_method is on.",
		accessor: boolean(func(c *Config) *bool { return &c.CasefoldHTTPMethod }),
	},
	{
		name: "preload_app", flag: "preload", section: sectionMechanics,
		doc:      "Load the application once and fork the workers from there, so that they share its memory. A reload loads it anew.",
		accessor: boolean(func(c *Config) *bool { return &c.Preload }),
	},
	{
		name: "chdir", flag: "chdir", meta: "DIR", section: sectionMechanics,
		doc:      "The directory to change to before the application is loaded; relative paths of other settings start there. By default the current one.",
		accessor: text(func(c *Config) *string { return &c.Chdir }),
	},
	{
		name: "pythonpath", flag: "pythonpath", meta: "DIRS", section: sectionMechanics,
		doc:      "Directories to put on sys.path, separated by commas.",
		accessor: commas(func(c *Config) *[]string { return &c.PythonPath }, parsePythonPath),
	},
	{
		name: "raw_env", flag: "env", short: "e", meta: "KEY=VALUE", section: sectionMechanics,
		doc:      "A variable to set in the environment of the workers. Repeatable.",
		accessor: many(func(c *Config) *[]string { return &c.Env }, parseEnv, func(s string) string { return s }),
	},
	{
		name: "sendfile", flag: "no-sendfile", off: true, section: sectionMechanics,
		env: "SENDFILE", fromEnv: sendfileFromEnv, defaults: []string{"true"},
		doc:      "Read what an application gives to wsgi.file_wrapper in blocks, instead of having the kernel send it (sendfile(2)).",
		accessor: boolean(func(c *Config) *bool { return &c.Sendfile }).noneIs("true"),
	},
	{
		name: "user", flag: "user", short: "u", meta: "USER", section: sectionMechanics,
		doc:      "The user workers run as, by name or number, from before the application is loaded. The master must be root then. By default the master's.",
		accessor: one(func(c *Config) *User { return &c.User }, parseUser, func(u User) string { return u.Text }).orNumber().orNone(),
	},
	{
		name: "group", flag: "group", short: "g", meta: "GROUP", section: sectionMechanics,
		doc:      "The group workers run as, by name or number. By default the user's own.",
		accessor: one(func(c *Config) *Group { return &c.Group }, parseGroup, func(g Group) string { return g.Text }).orNumber().orNone(),
	},
	{
		name: "initgroups", flag: "initgroups", section: sectionMechanics,
		doc:      "Give workers all groups the user is a member of. By default they have the one group only.",
		accessor: boolean(func(c *Config) *bool { return &c.InitGroups }),
	},
	{
		name: "umask", flag: "umask", short: "m", meta: "INT", section: sectionMechanics,
		defaults: []string{"0"},
		doc:      "The permissions that are taken from the mode 0777 of unix sockets, octal with a leading 0.",
		accessor: number(func(c *Config) *int { return &c.Umask }, parseUmask),
	},
	{
		name: "daemon", flag: "daemon", short: "D", section: sectionMechanics,
		doc:      "Go on in the background, in a session of its own, once a worker serves; a start that fails ends the command with its exit code and errors. Standard output and error then lead nowhere, so that logs need files.",
		accessor: boolean(func(c *Config) *bool { return &c.Daemon }),
	},
	{
		name: "enable_stdio_inheritance", flag: "enable-stdio-inheritance", short: "R", section: sectionMechanics,
		doc:      "Let a daemon keep its standard streams. Without --daemon they are always kept.",
		accessor: boolean(func(c *Config) *bool { return &c.EnableStdio }),
	},
	{
		name: "pidfile", flag: "pid", short: "p", meta: "FILE", section: sectionMechanics,
		doc:      "The file to write the master's process id to.",
		accessor: text(func(c *Config) *string { return &c.PIDFile }),
	},
	{
		name: "forwarded_allow_ips", flag: "forwarded-allow-ips", meta: "ADDRESSES", section: sectionMechanics,
		env: "FORWARDED_ALLOW_IPS", defaults: []string{"127.0.0.1,::1"},
		doc:      "The proxies that are believed: addresses and networks, separated by commas, or * for everybody. Peers on unix sockets always are.",
		accessor: commaList(func(c *Config) *AllowList { return &c.ForwardedAllowIPs }, parseAllowList, AllowList.items),
	},
	{
		name: "secure_scheme_headers", flag: "secure-scheme-headers", ours: true, meta: "NAME=VALUE", section: sectionMechanics,
		defaults: []string{"X-FORWARDED-PROTOCOL=ssl", "X-FORWARDED-PROTO=https", "X-FORWARDED-SSL=on"},
		doc:      "A header field in which a proxy that is believed says that the client spoke https, and the value that says so. Any other value is http; fields that disagree are answered 400. Repeatable; empty for none.",
		accessor: dict(func(c *Config) *map[string]string { return &c.SecureSchemeHeaders }, parseSchemeHeader),
	},
	{
		name: "forwarder_headers", flag: "forwarder-headers", meta: "NAMES", section: sectionMechanics,
		defaults: []string{"SCRIPT_NAME,PATH_INFO"},
		doc:      "The header fields with an underscore in their name, separated by commas, that are taken from a proxy that is believed; * for all. SCRIPT_NAME is cut off the path.",
		accessor: commaList(func(c *Config) *[]string { return &c.ForwarderHeaders }, parseFieldNames, slices.Clone),
	},
	{
		name: "real_ip_header", flag: "real-ip-header", ours: true, meta: "FIELD", section: sectionMechanics,
		defaults: []string{RealIPOff},
		doc:      "The header field by which a proxy that is believed names the client: x-forwarded-for, or forwarded (RFC 7239). REMOTE_ADDR is then the last address in it that forwarded_allow_ips does not list. off leaves REMOTE_ADDR alone.",
		accessor: checked(func(c *Config) *string { return &c.RealIPHeader }, oneOf(RealIPOff, RealIPForwardedFor, RealIPForwarded)),
	},
	{
		name: "proxy_protocol", flag: "proxy-protocol", meta: "MODE", bare: ProxyAuto, section: sectionMechanics,
		defaults: []string{ProxyOff},
		doc:      "Which PROXY protocol headers may begin a connection: off, v1, v2, or auto for both. Without a value it is auto.",
		accessor: proxyMode(func(c *Config) *string { return &c.ProxyProtocol }),
	},
	{
		name: "proxy_allow_ips", flag: "proxy-allow-from", meta: "ADDRESSES", section: sectionMechanics,
		defaults: []string{"127.0.0.1,::1"},
		doc:      "Who may send a PROXY protocol header: addresses and networks, separated by commas, or * for everybody. Others are answered 403. Peers on unix sockets always may.",
		accessor: commaList(func(c *Config) *AllowList { return &c.ProxyAllowIPs }, parseAllowList, AllowList.items),
	},
	{
		name: "loglevel", flag: "log-level", meta: "LEVEL", section: sectionLogging,
		defaults: []string{"info"},
		doc:      "The least severe messages to log: debug, info, warning, error or critical.",
		accessor: checked(func(c *Config) *string { return &c.LogLevel },
			oneOf("debug", "info", "warning", "error", "critical")),
	},
	{
		name: "errorlog", flag: "error-logfile", aliases: []string{"log-file"}, meta: "FILE", section: sectionLogging,
		defaults: []string{"-"},
		doc:      `The file of the error log; "-" is standard error.`,
		accessor: checked(func(c *Config) *string { return &c.ErrorLog }, parsePath).noneIs("-"),
	},
	{
		name: "accesslog", flag: "access-logfile", meta: "FILE", section: sectionLogging,
		doc:      `The file of the access log; "-" is standard output. By default there is none.`,
		accessor: text(func(c *Config) *string { return &c.AccessLog }),
	},
	{
		name: "access_log_format", flag: "access-logformat", meta: "FORMAT", section: sectionLogging,
		defaults: []string{DefaultAccessLogFormat},
		doc:      "The format of a line of the access log, in gunicorn's atoms; json is one object a line.",
		accessor: checked(func(c *Config) *string { return &c.AccessLogFormat }, parseAccessLogFormat),
	},
	{
		name: "access_log_exclude", flag: "access-log-exclude", ours: true, meta: "PATH", section: sectionLogging,
		doc:      `A path that stays out of the access log unless its request fails; with "*" at the end, all that begin so. Repeatable.`,
		accessor: many(func(c *Config) *[]string { return &c.AccessLogExclude }, parseExclude, func(s string) string { return s }),
	},
	{
		name: "capture_output", flag: "capture-output", section: sectionLogging,
		doc:      "Send standard output and error of all processes to the file of the error log.",
		accessor: boolean(func(c *Config) *bool { return &c.CaptureOutput }),
	},
	{
		name: "logger_class", flag: "logger-class", meta: "CLASS", section: sectionLogging,
		defaults: []string{defaultLogger},
		doc:      "The Python class of the workers' logger, as package.module.Class, in most cases a subclass of gunicorn.glogging.Logger. With another than the default, or with one of the logconfig settings, workers log through Python's logging.",
		accessor: checked(func(c *Config) *string { return &c.LoggerClass }, parseLoggerClass).orClass(),
	},
	{
		name: "logconfig", flag: "log-config", meta: "FILE", section: sectionLogging,
		doc:      "A file for Python's logging.config.fileConfig, for the loggers gunicorn.error and gunicorn.access of the workers.",
		accessor: text(func(c *Config) *string { return &c.LogConfig }),
	},
	{
		name: "logconfig_json", flag: "log-config-json", meta: "FILE", section: sectionLogging,
		doc:      "A file with JSON for Python's logging.config.dictConfig. It wins over logconfig.",
		accessor: text(func(c *Config) *string { return &c.LogConfigJSON }),
	},
	{
		name: "logconfig_dict", section: sectionLogging,
		doc:      "A dictionary for Python's logging.config.dictConfig. It wins over logconfig_json.",
		accessor: object(func(c *Config) *map[string]any { return &c.LogConfigDict }),
	},
	{
		name: "log_format", flag: "log-format", ours: true, meta: "FORMAT", section: sectionLogging,
		defaults: []string{"text"},
		doc:      "The form of the error log: text, or json for one object a line.",
		accessor: checked(func(c *Config) *string { return &c.LogFormat }, oneOf("text", "json")),
	},
	{
		name: "syslog", flag: "log-syslog", section: sectionLogging,
		doc:      "Send the error log, and the access log, to a syslog daemon, too.",
		accessor: boolean(func(c *Config) *bool { return &c.Syslog }),
	},
	{
		name: "syslog_addr", flag: "log-syslog-to", meta: "ADDRESS", section: sectionLogging,
		defaults: []string{"udp://localhost:514"},
		doc:      "The address of the syslog daemon: udp://HOST:PORT, tcp://HOST:PORT, unix://PATH, unix://PATH#dgram or unix://PATH#stream.",
		accessor: text(func(c *Config) *string { return &c.SyslogAddr }),
	},
	{
		name: "syslog_prefix", flag: "log-syslog-prefix", meta: "PREFIX", section: sectionLogging,
		doc:      "The middle of the name that syslog shows, gunicorn.PREFIX.error or gunicorn.PREFIX.access. By default that of the processes.",
		accessor: text(func(c *Config) *string { return &c.SyslogPrefix }),
	},
	{
		name: "syslog_facility", flag: "log-syslog-facility", meta: "FACILITY", section: sectionLogging,
		defaults: []string{"user"},
		doc:      "The facility of syslog messages: user, daemon, local0 and so on (syslog(3)).",
		accessor: text(func(c *Config) *string { return &c.SyslogFacility }),
	},
	{
		name: "disable_redirect_access_to_syslog", flag: "disable-redirect-access-to-syslog", section: sectionLogging,
		doc:      "Send only the error log to syslog.",
		accessor: boolean(func(c *Config) *bool { return &c.NoAccessToSyslog }),
	},
	{
		name: "statsd_host", flag: "statsd-host", meta: "ADDRESS", section: sectionLogging,
		doc:      "The address of a statsd daemon to send metrics to: HOST:PORT, port 8125 by default, or unix://PATH. By default none are sent.",
		accessor: checked(func(c *Config) *string { return &c.StatsdHost }, parseStatsdHost),
	},
	{
		name: "statsd_prefix", flag: "statsd-prefix", meta: "PREFIX", section: sectionLogging,
		doc:      "What precedes the names of metrics; a dot is added.",
		accessor: text(func(c *Config) *string { return &c.StatsdPrefix }),
	},
	{
		name: "dogstatsd_tags", flag: "dogstatsd-tags", meta: "TAGS", section: sectionLogging,
		doc:      "Tags to add to each metric, KEY:VALUE separated by commas.",
		accessor: text(func(c *Config) *string { return &c.DogstatsdTags }),
	},
	{
		name: "enable_backlog_metric", flag: "enable-backlog-metric", section: sectionLogging,
		doc:      "Send the number of connections that wait to be accepted to statsd every second.",
		accessor: boolean(func(c *Config) *bool { return &c.BacklogMetric }),
	},
	{
		name: "proc_name", flag: "name", short: "n", meta: "NAME", section: sectionNaming,
		doc:      "The name of the processes. By default the application's.",
		accessor: text(func(c *Config) *string { return &c.ProcName }),
	},
	{
		name: "default_proc_name", section: sectionNaming,
		doc:      "What proc_name is by default; by default itself the application.",
		accessor: text(func(c *Config) *string { return &c.DefaultProcName }),
	},
	{
		name: "reload", flag: "reload", section: sectionDebugging,
		doc:      "Replace the workers when a file of a module they imported changes. For development.",
		accessor: boolean(func(c *Config) *bool { return &c.Reload }),
	},
	{
		name: "reload_engine", flag: "reload-engine", meta: "NAME", section: sectionDebugging,
		defaults: []string{"auto"},
		doc:      "How changes are found: auto, inotify or poll. auto is inotify, or poll where that does not work.",
		accessor: checked(func(c *Config) *string { return &c.ReloadEngine }, oneOf("auto", "inotify", "poll")),
	},
	{
		name: "reload_extra_files", flag: "reload-extra-file", meta: "FILE", section: sectionDebugging,
		doc:      "A file, a directory or a pattern of files to watch as well. Repeatable.",
		accessor: many(func(c *Config) *[]string { return &c.ReloadExtraFiles }, parsePath, func(s string) string { return s }),
	},
	{
		name: "check_config", flag: "check-config", action: ActionCheck, section: sectionDebugging,
		doc: "Check the settings, load the application once and exit.",
	},
	{
		name: "print_config", flag: "print-config", action: ActionPrint, section: sectionDebugging,
		doc: "Print all settings, then do as --check-config.",
	},
	{
		name: "version", flag: "version", short: "v", action: ActionVersion, section: sectionOther,
		doc: "Print the version, and which Python would be loaded, and exit.",
	},
	{
		name: "help", flag: "help", short: "h", action: ActionHelp, section: sectionOther,
		doc: "Print this text and exit.",
	},
}
