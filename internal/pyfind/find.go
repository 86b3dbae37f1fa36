package pyfind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gowsgi/protocol/ipc"
)

// askTimeout is how long the interpreter may take to answer. It needs some 30 ms,
// plus what sitecustomize and a cold disk take; but a hundred times that on a machine
// that does something else, or in a container that is held to a part of a core.
const askTimeout = 30 * time.Second

// oldest is the first version whose stable ABI has all that workers call.
var oldest = [2]int{3, 8}

// finder is one search.
type finder struct {
	// dir is the application's directory, absolute.
	dir string
	// program is the absolute path of the running binary, "" if nobody knows.
	program string
	getenv  func(string) string
	timeout time.Duration
	// host opens the library of hosted workers.
	host func() (*os.File, error)
	// system lists the directories the dynamic loader searches besides those of
	// the interpreter's own installation.
	system []string
}

// Find returns the interpreter of the workers, and its shared libpython, or, without
// one, the library by which it hosts the server. The interpreter is w.Python if that
// is not empty (a path, a name on PATH, or the directory of a virtual environment; a
// relative path is seen from w.Dir), else that of the environment whose bin directory
// the running binary is in, else that of the virtual environment $VIRTUAL_ENV, else
// that of .venv in w.Dir, else the one beside the binary if a wheel was installed
// there, else python3 on PATH.
//
// host opens the server's library; it is called if that is needed only, and what it
// returns is passed on as Host.
//
// Find runs the interpreter in w.Dir and blocks until it has answered, for 30
// seconds at most or until ctx is done. The environment of this process applies,
// PYTHON* variables included. Executable of the result is not resolved: it is
// through its own link that CPython finds a virtual environment. Errors are
// *Error, those of host, and ctx.Err() if ctx is done.
func Find(ctx context.Context, w ipc.Wanted, getenv func(string) string, host func() (*os.File, error)) (ipc.Python, error) {
	f := &finder{dir: w.Dir, program: ownProgram(), getenv: getenv, timeout: askTimeout, host: host, system: systemDirs()}
	return f.find(ctx, w)
}

func (f *finder) find(ctx context.Context, w ipc.Wanted) (ipc.Python, error) {
	path, err := f.choose(w.Python)
	if err != nil {
		return ipc.Python{}, err
	}
	if err := checkProgram(path); err != nil {
		return ipc.Python{}, err
	}
	facts, err := f.ask(ctx, path)
	if err != nil {
		return ipc.Python{}, err
	}
	if err := facts.check(); err != nil {
		return ipc.Python{}, err
	}
	p := ipc.Python{Executable: facts.Executable, Version: facts.Version}
	err = f.chooseMode(&p, facts, w.Mode)
	return p, err
}

// chooseMode completes p: the shared libpython if there is one, else the server's own
// library, unless mode says which.
func (f *finder) chooseMode(p *ipc.Python, v *facts, mode string) error {
	asked := "python_mode is " + mode
	if mode == ipc.ModeHosted {
		p.Why = asked
		return f.openHost(p, v)
	}
	library, missing := f.library(v)
	switch {
	case missing == nil:
		p.Library, p.Why = library, "it has a shared libpython"
		if mode == ipc.ModeDlopen {
			p.Why = asked
		}
		return nil
	case mode == ipc.ModeDlopen:
		return missing
	}
	p.Why = "it has no shared libpython"
	err := f.openHost(p, v)
	var e *Error
	if err != nil && errors.As(missing, &e) {
		return &Error{Kind: ErrNoLibrary, Path: e.Path, Text: fmt.Sprintf("%s; or let it host the server: %v", e.Text, err), Cause: err}
	}
	return err
}

// openHost opens the library of hosted workers. The loader of musl would refuse it: a
// library of Go's keeps a variable in the static TLS block (initial-exec), for which
// musl makes no room when a program runs already.
func (f *finder) openHost(p *ipc.Python, v *facts) (err error) {
	if !strings.HasPrefix(v.Libc, "glibc ") {
		return &Error{Kind: ErrUnsupported, Path: v.Executable,
			Text: fmt.Sprintf("%s cannot host the server: its C library is not glibc; pass an interpreter that has a shared libpython, or one for glibc, with --python", v.Executable)}
	}
	p.Host, err = f.host()
	return err
}

// choose returns the absolute path of the interpreter to ask.
func (f *finder) choose(explicit string) (string, error) {
	if explicit != "" {
		return f.chooseExplicit(explicit)
	}
	// A script that pip installs runs with the interpreter it was installed for,
	// whichever environment is active: so gunicorn does, and so does this.
	if env := f.ownEnvironment(); env != "" {
		return venvPython(env, "the environment of "+f.program)
	}
	if env := f.getenv("VIRTUAL_ENV"); env != "" {
		return venvPython(f.absolute(env), "$VIRTUAL_ENV")
	}
	env := filepath.Join(f.dir, ".venv")
	if isVenv(env) || exists(filepath.Join(env, "bin", "python")) {
		return venvPython(env, "the virtual environment")
	}
	if path := f.pythonOfWheel(); path != "" {
		return path, nil
	}
	if path := f.lookPath("python3"); path != "" {
		return path, nil
	}
	return "", &Error{Kind: ErrNotFound,
		Text: "no Python found: no $VIRTUAL_ENV, no .venv in " + f.dir + ", no python3 on PATH; install Python 3 or pass --python PATH"}
}

// chooseExplicit finds what --python names.
func (f *finder) chooseExplicit(name string) (string, error) {
	path := f.absolute(name)
	if !strings.Contains(name, "/") {
		if found := f.lookPath(name); found != "" {
			return found, nil
		}
		if !isDir(path) {
			return "", &Error{Kind: ErrNotFound, Path: name,
				Text: fmt.Sprintf("--python %s: no such program on PATH; pass the path of an interpreter", name)}
		}
	}
	if isDir(path) {
		return venvPython(path, "--python")
	}
	if !exists(path) {
		return "", &Error{Kind: ErrNotFound, Path: path,
			Text: fmt.Sprintf("--python %s: no such file; pass the path of an interpreter", name)}
	}
	return path, nil
}

// absolute returns path as seen from dir.
func (f *finder) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(f.dir, path)
}

// lookPath returns the absolute path of the program name on PATH, or "".
// Directories of PATH that are not absolute are passed over: what is in them
// depends on where the server was started.
func (f *finder) lookPath(name string) string {
	for _, dir := range filepath.SplitList(f.getenv("PATH")) {
		if !filepath.IsAbs(dir) {
			continue
		}
		path := filepath.Join(dir, name)
		if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

// checkProgram refuses a path that cannot be an interpreter, before it is run.
func checkProgram(path string) error {
	if err := checkVenv(filepath.Dir(filepath.Dir(path))); err != nil {
		return err
	}
	fi, err := os.Stat(path)
	if err != nil {
		return &Error{Kind: ErrNotFound, Path: path,
			Text: fmt.Sprintf("%s is a link to a file that does not exist; pass another interpreter with --python", path)}
	}
	if !fi.Mode().IsRegular() || fi.Mode()&0o111 == 0 {
		return &Error{Kind: ErrNotPython, Path: path,
			Text: fmt.Sprintf("%s is not executable; pass the path of an interpreter with --python", path)}
	}
	return nil
}

// exists reports whether there is a file, or a link to nowhere, at path.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func isDir(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}
