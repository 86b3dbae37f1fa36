package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// conf is an application that answers with what configuration files of the tests
// have set.
const conf = `
import os, sys
import conf_values
def application(environ, start_response):
    start_response("200 OK", [])
    return [repr((conf_values.value, os.getcwd(), environ["wsgi.multithread"], sys.path[0])).encode()]
`

func confDir(t *testing.T, file, source string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "app.py", conf)
	write(t, dir, "conf_values.py", "value = 'of its module'\n")
	if file != "" {
		write(t, dir, file, source)
	}
	return dir
}

// gunicorn: config. The forms of -c, and who wins against the file.
func TestConfigFile(t *testing.T) {
	t.Parallel()
	const source = "import conf_values\nconf_values.value = 'of the file'\nthreads = 2\nwsgi_app = 'app'\n"
	const two, one = "('of the file', '%s', True, '%s')", "('of the file', '%s', False, '%s')"
	for _, tt := range []struct {
		name, file string
		args       []string
		env        []string
		want       string
	}{
		{"by default", "gunicorn.conf.py", nil, nil, two},
		{"path", "other.py", []string{"-c", "other.py"}, nil, two},
		{"file:", "other.py", []string{"-c", "file:other.py"}, nil, two},
		{"python:", "other.py", []string{"-c", "python:other"}, nil, two},
		{"no extension", "other", []string{"--config", "other"}, nil, two},
		{"in GUNICORN_CMD_ARGS", "other.py", nil, []string{"GUNICORN_CMD_ARGS=-c other.py"}, two},
		{"flags win", "gunicorn.conf.py", []string{"--threads", "1"}, nil, one},
		{"GUNICORN_CMD_ARGS wins", "gunicorn.conf.py", nil, []string{"GUNICORN_CMD_ARGS=--threads 1"}, one},
		{"preloaded", "gunicorn.conf.py", []string{"--preload"}, nil, two},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := confDir(t, tt.file, source)
			s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: tt.args, Env: tt.env})
			if got, want := s.GetOK("/"), fmt.Sprintf(tt.want, dir, dir); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}

// With --user the file and the hooks before the application have the master's
// rights, as under gunicorn, and the application has not.
func TestConfigFileIdentity(t *testing.T) {
	t.Parallel()
	dir := privileged(t)
	write(t, dir, "gunicorn.conf.py", `
import os, sys
seen = ["conf %d" % os.getuid(), "-u" in sys.argv]
def post_fork(server, worker): seen.append("post_fork %d" % os.getuid())
def post_worker_init(worker): seen.append("post_worker_init %d" % os.getuid())
`)
	write(t, dir, "app.py", `
import os, sys
sys.modules["__config__"].seen.append("import %d" % os.getuid())
def application(environ, start_response):
    start_response("200 OK", [])
    return [repr(sys.modules["__config__"].seen).encode()]
`)
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, NoVenv: true, Args: []string{"--python", systemPython, "-u", "65534", "app"}})
	want := "['conf 0', True, 'post_fork 0', 'import 65534', 'post_worker_init 65534']"
	if got := s.GetOK("/"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The file is executed in the start directory, which is on sys.path; the
// application in that of the file's chdir.
func TestConfigFileChdir(t *testing.T) {
	t.Parallel()
	dir := confDir(t, "gunicorn.conf.py", "import conf_values, os\nconf_values.value = os.getcwd()\nchdir = 'sub'\nraw_env = ['A=b']\n")
	mkdir(t, filepath.Join(dir, "sub"))
	write(t, dir, "sub/subapp.py", "import os\nassert os.environ['A'] == 'b'\n"+conf)
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"subapp"}})
	sub := filepath.Join(dir, "sub")
	if got, want := s.GetOK("/"), fmt.Sprintf("('%s', '%s', False, '%s')", dir, sub, sub); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// gunicorn: what is wrong with a file ends the start with exit code 1, and what it
// says stands on standard error.
func TestConfigFileRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, source, want string }{
		{"raises", "x = 1\nraise KeyError('here')", `Failed to read config file: gunicorn.conf.py`},
		{"raises, traceback", "x = 1\nraise KeyError('here')", `File ".*gunicorn.conf.py", line 2, in <module>`},
		{"syntax", "workers = = 2", `SyntaxError`},
		{"exits", "raise SystemExit(0)", `^SystemExit: 0`},
		{"ends", "import os; os._exit(0)", `the spawner exited with code 0`},
		{"fault", "import ctypes; ctypes.string_at(0)", `the spawner was sent SIGSEGV`},
		{"value", "workers = 'many'", `Error: gunicorn.conf.py: invalid value for workers: 'many'`},
		{"hook with too few parameters", "def pre_fork(server): pass", `Error: gunicorn.conf.py: .*pre_fork.*2 parameters`},
		{"no such hook", "pre_fork = 'nowhere.hook'", `No module named 'nowhere'`},
		{"too large", "x = 'x' * 1000000", `the report on 'read' is too large`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := gowsgitest.Launch(t, gowsgitest.Config{Dir: confDir(t, "gunicorn.conf.py", tt.source), Args: []string{"app"}})
			if code := s.Wait(); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if s.Log.Count(tt.want) != 1 {
				t.Errorf("log has no %q once", tt.want)
			}
		})
	}
}

// A hook may be named by its module.
func TestConfigFileNamedHook(t *testing.T) {
	t.Parallel()
	dir := confDir(t, "gunicorn.conf.py", "post_worker_init = 'conf_hooks.hook'\n")
	write(t, dir, "conf_hooks.py", "def hook(worker):\n    import conf_values\n    conf_values.value = 'of the hook'\n")
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"app"}})
	if got := s.GetOK("/"); !strings.HasPrefix(got, "('of the hook'") {
		t.Errorf("got %s", got)
	}
}

// HUP executes the file anew. A broken one changes nothing, and the next good one
// is taken.
func TestConfigFileReload(t *testing.T) {
	t.Parallel()
	dir := confDir(t, "", "")
	file := func(n int) string {
		return fmt.Sprintf("import conf_values\nconf_values.value = %d\nworkers = %d\n", n, n)
	}
	path := write(t, dir, "gunicorn.conf.py", file(1))
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"app"}})
	first := s.WaitBooted(1)
	waitWorkers(t, s, 1)
	for _, tt := range []struct{ source, want string }{
		{"workers = nothing\n", `Reload failed: Failed to read config file: gunicorn.conf.py: NameError`},
		{"workers = -1\n", `Reload failed: gunicorn.conf.py: invalid value for workers`},
		{"import os; os._exit(3)\n", `Reload failed: .*the spawner exited with code 3`},
		{"def on_reload(server): 1/0\n", `Reload failed: on_reload hook: ZeroDivisionError`},
		{"def post_fork(server, worker): 1/0\n", `Reload failed: ZeroDivisionError`},
	} {
		replace(t, path, tt.source)
		s.Signal(syscall.SIGHUP)
		s.Log.Wait(t, tt.want)
		if got := s.GetOK("/"); !strings.HasPrefix(got, "(1,") {
			t.Errorf("after %q: got %s", tt.source, got)
		}
	}
	waitWorkers(t, s, 1)
	if now := s.Workers(); now[0] != first[0] {
		t.Errorf("the worker is %v, want %v", now, first)
	}
	replace(t, path, file(3))
	s.Signal(syscall.SIGHUP)
	s.Log.Wait(t, `Reload complete: 3 workers`)
	waitWorkers(t, s, 3, first...)
	if got := s.GetOK("/"); !strings.HasPrefix(got, "(3,") {
		t.Errorf("got %s", got)
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// gunicorn: check_config, with the file's settings, its path and its environment.
func TestConfigFileCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, source string
		args         []string
		code         int
		stdout, want string
	}{
		{"good", "wsgi_app = 'app'", []string{"--check-config"}, 0, "", ""},
		{"application raises", "wsgi_app = 'absent'", []string{"--check-config"}, 1, "", `ModuleNotFoundError: No module named 'absent'`},
		{"file raises", "1/0", []string{"--check-config", "app"}, 1, "", `Failed to read config file`},
		{"print", "wsgi_app = 'app'\nworkers = 7", []string{"--print-config"}, 0, `(?m)^workers +. 7 +# gunicorn.conf.py`, ""},
		{"asked for by the file", "wsgi_app = 'app'\ncheck_config = True", nil, 0, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := gowsgitest.Launch(t, gowsgitest.Config{Dir: confDir(t, "gunicorn.conf.py", tt.source), Args: tt.args})
			if code := s.Wait(); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if tt.want != "" && s.Log.Count(tt.want) == 0 || tt.want == "" && s.Log.String() != "" {
				t.Errorf("standard error: %q, want %q", s.Log, tt.want)
			}
			if s.Stdout.Count(tt.stdout) == 0 && tt.stdout != "" {
				t.Errorf("standard output %q, want %q", s.Stdout, tt.stdout)
			}
		})
	}
}

// Only the file tells a spawner that dies what to do; it is executed again.
func TestConfigFileSpawnerDies(t *testing.T) {
	t.Parallel()
	dir := confDir(t, "gunicorn.conf.py", `
def on_starting(server): server.log.info("starting"); server.stamp = 1
def pre_fork(server, worker): worker.stamp = server.stamp
def child_exit(server, worker): server.log.info("child %s exited", worker.pid)
`)
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"app"}})
	worker := s.WaitBooted(1)[0]
	waitWorkers(t, s, 1)
	signal(t, spawnerPID(t, s, 1), syscall.SIGKILL)
	spawnerPID(t, s, 2)
	s.Log.WaitN(t, `starting$`, 2)
	signal(t, worker, syscall.SIGKILL)
	s.Log.Wait(t, fmt.Sprintf(`child %d exited`, worker))
	s.WaitBooted(2)
	waitWorkers(t, s, 1, worker)
	s.GetOK("/")
}

// gunicorn: worker_class. A file may name gunicorn's own classes by their paths, or
// give the class itself, where gunicorn is installed.
func TestWorkerClassOfGunicorn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	workers := filepath.Join(dir, "gunicorn", "workers")
	mkdir(t, workers)
	write(t, filepath.Dir(workers), "__init__.py", "")
	write(t, workers, "__init__.py", "")
	write(t, workers, "gthread.py", "class ThreadWorker:\n    pass\n")
	write(t, dir, "class.conf.py", "from gunicorn.workers.gthread import ThreadWorker\nworker_class = ThreadWorker\n")
	write(t, dir, "path.conf.py", "worker_class = 'gunicorn.workers.gthread.ThreadWorker'\n")
	write(t, dir, "own.conf.py", "from gunicorn.workers.gthread import ThreadWorker\nclass Mine(ThreadWorker):\n    pass\nworker_class = Mine\n")
	write(t, dir, "app.py", version(1))
	for _, file := range []string{"class.conf.py", "path.conf.py"} {
		s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"-c", file, "app"}})
		s.Log.Wait(t, `Using worker: gthread`)
		s.GetOK("/")
		stops(t, s)
	}
	r := gowsgitest.Run(t, gowsgitest.Config{Dir: dir, Args: []string{"-c", "own.conf.py", "app"}})
	if r.Code != 1 || !strings.Contains(r.Stderr, "Mine") || !strings.Contains(r.Stderr, "use sync or gthread") {
		t.Errorf("exit code %d, %q", r.Code, r.Stderr)
	}
}
