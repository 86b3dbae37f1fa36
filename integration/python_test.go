package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// mainReport is what probe.py says of its process.
type mainReport struct {
	Argv, Main, Path               []string
	Cwd, Executable, Prefix, Parts string
	BasePrefix                     string `json:"base_prefix"`
	Version                        []int
	Flags                          map[string]int
	Env                            map[string]string
}

func askMain(t *testing.T, s *gowsgitest.Server) mainReport {
	t.Helper()
	r := s.Get("/main")
	var m mainReport
	// utf8_mode and its like are numbers or booleans, as the version has it.
	body := strings.NewReplacer(": true", ": 1", ": false", ": 0").Replace(r.Body)
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("%v in %v", err, r)
	}
	return m
}

// One binary serves with every CPython from 3.8 on that is installed, in both modes.
func TestEveryPython(t *testing.T) {
	t.Parallel()
	tried := 0
	for _, python := range gowsgitest.Pythons() {
		for _, mode := range python.Modes() {
			tried++
			t.Run(python.String()+" "+mode, func(t *testing.T) {
				t.Parallel()
				testPython(t, python, "--python-mode", mode)
				if mode == "hosted" {
					testPython(t, python, "--python-mode", mode, "--preload")
				}
			})
		}
	}
	if tried == 0 {
		t.Error("no supported interpreter found")
	}
}

func testPython(t *testing.T, python gowsgitest.Interpreter, args ...string) {
	t.Helper()
	args = append(args, "-w", "2", "--python", python.Path, "probe")
	if python.FreeThreaded {
		args = append(args, "--threads", "3")
	}
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: apps(), NoVenv: true, Args: args})
	m := askMain(t, s)
	if got := s.Log.Count(`every thread has a loop of its own`) > 0; got != python.FreeThreaded {
		t.Errorf("loops for each thread: %v, want %v", got, python.FreeThreaded)
	}
	if !slices.Equal(m.Version, python.Version[:]) {
		t.Errorf("runs %v, want %v", m.Version, python.Version)
	}
	answering(t, s, 2)
	if r := s.Get("/raise?name=RuntimeError"); r.Status != 500 {
		t.Errorf("got %v, want 500", r)
	}
	if r := s.Post("/environ", "text/plain", "body"); r.Status != 200 {
		t.Errorf("got %v, want 200", r)
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if n := s.Log.Count(`Booting worker`); n != 2 {
		t.Errorf("%d workers were started, want 2", n)
	}
}

// What every interpreter must do right beside answering: bodies, threads, errors.
func TestEveryPythonWithThreads(t *testing.T) {
	t.Parallel()
	for _, python := range gowsgitest.Pythons() {
		if len(python.Modes()) == 0 {
			continue
		}
		t.Run(python.String(), func(t *testing.T) {
			t.Parallel()
			s := gowsgitest.Start(t, gowsgitest.Config{
				Dir: apps(), NoVenv: true, Args: []string{"--threads", "3", "--python", python.Path, "inputs"},
			})
			c := s.Dial()
			for _, how := range []string{"read", "readline", "iter", "readlines"} {
				for _, size := range []int{1, 1000, 2_000_000} {
					checkInput(t, c, how, lines(size+2), size == 1000)
				}
			}
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}

// An interpreter that cannot be used is refused with what to do about it.
func TestPythonRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fake := func(name, script string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := []struct {
		name, python string
		want         []string
	}{
		{"not there", filepath.Join(dir, "nosuch"), []string{"nosuch"}},
		{"not executable", write(t, dir, "plain", "text"), []string{"plain"}},
		{"not a Python", fake("other", "echo hello"), []string{"other"}},
		{"fails", fake("failing", "echo broken installation >&2; exit 1"), []string{"failing"}},
	}
	for _, python := range gowsgitest.Pythons() {
		if v := python.Version; v[0] == 3 && v[1] < 8 {
			tests = append(tests, struct {
				name, python string
				want         []string
			}{"too old", python.Path, []string{fmt.Sprintf("3.%d", v[1]), "3.8"}})
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := gowsgitest.Run(t, gowsgitest.Config{Dir: apps(), NoVenv: true, Args: []string{"--python", tt.python, "hello"}})
			if r.Code == 0 || r.Code > 4 {
				t.Errorf("exit code %d, want a failure", r.Code)
			}
			for _, want := range tt.want {
				if !strings.Contains(r.Stderr, want) {
					t.Errorf("got %q, want %q in it", r.Stderr, want)
				}
			}
			for _, noise := range []string{"goroutine", "panic", "Booting worker"} {
				if strings.Contains(r.Stderr, noise) {
					t.Errorf("got %q, want one message", r.Stderr)
				}
			}
		})
	}
}

// Which interpreter: --python, else $VIRTUAL_ENV, else .venv beside the
// application, else python3 on PATH.
func TestWhichPython(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	probe := read(t, filepath.Join(apps(), "probe.py"))
	beside := filepath.Join(dir, "beside")
	mkdir(t, beside)
	write(t, beside, "probe.py", probe)
	makeVenv(t, filepath.Join(beside, ".venv"))
	active := filepath.Join(dir, "active")
	makeVenv(t, active)
	explicit := filepath.Join(dir, "explicit")
	makeVenv(t, explicit)
	plain := filepath.Join(dir, "plain")
	mkdir(t, plain)
	write(t, plain, "probe.py", probe)

	flag := []string{"--python", filepath.Join(explicit, "bin", "python"), "probe"}
	tests := []struct {
		name, dir string
		env       []string
		args      []string
		prefix    string
	}{
		{"--python over all", beside, []string{"VIRTUAL_ENV=" + active}, flag, explicit},
		{"VIRTUAL_ENV over .venv", beside, []string{"VIRTUAL_ENV=" + active}, []string{"probe"}, active},
		{".venv beside the application", beside, nil, []string{"probe"}, filepath.Join(beside, ".venv")},
		{".venv with --chdir", dir, nil, []string{"--chdir", beside, "probe"}, filepath.Join(beside, ".venv")},
		{"python3 on PATH", plain, []string{"PATH=" + filepath.Join(explicit, "bin") + ":" + os.Getenv("PATH")}, []string{"probe"}, explicit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := gowsgitest.Start(t, gowsgitest.Config{Dir: tt.dir, NoVenv: true, Env: tt.env, Args: tt.args})
			m := askMain(t, s)
			if m.Prefix != tt.prefix || m.BasePrefix == m.Prefix {
				t.Errorf("sys.prefix is %s (base %s), want %s", m.Prefix, m.BasePrefix, tt.prefix)
			}
			if filepath.Dir(filepath.Dir(m.Executable)) != tt.prefix {
				t.Errorf("sys.executable is %s, want one in %s", m.Executable, tt.prefix)
			}
		})
	}
}

func makeVenv(t *testing.T, dir string) {
	t.Helper()
	if out, err := exec.Command(gowsgitest.VenvPython(t), "-m", "venv", "--without-pip", dir).CombinedOutput(); err != nil {
		t.Fatalf("making %s: %v\n%s", dir, err, out)
	}
}

// A virtual environment whose interpreter is gone is named, not passed over.
func TestBrokenVenv(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "venv")
	makeVenv(t, dir)
	for _, name := range []string{"python", "python3"} {
		path := filepath.Join(dir, "bin", name)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/nosuch/python3", path); err != nil {
			t.Fatal(err)
		}
	}
	r := gowsgitest.Run(t, gowsgitest.Config{Dir: apps(), NoVenv: true, Env: []string{"VIRTUAL_ENV=" + dir}, Args: []string{"hello"}})
	if r.Code == 0 || !strings.Contains(r.Stderr, dir) {
		t.Errorf("got %d and %q, want a failure that names %s", r.Code, r.Stderr, dir)
	}
}

// Packages of the environment are found, also by an application that is not.
func TestPackagesOfTheVenv(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app.py", `
import flask
def application(environ, start_response):
    body = flask.__file__.encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
`)
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"app"}})
	if got := s.GetOK("/"); !strings.HasPrefix(got, gowsgitest.Venv(t)+"/") {
		t.Errorf("flask is %s, want that of %s", got, gowsgitest.Venv(t))
	}
}

// CPython's variables mean what they mean under python.
func TestPythonVariables(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "only_here.py", "from probe import application\n")
	s := gowsgitest.Start(t, gowsgitest.Config{
		Dir: apps(), Args: []string{"only_here"},
		Env: []string{"PYTHONPATH=" + dir, "PYTHONOPTIMIZE=2", "PYTHONUTF8=1"},
	})
	m := askMain(t, s)
	if m.Flags["optimize"] != 2 || m.Flags["dont_write_bytecode"] != 1 || m.Flags["utf8_mode"] != 1 {
		t.Errorf("flags are %v, want what the variables say", m.Flags)
	}
	if !slices.Contains(m.Path, dir) {
		t.Errorf("sys.path is %v, want %s in it", m.Path, dir)
	}
	t.Run("PYTHONHASHSEED", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		write(t, dir, "app.py", `
def application(environ, start_response):
    body = str(hash("gowsgi")).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
`)
		serve := func(seed string) string {
			s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"app"}, Env: []string{"PYTHONHASHSEED=" + seed}})
			return s.GetOK("/")
		}
		if a, b := serve("42"), serve("42"); a != b {
			t.Errorf("the same seed gives %s and %s", a, b)
		}
	})
}

// gunicorn: chdir, pythonpath, raw_env; sys.argv and __main__.
func TestProcessOfTheApplication(t *testing.T) {
	t.Parallel()
	a, b := t.TempDir(), t.TempDir()
	write(t, a, "probe.py", read(t, filepath.Join(apps(), "probe.py")))
	args := []string{"--chdir", a, "--pythonpath", b + "," + apps(), "-e", "ONE=1", "--env", "TWO=with = and space", "probe"}
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: b, Args: args, Env: []string{"ONE=0", "KEPT=yes"}})
	m := askMain(t, s)
	if m.Cwd != a {
		t.Errorf("the working directory is %s, want %s", m.Cwd, a)
	}
	ib, iapps, ia := slices.Index(m.Path, b), slices.Index(m.Path, apps()), slices.Index(m.Path, a)
	if ia < 0 || ib < 0 || iapps < 0 {
		t.Errorf("sys.path is %v, want %s, %s and %s in it", m.Path, a, b, apps())
	}
	for key, want := range map[string]string{"ONE": "1", "TWO": "with = and space", "KEPT": "yes"} {
		if got := m.Env[key]; got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	for key := range m.Env {
		if strings.HasPrefix(key, "GOWSGI_") && key != "GOWSGI_PYTHON_MODE" { // that is the user's
			t.Errorf("the server's own %s is in the application's environment", key)
		}
	}
	if len(m.Argv) < len(args) || !slices.Equal(m.Argv[len(m.Argv)-len(args):], args) {
		t.Errorf("sys.argv is %q, want the command line", m.Argv)
	}
	if m.Main[0] != "__main__" {
		t.Errorf("__main__ is %v", m.Main)
	}
	if !strings.Contains(m.Env["SERVER_SOFTWARE"], "gowsgi/") {
		t.Errorf("SERVER_SOFTWARE is %q, want gowsgi/ in it", m.Env["SERVER_SOFTWARE"])
	}
}
