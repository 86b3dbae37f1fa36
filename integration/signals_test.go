package integration

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
)

// gunicorn: TERM. What runs is answered, nothing new is taken, exit code 0.
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	for _, threads := range []string{"1", "2"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			pidfile := filepath.Join(t.TempDir(), "pid")
			s := start(t, "-w", "2", "--threads", threads, "-p", pidfile, "probe")
			s.WaitBooted(2)
			kept := s.Dial()
			kept.Get("/pid")
			g := newGate(t)
			held := ask(s, g.target())
			g.waitStarted(1)
			s.Signal(syscall.SIGTERM)
			s.Log.Wait(t, `Handling signal: term`)
			// An idle connection is not waited for, and closed without a reset.
			kept.WaitClosed()
			if !gowsgitest.Eventually(func() bool {
				c, err := net.DialTimeout("tcp", s.Addr, time.Second)
				if err == nil {
					c.Close()
				}
				return errors.Is(err, syscall.ECONNREFUSED)
			}) {
				t.Error("new connections are still taken")
			}
			if !s.Running() {
				t.Error("the master did not wait for the request")
			}
			g.open()
			if a := <-held; a.err != nil || a.Status != 200 {
				t.Errorf("got %v, want 200", a)
			}
			if code := s.Wait(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			if exists(pidfile) {
				t.Error("the pidfile is left")
			}
			s.Log.Wait(t, `Shutting down: Master`)
		})
	}
}

// gunicorn: graceful_timeout. A request that does not end is cut.
func TestGracefulTimeout(t *testing.T) {
	t.Parallel()
	s := start(t, "--graceful-timeout", "1", "--timeout", "0", "probe")
	g := newGate(t)
	held := ask(s, g.target())
	g.waitStarted(1)
	began := time.Now()
	s.Signal(syscall.SIGTERM)
	if code := s.Wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if took := time.Since(began); took < 900*time.Millisecond || took > gowsgitest.Patience {
		t.Errorf("stopped after %v, want 1s", took)
	}
	if a := <-held; a.err == nil {
		t.Errorf("got %v, want an error", a)
	}
	if s.Log.Count(`out of memory`) != 0 {
		t.Error("the master's own kill is blamed on memory")
	}
}

// gunicorn: INT and QUIT stop at once, also when a graceful stop is under way.
func TestQuickStop(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		signals []syscall.Signal
	}{
		{"INT", []syscall.Signal{syscall.SIGINT}},
		{"QUIT", []syscall.Signal{syscall.SIGQUIT}},
		{"TERM then INT", []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}},
		{"TERM then QUIT", []syscall.Signal{syscall.SIGTERM, syscall.SIGQUIT}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pidfile := filepath.Join(t.TempDir(), "pid")
			s := start(t, "-w", "2", "--graceful-timeout", "300", "-p", pidfile, "probe")
			s.WaitBooted(2)
			g := newGate(t)
			held := ask(s, g.target())
			g.waitStarted(1)
			for _, sig := range tt.signals {
				s.Signal(sig)
				names := map[syscall.Signal]string{syscall.SIGINT: "int", syscall.SIGQUIT: "quit", syscall.SIGTERM: "term"}
				if sig == syscall.SIGTERM || len(tt.signals) == 1 {
					s.Log.Wait(t, `Handling signal: `+names[sig])
				}
			}
			if code := s.Wait(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			if a := <-held; a.err == nil && a.Status == 200 {
				t.Errorf("got %v from a request that cannot have ended", a)
			}
			if exists(pidfile) {
				t.Error("the pidfile is left")
			}
		})
	}
}

// A terminal's Ctrl-C reaches the workers too.
func TestInterruptOfTheWholeGroup(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "2", "probe")
	s.WaitBooted(2)
	answering(t, s, 2)
	// gowsgitest gives each server a process group of its own.
	if err := syscall.Kill(-s.PID, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := s.Wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	for _, noise := range []string{`Traceback`, `was sent`, `exited with code`} {
		if s.Log.Count(noise) != 0 {
			t.Errorf("the log of a Ctrl-C has %q", noise)
		}
	}
	if n := s.Log.Count(`Booting worker`); n != 2 {
		t.Errorf("%d workers were started, want 2", n)
	}
}

// gunicorn: TTIN and TTOU, never below one worker.
func TestMoreAndFewerWorkers(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "1", "probe")
	first := s.WaitBooted(1)[0]
	s.Signal(syscall.SIGTTIN)
	s.WaitBooted(2)
	s.Signal(syscall.SIGTTIN)
	waitWorkers(t, s, 3)
	answering(t, s, 3)
	g := newGate(t)
	held := ask(s, g.target())
	g.waitStarted(1)
	s.Signal(syscall.SIGTTOU)
	s.Log.Wait(t, `Handling signal: ttou`)
	g.open()
	if a := <-held; a.err != nil || a.Status != 200 {
		t.Errorf("got %v, want 200: fewer workers must not cut a request", a)
	}
	// The oldest goes first.
	waitWorkers(t, s, 2, first)
	s.Signal(syscall.SIGTTOU)
	last := waitWorkers(t, s, 1)
	for range 3 {
		mark := s.Log.Mark()
		s.Signal(syscall.SIGTTOU)
		s.Log.WaitAfter(t, mark, `Handling signal: ttou`)
	}
	if got := pid(t, s); got != last[0] {
		t.Errorf("%d answers, want %v", got, last)
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// A worker that somebody stops gracefully is replaced.
func TestTermToAWorker(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "2", "probe")
	s.WaitBooted(2)
	answering(t, s, 2)
	g := newGate(t)
	held := ask(s, g.target())
	g.waitStarted(1)
	busy := atoi(t, read(t, g.path+".started"))
	if err := syscall.Kill(busy, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	g.open()
	if a := <-held; a.err != nil || a.Status != 200 {
		t.Errorf("got %v, want 200", a)
	}
	s.Log.Wait(t, fmt.Sprintf(`Worker exiting \(pid: %d\)`, busy))
	s.WaitBooted(3)
	waitWorkers(t, s, 2, busy)
}
