package master

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"gowsgi/config"
	"gowsgi/master/spawner"
	"gowsgi/protocol/ipc"
)

// Loaded is a configuration and what came of reading it.
type Loaded struct {
	Config *config.Config
	// File is the configuration file that was executed, nil if there was none in
	// Python.
	File *Executed
	// Warnings are lines for the log.
	Warnings []string
}

// Executed is a configuration file that was executed: by a spawner, which workers
// are to be forked from.
type Executed struct {
	Values  *config.Values
	python  ipc.Python
	spawner *spawner.Process
}

// Execute executes a configuration file in Python, by a new spawner that is
// Discarded or given to a Master. Of the options it uses what they say of the
// process. Errors are *FileError for what the file does, and others.
func Execute(ctx context.Context, f *config.File, o *Options) (*Executed, error) {
	w := ipc.Wanted{Python: f.Python, Mode: f.PythonMode, Dir: f.Chdir}
	python, err := o.FindPython(ctx, w, getenv(o.Environ))
	if err != nil {
		return nil, err
	}
	p, err := startSpawner(o, python, o.Dir)
	if err != nil {
		return nil, err
	}
	order := &ipc.Order{
		Order: ipc.OrderRead, Argv: o.Args, StartDir: o.Dir,
		File: f.Text, Path: f.Path, Module: f.Module,
	}
	report, err := p.Do(ctx, order, func(ipc.Report) {})
	e := &Executed{python: python, spawner: p}
	if err == nil {
		e.Values, err = config.ParseValues(report.File)
	}
	if err != nil {
		return nil, fileError(f, discard(p, err))
	}
	return e, nil
}

// Discard ends the spawner of a file whose values cannot be used, unless a Master
// has taken it. It may be called on nil, and again.
func (e *Executed) Discard() error {
	if p := e.take(); p != nil {
		return discard(p, nil)
	}
	return nil
}

// take returns the spawner, which is the caller's from here on, nil if it was
// taken before.
func (e *Executed) take() *spawner.Process {
	if e == nil {
		return nil
	}
	p := e.spawner
	e.spawner = nil
	return p
}

// FileError is a configuration file that cannot be executed.
type FileError struct {
	// File names it.
	File string
	// Err says why; Traceback is Python's, "" without one.
	Err       error
	Traceback string
}

func (e *FileError) Error() string {
	return fmt.Sprintf("Failed to read config file: %s: %v", e.File, e.Err)
}

func (e *FileError) Unwrap() error { return e.Err }

// Report writes what gunicorn writes.
func (e *FileError) Report(w io.Writer) {
	text := strings.TrimRight(e.Traceback, "\n")
	if text == "" {
		text = "Error: " + e.Err.Error()
	}
	fmt.Fprintf(w, "Failed to read config file: %s\n%s\n", e.File, text)
}

func fileError(f *config.File, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &FileError{File: f.Text, Err: err, Traceback: tracebackOf(err)}
}
