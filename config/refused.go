package config

import (
	"slices"
	"strings"
)

// refusal is a setting of gunicorn that gowsgi does not have. It is known by its
// flag and its name, so that it is refused, or accepted without effect, by name,
// and never takes another word with it.
type refusal struct {
	flag, short string
	aliases     []string
	// setting is the name in a configuration file; "" if it is the flag's, with
	// underscores.
	setting string
	// meta stands for the flag's value, as in a setting. It may be left out of a
	// row whose flag is refused whatever its value.
	meta string
	// harmless are values that ask for what gowsgi does.
	harmless []string
	// noop marks a setting that is accepted, with a warning, because what it
	// changes is not there.
	noop bool
	// hint says what to do instead, or why there is no effect. A refusal without
	// one is of a setting that is still to come.
	hint string
}

// name is the name of the setting.
func (r *refusal) name() string {
	if r.setting != "" {
		return r.setting
	}
	return strings.ReplaceAll(r.flag, "-", "_")
}

// names returns all long flags; none for a setting of configuration files only.
func (r *refusal) names() []string {
	if r.flag == "" {
		return nil
	}
	return append([]string{r.flag}, r.aliases...)
}

// display returns the flags, or the name of a setting without any.
func (r *refusal) display() string {
	if r.flag == "" {
		return r.setting
	}
	return displayFlags(r.short, r.names())
}

// reason is the whole message, for the setting as it was called.
func (r *refusal) reason(called string) string {
	switch {
	case r.noop:
		return called + " has no effect: " + r.hint
	case r.hint == "":
		return called + " is not supported yet"
	}
	return called + " is not supported: " + r.hint
}

// asks reports whether a text asks for something that is not there. A word that
// means "none" does not.
func (r *refusal) asks(text string) bool {
	return !slices.Contains(r.harmless, strings.ToLower(strings.TrimSpace(text)))
}

// Hints shared by several settings.
const (
	hintASGI    = "gowsgi serves WSGI applications only"
	hintDirty   = "gowsgi has no dirty workers"
	hintPaste   = "give the application as MODULE:VARIABLE, in a module that calls paste.deploy.loadapp"
	hintUWSGI   = "gowsgi speaks HTTP only; let the proxy speak HTTP to it"
	hintControl = "gowsgi has no control socket"
	hintTLS     = "gowsgi speaks no TLS yet; let a proxy in front end it"
	hintHTTP2   = "gowsgi speaks HTTP/1.1 only"
)

// refusals is every setting of gunicorn 27 that is not in table.
var refusals = []refusal{
	{flag: "asgi-loop", meta: "STRING", noop: true, hint: hintASGI},
	{flag: "asgi-lifespan", meta: "STRING", noop: true, hint: hintASGI},
	{flag: "asgi-disconnect-grace-period", meta: "INT", noop: true, hint: hintASGI},
	{flag: "websocket-max-message-size", meta: "INT", noop: true, hint: hintASGI},
	{flag: "root-path", meta: "STRING", noop: true, hint: hintASGI},
	{flag: "http-parser", meta: "STRING", noop: true, hint: "gowsgi has one parser"},

	{flag: "spew", hint: "use python -m trace"},

	{flag: "worker-tmp-dir", meta: "DIR", noop: true, hint: "gowsgi has no heartbeat files"},
	{flag: "protocol", meta: "STRING", harmless: []string{"http"}, hint: hintUWSGI},
	{flag: "uwsgi-allow-from", setting: "uwsgi_allow_ips", meta: "STRING", noop: true, hint: hintUWSGI},
	{flag: "paste", aliases: []string{"paster"}, hint: hintPaste},
	{flag: "paste-global", setting: "raw_paste_global_conf", hint: hintPaste},

	{flag: "keyfile", meta: "FILE", harmless: []string{""}, hint: hintTLS},
	{flag: "certfile", meta: "FILE", harmless: []string{""}, hint: hintTLS},
	{flag: "ssl-version", meta: "STRING", noop: true, hint: "gunicorn ignores it too"},
	{flag: "cert-reqs", meta: "INT", harmless: []string{"0"}, hint: hintTLS},
	{flag: "ca-certs", meta: "FILE", harmless: []string{""}, hint: hintTLS},
	{flag: "suppress-ragged-eofs", noop: true, hint: hintTLS},
	{flag: "do-handshake-on-connect", noop: true, hint: hintTLS},
	{flag: "ciphers", meta: "STRING", harmless: []string{""}, hint: hintTLS},
	{flag: "http-protocols", meta: "STRING", harmless: []string{"", "h1"}, hint: hintHTTP2},
	{flag: "http2-cleartext", meta: "STRING", harmless: []string{"off"}, hint: hintHTTP2},
	{flag: "http2-max-concurrent-streams", meta: "INT", noop: true, hint: hintHTTP2},
	{flag: "http2-initial-window-size", meta: "INT", noop: true, hint: hintHTTP2},
	{flag: "http2-max-frame-size", meta: "INT", noop: true, hint: hintHTTP2},
	{flag: "http2-max-header-list-size", meta: "INT", noop: true, hint: hintHTTP2},

	{flag: "dirty-app", setting: "dirty_apps", hint: hintDirty},
	{flag: "dirty-workers", meta: "INT", harmless: []string{"0"}, hint: hintDirty},
	{flag: "dirty-timeout", meta: "INT", noop: true, hint: hintDirty},
	{flag: "dirty-threads", meta: "INT", noop: true, hint: hintDirty},
	{flag: "dirty-graceful-timeout", meta: "INT", noop: true, hint: hintDirty},

	{flag: "control-socket", meta: "PATH", noop: true, hint: hintControl},
	{flag: "control-socket-mode", meta: "INT", noop: true, hint: hintControl},
	{flag: "no-control-socket", setting: "control_socket_disable", noop: true, hint: hintControl},

	{setting: "tmp_upload_dir", noop: true, hint: "gunicorn ignores it too"},
	{setting: "on_dirty_starting", hint: hintDirty},
	{setting: "dirty_post_fork", hint: hintDirty},
	{setting: "dirty_worker_init", hint: hintDirty},
	{setting: "dirty_worker_exit", hint: hintDirty},
	{setting: "ssl_context", hint: hintTLS},
}
