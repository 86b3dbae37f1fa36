// Command gowsgi serves Python WSGI applications. One binary is all processes:
// the master by default, a worker when the master started it (ipc.EnvWorker).
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"gowsgi/config"
	"gowsgi/internal/pyfind"
	"gowsgi/internal/sys"
	"gowsgi/internal/version"
	"gowsgi/master"
	"gowsgi/protocol/ipc"
	"gowsgi/worker"
	"gowsgi/worker/python"
)

// exitStart is the exit code of a process that cannot even begin.
const exitStart = 1

// In a worker the main goroutine stays on the process's main OS thread, the one
// CPython calls its main thread: signal.signal, asyncio and some extension
// modules work only there. A lock taken during initialisation, and only then,
// is on that thread. The master has no such need, and an unlocked goroutine is
// cheaper to switch to.
func init() {
	if isWorker() {
		runtime.LockOSThread()
	}
}

func isWorker() bool { return os.Getenv(ipc.EnvWorker) != "" }

func main() {
	if isWorker() {
		// The kernel calls the process "exe", after the path it was started by.
		// ps and top show the main thread's name, and this is the main thread.
		sys.SetThreadName("gowsgi")
		os.Exit(worker.Run())
	}
	title := sys.OwnTitle()
	os.Exit(run(title, os.Stdout, os.Stderr))
}

// run is everything but the worker: it returns the exit code.
func run(title *sys.Title, stdout, stderr io.Writer) int {
	dir, err := os.Getwd()
	if err != nil {
		fmt.Fprintf(stderr, "\nError: %v\n", err)
		return exitStart
	}
	load := func() (*config.Command, error) { return loadConfig(os.Args[1:], dir) }
	cmd, err := load()
	if err != nil {
		reportConfigError(stderr, err)
		return config.ExitCode(err)
	}
	opts := master.Options{
		Args:       os.Args,
		Environ:    os.Environ(),
		Dir:        dir,
		Stderr:     stderr,
		Warnings:   cmd.Warnings,
		FindPython: pyfind.Find,
		SpawnerImage: func(p ipc.Python) []byte {
			return python.SpawnerImage(p.Library, p.Executable)
		},
		SetTitle: title.Set,
		Reload: func() (*config.Config, error) {
			cmd, err := load()
			if err != nil {
				return nil, err
			}
			return cmd.Config, nil
		},
	}
	switch cmd.Action {
	case config.ActionHelp:
		config.Help(stdout)
		return 0
	case config.ActionVersion:
		fmt.Fprintf(stdout, "gowsgi (version %s)\n", version.Number)
		return 0
	case config.ActionPrint:
		cmd.Print(stdout)
		opts.Check = true
	case config.ActionCheck:
		opts.Check = true
	}
	return master.New(cmd.Config, opts).Run()
}

// loadConfig reads all sources.
func loadConfig(args []string, dir string) (*config.Command, error) {
	src, err := config.Parse(args, os.Getenv, dir)
	if err != nil {
		return nil, err
	}
	if a := src.Action(); a == config.ActionHelp || a == config.ActionVersion {
		return src.Load(nil)
	}
	file, err := src.File()
	if err != nil {
		return nil, err
	}
	var values *config.Values
	switch file.Kind {
	case config.FileTOML:
		if values, err = file.Read(); err != nil {
			return nil, err
		}
	case config.FilePython, config.FileModule:
		return nil, fmt.Errorf("%s: configuration files in Python are not supported yet; -c /dev/null reads none", file.Text)
	}
	return src.Load(values)
}

// reportConfigError writes what gunicorn would: a usage for a command line that
// cannot be understood, one line for a value that is refused.
func reportConfigError(w io.Writer, err error) {
	var usage *config.UsageError
	if errors.As(err, &usage) {
		fmt.Fprintf(w, "usage: gowsgi [flags] MODULE[:VARIABLE]\ngowsgi: error: %v\n", err)
		return
	}
	fmt.Fprintf(w, "\nError: %v\n", err)
}
