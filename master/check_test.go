package master

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/protocol/ipc"
)

// TestCheck is --check-config.
func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script func(p *proc)
		code   int
		stderr string
	}{
		{"loads", func(p *proc) { p.exit(0) }, 0, ""},
		{"import raises", func(p *proc) { p.bootFails("Traceback\nValueError: no\n") }, 1, "\nError while loading the application:\n\nTraceback\nValueError: no\n"},
		{"no application", func(p *proc) { p.fails(ipc.ExitApp, "Failed to find attribute 'x' in 'app'.", "") }, 1, "\nError while loading the application:\n\nFailed to find attribute 'x' in 'app'.\n"},
		{"dies", func(p *proc) { p.die(unix.SIGSEGV) }, 1, "\nError while loading the application:\n\nWorker (pid:101) was sent SIGSEGV!\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &sim{t: t}
				s.script = func(p *proc) {
					if !p.boot.Check || len(p.boot.Listeners) != 0 {
						t.Error("the worker was not told to check only")
					}
					tt.script(p)
				}
				var stderr strings.Builder
				cfg := simConfig(config.Config{Workers: 4, Bind: []config.Address{{Network: "fd", FD: 999}}, PIDFile: "/no/such/dir/x"}, "/no/such/dir/x")
				m := newMaster(cfg, Options{
					Check: true, Stderr: &stderr,
					FindPython: func(context.Context, ipc.Wanted, func(string) string) (ipc.Python, error) {
						return ipc.Python{}, nil
					},
				}, s.env())
				if code := m.Run(); code != tt.code {
					t.Errorf("exit code %d, want %d", code, tt.code)
				}
				if stderr.String() != tt.stderr {
					t.Errorf("standard error %q, want %q", stderr.String(), tt.stderr)
				}
			})
		})
	}
}
