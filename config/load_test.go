package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd, err := Load([]string{"app"}, environ(nil), dir)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		ConfigFile: "./gunicorn.conf.py", DefaultProcName: "app",
		App:     AppSpec{Text: "app", Module: "app", Attr: "application"},
		Bind:    []Address{{Text: "127.0.0.1:8000", Network: "tcp", Host: "127.0.0.1", Port: 8000}},
		Backlog: 2048, Workers: 1, Threads: 1, WorkerClass: "sync",
		Timeout: 30 * time.Second, GracefulTimeout: 30 * time.Second, KeepAlive: 2 * time.Second,
		ReloadSurge: 1, ReloadEngine: "auto", LivenessTimeout: time.Minute,
		WorkerConnections: 10000, MaxQueue: 2048,
		HeaderTimeout: time.Minute, BodyTimeout: time.Minute, BodyMinRate: 240,
		SendTimeout: time.Minute, SendMinRate: 240, RequestBuffer: 1 << 20, ResponseBuffer: 1 << 20, Sendfile: true,
		LimitRequestLine: 4094, LimitRequestFields: 100, LimitRequestFieldSize: 8190, HeaderMap: "drop", HopByHopHeaders: "drop",
		Chdir: dir, StartDir: dir, ProcName: "app", LogLevel: "info", ErrorLog: "-",
		ForwardedAllowIPs:   loopback(),
		SecureSchemeHeaders: map[string]string{"X-FORWARDED-PROTOCOL": "ssl", "X-FORWARDED-PROTO": "https", "X-FORWARDED-SSL": "on"},
		ForwarderHeaders:    []string{"SCRIPT_NAME", "PATH_INFO"},
		RealIPHeader:        "off", ProxyProtocol: "off", ProxyAllowIPs: loopback(),
		AccessLogFormat: DefaultAccessLogFormat, LogFormat: "text", LoggerClass: defaultLogger, PythonMode: "auto",
		SyslogAddr: "udp://localhost:514", SyslogFacility: "user",
	}
	if !reflect.DeepEqual(cmd.Config, want) {
		t.Errorf("got %+v, want %+v", cmd.Config, want)
	}
	if cmd.Action != ActionRun || len(cmd.Warnings) != 0 {
		t.Errorf("got action %v, warnings %q", cmd.Action, cmd.Warnings)
	}
}

// loopback is the default list of proxies.
func loopback() AllowList {
	return AllowList{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128")}}
}

// TestPrecedence adds the sources one by one, weakest first.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	env := map[string]string{}
	check := func(name, args, workers, bind, raw string) {
		t.Helper()
		c := mustLoad(t, args+" app", env)
		got := []string{printed(c, "workers"), texts(c), printed(c, "raw_env")}
		if want := []string{workers, bind, raw}; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	check("defaults", "", "1", "127.0.0.1:8000", "[]")
	env["PORT"], env["WEB_CONCURRENCY"] = "5000", "2"
	check("variables", "", "2", "0.0.0.0:5000", "[]")
	env["GUNICORN_CMD_ARGS"] = "-w 3 -b :1 -b :2 -e A=1 ignored:app"
	check("GUNICORN_CMD_ARGS", "", "3", ":1 :2", "['A=1']")
	env["GOWSGI_CMD_ARGS"] = "--workers=4 -b :3"
	check("GOWSGI_CMD_ARGS", "", "4", ":3", "['A=1']")
	check("command line", "-w5 -e B=1 -e C=1", "5", ":3", "['B=1', 'C=1']")
	check("last flag wins", "-w5 -w 6 -b :4 -b :5", "6", ":4 :5", "['A=1']")
}

// printed returns the value of a setting as --print-config shows it.
func printed(c *Config, name string) string {
	for i := range table {
		if table[i].name == name {
			return pyStr(table[i].value(c))
		}
	}
	return "no such setting"
}

func TestVariables(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, args string
		env        map[string]string
		code       int
		want       string
	}{
		{"bad WEB_CONCURRENCY", "app", map[string]string{"WEB_CONCURRENCY": "abc"}, 1,
			"WEB_CONCURRENCY: invalid value for workers: 'abc': not a valid int"},
		{"negative WEB_CONCURRENCY", "app", map[string]string{"WEB_CONCURRENCY": "-1"}, 1,
			"WEB_CONCURRENCY: invalid value for workers: '-1': must not be negative"},
		{"bad PORT", "app", map[string]string{"PORT": "http"}, 1,
			"PORT: invalid value for bind: '0.0.0.0:http': 'http' is not a valid port number"},
		{"PORT too large", "app", map[string]string{"PORT": "65536"}, 1,
			"PORT: invalid value for bind: '0.0.0.0:65536': '65536' is not a valid port number (0 to 65535)"},
		{"usage error in GUNICORN_CMD_ARGS", "app", map[string]string{"GUNICORN_CMD_ARGS": "--nope"}, 2,
			"GUNICORN_CMD_ARGS: unrecognized arguments: --nope"},
		{"bad value in GOWSGI_CMD_ARGS", "app", map[string]string{"GOWSGI_CMD_ARGS": "-w -1"}, 1,
			"GOWSGI_CMD_ARGS: invalid value for workers: '-1': must not be negative"},
		{"refused flag in GUNICORN_CMD_ARGS", "app", map[string]string{"GUNICORN_CMD_ARGS": "--keyfile x"}, 1,
			"GUNICORN_CMD_ARGS: --keyfile is not supported: gowsgi speaks no TLS yet; let a proxy in front end it"},
		{"open quote", "app", map[string]string{"GUNICORN_CMD_ARGS": "-n 'x"}, 1,
			"invalid value for GUNICORN_CMD_ARGS: \"-n 'x\": no closing quotation mark"},
		{"application only in GUNICORN_CMD_ARGS", "", map[string]string{"GUNICORN_CMD_ARGS": "app"}, 1,
			"No application module specified."},
	} {
		_, err := load(t, tt.args, tt.env)
		t.Run(tt.name, func(t *testing.T) { wantError(t, err, tt.code, tt.want) })
	}
	// What a stronger source replaces is not looked at, and empty is unset.
	c := mustLoad(t, "-w 2 -b :1 app", map[string]string{"WEB_CONCURRENCY": "abc", "PORT": "http"})
	if c.Workers != 2 || texts(c) != ":1" {
		t.Errorf("got %d, %s", c.Workers, texts(c))
	}
	c = mustLoad(t, "app", map[string]string{"WEB_CONCURRENCY": "", "PORT": ""})
	if c.Workers != 1 || texts(c) != "127.0.0.1:8000" {
		t.Errorf("got %d, %s", c.Workers, texts(c))
	}
	for value, want := range map[string]bool{"": true, "1": true, "YES": true, "0": false, "off": false} {
		if c := mustLoad(t, "app", map[string]string{"SENDFILE": value}); c.Sendfile != want {
			t.Errorf("SENDFILE=%s: got %t, want %t", value, c.Sendfile, want)
		}
	}
	c = mustLoad(t, "app", map[string]string{"GUNICORN_CMD_ARGS": `--name 'my app' --access-logformat "%(h)s \"%(r)s\""`})
	if c.ProcName != "my app" || c.AccessLogFormat != `%(h)s "%(r)s"` {
		t.Errorf("got %q, %q", c.ProcName, c.AccessLogFormat)
	}
}

func TestActions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args string
		env  map[string]string
		want Action
	}{
		{"app", nil, ActionRun},
		{"--check-config app", nil, ActionCheck},
		{"app --print-config", nil, ActionPrint},
		{"--print-config --check-config app", nil, ActionPrint},
		{"--check-config=false app", nil, ActionRun},
		{"--help", nil, ActionHelp},
		{"-h", nil, ActionHelp},
		{"-v", nil, ActionVersion},
		{"--version", nil, ActionVersion},
		{"-h -v", nil, ActionHelp},
		{"-v -h", nil, ActionVersion},
		{"-hv", nil, ActionHelp},
		{"-h --nope", nil, ActionHelp},
		{"--help --preload", nil, ActionHelp},
		{"--check-config --help", nil, ActionHelp},
		{"app", map[string]string{"GUNICORN_CMD_ARGS": "--check-config"}, ActionCheck},
	} {
		cmd, err := load(t, tt.args, tt.env)
		if err != nil {
			t.Errorf("%q: %v", tt.args, err)
			continue
		}
		if cmd.Action != tt.want {
			t.Errorf("%q: got %v, want %v", tt.args, cmd.Action, tt.want)
		}
		if answer := tt.want == ActionHelp || tt.want == ActionVersion; answer != (cmd.Config == nil) {
			t.Errorf("%q: got config %+v", tt.args, cmd.Config)
		}
	}
}

// TestDerived: what several settings, or the start directory, decide together.
func TestDerived(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args, setting, want string
	}{
		{"--threads 0 app", "threads", "1"},
		{"--threads 0 app", "worker_class", "sync"},
		{"--threads 1 app", "worker_class", "sync"},
		{"--threads 2 app", "worker_class", "gthread"},
		{"-k gthread app", "worker_class", "gthread"},
		{"-k sync --threads 4 app", "worker_class", "gthread"},
		{"-w 0 app", "workers", "0"},
		{"app:make() -n shop", "proc_name", "shop"},
		{"app:make() --name=", "proc_name", "app:make()"},
		{"a.b:c", "proc_name", "a.b:c"},
	} {
		if got := printed(mustLoad(t, tt.args, nil), tt.setting); got != tt.want {
			t.Errorf("%q: got %s %s, want %s", tt.args, tt.setting, got, tt.want)
		}
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, sub := range []string{"app/lib", "venv"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	in := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	for _, tt := range []struct {
		name string
		args []string
		get  func(*Config) any
		want any
	}{
		{"chdir from the start directory", []string{"--chdir", "app"}, func(c *Config) any { return c.Chdir }, in("app")},
		{"chdir is cleaned", []string{"--chdir", "app/../app/"}, func(c *Config) any { return c.Chdir }, in("app")},
		{"chdir absolute", []string{"--chdir", in("app")}, func(c *Config) any { return c.Chdir }, in("app")},
		{"pythonpath from chdir", []string{"--chdir", "app", "--pythonpath", "lib,../x,/y"},
			func(c *Config) any { return c.PythonPath }, []string{in("app/lib"), in("x"), "/y"}},
		{"no pythonpath", []string{"--pythonpath", ""}, func(c *Config) any { return c.PythonPath }, []string(nil)},
		{"python on PATH", []string{"--python", "python3.11"}, func(c *Config) any { return c.Python }, "python3.11"},
		{"python path from the start directory", []string{"--chdir", "app", "--python", "./py"}, func(c *Config) any { return c.Python }, in("py")},
		{"python a directory", []string{"--chdir", "app", "--python", "venv"}, func(c *Config) any { return c.Python }, in("venv")},
		{"python absolute", []string{"--python", "/usr/bin/python3"}, func(c *Config) any { return c.Python }, "/usr/bin/python3"},
		{"pid file as given", []string{"--pid", "run/x.pid"}, func(c *Config) any { return c.PIDFile }, "run/x.pid"},
	} {
		cmd, err := Load(append(tt.args, "app"), environ(nil), dir)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if got := tt.get(cmd.Config); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	latin1 := filepath.Join(dir, "caf\xe9")
	if err := os.Mkdir(latin1, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Load([]string{"app"}, environ(nil), latin1); err == nil || !strings.Contains(err.Error(), `caf\xe9': must be UTF-8`) {
		t.Errorf("got %v for a start directory that is not UTF-8", err)
	}
	for chdir, want := range map[string]string{
		"nowhere": "invalid value for chdir: 'nowhere': no such directory",
		"file":    "invalid value for chdir: 'file': not a directory",
	} {
		_, err := Load([]string{"--chdir", chdir, "app"}, environ(nil), dir)
		wantError(t, err, 1, want)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	args := []string{"--worker-tmp-dir", "/dev/shm", "--protocol", "http", "app"}
	cmd, err := Load(args, environ(map[string]string{
		"GUNICORN_CMD_ARGS": "--no-control-socket",
		"GOWSGI_CMD_ARGS":   "--http-parser fast --http-parser=auto",
	}), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"GUNICORN_CMD_ARGS: --no-control-socket has no effect: gowsgi has no control socket",
		"GOWSGI_CMD_ARGS: --http-parser has no effect: gowsgi has one parser",
		"--worker-tmp-dir has no effect: gowsgi has no heartbeat files",
	}
	if !reflect.DeepEqual(cmd.Warnings, want) {
		t.Errorf("got %q, want %q", cmd.Warnings, want)
	}
	if cmd.Config.App.Text != "app" {
		t.Errorf("got application %q: a flag without effect took it", cmd.Config.App.Text)
	}
}

// TestSettings: what Python code sees as cfg has gunicorn's names and types.
func TestSettings(t *testing.T) {
	t.Parallel()
	got := mustLoad(t, "-w 2 -t 0.5 -b :1 -e A=1 --reuse-port --pythonpath /a,/b app:make()", nil).Settings()
	for name, want := range map[string]any{
		"workers": 2, "timeout": 0.5, "graceful_timeout": 30, "bind": []string{":1"}, "raw_env": []string{"A=1"},
		"reuse_port": true, "pythonpath": "/a,/b", "wsgi_app": "app:make()", "proc_name": "app:make()",
		"pidfile": nil, "accesslog": nil, "errorlog": "-", "preload_app": false, "logconfig_dict": map[string]any{},
		"logger_class": "gunicorn.glogging.Logger", "user": os.Geteuid(), "group": os.Getegid(),
	} {
		if !reflect.DeepEqual(got[name], want) {
			t.Errorf("%s: got %#v, want %#v", name, got[name], want)
		}
	}
	for i := range table {
		if s := &table[i]; !s.isAction() {
			if _, ok := got[s.name]; !ok {
				t.Errorf("%s is missing", s.name)
			}
		}
	}
}
