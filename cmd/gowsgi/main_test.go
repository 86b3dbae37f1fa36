package main

import (
	"os"
	"strings"
	"testing"

	"gowsgi/internal/sys"
)

// TestRun covers what ends before there is a master. It is not parallel: run
// reads os.Args.
func TestRun(t *testing.T) {
	for _, name := range []string{"PORT", "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS", "GOWSGI_CMD_ARGS"} {
		t.Setenv(name, "")
	}
	for _, tt := range []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string // how they begin
	}{
		{"version", []string{"--version"}, 0, "gowsgi (version 0.1.0)\n", ""},
		{"short version", []string{"-v"}, 0, "gowsgi (version 0.1.0)\n", ""},
		{"help", []string{"--help"}, 0, "usage: gowsgi [flags] MODULE[:VARIABLE]", ""},
		{"unknown flag", []string{"--bogus"}, 2, "", "usage: gowsgi [flags] MODULE[:VARIABLE]\ngowsgi: error: unrecognized arguments: --bogus\n"},
		{"not a number", []string{"-w", "abc", "app"}, 2, "", "usage: gowsgi [flags] MODULE[:VARIABLE]\ngowsgi: error: "},
		{"refused value", []string{"-w", "-1", "app"}, 1, "", "\nError: "},
		{"status of nobody", []string{"status", "--pid", "1"}, 2, "", "gowsgi status: process 1: no gowsgi master"},
		{"status of no file", []string{"status", "--pidfile", "/no/such/file"}, 2, "", "gowsgi status: open /no/such/file"},
		{"status with a wrong flag", []string{"status", "--bogus"}, 2, "", "gowsgi status: unknown flag: --bogus"},
		{"status with too much", []string{"status", "now"}, 2, "", "gowsgi status: unexpected argument"},
		{"help on status", []string{"status", "--help"}, 0, "usage: gowsgi status [--pid PID", ""},
		{"stacks of nobody", []string{"stacks", "1"}, 2, "", "gowsgi stacks: process 1: neither"},
		{"stacks of no number", []string{"stacks", "-1"}, 2, "", "gowsgi stacks: unknown shorthand"},
		{"stacks with too much", []string{"stacks", "1", "2"}, 2, "", "gowsgi stacks: unexpected argument"},
		{"help on stacks", []string{"stacks", "--help"}, 0, "usage: gowsgi stacks [PID]", ""},
		{"no application", nil, 1, "", "\nError: No application module specified."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			old := os.Args
			t.Cleanup(func() { os.Args = old })
			os.Args = append([]string{"gowsgi"}, tt.args...)
			var stdout, stderr strings.Builder
			if code := run(&sys.Title{}, &stdout, &stderr); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, s := range []struct{ name, got, want string }{
				{"standard output", stdout.String(), tt.stdout}, {"standard error", stderr.String(), tt.stderr},
			} {
				if !strings.HasPrefix(strings.ToLower(s.got), strings.ToLower(s.want)) || s.want == "" && s.got != "" {
					t.Errorf("%s %q, want %q", s.name, s.got, s.want)
				}
			}
		})
	}
}
