package integration

import (
	"strings"
	"syscall"
	"testing"

	"gowsgi/internal/gowsgitest"
	"gowsgi/internal/status"
)

// brokenService is a service of two workers whose code on the disk was broken, and
// whose operator has tried to reload it; then one of its workers is killed.
func brokenService(t *testing.T, args ...string) (s *gowsgitest.Server, path string, left int) {
	t.Helper()
	dir := t.TempDir()
	path = write(t, dir, "app.py", version(1))
	s = gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: append(args, "-w", "2", "app")})
	waitStatus(t, s, "both ready", func(r *status.Report) bool { return r.Ready == 2 && r.State == "running" })
	workers := s.WaitBooted(2)
	replace(t, path, "raise ValueError('broken')\n")
	s.Signal(syscall.SIGHUP)
	s.Log.Wait(t, `Reload failed: ValueError: broken`)
	waitStatus(t, s, "the reload is over", func(r *status.Report) bool { return !r.Reload.InProgress && len(r.Workers) == 2 })
	kill(t, workers[0], "KILL")
	return s, path, workers[1]
}

// A worker that dies while the code on the disk is broken cannot be replaced: the
// others go on, the traceback is on the log once, tries become rare, the status says
// so, and the next good HUP brings all back at once.
func TestNoReplacementForBrokenCode(t *testing.T) {
	t.Parallel()
	s, path, left := brokenService(t)
	s.Log.WaitN(t, `Worker \(pid:\d+\) failed to boot as before`, 4)
	for range 20 {
		if got := s.GetOK("/"); got != "version 1" {
			t.Fatalf("got %q", got)
		}
	}
	if n := s.Log.Count(`raise ValueError`); n != 1 {
		t.Errorf("the traceback is %d times on the log, want once", n)
	}
	r := waitStatus(t, s, "workers do not start", func(r *status.Report) bool { return r.Boot.Failed != "" && r.Boot.Next != nil })
	if r.Healthy() || r.Ready != 1 || !strings.Contains(r.Boot.Traceback, "raise ValueError") {
		t.Errorf("the status is %+v", r)
	}
	text, _, code := gowsgi(t, "status", "--pid", itoa(s.PID))
	if code != 1 || !strings.Contains(text, "WORKERS DO NOT START") || !strings.Contains(text, "LAST RELOAD FAILED") {
		t.Errorf("exit code %d\n%s", code, text)
	}
	replace(t, path, version(2))
	mark := s.Log.Mark()
	s.Signal(syscall.SIGHUP)
	s.Log.WaitAfter(t, mark, `Reload complete: 2 workers`)
	waitWorkers(t, s, 2, left) // it may still answer
	if got := s.GetOK("/"); got != "version 2" {
		t.Errorf("got %q", got)
	}
	waitStatus(t, s, "healthy", func(r *status.Report) bool { return r.Healthy() && r.Ready == 2 })
	stops(t, s)
}

// The same when the file is repaired and nobody sends a HUP.
func TestReplacementWhenTheCodeIsRepaired(t *testing.T) {
	t.Parallel()
	s, path, left := brokenService(t)
	s.Log.WaitN(t, `Worker \(pid:\d+\) failed to boot as before`, 2)
	replace(t, path, version(2))
	r := waitStatus(t, s, "two workers", func(r *status.Report) bool { return r.Ready == 2 && r.Boot.Failed == "" })
	if r.Reload.Failed == "" {
		t.Error("the reload that failed is forgotten, although one worker still runs the old code")
	}
	if got := s.Workers(); len(got) != 2 || got[0] != left {
		t.Errorf("workers are %v, want %d and another one", got, left)
	}
	stops(t, s)
}

// With --preload the old spawner has the old code: the worker is replaced, and runs
// what the others run.
func TestPreloadReplacesAfterABrokenReload(t *testing.T) {
	t.Parallel()
	s, path, _ := brokenService(t, "--preload")
	waitStatus(t, s, "two workers", func(r *status.Report) bool { return r.Ready == 2 && r.Gone.Deaths == 1 })
	for range 10 {
		if got := s.GetOK("/"); got != "version 1" {
			t.Fatalf("got %q, want the old code", got)
		}
	}
	if n := s.Log.Count(`failed to boot`); n != 0 {
		t.Errorf("%d workers failed to boot", n)
	}
	replace(t, path, version(2))
	mark, old := s.Log.Mark(), s.Workers()
	s.Signal(syscall.SIGHUP)
	s.Log.WaitAfter(t, mark, `Reload complete: 2 workers`)
	waitWorkers(t, s, 2, old...) // they may still answer
	waitStatus(t, s, "healthy", (*status.Report).Healthy)
	if got := s.GetOK("/"); got != "version 2" {
		t.Errorf("got %q", got)
	}
	stops(t, s)
}
