package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"gowsgi/config"
	"gowsgi/internal/hosted"
	"gowsgi/internal/pyfind"
	"gowsgi/protocol/ipc"
)

// findPython is master.Options.FindPython.
func findPython(ctx context.Context, w ipc.Wanted, getenv func(string) string) (ipc.Python, error) {
	return pyfind.Find(ctx, w, getenv, func() (*os.File, error) {
		exe, err := os.Executable()
		if err != nil {
			return nil, err
		}
		return library.Open(exe)
	})
}

// library is that of hosted workers, the same for all that this process starts.
var library hosted.Library

// printPython writes, as a comment below the settings, which interpreter they lead to
// and how it is used. That there is none is said by whoever needs it.
func printPython(w io.Writer, cfg *config.Config, getenv func(string) string) {
	want := ipc.Wanted{Python: cfg.Python, Mode: cfg.PythonMode, Dir: cfg.Chdir}
	p, err := findPython(context.Background(), want, getenv)
	if err != nil {
		return
	}
	fmt.Fprintf(w, "# Python %s (%s) is %s: %s\n", p.Version, p.Executable, p.Mode(), p.Why)
}
