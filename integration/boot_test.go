package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// PEP 3333, The Application/Framework Side; gunicorn: the app argument.
func TestApplicationForms(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, spec, want string }{
		{"module", "hello", "application"},
		{"variable", "hello:app", "app"},
		{"instance", "hello:instance", "instance"},
		{"bound method", "hello:bound", "instance.method"},
		{"class", "hello:Iterable", "class"},
		{"factory", "hello:factory()", "factory()"},
		{"factory with arguments", `hello:factory("x", debug=True)`, "factory('x', debug=True)"},
		{
			"factory with every literal",
			`hello:factory(-1, 2.5, None, b"y", [1, (2,)], {"k": {3}}, a='it\'s')`,
			"factory(-1, 2.5, None, b'y', [1, (2,)], {'k': {3}}, a=\"it's\")",
		},
		{"dotted module", "package.inner:app", "app"},
	}
	dir := t.TempDir()
	write(t, dir, "hello.py", read(t, filepath.Join(apps(), "hello.py")))
	mkdir(t, filepath.Join(dir, "package"))
	write(t, dir, "package/__init__.py", "")
	write(t, dir, "package/inner.py", "from hello import app\n")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{tt.spec}})
			if got := s.GetOK("/"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d after SIGTERM, want 0", code)
			}
		})
	}
}

// A first start whose application cannot be used ends once, with one traceback
// (or none where the message says it all), whatever the number of workers.
func TestApplicationRefused(t *testing.T) {
	t.Parallel()
	const any = -1 // at most one: the message may say it all
	const bootReason, loadReason = "Worker failed to boot.", "App failed to load."
	tests := []struct {
		name, spec, source string
		code               int
		tracebacks         int
		want               string // a pattern of the log
	}{
		{"no such module", "nosuch", "", 3, 1, `ModuleNotFoundError: No module named 'nosuch'`},
		{"no such package", "nosuch.module:app", "", 3, 1, `ModuleNotFoundError: No module named 'nosuch'`},
		{"file name", "bad.py", "", 3, 0, `did you mean 'bad:application'`},
		{"import raises", "bad", "raise ValueError('at import')", 3, 1, `ValueError: at import`},
		{"import of an import raises", "bad", "import worse", 3, 1, `No module named 'worse'`},
		{"syntax error", "bad", "def broken(:\n    pass", 3, 1, `SyntaxError`},
		{"sys.exit", "bad", "import sys\nsys.exit(9)", 3, any, `SystemExit`},
		{"sys.exit with a message", "bad", "import sys\nsys.exit('no database')", 3, any, `no database`},
		{"KeyboardInterrupt", "bad", "raise KeyboardInterrupt", 3, any, `KeyboardInterrupt`},
		{"no attribute", "bad:app", "x = 1", 4, 0, `Failed to find attribute 'app' in 'bad'`},
		{"no default attribute", "bad", "x = 1", 4, 0, `Failed to find attribute 'application' in 'bad'`},
		{"None", "bad", "application = None", 4, 0, `Failed to find application object: 'application'`},
		{"not callable", "bad", "application = 'text'", 4, 0, `Application object must be callable`},
		{"no such factory", "bad:make()", "x = 1", 4, 0, `Failed to find attribute 'make' in 'bad'`},
		{"factory gives None", "bad:make()", "def make(): pass", 4, 0, `Failed to find application object: 'make\(\)'`},
		{"factory without its argument", "bad:make()", "def make(a): pass", 4, any, `missing 1 required positional argument: 'a'`},
		{"factory with one too many", "bad:make(1)", "def make(): pass", 4, any, `takes 0 positional arguments but 1 was given`},
		{"argument is a name", "bad:make(x)", "x = 1\ndef make(a): pass", 4, any, `Failed to parse arguments as literal values`},
		{"argument is a call", "bad:make(open('x'))", "def make(a): pass", 4, any, `Failed to parse arguments as literal values`},
		{"attribute of an attribute", "bad:a.b", "a = 1", 4, any, `Failed to parse 'a\.b'`},
		{"not an expression", "bad:a b", "a = 1", 4, any, `Failed to parse 'a b'`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if tt.source != "" {
				write(t, dir, "bad.py", tt.source+"\n")
			} else if strings.HasSuffix(tt.spec, ".py") {
				write(t, dir, tt.spec, "application = None\n")
			}
			s := gowsgitest.Launch(t, gowsgitest.Config{Dir: dir, Args: []string{"-w", "4", "-p", "pid", tt.spec}})
			if code := s.Wait(); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if s.Log.Count(tt.want) == 0 {
				t.Errorf("no line matches %q", tt.want)
			}
			const traceback = `Traceback \(most recent call last\)`
			if got := s.Log.Count(traceback); got != tt.tracebacks && (tt.tracebacks != any || got > 1) {
				t.Errorf("%d tracebacks, want %d", got, tt.tracebacks)
			}
			reason := bootReason
			if tt.code == 4 {
				reason = loadReason
			}
			if s.Log.Count(`Shutting down: Master`) != 1 || s.Log.Count(`Reason: `+reason) != 1 {
				t.Errorf("the log does not end with the reason %q", reason)
			}
			if exists(filepath.Join(dir, "pid")) {
				t.Error("the pidfile is left")
			}
		})
	}
}

// A worker that is told to leave before it serves says so, as under gunicorn.
func TestLeaveWhileBooting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mark := filepath.Join(dir, "importing")
	write(t, dir, "slow.py", fmt.Sprintf("open(%q, 'w').close()\nimport time\ntime.sleep(600)\n", mark))
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"slow"}})
	worker := s.WaitBooted(1)[0]
	waitFile(t, mark)
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if s.Log.Count(fmt.Sprintf(`Worker exiting \(pid: %d\)`, worker)) != 1 {
		t.Error("the worker left without a word")
	}
}

// gunicorn: check_config.
func TestCheckConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "bad.py", "raise ValueError('at import')\n")
	write(t, dir, "good.py", "def application(environ, start_response): pass\n")
	tests := []struct {
		name, spec string
		code       int
		want       string
	}{
		{"good", "good", 0, ""},
		{"raises", "bad", 1, "ValueError: at import"},
		{"no such module", "nosuch", 1, "No module named 'nosuch'"},
		{"no such attribute", "good:nosuch", 1, "Failed to find attribute 'nosuch' in 'good'"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := gowsgitest.Run(t, gowsgitest.Config{Dir: dir, Args: []string{"--check-config", tt.spec}})
			if r.Code != tt.code {
				t.Errorf("exit code %d, want %d", r.Code, tt.code)
			}
			if !strings.Contains(r.Stderr, tt.want) || tt.want == "" && r.Stderr+r.Stdout != "" {
				t.Errorf("got %q, want %q", r.Stderr, tt.want)
			}
		})
	}
}
