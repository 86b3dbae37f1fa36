// Command gowsgi serves Python WSGI applications. One binary is all processes:
// the master by default, a worker when the master started it (ipc.EnvWorker).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"gowsgi/config"
	"gowsgi/internal/daemon"
	"gowsgi/internal/sys"
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
		os.Exit(worker.Run(os.Getenv(ipc.EnvWorker)))
	}
	// The master has little to do, and each processor has caches of its own.
	runtime.GOMAXPROCS(min(2, runtime.NumCPU()))
	title := sys.OwnTitle()
	os.Exit(run(title, os.Stdout, os.Stderr))
}

// run is everything but the worker: it returns the exit code.
func run(title *sys.Title, stdout, stderr io.Writer) int {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "status":
			return runStatus(os.Args[2:], stdout, stderr)
		case "stacks":
			return runStacks(os.Args[2:], stdout, stderr)
		}
	}
	dir, err := os.Getwd()
	if err != nil {
		fmt.Fprintf(stderr, "\nError: %v\n", err)
		return exitStart
	}
	d := daemon.Become()
	if d != nil {
		stderr = d.Stderr
	}
	opts := master.Options{
		Args:       os.Args,
		Environ:    daemon.Environ(),
		Dir:        dir,
		Stderr:     stderr,
		FindPython: findPython,
		SpawnerImage: func(p ipc.Python) []byte {
			return python.SpawnerImage(p.Library, p.Executable)
		},
		HostImage: python.HostImage,
		Settled:   python.ForgetFilePages,
		SetTitle:  title.Set,
	}
	master.KeepInherited(opts.Environ)
	opts.Reload = func(ctx context.Context) (*master.Loaded, error) {
		cmd, file, err := loadConfig(ctx, &opts)
		if err != nil {
			return nil, err
		}
		return &master.Loaded{Config: cmd.Config, File: file, Warnings: cmd.Warnings}, nil
	}
	cmd, file, err := loadConfig(context.Background(), &opts)
	if err != nil {
		reportConfigError(stderr, err)
		return config.ExitCode(err)
	}
	opts.Warnings, opts.File = cmd.Warnings, file
	switch cmd.Action {
	case config.ActionHelp:
		config.Help(stdout)
		return 0
	case config.ActionVersion:
		printVersion(stdout, os.Args[1:], dir)
		return 0
	case config.ActionPrint:
		cmd.Print(stdout)
		printPython(stdout, cmd.Config, os.Getenv)
		opts.Check = true
	case config.ActionCheck:
		opts.Check = true
	}
	switch {
	case d != nil:
		opts.Starter = d
	case cmd.Config.Daemon && !opts.Check && !master.Succeeds(opts.Environ):
		if file != nil {
			file.Discard() // the daemon executes it again
		}
		code, err := daemon.Start(cmd.Config.EnableStdio, stderr)
		if err != nil {
			fmt.Fprintf(stderr, "\nError: %v\n", err)
			return exitStart
		}
		return code
	}
	return master.New(cmd.Config, opts).Run()
}

// loadConfig reads all sources. A configuration file in Python is executed, by a
// process that is returned.
func loadConfig(ctx context.Context, o *master.Options) (*config.Command, *master.Executed, error) {
	src, err := config.Parse(o.Args[1:], os.Getenv, o.Dir)
	if err != nil {
		return nil, nil, err
	}
	if a := src.Action(); a == config.ActionHelp || a == config.ActionVersion {
		cmd, err := src.Load(nil)
		return cmd, nil, err
	}
	file, err := src.File()
	if err != nil {
		return nil, nil, err
	}
	var (
		values   *config.Values
		executed *master.Executed
	)
	switch file.Kind {
	case config.FileTOML:
		values, err = file.Read()
	case config.FilePython, config.FileModule:
		if executed, err = master.Execute(ctx, file, o); err == nil {
			values = executed.Values
		}
	}
	if err != nil {
		return nil, nil, err
	}
	cmd, err := src.Load(values)
	if err != nil {
		return nil, nil, errors.Join(err, executed.Discard())
	}
	return cmd, executed, nil
}

// reportConfigError writes what gunicorn would: a usage for a command line that
// cannot be understood, one line for a value that is refused.
func reportConfigError(w io.Writer, err error) {
	var (
		usage *config.UsageError
		file  *master.FileError
	)
	if errors.As(err, &file) {
		file.Report(w)
		return
	}
	if errors.As(err, &usage) {
		fmt.Fprintf(w, "usage: gowsgi [flags] MODULE[:VARIABLE]\ngowsgi: error: %v\n", err)
		return
	}
	fmt.Fprintf(w, "\nError: %v\n", err)
}
