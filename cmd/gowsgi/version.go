package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"

	"gowsgi/config"
	"gowsgi/internal/version"
	"gowsgi/protocol/ipc"
)

// printVersion writes what somebody who reports a bug is asked for. The first line
// is as gunicorn's. That there is no Python to load is one of the answers, not a
// failure. Of the settings only the arguments' count: no configuration file is
// read, or run.
func printVersion(w io.Writer, args []string, dir string) {
	fmt.Fprintf(w, "gowsgi (version %s)\n", version.Number)
	commit := version.Commit()
	if commit == "" {
		commit = "unknown"
	}
	fmt.Fprintf(w, "commit %s, %s, %s/%s\n", commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if p, err := chosenPython(args, dir); err != nil {
		fmt.Fprintf(w, "Python: none (%v)\n", err)
	} else {
		fmt.Fprintf(w, "Python %s: %s (%s: %s)\n", p.Version, p.Executable, p.Mode(), p.Why)
	}
}

// chosenPython returns the interpreter that a start with args would load.
func chosenPython(args []string, dir string) (ipc.Python, error) {
	src, err := config.Parse(args, os.Getenv, dir)
	if err != nil {
		return ipc.Python{}, err
	}
	file, _ := src.File() // without an error or with one, it has what arguments say
	w := ipc.Wanted{Python: file.Python, Mode: file.PythonMode, Dir: file.Chdir}
	return findPython(context.Background(), w, os.Getenv)
}
