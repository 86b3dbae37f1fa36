package integration

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// TestTOMLFile: gowsgi.toml of the start directory counts, and a HUP reads it
// again; one that is broken by then changes nothing.
func TestTOMLFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app.py", version(1))
	file := write(t, dir, "gowsgi.toml", "wsgi_app = \"app\"\nworkers = 2\nworker_tmp_dir = \"/dev/shm\"\n")
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir})
	s.Log.Wait(t, `gowsgi.toml: worker_tmp_dir has no effect`)
	old := s.WaitBooted(2)
	waitWorkers(t, s, 2)

	replace(t, file, "wsgi_app = \"app\"\nwokers = 3\n")
	s.Signal(syscall.SIGHUP)
	s.Log.Wait(t, `Reload failed: .*gowsgi.toml: there is no setting 'wokers'; did you mean workers\?`)
	s.GetOK("/")

	replace(t, file, "wsgi_app = \"app\"\nworkers = 3\ncontrol_socket_disable = true\n")
	s.Signal(syscall.SIGHUP)
	s.Log.Wait(t, `gowsgi.toml: control_socket_disable has no effect`)
	s.Log.Wait(t, `Reload complete: 3 workers`)
	waitWorkers(t, s, 3, old...)
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestStartDirectory: modules are found in the directory of the start, too, after
// those of --chdir.
func TestStartDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mkdir(t, filepath.Join(dir, "data"))
	write(t, dir, "app.py", "import both\n"+version(1))
	write(t, dir, "both.py", "1/0\n")
	write(t, filepath.Join(dir, "data"), "both.py", "")
	write(t, dir, "conf.py", "")
	for _, args := range [][]string{{}, {"--preload"}, {"-c", "conf.py"}} {
		args := append([]string{"--check-config", "--chdir", "data", "app"}, args...)
		r := gowsgitest.Run(t, gowsgitest.Config{Dir: dir, NoBind: true, Args: args})
		if r.Code != 0 || r.Stderr != "" {
			t.Errorf("%q: got exit %d, %q", args, r.Code, r.Stderr)
		}
	}
}

// TestStartDirectoryFirst: a --chdir directory that is on sys.path already, by
// PYTHONPATH, is not put there again, and then that of the start is before it, in
// every way to come to Python.
func TestStartDirectoryFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	mkdir(t, data)
	write(t, dir, "app.py", "import both\n"+version(1))
	write(t, dir, "both.py", "")
	write(t, data, "both.py", "1/0\n")
	write(t, dir, "conf.py", "")
	for _, args := range [][]string{{}, {"--preload"}, {"-c", "conf.py"}} {
		s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: append(args, "--chdir", "data", "app"), Env: []string{"PYTHONPATH=" + data}})
		s.GetOK("/")
		if code := s.Stop(); code != 0 {
			t.Errorf("%q: exit code %d", args, code)
		}
	}
}

// TestStartDirectoryByLink: the directory of the start is on sys.path once, by the
// name the shell has for it, also for a configuration file.
func TestStartDirectoryByLink(t *testing.T) {
	t.Parallel()
	dir, link := t.TempDir(), filepath.Join(t.TempDir(), "current")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "app.py", "import sys\nassert "+strconv.Quote(link)+" in sys.path and "+strconv.Quote(dir)+" not in sys.path\n"+version(1))
	write(t, dir, "conf.py", "")
	for _, args := range [][]string{{"app"}, {"-c", "conf.py", "app"}} {
		args := append([]string{"--check-config"}, args...)
		r := gowsgitest.Run(t, gowsgitest.Config{Dir: link, NoBind: true, Args: args, Env: []string{"PWD=" + link}})
		if r.Code != 0 || r.Stderr != "" {
			t.Errorf("%q: got exit %d, %q", args, r.Code, r.Stderr)
		}
	}
}

// TestCheckWithFile: everything is checked, nothing is bound or left behind.
func TestCheckWithFile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file string
		args       []string
		code       int
		want       string // in standard error; all of it if empty
	}{
		{"good", "wsgi_app = \"app\"\n", nil, 0, ""},
		{"a log that only a server writes", "errorlog = \"x.log\"\naccesslog = \"y.log\"\npidfile = \"x.pid\"\n", []string{"app"}, 0, ""},
		{"application raises", "wsgi_app = \"broken\"\n", nil, 1, "ZeroDivisionError"},
		{"misspelled", "wokers = 1\n", []string{"app"}, 1, "Error: gowsgi.toml: there is no setting 'wokers'; did you mean workers?"},
		{"wrong type", "workers = \"many\"\n", []string{"app"}, 1, "Error: gowsgi.toml: invalid value for workers: 'many': not a valid int"},
		{"syntax", "workers =\n", []string{"app"}, 1, "Error: gowsgi.toml: line 1: "},
		{"another file", "workers =\n", []string{"-c", "/dev/null", "app"}, 0, ""},
		{"missing file", "", []string{"-c", "nosuch.toml", "app"}, 1, "Error: 'nosuch.toml' doesn't exist"},
		{"without effect", "worker_tmp_dir = \"/dev/shm\"\n", []string{"app"}, 0, "Warning: gowsgi.toml: worker_tmp_dir has no effect"},
		{"asked for by the file", "check_config = true\nbind = \"192.0.2.1:1\"\n", []string{"app"}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "app.py", version(1))
			write(t, dir, "broken.py", "1/0\n")
			write(t, dir, "gowsgi.toml", tt.file)
			args := tt.args
			if !strings.Contains(tt.file, "check_config") {
				args = append([]string{"--check-config"}, args...)
			}
			r := gowsgitest.Run(t, gowsgitest.Config{Dir: dir, NoBind: true, Args: args})
			if r.Code != tt.code || !strings.Contains(r.Stderr, tt.want) || tt.want == "" && r.Stderr+r.Stdout != "" {
				t.Errorf("got exit %d, %q, want %d, %q", r.Code, r.Stderr+r.Stdout, tt.code, tt.want)
			}
			for _, left := range []string{"x.log", "y.log", "x.pid"} {
				if exists(filepath.Join(dir, left)) {
					t.Errorf("the check made %s", left)
				}
			}
		})
	}
}
