package worker

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSignalAtReady: a signal that comes in the moment in which booting is over is
// left to those who drain; the process does not end there and then, which would
// be a call of os.Exit. The rounds are there because a select that has more than
// one way to go takes any.
func TestSignalAtReady(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		signal bool
	}{{"signal", true}, {"none", false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for range 64 {
				cfg := testConfig()
				cfg.GracefulTimeout = time.Hour
				r := newRig(t, cfg)
				death, master, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				p := &process{loops: loops{r.engine}, cfg: cfg, log: r.log, parent: &parent{death: death}, quit: make(chan os.Signal, 16)}
				booted := make(chan struct{})
				if tt.signal {
					p.quit <- unix.SIGTERM
				}
				close(booted)
				_ = master.Close() // the master is gone, too: nothing to wait for
				p.leaveWhileBooting(booted)
				_ = death.Close()
				if tt.signal && (len(p.quit) != 1 || <-p.quit != unix.SIGTERM) {
					t.Fatal("the signal was lost")
				}
				waitFor(t, "draining", r.draining.Load)
				if !strings.Contains(r.logged.String(), "Parent changed, shutting down") {
					t.Fatalf("the log says %q, want that the master is gone", r.logged)
				}
			}
		})
	}
}

// waitFor waits until ok returns true.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen", what)
		}
	}
}
