package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"gowsgi/config"
	"gowsgi/internal/version"
	"gowsgi/protocol/ipc"
)

// versionPatience is how long --version waits for an interpreter's answer.
const versionPatience = 2 * time.Second

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
	if p, err := chosenPython(args, dir, versionPatience); err != nil {
		fmt.Fprintf(w, "Python: none (%v)\n", err)
	} else {
		fmt.Fprintf(w, "Python %s: %s (%s: %s)\n", p.Version, p.Executable, p.Mode(), p.Why)
	}
}

// chosenPython returns the interpreter that a start with args would load. It waits
// for its answer no longer than patience.
func chosenPython(args []string, dir string, patience time.Duration) (ipc.Python, error) {
	src, err := config.Parse(args, os.Getenv, dir)
	if err != nil {
		return ipc.Python{}, err
	}
	file, _ := src.File() // without an error or with one, it has what arguments say
	ctx, cancel := context.WithTimeoutCause(context.Background(), patience,
		fmt.Errorf("it did not answer within %v", patience))
	defer cancel()
	p, err := findPython(ctx, ipc.Wanted{Python: file.Python, Mode: file.PythonMode, Dir: file.Chdir}, os.Getenv)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return p, err
}
