package config

import (
	"errors"
	"strings"
	"testing"
)

// environ is a getenv over a map.
func environ(m map[string]string) func(string) string {
	return func(name string) string { return m[name] }
}

// Load is what a process does that reads no Python file.
func Load(args []string, getenv func(string) string, dir string) (*Command, error) {
	s, err := Parse(args, getenv, dir)
	if err != nil {
		return nil, err
	}
	file, err := s.File()
	if err != nil {
		return nil, err
	}
	var values *Values
	if file.Kind == FileTOML {
		if values, err = file.Read(); err != nil {
			return nil, err
		}
	}
	return s.Load(values)
}

// load is Load in an empty directory, of args split at blanks.
func load(t *testing.T, args string, env map[string]string) (*Command, error) {
	t.Helper()
	return Load(strings.Fields(args), environ(env), t.TempDir())
}

// mustLoad is load without an error.
func mustLoad(t *testing.T, args string, env map[string]string) *Config {
	t.Helper()
	cmd, err := load(t, args, env)
	if err != nil {
		t.Fatalf("Load(%q, %v): %v", args, env, err)
	}
	return cmd.Config
}

// wantError checks the exit code of err, that it is one line, and its text.
func wantError(t *testing.T, err error, code int, text string) {
	t.Helper()
	if err == nil {
		t.Errorf("got no error, want %q", text)
		return
	}
	if got := ExitCode(err); got != code {
		t.Errorf("got exit code %d, want %d (%v)", got, code, err)
	}
	if err.Error() != text {
		t.Errorf("got error\n\t%s\nwant\n\t%s", err, text)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %q", err)
	}
	var usage *UsageError
	var bad *Error
	if !errors.As(err, &usage) && !errors.As(err, &bad) {
		t.Errorf("got a %T, want *UsageError or *Error", err)
	}
}

// texts returns the bind settings of c as given.
func texts(c *Config) string {
	var all []string
	for _, a := range c.Bind {
		all = append(all, a.Text)
	}
	return strings.Join(all, " ")
}
