package config

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// merge loads args with a Python file that assigns values.
func merge(t *testing.T, args string, env map[string]string, values map[string]any) (*Command, error) {
	t.Helper()
	src, err := Parse(strings.Fields(args), environ(env), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return src.Load(&Values{File: "conf.py", Values: values})
}

// TestFilePrecedence: a file is stronger than variables that change defaults and
// weaker than arguments.
func TestFilePrecedence(t *testing.T) {
	t.Parallel()
	values := map[string]any{"workers": int64(3), "bind": []any{":1", ":2"}, "wsgi_app": "file:app", "raw_env": []any{"A=1"}}
	for _, tt := range []struct {
		name, args string
		env        map[string]string
		want       []string // workers, bind, raw_env, wsgi_app
	}{
		{"file", "", nil, []string{"3", "[':1', ':2']", "['A=1']", "file:app"}},
		{"over variables", "", map[string]string{"WEB_CONCURRENCY": "9", "PORT": "9"}, []string{"3", "[':1', ':2']", "['A=1']", "file:app"}},
		{"under GUNICORN_CMD_ARGS", "", map[string]string{"GUNICORN_CMD_ARGS": "-w 4 -b :3 env:app"},
			[]string{"4", "[':3']", "['A=1']", "file:app"}},
		{"under the command line", "-w 5 -e B=2 line:app", nil, []string{"5", "[':1', ':2']", "['B=2']", "line:app"}},
	} {
		cmd, err := merge(t, tt.args, tt.env, values)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var got []string
		for _, name := range []string{"workers", "bind", "raw_env", "wsgi_app"} {
			got = append(got, printed(cmd.Config, name))
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestFileWithoutApplication: wsgi_app = None is as good as none in the file.
func TestFileWithoutApplication(t *testing.T) {
	t.Parallel()
	values := map[string]any{"wsgi_app": nil}
	cmd, err := merge(t, "app", nil, values)
	if err != nil || cmd.Config.App.Text != "app" {
		t.Errorf("got %+v, %v, want the argument", cmd, err)
	}
	if _, err := merge(t, "", nil, values); err == nil || err.Error() != "No application module specified." {
		t.Errorf("got %v, want that there is none", err)
	}
}

// TestFileTypes: values of a file, by the rules of gunicorn's validators.
func TestFileTypes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		setting string
		value   any
		want    string // as --print-config shows it, or the error
	}{
		{"workers", int64(4), "4"},
		{"workers", json.Number("4"), "4"},
		{"workers", "4", "4"},
		{"workers", "0x10", "16"},
		{"workers", true, "1"},
		{"workers", "abc", "conf.py: invalid value for workers: 'abc': not a valid int"},
		{"workers", 1.5, "conf.py: invalid value for workers: 1.5: must be an int"},
		{"workers", json.Number("1e3"), "conf.py: invalid value for workers: 1e3: must be an int"},
		{"workers", json.Number("99999999999999999999"), "conf.py: invalid value for workers: 99999999999999999999: must not be more than 2147483647"},
		{"workers", nil, "conf.py: invalid value for workers: None: must be an int"},
		{"workers", int64(-1), "conf.py: invalid value for workers: -1: must not be negative"},
		{"workers", []any{int64(1)}, "conf.py: invalid value for workers: [1]: must be an int"},
		{"errorlog", nil, "-"},
		{"timeout", int64(7), "7"},
		{"timeout", 0.5, "0.5"},
		{"timeout", json.Number("0.5"), "0.5"},
		{"timeout", "90", "90"},
		{"timeout", nil, "conf.py: invalid value for timeout: None: must be a number"},
		{"reuse_port", true, "True"},
		{"reuse_port", "False", "False"},
		{"reuse_port", nil, "False"},
		{"reuse_port", int64(1), "conf.py: invalid value for reuse_port: 1: must be a bool"},
		{"reuse_port", "yes", "conf.py: invalid value for reuse_port: 'yes': not a valid bool"},
		{"sendfile", false, "False"},
		{"sendfile", nil, "True"},
		{"pidfile", " /run/x.pid ", "/run/x.pid"},
		{"pidfile", nil, "None"},
		{"pidfile", int64(1), "conf.py: invalid value for pidfile: 1: must be a string"},
		{"bind", ":80", "[':80']"},
		{"bind", []any{":80", " :81 "}, "[':80', ':81']"},
		{"bind", []any{}, "conf.py: bind must not be empty"},
		{"bind", nil, "conf.py: bind must not be empty"},
		{"bind", int64(80), "conf.py: invalid value for bind: 80: must be a list of strings"},
		{"bind", []any{":80", int64(81)}, "conf.py: invalid value for bind: [':80', 81]: must be a list of strings"},
		{"bind", "h:http", "conf.py: invalid value for bind: 'h:http': 'http' is not a valid port number"},
		{"raw_env", []any{}, "[]"},
		{"raw_env", []any{"A"}, "conf.py: environment setting 'A' invalid"},
		{"pythonpath", "/a,/b", "/a,/b"},
		{"pythonpath", []any{"/a", "/b"}, "/a,/b"},
		{"pythonpath", []any{int64(1)}, "conf.py: invalid value for pythonpath: [1]: must be a string of words separated by commas"},
		{"loglevel", "DEBUG", "debug"},
		{"loglevel", map[string]any{"b": 1.0, "a": nil}, "conf.py: invalid value for loglevel: {'a': None, 'b': 1}: must be a string"},
		{"worker_class", Object{Kind: "class", Repr: "conf.Worker"}, "conf.py: invalid value for worker_class: <conf.Worker>: worker classes of one's own are not supported: use sync or gthread, and hooks for what the class adds"},
		{"worker_class", Object{Kind: "class", Repr: "gunicorn.workers.sync.SyncWorker"}, "sync"},
		{"worker_class", Object{Kind: "class", Repr: "gunicorn.workers.gthread.ThreadWorker"}, "gthread"},
		{"worker_class", Object{Kind: "function", Repr: "make_worker"}, "conf.py: invalid value for worker_class: <make_worker>: must be a string"},
		{"user", int64(0), "0"},
		{"user", "0", "0"},
		{"user", nil, "None"},
		{"group", true, "conf.py: invalid value for group: True: must be a string"},
		{"user", "nobody here", "conf.py: No such user: 'nobody here'"},
		{"user", "", "conf.py: No such user: ''"},
		{"group", "", "conf.py: No such group: ''"},
		{"group", nil, "None"},
		{"header_map", nil, "refuse"},
		{"header_map", "", "conf.py: invalid value for header_map: '': must be one of drop, refuse, dangerous"},
		{"syslog_addr", nil, "None"},
		{"syslog_addr", "localhost", "localhost"},
		{"syslog_facility", nil, "None"},
		{"raw_env", map[string]any{"A": "1"}, "conf.py: invalid value for raw_env: {'A': '1'}: must be a list of strings"},
		{"umask", json.Number("18"), "18"},
		{"umask", "022", "18"},
		{"forwarded_allow_ips", "*", "['*']"},
		{"forwarded_allow_ips", "", "[]"},
		{"forwarded_allow_ips", []any{"10.0.0.0/8", "::1"}, "['10.0.0.0/8', '::1']"},
		{"forwarded_allow_ips", "10.0.0.1/8", "conf.py: invalid value for forwarded_allow_ips: '10.0.0.1/8': '10.0.0.1/8' has host bits set"},
		{"proxy_protocol", true, "auto"},
		{"proxy_protocol", nil, "off"},
		{"proxy_protocol", "v1", "v1"},
		{"forwarder_headers", "REMOTE_USER", "['REMOTE_USER']"},
		{"secure_scheme_headers", map[string]any{"X-FORWARDED-PROTO": "https", "X-Scheme": "a,b=c"}, "{'X-FORWARDED-PROTO': 'https', 'X-SCHEME': 'a,b=c'}"},
		{"secure_scheme_headers", map[string]any{}, "{}"},
		{"secure_scheme_headers", map[string]any{"X-A": true}, "conf.py: invalid value for secure_scheme_headers: {'X-A': True}: must be a dictionary of strings"},
		{"secure_scheme_headers", "X-A=b", "conf.py: invalid value for secure_scheme_headers: 'X-A=b': must be a dictionary of strings"},
		{"default_proc_name", "shop", "shop"},
		{"proc_name", nil, "m:app"},
		{"config", "other.py", "other.py"},
		{"help", "any variable", ""},
	} {
		cmd, err := merge(t, "m:app", nil, map[string]any{tt.setting: tt.value})
		if tt.setting == "help" {
			if err != nil {
				t.Errorf("help: %v", err)
			}
			continue
		}
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = printed(cmd.Config, tt.setting)
		}
		if got != tt.want {
			t.Errorf("%s = %v: got\n\t%s\nwant\n\t%s", tt.setting, tt.value, got, tt.want)
		}
	}
}

// TestFileIsCheckedWhole: also what a flag replaces must be right, as in gunicorn.
func TestFileIsCheckedWhole(t *testing.T) {
	t.Parallel()
	_, err := merge(t, "-w 2 app", nil, map[string]any{"workers": "many"})
	wantError(t, err, 1, "conf.py: invalid value for workers: 'many': not a valid int")
}

// TestFileSyslog: where messages are to go matters once they are sent.
func TestFileSyslog(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		setting string
		value   any
		want    string
	}{
		{"syslog_addr", nil, "conf.py: invalid value for syslog_addr: '': must begin with udp://, tcp:// or unix://"},
		{"syslog_addr", "h:514", "conf.py: invalid value for syslog_addr: 'h:514': must begin with udp://, tcp:// or unix://"},
		{"syslog_addr", "unix:///dev/log#raw", "conf.py: invalid value for syslog_addr: 'unix:///dev/log#raw': a unix socket is #dgram or #stream, not #raw"},
		{"syslog_facility", nil, "conf.py: invalid value for syslog_facility: '': unknown facility name"},
		{"syslog_facility", "local8", "conf.py: invalid value for syslog_facility: 'local8': unknown facility name"},
	} {
		values := map[string]any{tt.setting: tt.value}
		if _, err := merge(t, "app", nil, values); err != nil {
			t.Errorf("%s = %v without syslog: got %v", tt.setting, tt.value, err)
		}
		_, err := merge(t, "--log-syslog app", nil, values)
		wantError(t, err, 1, tt.want)
	}
}

func TestFileActions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args   string
		values map[string]any
		want   Action
	}{
		{"app", map[string]any{"check_config": true}, ActionCheck},
		{"app", map[string]any{"print_config": "true"}, ActionPrint},
		{"app", map[string]any{"check_config": false, "print_config": nil}, ActionRun},
		{"--print-config app", map[string]any{"check_config": true}, ActionPrint},
	} {
		cmd, err := merge(t, tt.args, nil, tt.values)
		if err != nil || cmd.Action != tt.want {
			t.Errorf("%s, %v: got %v, %v, want %v", tt.args, tt.values, cmd.Action, err, tt.want)
		}
	}
	_, err := merge(t, "app", nil, map[string]any{"check_config": int64(1)})
	wantError(t, err, 1, "conf.py: invalid value for check_config: 1: must be a bool")
}

// TestFileNames: hooks, settings that are not there, and names that are none.
func TestFileNames(t *testing.T) {
	t.Parallel()
	function := func(arity int) Object { return Object{Kind: "function", Repr: "conf.f", Arity: arity} }
	for _, tt := range []struct {
		name     string
		values   map[string]any
		hooks    []string
		warnings []string
		err      string
	}{
		{name: "hooks", values: map[string]any{"when_ready": function(1), "post_request": function(3), "pre_fork": function(-1), "on_exit": Object{Kind: "class", Repr: "C"}},
			hooks: []string{"on_exit", "post_request", "pre_fork", "when_ready"}},
		{name: "arity", values: map[string]any{"post_fork": function(1)},
			err: "conf.py: invalid value for post_fork: <conf.f>: must have 2 parameters"},
		{name: "arity of several", values: map[string]any{"post_request": function(1)},
			err: "conf.py: invalid value for post_request: <conf.f>: must have 2, 3 or 4 parameters"},
		{name: "no function", values: map[string]any{"post_fork": nil},
			err: "conf.py: invalid value for post_fork: None: must be a function"},
		{name: "no effect", values: map[string]any{"worker_tmp_dir": "/dev/shm", "http_parser": nil, "control_socket_disable": true},
			warnings: []string{"conf.py: control_socket_disable has no effect: gowsgi has no control socket", "conf.py: worker_tmp_dir has no effect: gowsgi has no heartbeat files"}},
		{name: "refused", values: map[string]any{"certfile": "x.pem"},
			err: "conf.py: certfile is not supported: gowsgi speaks no TLS yet; let a proxy in front end it"},
		{name: "refused, asking for nothing", values: map[string]any{"certfile": nil, "keyfile": "", "dirty_apps": []any{}, "dirty_workers": int64(0),
			"protocol": "http", "cert_reqs": json.Number("0"), "spew": false}},
		{name: "a dirty hook", values: map[string]any{"dirty_post_fork": function(2)},
			err: "conf.py: dirty_post_fork is not supported: gowsgi has no dirty workers"},
		{name: "variables", values: map[string]any{"host": "0.0.0.0", "cores": int64(2), "workers_per_core": 1.5, "os": Object{Kind: "module"},
			"helper": function(0), "timeouts_": function(0), "_worker": int64(1), "accesslog_var": "-"}},
		{name: "misspelled", values: map[string]any{"MAX_REQUESTS": int64(1), "worker": int64(2), "log_level": "debug", "graceful_timout": int64(3), "preload": nil},
			warnings: []string{
				"conf.py: there is no setting 'MAX_REQUESTS'; did you mean max_requests?",
				"conf.py: there is no setting 'graceful_timout'; did you mean graceful_timeout?",
				"conf.py: there is no setting 'log_level'; did you mean loglevel?",
				"conf.py: there is no setting 'preload'; did you mean preload_app?",
				"conf.py: there is no setting 'worker'; did you mean workers?",
			}},
		{name: "variable beside its setting", values: map[string]any{"WORKERS": int64(2), "workers": int64(2)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd, err := merge(t, "app", nil, tt.values)
			if tt.err != "" {
				wantError(t, err, 1, tt.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(cmd.Config.Hooks, tt.hooks) || !reflect.DeepEqual(cmd.Warnings, tt.warnings) {
				t.Errorf("got hooks %q, warnings %q, want %q, %q", cmd.Config.Hooks, cmd.Warnings, tt.hooks, tt.warnings)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"wrokers":                 "workers",
		"bind_":                   "bind",
		"access_logfile":          "accesslog",
		"error_log":               "errorlog",
		"keep_alive":              "keepalive",
		"max_request":             "max_requests",
		"limit_request_fieldsize": "limit_request_field_size",
		"when_readdy":             "when_ready",
		"reload_extra_file":       "reload_extra_files",
		"ssl_session_cache":       "",
		"host":                    "",
		"port":                    "",
		"name":                    "",
		"env":                     "",
		"cores":                   "",
		"database":                "",
	} {
		if got := nearest(name); got != want {
			t.Errorf("nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestEdits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"abc", "abc", 0}, {"abc", "adc", 1}, {"abcd", "acbd", 1},
		{"kitten", "sitting", 3}, {"ca", "abc", 3},
	} {
		if got := edits(tt.a, tt.b); got != tt.want {
			t.Errorf("edits(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestParseValues(t *testing.T) {
	t.Parallel()
	v, err := ParseValues([]byte(`{"file": "conf.py", "values": {"workers": 3, "timeout": 0.5, "bind": [":1"], "user": null},
		"objects": {"post_fork": {"kind": "function", "repr": "conf.f", "arity": 2}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Values{File: "conf.py", Values: map[string]any{"workers": json.Number("3"), "timeout": json.Number("0.5"), "bind": []any{":1"}, "user": nil},
		Objects: map[string]Object{"post_fork": {Kind: "function", Repr: "conf.f", Arity: 2}}}
	if !reflect.DeepEqual(v, want) {
		t.Errorf("got %+v, want %+v", v, want)
	}
	if _, err := ParseValues([]byte("{")); err == nil {
		t.Error("half of an object was accepted")
	}
}
