package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
)

// An import that hangs: its stacks are on the log, and it is tried again, ever
// more slowly.
func TestBootTimeout(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app.py", `
import os, time
def waits_for_nobody():
    while not os.path.exists("go"):
        time.sleep(0.01)
waits_for_nobody()
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
`)
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"--boot-timeout", "1.5", "app"}})
	s.Log.Wait(t, `\[CRITICAL\] WORKER BOOT TIMEOUT \(pid:\d+\)`)
	s.Log.Wait(t, `File ".*app.py", line \d+ in waits_for_nobody`)
	s.Log.Wait(t, `\[ERROR\] Worker \(pid:\d+\) was ended after boot timeout \(1\.5s\)`)
	s.WaitBooted(2)
	write(t, dir, "go", "")
	if got := s.GetOK("/"); got != "ok" {
		t.Errorf("got %q", got)
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// A worker that grows is replaced, its successor ready first, and no request
// fails. One whose application alone is too large is left alone.
func TestMaxWorkerMemory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app.py", `
import os
held = []
def application(environ, start_response):
    if environ["PATH_INFO"] == "/grow":
        held.append(bytearray(4 << 20))
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
`)
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"--max-worker-memory", "150m", "app"}})
	first := s.WaitBooted(1)[0]
	l := startLoad(s, "/", 1, 1)
	for range 60 {
		s.GetOK("/grow")
	}
	s.Log.Wait(t, fmt.Sprintf(`Autorestarting worker \(pid:%d\): it uses \d+\.\d MiB of memory, more than 150\.0 MiB`, first))
	waitWorkers(t, s, 1, first)
	l.waitMore(t, 50)
	l.end(t)
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}

	s = gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"--max-worker-memory", "1m", "app"}})
	s.Log.Wait(t, `\[WARNING\] The application alone needs \d+ bytes of memory`)
	s.GetOK("/")
	if n := s.Log.Count(`Booting worker`); n != 1 {
		t.Errorf("%d workers were started, want 1", n)
	}
}

// gunicorn has no such limit.
func TestMaxWorkerLifetime(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "2", "--max-worker-lifetime", "1", "--max-worker-lifetime-jitter", "1", "probe")
	l := startLoad(s, "/pid", 2, 2)
	s.WaitBooted(8)
	l.end(t)
	if s.Log.Count(`Autorestarting worker \(pid:\d+\) after [12]s`) < 4 {
		t.Error("the log does not say that workers were replaced for their age")
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// After SIGTERM requests still come for a while: they are answered, on old
// connections and on new ones.
func TestDrainDelay(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "2", "--drain-delay", "2", "probe")
	s.WaitBooted(2)
	l := startLoad(s, "/pid", 2, 2)
	l.waitMore(t, 50)
	began := time.Now()
	s.Signal(syscall.SIGTERM)
	s.Log.Wait(t, `Stopping in 2s`)
	l.waitMore(t, 50)
	l.end(t)
	if time.Since(began) < 1500*time.Millisecond {
		s.GetOK("/pid")
	}
	if code := s.Wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if d := time.Since(began); d < 2*time.Second {
		t.Errorf("stopped after %v, want 2 s at least", d)
	}
}

// A second SIGINT does not wait for anybody.
func TestSecondInterruptForces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app.py", `
import atexit, time
atexit.register(time.sleep, 60)
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return [b""]
`)
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"app"}})
	s.GetOK("/")
	began := time.Now()
	s.Signal(syscall.SIGINT)
	s.Log.Wait(t, `Handling signal: int`)
	s.Signal(syscall.SIGINT)
	if code := s.Wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if !strings.Contains(s.Log.String(), "Immediate shutdown requested") || time.Since(began) > time.Minute {
		t.Errorf("stopped after %v", time.Since(began))
	}
}

// rounds is how often a storm repeats: fewer times with -short.
func rounds(n int) int {
	if testing.Short() {
		return max(n/10, 3)
	}
	return n
}

// Under load, on kept and on new connections, no request fails, whatever is done
// to the number and the age of the workers.
func TestStorms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		do   func(t *testing.T, s *gowsgitest.Server, n int)
		n    int
	}{
		{"HUP", nil, func(t *testing.T, s *gowsgitest.Server, n int) {
			for i := range n {
				s.Signal(syscall.SIGHUP)
				s.Log.WaitN(t, `Reload complete`, i+1)
			}
		}, 100},
		{"HUP upon HUP", nil, func(t *testing.T, s *gowsgitest.Server, n int) {
			for i := range n {
				s.Signal(syscall.SIGHUP)
				s.Log.WaitN(t, `Hang up: Master`, i+1)
			}
			s.Log.Wait(t, `Reload complete`)
		}, 100},
		{"recycle", []string{"--max-requests", "20", "--max-requests-jitter", "10"}, func(t *testing.T, s *gowsgitest.Server, n int) {
			for i := range n { // a deadline for each, not for all
				s.Log.WaitN(t, `Autorestarting worker`, i+1)
			}
		}, 100},
		{"TTIN and TTOU", nil, func(t *testing.T, s *gowsgitest.Server, n int) {
			for i := range n {
				// One at a time: two of the same that are pending are one.
				for k := range 3 {
					s.Signal(syscall.SIGTTIN)
					s.Log.WaitN(t, `Handling signal: ttin`, 3*i+k+1)
				}
				for k := range 3 {
					s.Signal(syscall.SIGTTOU)
					s.Log.WaitN(t, `Handling signal: ttou`, 3*i+k+1)
				}
			}
		}, 30},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "probe.py", read(t, filepath.Join(apps(), "probe.py")))
			s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: append(tt.args, "-w", "2", "probe")})
			s.WaitBooted(2)
			l := startLoad(s, "/pid", 2, 3)
			l.waitMore(t, 50)
			tt.do(t, s, rounds(tt.n))
			l.waitMore(t, 50)
			l.end(t)
			if n := s.Log.Count(`\[ERROR\]|\[CRITICAL\]`); n != 0 {
				t.Errorf("%d errors on the log", n)
			}
			if !gowsgitest.Eventually(func() bool { return len(gowsgitest.Zombies(s.PID)) == 0 }) {
				t.Errorf("%v were not reaped", gowsgitest.Zombies(s.PID))
			}
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}
