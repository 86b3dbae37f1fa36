package config

// refusal is a setting of gunicorn that gowsgi does not have. Its flag is known,
// so that it is refused by name and never takes another word with it.
type refusal struct {
	flag, short string
	aliases     []string
	// env is the environment variable gunicorn reads the default from.
	env string
	// hint says what to do instead. A refusal without one is of a setting that
	// is still to come.
	hint string
}

func (r *refusal) names() []string { return append([]string{r.flag}, r.aliases...) }

func (r *refusal) display() string { return displayFlags(r.short, r.names()) }

// reason is the whole message.
func (r *refusal) reason() string {
	if r.hint == "" {
		return r.display() + " is not supported yet"
	}
	return r.display() + " is not supported: " + r.hint
}

// Hints shared by several settings.
const (
	hintASGI     = "gowsgi serves WSGI applications only"
	hintDirty    = "gowsgi has no dirty workers"
	hintPaste    = "give the application as MODULE:VARIABLE, in a module that calls paste.deploy.loadapp"
	hintUWSGI    = "gowsgi speaks HTTP only; let the proxy speak HTTP to it"
	hintControl  = "gowsgi has no control socket; leave the flag out"
	hintPyLog    = "the log is not written by Python's logging; see --log-level, --log-format and --error-logfile"
	hintDefault  = "gowsgi always behaves so; leave the flag out"
	hintNoEffect = "it would have no effect; leave the flag out"
)

// refusals is every flag of gunicorn 27 that is not in table.
var refusals = []refusal{
	{flag: "config", short: "c"},

	{flag: "worker-connections"},
	{flag: "asgi-loop", hint: hintASGI},
	{flag: "asgi-lifespan", hint: hintASGI},
	{flag: "asgi-disconnect-grace-period", hint: hintASGI},
	{flag: "websocket-max-message-size", hint: hintASGI},
	{flag: "root-path", hint: hintASGI},
	{flag: "http-parser", hint: "gowsgi has one parser; leave the flag out"},

	{flag: "reload"},
	{flag: "reload-engine"},
	{flag: "reload-extra-file"},
	{flag: "spew", hint: "use python -m trace"},

	{flag: "preload"},
	{flag: "no-sendfile", env: "SENDFILE"},
	{flag: "daemon", short: "D", hint: "run gowsgi under systemd or another supervisor"},
	{flag: "worker-tmp-dir", hint: "gowsgi has no heartbeat files; leave the flag out"},
	{flag: "forwarded-allow-ips", env: "FORWARDED_ALLOW_IPS"},
	{flag: "proxy-protocol"},
	{flag: "proxy-allow-from"},
	{flag: "protocol", hint: hintUWSGI},
	{flag: "uwsgi-allow-from", hint: hintUWSGI},
	{flag: "paste", aliases: []string{"paster"}, hint: hintPaste},
	{flag: "paste-global", hint: hintPaste},
	{flag: "permit-obsolete-folding"},
	{flag: "strip-header-spaces"},
	{flag: "permit-unconventional-http-method"},
	{flag: "permit-unconventional-http-version"},
	{flag: "casefold-http-method"},
	{flag: "forwarder-headers"},
	{flag: "header-map"},

	{flag: "disable-redirect-access-to-syslog"},
	{flag: "capture-output"},
	{flag: "logger-class", hint: hintPyLog},
	{flag: "log-config", hint: hintPyLog},
	{flag: "log-config-json", hint: hintPyLog},
	{flag: "log-syslog-to"},
	{flag: "log-syslog"},
	{flag: "log-syslog-prefix"},
	{flag: "log-syslog-facility"},
	{flag: "enable-stdio-inheritance", short: "R", hint: hintDefault},
	{flag: "statsd-host"},
	{flag: "dogstatsd-tags"},
	{flag: "statsd-prefix"},
	{flag: "enable-backlog-metric"},

	{flag: "keyfile"},
	{flag: "certfile"},
	{flag: "ssl-version", hint: hintNoEffect},
	{flag: "cert-reqs"},
	{flag: "ca-certs"},
	{flag: "suppress-ragged-eofs", hint: hintNoEffect},
	{flag: "do-handshake-on-connect", hint: hintNoEffect},
	{flag: "ciphers"},
	{flag: "http-protocols"},
	{flag: "http2-cleartext"},
	{flag: "http2-max-concurrent-streams"},
	{flag: "http2-initial-window-size"},
	{flag: "http2-max-frame-size"},
	{flag: "http2-max-header-list-size"},

	{flag: "dirty-app", hint: hintDirty},
	{flag: "dirty-workers", hint: hintDirty},
	{flag: "dirty-timeout", hint: hintDirty},
	{flag: "dirty-threads", hint: hintDirty},
	{flag: "dirty-graceful-timeout", hint: hintDirty},

	{flag: "control-socket", hint: hintControl},
	{flag: "control-socket-mode", hint: hintControl},
	{flag: "no-control-socket", hint: hintControl},
}
