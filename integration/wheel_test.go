package integration

import (
	"archive/zip"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
	release "gowsgi/internal/version"
)

// buildPatience is how long compilers and pip may take.
const buildPatience = 10 * time.Minute

// command runs a program and returns what it printed; that it fails ends the test.
func command(t testing.TB, dir string, env []string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// buildWheel builds the wheel for this machine and returns its path.
func buildWheel(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	command(t, gowsgitest.Root(), []string{"GOWSGI_PLATFORM="},
		gowsgitest.VenvPython(t), "-m", "hatchling", "build", "-t", "wheel", "-d", dir)
	wheels, err := filepath.Glob(filepath.Join(dir, "*.whl"))
	if err != nil || len(wheels) != 1 {
		t.Fatalf("got %v, %v, want one wheel", wheels, err)
	}
	return wheels[0]
}

// fresh is a fresh virtual environment.
type fresh struct{ dir string }

func (e fresh) bin(name string) string { return filepath.Join(e.dir, "bin", name) }

// newEnvironment makes one with the given interpreter.
func newEnvironment(t testing.TB, python string) fresh {
	t.Helper()
	// The test's directory may be below a link, and reports tell resolved paths.
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	e := fresh{filepath.Join(dir, "venv")}
	command(t, dir, nil, python, "-m", "venv", e.dir)
	return e
}

// pip runs pip in the environment.
func (e fresh) pip(t testing.TB, args ...string) {
	t.Helper()
	command(t, e.dir, nil, slices.Concat([]string{e.bin("python"), "-m", "pip", "--disable-pip-version-check"}, args)...)
}

// borrow lets the environment see the packages of the examples' one.
func (e fresh) borrow(t testing.TB) {
	t.Helper()
	site := func(dir string) string {
		found, err := filepath.Glob(filepath.Join(dir, "lib", "python3.*", "site-packages"))
		if err != nil || len(found) != 1 {
			t.Fatalf("got %v, %v, want one site-packages in %s", found, err, dir)
		}
		return found[0]
	}
	write(t, site(e.dir), "borrowed.pth", site(gowsgitest.Venv(t))+"\n")
}

// TestWheel builds the wheel and installs it as users do, and the server that is
// then in the environment's bin serves, with that environment's Python.
func TestWheel(t *testing.T) {
	t.Parallel()
	wheel := buildWheel(t)
	checkContents(t, wheel)
	e := newEnvironment(t, gowsgitest.VenvPython(t))
	e.pip(t, "install", "--no-index", "--find-links", filepath.Dir(wheel), "gowsgi")
	e.borrow(t)
	t.Run("Flask", func(t *testing.T) {
		t.Parallel()
		serveReloadStop(t, e, "flask_app:flask_app")
	})
	t.Run("environment", func(t *testing.T) {
		t.Parallel()
		s := gowsgitest.Start(t, gowsgitest.Config{
			Program: e.bin("gowsgi"), Dir: apps(), Env: []string{"VIRTUAL_ENV=/no/such"}, NoVenv: true, Args: []string{"probe"},
		})
		if m := askMain(t, s); m.Prefix != e.dir {
			t.Errorf("the workers' Python is in %s, want %s", m.Prefix, e.dir)
		}
	})
	t.Run("module", func(t *testing.T) {
		t.Parallel()
		runModule(t, e)
	})
	t.Run("version", func(t *testing.T) {
		t.Parallel()
		if got := command(t, "/", nil, e.bin("python"), "-c", "import gowsgi; print(gowsgi.__version__)"); got != release.Number+"\n" {
			t.Errorf("the package has version %q, want %s", got, release.Number)
		}
		want := regexp.MustCompile(`(?s)^gowsgi \(version ` + regexp.QuoteMeta(release.Number) + `\)\ncommit (\S+), go.*\nPython .*: ` + e.bin("python") + `\d? \(.*\)\n$`)
		var text string
		var m []string
		// On a busy machine an interpreter may not answer in time, and is then none.
		if !gowsgitest.Eventually(func() bool {
			text = command(t, "/", nil, e.bin("gowsgi"), "--version")
			m = want.FindStringSubmatch(text)
			return m != nil
		}) {
			t.Fatalf("got %q, want it to match %v", text, want)
		}
		head, err := exec.Command("git", "-C", gowsgitest.Root(), "rev-parse", "--short=12", "HEAD").Output()
		if err == nil && !strings.HasPrefix(m[1], strings.TrimSpace(string(head))) {
			t.Errorf("built from commit %s, want %s", m[1], head)
		}
	})
}

// checkContents looks into the wheel: what an installer would do with it.
func checkContents(t *testing.T, wheel string) {
	t.Helper()
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	if want := fmt.Sprintf("gowsgi-%s-py3-none-linux_%s.whl", release.Number, machine); filepath.Base(wheel) != want {
		t.Errorf("got %s, want %s", filepath.Base(wheel), want)
	}
	z, err := zip.OpenReader(wheel)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var names []string
	for _, f := range z.File {
		names = append(names, strings.TrimPrefix(f.Name, "gowsgi-"+release.Number))
		if strings.HasSuffix(f.Name, "/scripts/gowsgi") && f.Mode()&0o111 != 0o111 {
			t.Errorf("%s has mode %v", f.Name, f.Mode())
		}
	}
	slices.Sort(names)
	want := []string{
		".data/data/lib/gowsgi/libgowsgi.so", ".data/scripts/gowsgi",
		".dist-info/METADATA", ".dist-info/RECORD", ".dist-info/WHEEL",
		".dist-info/licenses/LICENSE", ".dist-info/licenses/THIRD_PARTY_LICENSES",
		"gowsgi/__init__.py", "gowsgi/__main__.py",
	}
	if !slices.Equal(names, want) {
		t.Errorf("the wheel holds %q, want %q", names, want)
	}
}

// serveReloadStop serves an example with two workers, reloads it and stops it.
func serveReloadStop(t *testing.T, e fresh, spec string) {
	t.Helper()
	s := gowsgitest.Start(t, gowsgitest.Config{
		Program: e.bin("gowsgi"), Dir: gowsgitest.Examples(), NoVenv: true, Args: []string{"-w", "2", spec},
	})
	reloadAndStop(t, s)
}

// reloadAndStop has a server replace its two workers, and stops it.
func reloadAndStop(t *testing.T, s *gowsgitest.Server) {
	t.Helper()
	before := s.WaitBooted(2)
	s.GetOK("/")
	s.Signal(syscall.SIGHUP)
	s.WaitBooted(4)
	if !gowsgitest.Eventually(func() bool {
		return len(s.Workers()) == 2 && !slices.ContainsFunc(before, func(pid int) bool { return slices.Contains(s.Workers(), pid) })
	}) {
		t.Errorf("after the reload the workers are %v, want two others than %v", s.Workers(), before)
	}
	s.GetOK("/")
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// runModule starts the server by python -m gowsgi: it is the binary then, and not a
// child of an interpreter, and loads the interpreter that was named so.
func runModule(t *testing.T, e fresh) {
	t.Helper()
	module := []string{"-m", "gowsgi"}
	s := gowsgitest.Start(t, gowsgitest.Config{Program: e.bin("python"), Module: module, Dir: apps(), NoVenv: true, Args: []string{"probe"}})
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", s.PID)); exe != e.bin("gowsgi") {
		t.Errorf("the server is %s, %v, want %s", exe, err, e.bin("gowsgi"))
	}
	if m := askMain(t, s); m.Executable != e.bin("python") {
		t.Errorf("loads %s, want %s", m.Executable, e.bin("python"))
	}
	for _, tt := range []struct{ name, args, want string }{
		{"another interpreter", "--python /no/such --version", "Python: none (--python /no/such:"},
		{"the other form", "--python=/no/such --version", "Python: none (--python /no/such:"},
		{"a command", "status --help", "usage: gowsgi status"},
		{"the other command", "stacks --help", "usage: gowsgi stacks"},
	} {
		out := command(t, "/", nil, slices.Concat([]string{e.bin("python")}, module, strings.Fields(tt.args))...)
		if !strings.Contains(out, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, out, tt.want)
		}
	}
}
