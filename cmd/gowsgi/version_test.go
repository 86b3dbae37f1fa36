package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

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

// versionOf returns what --version prints behind args, without its first two lines,
// which it checks.
func versionOf(t *testing.T, args ...string) string {
	t.Helper()
	for _, name := range []string{"VIRTUAL_ENV", "GUNICORN_CMD_ARGS", "GOWSGI_CMD_ARGS"} {
		t.Setenv(name, "")
	}
	var out strings.Builder
	printVersion(&out, args, t.TempDir())
	lines := strings.SplitAfterN(out.String(), "\n", 3)
	if len(lines) != 3 {
		t.Fatalf("got %q, want three lines", out.String())
	}
	for i, want := range []string{`^gowsgi \(version \d+\.\d+\.\d+\)\n$`, `^commit ([0-9a-f]{12}(\+dirty)?|unknown), go1\.\S+, linux/\w+\n$`} {
		if !regexp.MustCompile(want).MatchString(lines[i]) {
			t.Errorf("got line %q, want it to match %s", lines[i], want)
		}
	}
	return lines[2]
}

func TestVersionNamesPython(t *testing.T) {
	python := gowsgitest.Loadable(t)[0].Path
	want := regexp.MustCompile(`^Python 3\.\d+\.\d+\S*: /\S+ \(dlopen: it has a shared libpython\)\n$`)
	var got string
	// It may take its time on a busy machine, and is then none.
	if !gowsgitest.Eventually(func() bool { got = versionOf(t, "--python", python); return want.MatchString(got) }) {
		t.Errorf("got %q, want it to name the Python of %s", got, python)
	}
}

// TestVersionWithoutPython: that there is none is an answer.
func TestVersionWithoutPython(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"missing", []string{"--python", "/no/such"}, `^Python: none \(--python /no/such: no such file; .*\)\n$`},
		{"broken", []string{"--python", program(t, "exit 7")}, `^Python: none \(.* exit status 7; .*\)\n$`},
		{"no arguments that could be read", []string{"--bogus"}, `^Python: none \(unrecognized arguments: --bogus\)\n$`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := versionOf(t, tt.args...); !regexp.MustCompile(tt.want).MatchString(got) {
				t.Errorf("got %q, want it to match %s", got, tt.want)
			}
		})
	}
}
