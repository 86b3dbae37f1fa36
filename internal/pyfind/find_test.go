package pyfind

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gowsgi/protocol/ipc"
)

// TestOrder checks which interpreter wins, strongest first, by taking away the
// winner each time.
func TestOrder(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	app := filepath.Join(root, "app")
	explicit := withLibrary(t, filepath.Join(root, "explicit"))
	active := withLibrary(t, filepath.Join(root, "active"))
	local := withLibrary(t, filepath.Join(app, ".venv"))
	onPath := withLibrary(t, filepath.Join(root, "path"))
	env := map[string]string{
		"VIRTUAL_ENV": filepath.Join(root, "active"),
		"PATH":        "relative:" + filepath.Join(root, "nowhere") + ":" + filepath.Join(root, "path", "bin"),
	}
	// A virtual environment is entered through bin/python.
	for _, dir := range []string{filepath.Join(root, "active"), filepath.Join(app, ".venv")} {
		symlink(t, "python3", filepath.Join(dir, "bin", "python"))
	}
	f := testFinder(app, env)
	steps := []struct {
		name, explicit, want string
		then                 func()
	}{
		{"explicit", explicit, explicit, func() {}},
		{"VIRTUAL_ENV", "", active, func() { delete(env, "VIRTUAL_ENV") }},
		{".venv", "", local, func() { os.RemoveAll(filepath.Join(app, ".venv")) }},
		{"PATH", "", onPath, func() { delete(env, "PATH") }},
	}
	for _, s := range steps {
		if p := mustFind(t, f, s.explicit); p.Executable != s.want {
			t.Errorf("%s: got %s, want %s", s.name, p.Executable, s.want)
		}
		s.then()
	}
	_, err := f.find(context.Background(), ipc.Wanted{Python: ""})
	wantError(t, err, ErrNotFound, "--python", app)
}

func TestExplicit(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	want := withLibrary(t, filepath.Join(root, "py"))
	venv := withLibrary(t, filepath.Join(root, "venv"))
	f := testFinder(root, map[string]string{"PATH": filepath.Join(root, "py", "bin")})
	for _, tt := range []struct{ name, explicit, want string }{
		{"absolute path", want, want},
		{"path from dir", "py/bin/python3", want},
		{"name on PATH", "python3", want},
		{"directory", filepath.Join(root, "venv"), venv},
		{"directory with a slash", "venv/", venv},
		{"name of a directory", "venv", venv},
	} {
		if p := mustFind(t, f, tt.explicit); p.Executable != tt.want || p.Version != "3.11.7" {
			t.Errorf("%s: got %+v, want %s", tt.name, p, tt.want)
		}
	}
}

// TestExecutableIsNotResolved: CPython finds a virtual environment through the
// link.
func TestExecutableIsNotResolved(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	real := fakePython(t, filepath.Join(root, "real"), map[string]any{"executable": ""})
	writeFile(t, filepath.Join(root, "real", "lib", "libpython3.11.so.1.0"), "")
	link := filepath.Join(root, "venv", "bin", "python")
	symlink(t, real, link)
	if p := mustFind(t, testFinder(root, nil), "venv"); p.Executable != link {
		t.Errorf("got %s, want %s", p.Executable, link)
	}
}

// TestShim: a version manager puts a script on PATH; the interpreter it starts
// knows its own name.
func TestShim(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	real := withLibrary(t, filepath.Join(root, "versions", "3.11.7"))
	writeProgram(t, filepath.Join(root, "shims", "python3"), "#!/bin/sh\nexec "+real+" \"$@\"\n")
	f := testFinder(root, map[string]string{"PATH": filepath.Join(root, "shims")})
	if p := mustFind(t, f, ""); p.Executable != real {
		t.Errorf("got %s, want %s", p.Executable, real)
	}
}

func TestNoProgram(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	writeFile(t, filepath.Join(root, "text"), "#!/bin/sh\n")
	symlink(t, "nowhere", filepath.Join(root, "dangling"))
	mkdir(t, filepath.Join(root, "empty"))
	f := testFinder(root, nil)
	for _, tt := range []struct {
		name, explicit string
		kind           error
		names          []string
	}{
		{"missing path", "./no/python", ErrNotFound, []string{"./no/python", "no such file"}},
		{"missing name", "python9", ErrNotFound, []string{"python9", "PATH"}},
		{"not executable", "./text", ErrNotPython, []string{"text", "not executable"}},
		{"dangling link", "./dangling", ErrNotFound, []string{"dangling", "link"}},
		{"directory without Python", "./empty", ErrNotFound, []string{"empty", "bin/python", "-m venv"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := f.find(context.Background(), ipc.Wanted{Python: tt.explicit})
			wantError(t, err, tt.kind, tt.names...)
			if !errors.Is(err, tt.kind) {
				t.Errorf("errors.Is(%v, %v) is false", err, tt.kind)
			}
		})
	}
	env := testFinder(root, map[string]string{"VIRTUAL_ENV": filepath.Join(root, "gone")})
	_, err := env.find(context.Background(), ipc.Wanted{Python: ""})
	wantError(t, err, ErrNotFound, "$VIRTUAL_ENV", filepath.Join(root, "gone"))
}

func TestNotPython(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	long := filepath.Join(root, "long")
	writeProgram(t, long, "#!/bin/sh\nprintf 'x%.0s' $(seq 1 1000) >&2\nexit 1\n")
	for _, tt := range []struct {
		name, program string
		names         []string
	}{
		{"fails", "#!/bin/sh\necho first >&2\necho 'version 9.9 is not installed' >&2\necho >&2\nexit 127\n",
			[]string{"exit status 127", `"version 9.9 is not installed"`}},
		{"says nothing", "#!/bin/sh\n", []string{"did not answer"}},
		{"says something else", "#!/bin/sh\necho hello\n", []string{"did not answer"}},
		{"JSON of something else", "#!/bin/sh\necho '{}'\n", []string{"did not answer"}},
		{"no interpreter line", "\x00\x01", []string{"exec format error"}},
		{"dies", "#!/bin/sh\nkill -SEGV $$\n", []string{"segmentation fault"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "python")
			writeProgram(t, path, tt.program)
			_, err := testFinder(root, nil).find(context.Background(), ipc.Wanted{Python: path})
			wantError(t, err, ErrNotPython, append(tt.names, path, "--python")...)
		})
	}
	_, err := testFinder(root, nil).find(context.Background(), ipc.Wanted{Python: long})
	wantError(t, err, ErrNotPython, "xxx...")
	if n := len(err.Error()); n > len(long)+2*maxQuoted {
		t.Errorf("message of %d bytes, want it cut", n)
	}
}

func TestUnsupported(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		changes map[string]any
		names   []string
	}{
		{"2.7", map[string]any{"version": "2.7.18", "version_info": []int{2, 7}}, []string{"2.7.18", "3.8 or later"}},
		{"3.7", map[string]any{"version": "3.7.16", "version_info": []int{3, 7}}, []string{"3.7.16", "3.8 or later"}},
		{"PyPy", map[string]any{"implementation": "pypy"}, []string{"PyPy"}},
		{"another", map[string]any{"implementation": "graalpy"}, []string{"graalpy"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "lib", "libpython3.11.so.1.0"), "")
			path := fakePython(t, dir, tt.changes)
			_, err := testFinder(dir, nil).find(context.Background(), ipc.Wanted{Python: path})
			wantError(t, err, ErrUnsupported, append(tt.names, path, "--python")...)
		})
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "python")
	writeProgram(t, path, "#!/bin/sh\nsleep 600\n")
	f := testFinder(dir, nil)
	f.timeout = 50 * time.Millisecond
	_, err := f.find(context.Background(), ipc.Wanted{Python: path})
	wantError(t, err, ErrNotPython, path, "50ms")
}

// TestCancelLeavesNoProcess: the interpreter and what it started are gone when
// Find returns.
func TestCancelLeavesNoProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "python")
	fifo := filepath.Join(dir, "held")
	// The grandchild holds the writing end of the FIFO: its death is EOF.
	writeProgram(t, path, "#!/bin/sh\nsleep 600 >held &\nwait\n")
	mkfifo(t, fifo)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := testFinder(dir, nil).find(ctx, ipc.Wanted{Python: path})
		done <- err
	}()
	held, err := os.Open(fifo) // blocks until the grandchild runs
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	held.SetReadDeadline(time.Now().Add(30 * time.Second))
	if n, err := held.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading from the grandchild: got %d, %v, want EOF", n, err)
	}
}
