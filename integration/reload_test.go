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
)

// version is an application that says which it is. Its import takes a moment, as
// that of a real one does.
func version(n int) string {
	return fmt.Sprintf(`
import os, time
time.sleep(0.1)
def application(environ, start_response):
    body = b"version %d"
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
`, n)
}

// gunicorn: HUP. New workers with the new code, ready before an old one leaves:
// no request fails, on new connections or on kept ones.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	for _, threads := range []string{"1", "2"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := write(t, dir, "app.py", version(0))
			s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"-w", "2", "--threads", threads, "app"}})
			workers := s.WaitBooted(2)
			s.GetOK("/")
			l := startLoad(s, "/", 2, 3)
			l.waitMore(t, 100)
			for n := 1; n <= 4; n++ {
				replace(t, path, version(n))
				s.Signal(syscall.SIGHUP)
				s.Log.WaitN(t, `Hang up: Master`, n)
				s.WaitBooted(2 + 2*n)
				now := waitWorkers(t, s, 2, workers...)
				if want := fmt.Sprintf("version %d", n); s.GetOK("/") != want {
					t.Errorf("got another version than %q", want)
				}
				for _, old := range workers {
					s.Log.Wait(t, fmt.Sprintf(`Worker exiting \(pid: %d\)`, old))
				}
				workers = now
				l.waitMore(t, 100)
			}
			l.end(t)
			if s.Log.Count(`was sent|exited with code|\[ERROR\]|\[WARNING\]`) != 0 {
				t.Error("the log of good reloads has complaints")
			}
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}

// A request that runs during a reload is answered by the worker that took it.
func TestReloadWaitsForRequests(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "1", "probe")
	old := s.WaitBooted(1)[0]
	g := newGate(t)
	held := ask(s, g.target())
	g.waitStarted(1)
	s.Signal(syscall.SIGHUP)
	s.WaitBooted(2)
	// The new worker serves while the old one finishes.
	if got := pid(t, s); got == old {
		t.Errorf("the busy old worker %d answered", got)
	}
	g.open()
	if a := <-held; a.err != nil || a.Status != 200 || atoi(t, a.Body) != old {
		t.Errorf("got %v, want 200 by %d", a, old)
	}
	waitWorkers(t, s, 1, old)
}

// saysLoaded is the last line of an application in the current directory that
// tells waitLoaded that it has been imported.
const saysLoaded = "open('loaded', 'a').write('x')\n"

// waitLoaded waits until n workers have imported the application in dir. A test
// that changes it must not do so before: a worker that was forked but has not read
// it yet would find the new one.
func waitLoaded(t testing.TB, dir string, n int) {
	t.Helper()
	if !gowsgitest.Eventually(func() bool {
		loaded, _ := os.ReadFile(filepath.Join(dir, "loaded"))
		return len(loaded) >= n
	}) {
		t.Fatalf("%d workers do not load the application", n)
	}
}

// Code that does not load leaves the service as it is, says why, and the next
// good reload recovers.
func TestReloadOfBrokenCode(t *testing.T) {
	t.Parallel()
	broken := []struct{ name, source, want string }{
		{"import raises", "raise ValueError('broken')\n", `ValueError: broken`},
		{"syntax error", "def broken(:\n", `SyntaxError`},
		{"no attribute", "x = 1\n", `Failed to find attribute 'application' in 'app'`},
		{"sys.exit", "import sys\nsys.exit(4)\n", `SystemExit`},
		{"process ends", "import os\nos._exit(3)\n", `code 3`},
	}
	for _, tt := range broken {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := write(t, dir, "app.py", version(1)+saysLoaded)
			pidfile := filepath.Join(dir, "pid")
			s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"-w", "2", "-p", pidfile, "app"}})
			workers := s.WaitBooted(2)
			waitLoaded(t, dir, 2)
			s.GetOK("/")
			l := startLoad(s, "/", 1, 1)
			l.waitMore(t, 20)
			mark := s.Log.Mark()
			replace(t, path, tt.source)
			s.Signal(syscall.SIGHUP)
			s.Log.WaitAfter(t, mark, tt.want)
			s.Log.WaitAfter(t, mark, `(?i)reload|old workers`)
			l.waitMore(t, 50)
			if got := waitWorkers(t, s, 2); !slices.Equal(got, workers) {
				t.Errorf("workers are %v, want the old ones %v", got, workers)
			}
			replace(t, path, version(2))
			s.Signal(syscall.SIGHUP)
			waitWorkers(t, s, 2, workers...)
			if !gowsgitest.Eventually(func() bool { return s.GetOK("/") == "version 2" }) {
				t.Error("a good reload after a bad one does not bring the new code")
			}
			l.end(t)
			if got := atoi(t, read(t, pidfile)); got != s.PID {
				t.Errorf("the pidfile says %d, want %d", got, s.PID)
			}
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}

// Two reloads at once, and a stop during one, end well.
func TestReloadsOverlap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app.py", strings.Replace(version(1), "0.1", "0.5", 1))
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"-w", "2", "app"}})
	workers := s.WaitBooted(2)
	s.GetOK("/")
	for range 3 {
		s.Signal(syscall.SIGHUP)
	}
	now := waitWorkers(t, s, 2, workers...)
	s.GetOK("/")
	mark := s.Log.Mark()
	s.Signal(syscall.SIGHUP)
	s.Log.WaitAfter(t, mark, `Handling signal: hup`)
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d after a stop during a reload of %v, want 0", code, now)
	}
}

// A HUP follows a changed bind: new sockets are bound before old ones are given
// up, and who is being served on an old one is served to the end.
func TestReloadChangesBind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "probe.py", read(t, filepath.Join(apps(), "probe.py")))
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	file := write(t, dir, "gowsgi.toml", fmt.Sprintf("wsgi_app = 'probe'\nworkers = 2\nbind = ['unix:%s']\n", a))
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, NoBind: true})
	old := s.WaitBooted(2)
	g := newGate(t)
	held := ask(s, g.target())
	g.waitStarted(1)
	replace(t, file, fmt.Sprintf("wsgi_app = 'probe'\nworkers = 2\nbind = ['unix:%s', 'unix:%s/none/c']\n", b, dir))
	s.Signal(syscall.SIGHUP)
	s.Log.Wait(t, `Reload failed: an address cannot be bound`)
	if exists(b) || !exists(a) {
		t.Errorf("after a reload that could not bind: a exists %v, b exists %v", exists(a), exists(b))
	}
	s.GetOK("/pid")

	replace(t, file, fmt.Sprintf("wsgi_app = 'probe'\nworkers = 2\nbind = ['unix:%s']\n", b))
	s.Signal(syscall.SIGHUP)
	s.Log.Wait(t, `Listening at: unix:`+b)
	// Until the busy old worker is told to leave both are there.
	if r := gowsgitest.DialConn(t, "unix", b).Get("/pid"); r.Status != 200 {
		t.Errorf("got %v on the new address", r)
	}
	s.Log.Wait(t, `Reload complete: 2 workers`)
	if !gowsgitest.Eventually(func() bool { return !exists(a) }) {
		t.Error("the old socket is still there")
	}
	g.open()
	if got := <-held; got.err != nil || got.Status != 200 || !slices.Contains(old, atoi(t, got.Body)) {
		t.Errorf("got %v, want 200 by one of %v", got, old)
	}
	waitWorkers(t, s, 2, old...)
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if exists(b) {
		t.Error("the new socket is left")
	}
}
