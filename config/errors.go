package config

import (
	"errors"
	"fmt"
	"strings"
)

// Exit codes of a process whose configuration was refused, as gunicorn's.
const (
	exitBadValue = 1
	exitUsage    = 2
)

// UsageError is a command line that cannot be understood: an unknown or
// ambiguous flag, a missing value, a word where a number must be. Its exit code
// is 2, as argparse's.
type UsageError struct {
	// Source is the environment variable the arguments came from, "" for the
	// command line.
	Source string
	// Reason is one line, in argparse's words.
	Reason string
}

// Error returns one line.
func (e *UsageError) Error() string {
	if e.Source != "" {
		return e.Source + ": " + e.Reason
	}
	return e.Reason
}

// Error is a value that is refused. Its exit code is 1.
type Error struct {
	// Setting is the name of the setting, as --print-config shows it.
	Setting string
	// Value is the refused text. It is empty if the setting is missing or is
	// refused whatever its value.
	Value string
	// Reason says what is wrong.
	Reason string
	// Source is the environment variable or the configuration file the value came
	// from, "" for the command line.
	Source string

	// shown is the value as it is shown, if that is not Value in quotes.
	shown string
	// complete says that Reason is the whole line.
	complete bool
}

// Error returns one line that names the setting and the value.
func (e *Error) Error() string {
	from := ""
	if e.Source != "" {
		from = e.Source + ": "
	}
	if e.complete {
		return from + e.Reason
	}
	shown := e.shown
	if shown == "" {
		shown = quote(e.Value)
	}
	return fmt.Sprintf("%sinvalid value for %s: %s: %s", from, e.Setting, shown, e.Reason)
}

// ExitCode returns the exit code for an error of Load: 0 for nil, 2 for a
// UsageError, 1 for anything else.
func ExitCode(err error) int {
	var usage *UsageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		return exitUsage
	}
	return exitBadValue
}

// syntaxError is a text that is not of its setting's type at all. On a command
// line it is a usage error, elsewhere a bad value.
type syntaxError struct {
	// typ is the type in argparse's words: "int", "float", "bool".
	typ string
}

func (e *syntaxError) Error() string { return "not a valid " + e.typ }

// maxQuoted bounds what a message repeats of a value, in bytes.
const maxQuoted = 200

// quote renders s on one line for a message, in single quotes as Python's repr
// does, and cut if it is long.
func quote(s string) string {
	cut := ""
	if len(s) > maxQuoted {
		s, cut = strings.ToValidUTF8(s[:maxQuoted], ""), "..."
	}
	return pyRepr(s) + cut
}
