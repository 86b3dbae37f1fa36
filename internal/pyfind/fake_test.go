package pyfind

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gowsgi/protocol/ipc"
)

// writeProgram writes an executable file. No process may be forked while it is
// open for writing: a child that has not yet called exec would keep it open, and
// running it would fail with ETXTBSY.
func writeProgram(t *testing.T, path, text string) {
	t.Helper()
	mkdir(t, filepath.Dir(path))
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	mkdir(t, filepath.Dir(path))
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	mkdir(t, filepath.Dir(path))
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// fakePython writes to prefix/bin/python3 a program that prints the facts of a
// CPython 3.11.7 in prefix, changed by changes, and returns its path. It has no
// library.
func fakePython(t *testing.T, prefix string, changes map[string]any) string {
	t.Helper()
	path := filepath.Join(prefix, "bin", "python3")
	v := map[string]any{
		"implementation": "cpython",
		"version":        "3.11.7",
		"version_info":   []int{3, 11},
		"executable":     path,
		"base_prefix":    prefix,
		"ldlibrary":      "libpython3.11.so",
		"instsoname":     "libpython3.11.so.1.0",
		"libdir":         filepath.Join(prefix, "lib"),
		"multiarch":      "x86_64-linux-gnu",
		"abiflags":       "",
		"libc":           "glibc 2.36",
	}
	maps.Copy(v, changes)
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	writeProgram(t, path, "#!/bin/sh\ncat <<'EOF'\nhello from sitecustomize\n"+string(data)+"\nEOF\n")
	return path
}

// withLibrary is fakePython with the library where sysconfig says.
func withLibrary(t *testing.T, prefix string) string {
	t.Helper()
	writeFile(t, filepath.Join(prefix, "lib", "libpython3.11.so.1.0"), "")
	return fakePython(t, prefix, nil)
}

// environ is a getenv over a map.
func environ(m map[string]string) func(string) string {
	return func(name string) string { return m[name] }
}

// patience is the deadline of tests that are not about it: a machine may be busy.
const patience = time.Minute

// testFinder returns a finder that sees nothing of this machine.
func testFinder(dir string, env map[string]string) *finder {
	return &finder{dir: dir, getenv: environ(env), timeout: patience, host: noHost}
}

var errNoHost = errors.New("there is no library of the server")

func noHost() (*os.File, error) { return nil, errNoHost }

// mustFind is find without an error.
func mustFind(t *testing.T, f *finder, explicit string) ipc.Python {
	t.Helper()
	p, err := f.find(context.Background(), ipc.Wanted{Python: explicit})
	if err != nil {
		t.Fatalf("find(%q): %v", explicit, err)
	}
	return p
}

// wantError checks the kind of err, that it is one line, and what it names.
func wantError(t *testing.T, err, kind error, names ...string) {
	t.Helper()
	e, ok := err.(*Error)
	if !ok {
		t.Fatalf("got error %v (%T), want an *Error of kind %v", err, err, kind)
	}
	if e.Kind != kind {
		t.Errorf("got kind %v, want %v (%s)", e.Kind, kind, e)
	}
	if strings.Contains(e.Error(), "\n") {
		t.Errorf("more than one line: %q", e.Error())
	}
	for _, name := range names {
		if !strings.Contains(e.Error(), name) {
			t.Errorf("got %q, want it to name %q", e.Error(), name)
		}
	}
}
