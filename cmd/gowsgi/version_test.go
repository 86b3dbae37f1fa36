package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
)

// program writes an executable shell script. No child may be forked meanwhile: it
// would keep the file open, and running it would fail.
func program(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "python3")
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestVersionNamesPython(t *testing.T) {
	at := slices.IndexFunc(gowsgitest.Pythons(), gowsgitest.Interpreter.Supported)
	if at < 0 {
		t.Fatal("no supported interpreter found")
	}
	python := gowsgitest.Pythons()[at].Path
	for _, name := range []string{"VIRTUAL_ENV", "GUNICORN_CMD_ARGS", "GOWSGI_CMD_ARGS"} {
		t.Setenv(name, "")
	}
	const head = `^gowsgi \(version \d+\.\d+\.\d+\)\ncommit ([0-9a-f]{12}(\+dirty)?|unknown), go1\.\S+, linux/\w+\n`
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"there", []string{"--python", python}, `Python 3\.\d+\.\d+\S*: /\S+ \(dlopen: it has a shared libpython\)\n$`},
		{"missing", []string{"--python", "/no/such"}, `Python: none \(--python /no/such: no such file; .*\)\n$`},
		{"broken", []string{"--python", program(t, "exit 7")}, `Python: none \(.* exit status 7; .*\)\n$`},
		{"no arguments that could be read", []string{"--bogus"}, `Python: none \(unrecognized arguments: --bogus\)\n$`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			printVersion(&out, tt.args, t.TempDir())
			if !regexp.MustCompile(head + tt.want).MatchString(out.String()) {
				t.Errorf("got %q, want it to match %q", out.String(), head+tt.want)
			}
		})
	}
}

// TestVersionWaitsNotLong: an interpreter that does not answer holds nothing up.
func TestVersionWaitsNotLong(t *testing.T) {
	t.Parallel()
	_, err := chosenPython([]string{"--python", program(t, "sleep 600")}, t.TempDir(), 10*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "10ms") {
		t.Errorf("got error %v, want the time it was given", err)
	}
}
