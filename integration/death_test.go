package integration

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
)

// waitWorkers waits until exactly n workers run, none of them in gone, and
// returns their pids.
func waitWorkers(t testing.TB, s *gowsgitest.Server, n int, gone ...int) []int {
	t.Helper()
	var now []int
	if !gowsgitest.Eventually(func() bool {
		now = s.Workers()
		return len(now) == n && !slices.ContainsFunc(now, func(pid int) bool { return slices.Contains(gone, pid) })
	}) {
		t.Fatalf("workers are %v, want %d without %v", now, n, gone)
	}
	return now
}

// A worker that somebody kills is replaced, the log says what happened, and
// no request is lost that it was not answering.
func TestKilledWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "2", "probe")
	workers := s.WaitBooted(2)
	answering(t, s, 2)
	for i, victim := range workers {
		if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		s.Log.Wait(t, fmt.Sprintf(`\[ERROR\] Worker \(pid:%d\) was sent SIGKILL!`, victim))
		s.WaitBooted(3 + i)
		waitWorkers(t, s, 2, victim)
	}
	for pid := range answering(t, s, 2) {
		if slices.Contains(workers, pid) {
			t.Errorf("%d answered after it was killed", pid)
		}
	}
}

// From the moment a worker is dead no request fails, although its successor is
// still to come. (What it had accepted itself dies with it.)
func TestNoLostServiceAfterAWorkerDied(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "2", "probe")
	for range 4 {
		serving := answering(t, s, 2)
		for victim := range serving {
			process := gowsgitest.NewProcess(victim)
			kill(t, victim, "KILL")
			if !gowsgitest.Eventually(func() bool { return !process.Alive() }) {
				t.Fatalf("%d survives SIGKILL", victim)
			}
			break
		}
		// GetOK ends the test at the first failure.
		for n := 0; n < 50 || len(s.Workers()) < 2; n++ {
			s.GetOK("/pid")
		}
	}
}

// Whatever a view does to its process, the service goes on, and the log names
// the cause. Exit codes 3 and 4 are not taken for a failure to boot.
func TestCrashInAView(t *testing.T) {
	t.Parallel()
	tests := []struct{ how, want string }{
		{"segfault", `was sent SIGSEGV!`},
		{"abort", `was sent SIGABRT!`},
		{"kill", `was sent SIGKILL!`},
		{"0", ``},
		{"1", `exited with code 1`},
		{"3", `exited with code 3`},
		{"4", `exited with code 4`},
	}
	for _, tt := range tests {
		t.Run(tt.how, func(t *testing.T) {
			t.Parallel()
			s := start(t, "probe")
			victim := pid(t, s)
			c := s.Dial()
			c.Send("GET /crash?how=" + tt.how + " HTTP/1.1\r\nHost: a\r\n\r\n")
			if rest := c.Rest(); rest != "" {
				t.Errorf("got %q from a process that died, want nothing", rest)
			}
			s.WaitBooted(2)
			if next := pid(t, s); next == victim {
				t.Errorf("%d still answers", next)
			}
			if tt.want != "" {
				s.Log.Wait(t, fmt.Sprintf(`Worker \(pid:%d\) %s`, victim, tt.want))
			}
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}

// PEP 3333, Error Handling: what a view raises is logged with its traceback and
// answered with 500; the process lives on, whatever the exception.
func TestExceptionInAView(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, query, logged string }{
		{"RuntimeError", "name=RuntimeError", `RuntimeError: raised by the view`},
		{"MemoryError", "name=MemoryError", `MemoryError: raised by the view`},
		{"KeyboardInterrupt", "name=KeyboardInterrupt", `KeyboardInterrupt: raised by the view`},
		{"SystemExit", "name=SystemExit", `SystemExit: raised by the view`},
		{"sys.exit 0", "name=sys.exit&code=0", `SystemExit: 0`},
		{"sys.exit 3", "name=sys.exit&code=3", `SystemExit: 3`},
		{"sys.exit 4", "name=sys.exit&code=4", `SystemExit: 4`},
		{"GeneratorExit", "name=GeneratorExit", `GeneratorExit: raised by the view`},
		{"StopIteration", "name=StopIteration", `StopIteration: raised by the view`},
		{"RecursionError", "name=RecursionError", `RecursionError: maximum recursion depth exceeded`},
		{"surrogate in the message", "name=UnicodeError", `UnicodeEncodeError`},
	}
	for _, threads := range []string{"1", "2"} {
		s := start(t, "-w", "2", "--threads", threads, "probe")
		workers := s.WaitBooted(2)
		answering(t, s, 2)
		for _, tt := range tests {
			t.Run(tt.name+" with "+threads+" threads", func(t *testing.T) {
				s := s.In(t)
				mark := s.Log.Mark()
				r := s.Get("/raise?" + tt.query)
				if r.Status != 500 || r.Header.Get("Content-Type") == "" {
					t.Errorf("got %v, want 500", r)
				}
				s.Log.WaitAfter(t, mark, `Error handling request`)
				s.Log.WaitAfter(t, mark, tt.logged)
				// The same after the first chunk: the client must see the truncation.
				late := s.Dial()
				late.Send("GET /raise?late=1&" + tt.query + " HTTP/1.1\r\nHost: a\r\n\r\n")
				got, err := late.TryResponse("GET")
				if err == nil && got.Err == nil {
					t.Errorf("got a complete %v, want a cut one", got)
				}
			})
		}
		if got := s.Workers(); !slices.Equal(got, workers) {
			t.Errorf("workers are %v, want %v as before", got, workers)
		}
		if code := s.Stop(); code != 0 {
			t.Errorf("exit code %d, want 0", code)
		}
	}
}

// A worker that dies soon after it was ready is replaced ever more slowly;
// gunicorn made 74 of them in 5 s.
func TestNoRespawnStorm(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, source string }{
		{"after it was ready", "import os, threading\nthreading.Timer(0.1, os._exit, [9]).start()\n"},
		{"while importing", "import os\nos._exit(9)\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			const answers = `
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "4")])
    return [b"fine"]
`
			path := write(t, dir, "dying.py", answers)
			s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"dying"}})
			s.GetOK("/")
			// From now on it dies young.
			replace(t, path, tt.source+answers)
			if err := syscall.Kill(s.WaitBooted(1)[0], syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			s.WaitBooted(2)
			const window, most = 5 * time.Second, 14
			select {
			case <-s.Exited():
				t.Fatal("the service ended")
			case <-time.After(window):
			}
			if n := s.Log.Count(`Booting worker`); n > most {
				t.Errorf("%d workers in %v, want at most %d", n, window, most)
			}
			s.Log.Wait(t, `Worker \(pid:\d+\) exited with code 9`)
			// And it recovers by itself when the cause is gone.
			replace(t, path, answers)
			if !gowsgitest.Eventually(func() bool {
				a := <-ask(s, "/")
				return a.err == nil && a.Status == 200
			}) {
				t.Error("the service did not recover")
			}
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}

// An application that stops loading after a good start never ends the service.
func TestBrokenCodeAfterAGoodStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := write(t, dir, "app.py", "from hello import application\n"+saysLoaded)
	write(t, dir, "hello.py", read(t, filepath.Join(apps(), "hello.py")))
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"-w", "2", "app"}})
	workers := s.WaitBooted(2)
	waitLoaded(t, dir, 2)
	s.GetOK("/")
	replace(t, path, "raise ValueError('broken meanwhile')\n")
	if err := syscall.Kill(workers[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.Log.Wait(t, `ValueError: broken meanwhile`)
	if got := s.GetOK("/"); got != "application" {
		t.Errorf("got %q", got)
	}
	replace(t, path, "from hello import application\n")
	waitWorkers(t, s, 2, workers[0])
	s.GetOK("/")
	if !s.Running() {
		t.Error("the service ended")
	}
}

// gunicorn: max_requests, max_requests_jitter. Replacement before retirement: no
// client notices.
func TestMaxRequests(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "2", "--max-requests", "50", "--max-requests-jitter", "20", "probe")
	l := startLoad(s, "/pid", 2, 2)
	s.WaitBooted(8)
	l.end(t)
	s.Log.Wait(t, `Autorestarting worker`)
	// 51 to 70 requests each, and what came in while the successor booted.
	if len(l.bodies) < 6 {
		t.Errorf("%d workers answered, want at least 6", len(l.bodies))
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// The master is gone: the request that runs is answered, the workers leave, and
// the port is free.
func TestMasterKilled(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "3", "--graceful-timeout", "20", "probe")
	workers := s.WaitBooted(3)
	answering(t, s, 3)
	g := newGate(t)
	held := ask(s, g.target())
	g.waitStarted(1)
	busy := atoi(t, read(t, g.path+".started"))
	idle := slices.DeleteFunc(slices.Clone(workers), func(pid int) bool { return pid == busy })
	processes := map[int]gowsgitest.Process{}
	for _, w := range workers {
		processes[w] = gowsgitest.NewProcess(w)
	}
	s.Signal(syscall.SIGKILL)
	if !gowsgitest.Within(5*time.Second, func() bool {
		return !processes[idle[0]].Alive() && !processes[idle[1]].Alive()
	}) {
		t.Error("the idle workers are still there 5s after the master")
	}
	if !processes[busy].Alive() {
		t.Error("the busy worker left its request")
	}
	g.open()
	if a := <-held; a.err != nil || a.Status != 200 {
		t.Errorf("got %v, want 200", a)
	}
	if !gowsgitest.Eventually(func() bool { return !processes[busy].Alive() }) {
		t.Error("the last worker did not leave")
	}
	if code := s.Wait(); code != -int(syscall.SIGKILL) {
		t.Errorf("exit code %d, want that of SIGKILL", code)
	}
	again := gowsgitest.Start(t, gowsgitest.Config{Dir: apps(), Bind: s.Addr, Args: []string{"hello"}})
	if again.Log.Count(`in use`) != 0 {
		t.Error("the port was not free")
	}
}

// The same when the request never ends: graceful_timeout bounds it.
func TestMasterKilledWithAStuckRequest(t *testing.T) {
	t.Parallel()
	s := start(t, "--graceful-timeout", "1", "--timeout", "0", "probe")
	c := s.Dial()
	g := newGate(t)
	c.Send("GET /wait?gate=" + url.QueryEscape(g.path) + " HTTP/1.1\r\nHost: a\r\n\r\n")
	g.waitStarted(1)
	worker := gowsgitest.NewProcess(s.WaitBooted(1)[0])
	s.Signal(syscall.SIGKILL)
	if !gowsgitest.Within(10*time.Second, func() bool { return !worker.Alive() }) {
		t.Error("the worker is still there 10s after the master, with a grace of 1s")
	}
}

// A view that dies takes only its own connection along: the others of the same
// worker are the only ones that may notice, and the master leaks nothing.
func TestNoDescriptorIsLeaked(t *testing.T) {
	t.Parallel()
	s := start(t, "--backlog", "16", "probe")
	pid(t, s)
	before := len(gowsgitest.Descriptors(s.PID))
	for i := range 3 {
		victim := pid(t, s)
		if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		s.WaitBooted(i + 2)
		waitWorkers(t, s, 1, victim)
		pid(t, s)
	}
	if !gowsgitest.Eventually(func() bool { return len(gowsgitest.Descriptors(s.PID)) <= before }) {
		t.Errorf("the master has %d descriptors, %d at first: %v", len(gowsgitest.Descriptors(s.PID)), before, gowsgitest.Descriptors(s.PID))
	}
	if z := gowsgitest.Zombies(s.PID); len(z) != 0 {
		t.Errorf("%v were not reaped", z)
	}
}
