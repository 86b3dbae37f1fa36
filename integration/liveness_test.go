package integration

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
	"gowsgi/internal/status"
)

// frozen is an application that stops every other thread of its process, the event
// loop's and the Go runtime's included, by a signal handler that never returns.
const frozen = `
import ctypes, os, threading
libc = ctypes.CDLL(None)
SIG, SA_ONSTACK, SYS_tgkill = 50, 0x08000000, %d

class Action(ctypes.Structure):
    _fields_ = [("handler", ctypes.c_void_p), ("mask", ctypes.c_ubyte * 128),
                ("flags", ctypes.c_int), ("restorer", ctypes.c_void_p)]

def freeze_everything():
    action = Action(ctypes.cast(libc.pause, ctypes.c_void_p).value, (ctypes.c_ubyte * 128)(), SA_ONSTACK, None)
    libc.sigaction(SIG, ctypes.byref(action), None)
    me = threading.get_native_id()
    for task in map(int, os.listdir("/proc/self/task")):
        if task != me:
            libc.syscall(SYS_tgkill, os.getpid(), task, SIG)
    while True:
        libc.pause()

def application(environ, start_response):
    if environ["PATH_INFO"] == "/freeze":
        freeze_everything()
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
`

// A worker whose event loop stands still is ended with its stacks on the log, and
// replaced, although no request has run into its own limit.
func TestFrozenWorker(t *testing.T) {
	t.Parallel()
	tgkill := map[string]int{"amd64": 234, "arm64": 131}[runtime.GOARCH]
	dir := t.TempDir()
	write(t, dir, "app.py", fmt.Sprintf(frozen, tgkill))
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"-w", "2", "--timeout", "0", "--liveness-timeout", "2", "app"}})
	workers := s.WaitBooted(2)
	s.GetOK("/")
	ask(s, "/freeze")
	m := s.Log.Wait(t, `\[CRITICAL\] WORKER HANGS \(pid:(\d+)\) its event loop has not turned for \d`)
	victim := atoi(t, m[1])
	s.Log.Wait(t, `File ".*app\.py", line \d+ in freeze_everything`)
	s.Log.Wait(t, fmt.Sprintf(`\[ERROR\] Worker \(pid:%d\) was ended after liveness timeout \(2s\) .*; in GET /freeze for`, victim))
	now := waitWorkers(t, s, 2, victim)
	s.GetOK("/")
	if len(workers) == 2 && now[0] != workers[0] && now[0] != workers[1] {
		t.Errorf("workers were %v and are %v: the other one was ended, too", workers, now)
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// Nobody is taken for hung who was stopped, alone or with the master.
func TestStoppedIsNotHung(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "2", "--liveness-timeout", "1", "--timeout", "0", "probe")
	workers := s.WaitBooted(2)
	answering(t, s, 2)
	kill(t, workers[0], "STOP")
	time.Sleep(3 * time.Second)
	s.Signal(syscall.SIGSTOP)
	kill(t, workers[1], "STOP")
	time.Sleep(3 * time.Second)
	s.Signal(syscall.SIGCONT)
	time.Sleep(200 * time.Millisecond)
	kill(t, workers[0], "CONT")
	kill(t, workers[1], "CONT")
	for pid := range answering(t, s, 2) {
		if pid != workers[0] && pid != workers[1] {
			t.Errorf("%d answers, want one of %v", pid, workers)
		}
	}
	// A healthy worker without any request is not hung either.
	time.Sleep(2 * time.Second)
	if n := s.Log.Count(`WORKER HANGS|Booting worker`); n != 2 {
		t.Error("a worker was taken for hung")
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// A reload with a slow import leaves no gap, with one worker and with two: the
// longest answer is far below the import.
func TestReloadWithSlowImport(t *testing.T) {
	t.Parallel()
	for _, workers := range []string{"1", "2"} {
		t.Run(workers, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "app.py", "import time\ntime.sleep(5)\n"+version(1))
			s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"-w", workers, "app"}})
			waitStatus(t, s, "ready", func(r *status.Report) bool { return r.Ready == r.Target })
			l := startLoad(s, "/", 2, 2)
			l.waitMore(t, 20)
			s.Signal(syscall.SIGHUP)
			longest := time.Duration(0)
			for s.Log.Count(`Reload complete`) == 0 {
				began := time.Now()
				s.GetOK("/")
				longest = max(longest, time.Since(began))
			}
			l.end(t)
			if longest > 4*time.Second {
				t.Errorf("an answer took %v during a reload with an import of 5s", longest)
			}
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}
