package gowsgitest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"sync"
	"testing"
)

// Interpreter is a CPython found on this machine.
type Interpreter struct {
	// Path is how it is called, Real the file behind the links.
	Path string
	Real string `json:"real"`
	// Version is its major and minor version and release, as 3, 11, 7.
	Version [3]int `json:"version"`
	// Shared says whether it has a shared libpython; one without it can only host the
	// server.
	Shared bool `json:"shared"`
	// FreeThreaded says that it is built to run without a GIL.
	FreeThreaded bool `json:"free_threaded"`
}

// String returns "3.11.7 (/usr/bin/python3.11)".
func (i Interpreter) String() string { return i.Name() + " (" + i.Path + ")" }

// Name returns "3.11.7", or "3.14.0t" for a free-threaded build.
func (i Interpreter) Name() string {
	name := fmt.Sprintf("%d.%d.%d", i.Version[0], i.Version[1], i.Version[2])
	if i.FreeThreaded {
		name += "t"
	}
	return name
}

// Supported reports whether gowsgi promises to load the interpreter's library.
func (i Interpreter) Supported() bool { return i.Shared && i.current() }

func (i Interpreter) current() bool { return i.Version[0] == 3 && i.Version[1] >= 8 }

// Modes returns the values of python_mode that the interpreter is to work with.
func (i Interpreter) Modes() (modes []string) {
	if i.Supported() && !Hosted() {
		modes = append(modes, "dlopen")
	}
	if i.current() {
		modes = append(modes, "hosted")
	}
	return modes
}

const describe = `
import json, os, sys, sysconfig
v = sysconfig.get_config_var
lib = os.path.join(v("LIBDIR") or "", v("INSTSONAME") or "")
print(json.dumps({
    "real": os.path.realpath(sys.executable),
    "version": list(sys.version_info[:3]),
    "shared": bool(v("Py_ENABLE_SHARED")) and os.path.exists(lib),
    "free_threaded": bool(v("Py_GIL_DISABLED")),
}))
`

// pythonName is what an interpreter is called. Others, such as python3-config and
// python3.12-gdb.py, are beside it.
var pythonName = regexp.MustCompile(`^python3(\.\d+t?)?$`)

// Pythons returns the interpreters of the usual places, each real executable
// once, oldest first.
var Pythons = sync.OnceValue(func() []Interpreter {
	home, _ := os.UserHomeDir()
	patterns := []string{
		filepath.Join(home, ".pyenv/versions/*/bin/python3"),
		"/usr/bin/python3*", "/usr/local/bin/python3*", "/opt/*/bin/python3",
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		patterns = append(patterns, filepath.Join(dir, "python3*"))
	}
	seen := map[string]bool{}
	var found []Interpreter
	for _, pattern := range patterns {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			// Starting one takes long, a version manager's shim above all.
			if real, err := filepath.EvalSymlinks(path); err != nil || seen[real] || !pythonName.MatchString(filepath.Base(path)) {
				continue
			}
			i, err := inspect(path)
			if err != nil || seen[i.Real] {
				continue
			}
			seen[i.Real] = true
			found = append(found, i)
		}
	}
	sort.SliceStable(found, func(a, b int) bool {
		va, vb := found[a].Version, found[b].Version
		return va[0] != vb[0] && va[0] < vb[0] || va[0] == vb[0] && (va[1] < vb[1] || va[1] == vb[1] && va[2] < vb[2])
	})
	return found
})

func inspect(path string) (Interpreter, error) {
	out, err := exec.Command(path, "-c", describe).Output()
	if err != nil {
		return Interpreter{}, err
	}
	i := Interpreter{Path: path}
	err = json.Unmarshal(out, &i)
	return i, err
}

// Loadable returns the interpreters that have a library to load. Where there are only
// others the test is skipped: what it tries is not there, and they host the server in
// the tests of integration.
func Loadable(tb testing.TB) (found []Interpreter) {
	tb.Helper()
	others := false
	for _, i := range Pythons() {
		if i.Supported() {
			found = append(found, i)
		}
		others = others || i.current()
	}
	switch {
	case len(found) > 0:
	case others:
		tb.Skip("no CPython 3.8 or later with a shared libpython is installed here")
	default:
		tb.Fatal("no CPython 3.8 or later is installed here")
	}
	return found
}

// Venv returns the environment that has the examples' packages. It ends the test
// when there is none: a test that skipped would prove nothing.
func Venv(tb testing.TB) string {
	tb.Helper()
	dir := os.Getenv("GOWSGI_TEST_VENV")
	if dir == "" {
		dir = filepath.Join(Examples(), ".venv")
	}
	if _, err := os.Stat(filepath.Join(dir, "bin", "python")); err != nil {
		tb.Fatalf("no environment for the tests (make venv makes it): %v", err)
	}
	return dir
}

// VenvPython returns the interpreter of Venv.
func VenvPython(tb testing.TB) string {
	tb.Helper()
	return filepath.Join(Venv(tb), "bin", "python")
}
