package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gowsgi/internal/gowsgitest"
	"gowsgi/internal/status"
)

// preloaded is what preloaded.py says.
type preloaded struct {
	Imported struct {
		PID, PPID, UID     int
		Argv               []string
		Software, Raw, Cwd string
	}
	PID, PPID, UID        int
	Events                []string
	Signals               []int
	Main, Pipe            bool
	Threads, Marks        []string
	Script, Path, Preexec string
}

func startPreloaded(t *testing.T, env []string, args ...string) *gowsgitest.Server {
	t.Helper()
	return gowsgitest.Start(t, gowsgitest.Config{Dir: apps(), Env: env, Args: append(args, "--preload", "preloaded")})
}

// spawner returns the pid of the n-th spawner the log tells of.
func spawnerPID(t *testing.T, s *gowsgitest.Server, n int) int {
	t.Helper()
	return atoi(t, s.Log.WaitN(t, `Spawner running with pid: (\d+)`, n)[n-1][1])
}

// gunicorn: preload_app. The application is imported once; the workers are made
// from that process, and everything in them is as if they had imported it.
func TestPreload(t *testing.T) {
	t.Parallel()
	for _, threads := range []int{1, 3} {
		t.Run(fmt.Sprint(threads, " threads"), func(t *testing.T) {
			t.Parallel()
			s := startPreloaded(t, []string{"PRELOADED_THREAD=1"},
				"-w", "3", "--threads", itoa(threads), "--env", "PRELOADED_RAW=raw value")
			workers := s.WaitBooted(3)
			waitWorkers(t, s, 3)
			spawner := spawnerPID(t, s, 1)
			s.Log.Wait(t, `\[WARNING\] Threads started before the fork do not run in workers: ticker`)
			wantThreads := []string{"MainThread"}
			for i := range threads {
				if threads > 1 {
					wantThreads = append(wantThreads, fmt.Sprint("gowsgi-", i))
				}
			}
			var got preloaded
			gowsgitest.Eventually(func() bool { // all threads are there
				got = preloaded{}
				s.Get("/mounted/x").JSON(t, &got)
				return len(got.Threads) >= len(wantThreads)
			})
			if !slices.Contains(workers, got.PID) || got.PPID != s.PID {
				t.Errorf("process %d with parent %d answered, want one of %v with parent %d", got.PID, got.PPID, workers, s.PID)
			}
			in := got.Imported
			if in.PID != spawner || in.PPID != s.PID || in.Raw != "raw value" || in.Cwd != apps() ||
				!strings.HasPrefix(in.Software, "gowsgi/") || !slices.Contains(in.Argv, "preloaded") {
				t.Errorf("imported by %+v, want the spawner %d", in, spawner)
			}
			// Each fork leaves two in the spawner before the next.
			if n := len(got.Events) / 2; n < 1 || n > 3 || !slices.Equal(got.Events, append(slices.Repeat([]string{"before", "parent"}, n-1), "before", "child")) {
				t.Errorf("fork callbacks: %v, want before and child last", got.Events)
			}
			if got.Main != (threads == 1) || !slices.Equal(got.Threads, wantThreads) {
				t.Errorf("main thread %v, threads %v, want %v", got.Main, got.Threads, wantThreads)
			}
			if got.Main && !slices.Equal(got.Signals, []int{int(syscall.SIGALRM)}) {
				t.Errorf("signal handlers ran for %v, want SIGALRM", got.Signals)
			}
			if got.Script != "/mounted" || got.Path != "/x" || !got.Pipe || len(got.Marks) > 0 || got.Preexec != "fine" {
				t.Errorf("got %+v", got)
			}
			for _, pid := range append(workers, spawner) {
				title := "gowsgi: worker [preloaded]"
				if pid == spawner {
					title = "gowsgi: spawner [preloaded]"
				}
				if got := gowsgitest.CommandLine(pid); got != title {
					t.Errorf("process %d is %q, want %q", pid, got, title)
				}
			}
			s.Log.Wait(t, `\+0545\] \[\d+\] \[INFO\] |Booting`)
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			for _, pid := range append(workers, spawner) {
				if pid != spawner && s.Log.Count(fmt.Sprintf(`Worker exiting \(pid: %d\)`, pid)) == 0 {
					continue // it was still booting
				}
				if s.Stdout.Count(fmt.Sprintf(`^exit handlers of %d$`, pid)) != 1 {
					t.Errorf("exit handlers of %d did not run once:\n%s", pid, s.Stdout)
				}
			}
		})
	}
}

// Unlike gunicorn's, a reload loads preloaded code anew; if that does not work
// the old code serves on.
func TestPreloadReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := write(t, dir, "app.py", version(0))
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"-w", "2", "--preload", "app"}})
	workers := s.WaitBooted(2)
	waitWorkers(t, s, 2)
	spawner := spawnerPID(t, s, 1)
	l := startLoad(s, "/", 2, 3)
	l.waitMore(t, 50)

	replace(t, path, "import nowhere\n")
	s.Signal(syscall.SIGHUP)
	s.Log.Wait(t, `Reload failed: ModuleNotFoundError: No module named 'nowhere'`)
	s.Log.Wait(t, `File ".*app.py", line 1`)
	l.waitMore(t, 50)
	if now := s.Workers(); !slices.Equal(now, workers) {
		t.Errorf("after a failed reload the workers are %v, want %v", now, workers)
	}
	if got := s.GetOK("/"); got != "version 0" {
		t.Errorf("after a failed reload: %q", got)
	}
	for n := 1; n <= 3; n++ {
		replace(t, path, version(n))
		s.Signal(syscall.SIGHUP)
		s.Log.WaitN(t, `Reload complete`, n)
		workers = waitWorkers(t, s, 2, workers...)
		if got, want := s.GetOK("/"), fmt.Sprintf("version %d", n); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		waitGone(t, spawner)
		spawner = spawnerPID(t, s, n+1)
	}
	l.end(t)
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// waitGone waits until there is no process of that id.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	if !gowsgitest.Eventually(func() bool { return !exists(fmt.Sprintf("/proc/%d", pid)) }) {
		t.Fatalf("process %d is still there: %s", pid, gowsgitest.CommandLine(pid))
	}
}

// An application that cannot be preloaded ends the start like one that workers
// cannot load.
func TestPreloadFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, source string
		code         int
		want         string
	}{
		{"raises", "raise RuntimeError('not today')", 3, `\[ERROR\] RuntimeError: not today`},
		{"exits", "import sys; sys.exit(9)", 3, `SystemExit: 9`},
		{"no application", "x = 1", 4, `Failed to find attribute 'application' in 'app'`},
		{"dies", "import os; os._exit(7)", 1, `the spawner exited with code 7`},
		{"killed", "import os; os.kill(os.getpid(), 9)", 1, `the spawner was sent SIGKILL`},
		{"fault", "import ctypes; ctypes.string_at(0)", 1, `the spawner was sent SIGSEGV`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "app.py", tt.source)
			s := gowsgitest.Launch(t, gowsgitest.Config{Dir: dir, Args: []string{"-w", "2", "--preload", "--pid", "pid", "app"}})
			if code := s.Wait(); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if s.Log.Count(tt.want) == 0 {
				t.Errorf("log has no %q", tt.want)
			}
			if s.Log.Count("Traceback") > 1 || exists(filepath.Join(dir, "pid")) {
				t.Error("more than one traceback, or a pid file is left")
			}
		})
	}
}

// A spawner that dies is replaced, and no worker dies with it.
func TestSpawnerDies(t *testing.T) {
	t.Parallel()
	s := startPreloaded(t, nil, "-w", "2")
	workers := s.WaitBooted(2)
	waitWorkers(t, s, 2)
	spawner := spawnerPID(t, s, 1)
	if err := syscall.Kill(spawner, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.Log.Wait(t, fmt.Sprintf(`\[ERROR\] Spawner \(pid:%d\) was sent SIGKILL`, spawner))
	next := spawnerPID(t, s, 2)
	if now := s.Workers(); !slices.Equal(now, workers) {
		t.Errorf("the workers are %v, want %v", now, workers)
	}
	if err := syscall.Kill(workers[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.Log.Wait(t, fmt.Sprintf(`Worker \(pid:%d\) was sent SIGKILL`, workers[0]))
	fresh := s.WaitBooted(3)[2]
	waitWorkers(t, s, 2, workers[0])
	if !gowsgitest.Eventually(func() (found bool) {
		var asked []<-chan answer // at once: a single one may always find the same worker idle
		for range 8 {
			asked = append(asked, ask(s, "/mounted/"))
		}
		for _, c := range asked {
			var got preloaded
			(<-c).decode(t, &got)
			found = found || got.PID == fresh && got.Imported.PID == next
		}
		return found
	}) {
		t.Errorf("worker %d of spawner %d does not answer", fresh, next)
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// A worker of a spawner is watched like any other: TTIN and TTOU, faults, timeouts.
func TestPreloadWorkers(t *testing.T) {
	t.Parallel()
	s := startPreloaded(t, nil, "-w", "1", "-t", "1")
	first := s.WaitBooted(1)[0]
	s.Signal(syscall.SIGTTIN)
	second := s.WaitBooted(2)[1]
	waitStatus(t, s, "two ready workers", func(r *status.Report) bool { return r.Ready == 2 })
	s.Signal(syscall.SIGTTOU)
	waitWorkers(t, s, 1, first)
	s.Log.Wait(t, fmt.Sprintf(`Worker exiting \(pid: %d\)`, first))
	_ = <-ask(s, "/mounted/segv")
	s.Log.Wait(t, fmt.Sprintf(`Worker \(pid:%d\) was sent SIGSEGV`, second))
	s.Log.Wait(t, `File ".*preloaded.py", line \d+ in application`)
	third := s.WaitBooted(3)[2]
	waitWorkers(t, s, 1, second)
	_ = <-ask(s, "/mounted/spin")
	s.Log.Wait(t, fmt.Sprintf(`WORKER TIMEOUT \(pid:%d\) GET /mounted/spin`, third))
	waitWorkers(t, s, 1, third)
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// Whatever happens to the master, neither the spawner nor its workers stay; the
// clean-up of the test looks for them.
func TestPreloadMasterKilled(t *testing.T) {
	t.Parallel()
	s := startPreloaded(t, nil, "-w", "2")
	workers := s.WaitBooted(2)
	waitWorkers(t, s, 2)
	spawner := spawnerPID(t, s, 1)
	s.Signal(syscall.SIGKILL)
	for _, pid := range append(workers, spawner) {
		waitGone(t, pid)
	}
}

// Also in the middle of an import, or of a configuration file, that never ends.
func TestPreloadMasterKilledEarly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		file string
		args []string
	}{{"app.py", []string{"--preload", "app"}}, {"gunicorn.conf.py", []string{"app"}}} {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, tt.file, "import os, time\nopen('pid.new', 'w').write(str(os.getpid()))\nos.rename('pid.new', 'pid')\ntime.sleep(600)\n")
			s := gowsgitest.Launch(t, gowsgitest.Config{Dir: dir, Args: tt.args})
			waitFile(t, filepath.Join(dir, "pid"))
			spawner := atoi(t, read(t, filepath.Join(dir, "pid")))
			s.Signal(syscall.SIGKILL)
			waitGone(t, spawner)
		})
	}
}

// boot_timeout holds for the import in the spawner.
func TestPreloadBootTimeout(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app.py", "import time\ntime.sleep(600)\n")
	s := gowsgitest.Launch(t, gowsgitest.Config{Dir: dir, Args: []string{"--preload", "--boot-timeout", "1", "app"}})
	s.Log.Wait(t, `File ".*app.py", line 2 in <module>`)
	s.Log.Wait(t, `Error: preloading: the application is not loaded within boot_timeout \(1s\)`)
	if code := s.Wait(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
}

// A preloaded application runs as the workers' user from its first line.
func TestPreloadIdentity(t *testing.T) {
	t.Parallel()
	dir := privileged(t)
	write(t, dir, "preloaded.py", read(t, filepath.Join(apps(), "preloaded.py")))
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, NoVenv: true, Args: []string{"--preload", "--python", systemPython, "-u", "65534", "preloaded"}})
	var got preloaded
	s.Get("/mounted/").JSON(t, &got)
	if got.UID != 65534 || got.Imported.UID != 65534 {
		t.Errorf("imported as user %d, serves as %d, want 65534", got.Imported.UID, got.UID)
	}
}

// pss returns the proportional set size of processes in KiB: what they have for
// themselves, and their share of what they have in common.
func pss(t *testing.T, pids ...int) (kib int) {
	t.Helper()
	for _, pid := range pids {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				kib += atoi(t, strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			}
		}
	}
	return kib
}

// Workers of a spawner share the application's memory. Measured on Python 3.11:
// 61 MB for four Flask workers with all other processes, 102 MB without --preload.
func TestPreloadMemory(t *testing.T) {
	t.Parallel()
	measure := func(args ...string) int {
		s := gowsgitest.Start(t, gowsgitest.Config{Dir: gowsgitest.Examples(), Args: append(args, "-w", "4", "flask_app:flask_app")})
		s.WaitBooted(4)
		workers := waitWorkers(t, s, 4)
		for range 200 {
			s.GetOK("/")
		}
		all := append(workers, s.PID)
		if len(args) > 0 {
			all = append(all, spawnerPID(t, s, 1))
		}
		return pss(t, all...)
	}
	with, without := measure("--preload"), measure()
	t.Logf("%d KiB with --preload, %d without", with, without)
	if with*100 > without*68 {
		t.Errorf("with --preload %d KiB, more than 68%% of %d", with, without)
	}
}
