package pyfind

import (
	"errors"
	"strings"
)

// Kinds of an Error, for errors.Is.
var (
	// ErrNotFound: there is no interpreter where one was asked for or looked for.
	ErrNotFound = errors.New("pyfind: no interpreter")
	// ErrNotPython: the program does not answer as Python.
	ErrNotPython = errors.New("pyfind: not Python")
	// ErrBrokenVenv: the virtual environment has lost the Python it was made with.
	ErrBrokenVenv = errors.New("pyfind: broken virtual environment")
	// ErrUnsupported: a Python that workers cannot load, by age or kind.
	ErrUnsupported = errors.New("pyfind: unsupported Python")
	// ErrNoLibrary: the interpreter has no shared libpython.
	ErrNoLibrary = errors.New("pyfind: no shared libpython")
)

// Error says why there is no Python to load.
type Error struct {
	// Kind is one of the Err values of this package.
	Kind error
	// Path is the interpreter or the environment, as far as one is known.
	Path string
	// Text is one line that says what to install or pass.
	Text string
	// Cause is why the interpreter cannot host the server either, nil unless that was
	// tried.
	Cause error
}

// Error returns Text.
func (e *Error) Error() string { return e.Text }

// Unwrap returns Kind and Cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

// maxQuoted bounds what a message repeats of an interpreter's output, in bytes.
const maxQuoted = 200

// lastLine returns the last line of s that is not blank, cut to maxQuoted.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	line := strings.TrimSpace(lines[len(lines)-1])
	if len(line) > maxQuoted {
		line = strings.ToValidUTF8(line[:maxQuoted], "") + "..."
	}
	return line
}
