package pyfind

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"gowsgi/protocol/ipc"
)

// TestOwnEnvironment: a binary in the bin directory of an environment uses that
// one, whichever is active, and gives way to --python only.
func TestOwnEnvironment(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	explicit := withLibrary(t, filepath.Join(root, "explicit"))
	active := withLibrary(t, filepath.Join(root, "active"))
	own := withLibrary(t, filepath.Join(root, "own"))
	f := testFinder(root, map[string]string{"VIRTUAL_ENV": filepath.Join(root, "active")})
	f.program = filepath.Join(root, "own", "bin", "gowsgi")
	check := func(name, explicit, want string) {
		t.Helper()
		if p := mustFind(t, f, explicit); p.Executable != want {
			t.Errorf("%s: got %s, want %s", name, p.Executable, want)
		}
	}
	check("no environment", "", active)
	mkdir(t, filepath.Join(root, "own", "conda-meta"))
	check("conda", "", own)
	os.Remove(filepath.Join(root, "own", "conda-meta"))
	writeFile(t, filepath.Join(root, "own", "pyvenv.cfg"), "")
	check("venv", "", own)
	check("--python", explicit, explicit)
	for _, program := range []string{"", "gowsgi", "bin/gowsgi", filepath.Join(root, "own", "gowsgi"), filepath.Join(root, "own", "sbin", "gowsgi")} {
		f.program = program
		check("program "+program, "", active)
	}
}

// TestOwnEnvironmentIsBroken: another interpreter would not have what is installed
// in this one.
func TestOwnEnvironmentIsBroken(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	env := filepath.Join(root, "own")
	writeFile(t, filepath.Join(env, "pyvenv.cfg"), "")
	onPath := withLibrary(t, filepath.Join(root, "path"))
	f := testFinder(root, map[string]string{"PATH": filepath.Dir(onPath)})
	f.program = filepath.Join(env, "bin", "gowsgi")
	_, err := f.find(context.Background(), ipc.Wanted{})
	wantError(t, err, ErrBrokenVenv, env, "bin/python")
}

// TestPythonOfWheel: a wheel in an installation that is no environment uses the
// interpreter beside the binary, also when another is first on PATH; an
// environment that is named or lies beside the application is stronger.
func TestPythonOfWheel(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	app := filepath.Join(root, "app")
	beside := withLibrary(t, filepath.Join(root, "opt"))
	onPath := withLibrary(t, filepath.Join(root, "path"))
	env := map[string]string{"PATH": filepath.Dir(onPath)}
	f := testFinder(app, env)
	mkdir(t, app)
	f.program = filepath.Join(root, "opt", "bin", "gowsgi")
	check := func(name, want string) {
		t.Helper()
		if p := mustFind(t, f, ""); p.Executable != want {
			t.Errorf("%s: got %s, want %s", name, p.Executable, want)
		}
	}
	check("a copied binary", onPath)
	mkdir(t, filepath.Join(root, "opt", "lib", "gowsgi"))
	check("a wheel", beside)
	local := withLibrary(t, filepath.Join(app, ".venv"))
	symlink(t, "python3", filepath.Join(app, ".venv", "bin", "python"))
	check(".venv", local)
	env["VIRTUAL_ENV"] = filepath.Dir(filepath.Dir(onPath))
	check("$VIRTUAL_ENV", onPath)
	delete(env, "VIRTUAL_ENV")
	f.dir = root
	if err := os.Remove(beside); err != nil {
		t.Fatal(err)
	}
	check("a wheel without an interpreter", onPath)
}

// TestOwnProgram: the running binary has a path.
func TestOwnProgram(t *testing.T) {
	t.Parallel()
	if path := ownProgram(); !filepath.IsAbs(path) || !exists(path) {
		t.Errorf("got %q, want the path of this test", path)
	}
}
