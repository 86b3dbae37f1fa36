package pyfind

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gowsgi/protocol/ipc"
)

// realPythons returns the interpreters installed on this machine. A test with
// none is skipped.
func realPythons(t *testing.T) []string {
	t.Helper()
	var found []string
	if home, err := os.UserHomeDir(); err == nil {
		found, _ = filepath.Glob(filepath.Join(home, ".pyenv", "versions", "*", "bin", "python3"))
	}
	for _, path := range []string{"/usr/bin/python3", "/usr/local/bin/python3"} {
		if _, err := os.Stat(path); err == nil {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		t.Skip("no Python installed here")
	}
	return found
}

// python runs a real interpreter and returns what it prints.
func python(t *testing.T, path string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", path, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// findReal searches this machine as Find does, without its virtual environment.
func findReal(t *testing.T, explicit, dir string, env map[string]string) (string, string, error) {
	t.Helper()
	getenv := func(name string) string {
		if v, ok := env[name]; ok || name == "VIRTUAL_ENV" {
			return v
		}
		return os.Getenv(name)
	}
	f := &finder{dir: dir, getenv: getenv, timeout: patience, host: noHost, system: systemDirs()}
	p, err := f.find(context.Background(), ipc.Wanted{Python: explicit})
	if err == nil && (!filepath.IsAbs(p.Library) || p.Version == "") {
		t.Errorf("got %+v, want an absolute library and a version", p)
	}
	return p.Executable, p.Library, err
}

// loadsAs is run by an interpreter: the library must be of its own version.
const loadsAs = `
import ctypes, sys
lib = ctypes.CDLL(sys.argv[1])
lib.Py_GetVersion.restype = ctypes.c_char_p
assert lib.Py_GetVersion().decode() == sys.version, (lib.Py_GetVersion(), sys.version)
`

func TestRealPythons(t *testing.T) {
	t.Parallel()
	for _, path := range realPythons(t) {
		t.Run(strings.ReplaceAll(path, "/", "_"), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			// The application's own modules must not be taken for the library's.
			for _, name := range []string{"json", "sysconfig", "os"} {
				writeFile(t, filepath.Join(dir, name+".py"), "raise RuntimeError('shadowed')\n")
			}
			executable, library, err := findReal(t, path, dir, nil)
			version := python(t, path, "-c", "import sys; print('%d %d' % sys.version_info[:2])")
			if old := version == "3 6" || version == "3 7"; old {
				wantError(t, err, ErrUnsupported, path, "3.8 or later")
				return
			}
			if errors.Is(err, ErrNoLibrary) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if executable != path {
				t.Errorf("got executable %s, want %s", executable, path)
			}
			python(t, path, "-c", loadsAs, library)
			testVenv(t, path, library)
		})
	}
}

// testVenv makes a virtual environment with the interpreter at path and finds it
// in every way there is.
func testVenv(t *testing.T, path, library string) {
	t.Helper()
	root := t.TempDir()
	venv := filepath.Join(root, ".venv")
	python(t, path, "-m", "venv", "--without-pip", venv)
	want := filepath.Join(venv, "bin", "python")
	for _, tt := range []struct {
		name, explicit, dir string
		env                 map[string]string
	}{
		{"explicit path", want, "/", nil},
		{"explicit directory", venv, "/", nil},
		{".venv", "", root, nil},
		{"VIRTUAL_ENV", "", "/", map[string]string{"VIRTUAL_ENV": venv}},
	} {
		executable, lib, err := findReal(t, tt.explicit, tt.dir, tt.env)
		if err != nil || executable != want || lib != library {
			t.Errorf("%s: got %s, %s, %v, want %s, %s", tt.name, executable, lib, err, want, library)
		}
	}
}

// TestFind tries the exported function with its own deadline.
func TestFind(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	want := withLibrary(t, filepath.Join(root, ".venv"))
	symlink(t, "python3", filepath.Join(root, ".venv", "bin", "python"))
	p, err := Find(context.Background(), ipc.Wanted{Dir: root}, environ(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.Executable != want || p.Version != "3.11.7" || p.Library != filepath.Join(root, ".venv", "lib", "libpython3.11.so.1.0") {
		t.Errorf("got %+v", p)
	}
}

// TestRealShim: the python3 of pyenv on PATH is a script.
func TestRealShim(t *testing.T) {
	t.Parallel()
	home, err := os.UserHomeDir()
	if err != nil {
		t.Skip(err)
	}
	shims := filepath.Join(home, ".pyenv", "shims")
	if _, err := os.Stat(filepath.Join(shims, "python3")); err != nil {
		t.Skip("no pyenv here")
	}
	executable, _, err := findReal(t, "", t.TempDir(), map[string]string{"PATH": shims})
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(executable, shims) {
		t.Errorf("got the shim %s, want the interpreter behind it", executable)
	}
}
