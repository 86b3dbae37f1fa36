package integration

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// stuckPipe makes a FIFO that is full, and returns its reader's end.
func stuckPipe(t *testing.T, path string) *os.File {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = syscall.Write(fd, []byte(strings.Repeat("x", 4095)+"\n"))
	}
	if err := syscall.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), path)
}

// stuckServer is a service whose logs nobody reads.
type stuckServer struct {
	*gowsgitest.Server
	t             *testing.T
	client        http.Client
	errors, lines *os.File
}

func startStuck(t *testing.T, args ...string) *stuckServer {
	t.Helper()
	dir := t.TempDir()
	socket := filepath.Join(dir, "socket")
	dial := func(context.Context, string, string) (net.Conn, error) {
		return net.DialTimeout("unix", socket, gowsgitest.Patience)
	}
	s := &stuckServer{t: t, client: http.Client{
		Timeout: gowsgitest.Patience, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
	}}
	s.errors, s.lines = stuckPipe(t, filepath.Join(dir, "errors")), stuckPipe(t, filepath.Join(dir, "lines"))
	t.Cleanup(func() { s.errors.Close(); s.lines.Close() })
	s.Server = gowsgitest.Launch(t, gowsgitest.Config{Dir: apps(), Bind: "unix:" + socket, Args: append(args,
		"--error-logfile", s.errors.Name(), "--access-logfile", s.lines.Name(), "-w", "2", "probe")})
	if !gowsgitest.Eventually(func() bool {
		c, err := dial(t.Context(), "", "")
		if err == nil {
			c.Close()
		}
		return err == nil
	}) {
		t.Fatal("it does not listen")
	}
	s.get("/pid", 200)
	return s
}

// get asks over a connection of its own.
func (s *stuckServer) get(target string, status int) {
	s.t.Helper()
	r, err := s.client.Get("http://test" + target)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != status {
		s.t.Fatalf("%s got %s, want %d", target, r.Status, status)
	}
}

// replaced waits until there are two workers, none of them in old.
func (s *stuckServer) replaced(old ...int) []int {
	s.t.Helper()
	var now []int
	if !gowsgitest.Eventually(func() bool {
		now = gowsgitest.Children(s.PID)
		return len(now) == 2 && !slices.ContainsFunc(now, func(pid int) bool { return slices.Contains(old, pid) })
	}) {
		s.t.Fatalf("workers are %v, want others than %v", now, old)
	}
	return now
}

// A log that nobody reads holds up neither the master nor a worker: requests are
// answered, also those that leave lines, workers are replaced, a reload and a stop
// work. When somebody reads again, the lines come, and how many were lost.
func TestStuckLogs(t *testing.T) {
	t.Parallel()
	for _, threads := range []string{"1", "3"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			s := startStuck(t, "--threads", threads, "--timeout", "2")
			workers := s.replaced()
			kill(t, workers[0], "KILL")
			workers = append(workers, s.replaced(workers[0])...)
			s.Signal(syscall.SIGUSR1)
			s.Signal(syscall.SIGHUP)
			s.replaced(workers...)
			s.get("/sleep?t=300", 504) // whose stacks nobody reads
			for range 5000 {           // more than there is room for
				s.get("/raise?name=ValueError", 500)
			}

			errors, lines := gowsgitest.Collect(s.errors), gowsgitest.Collect(s.lines)
			errors.Wait(t, `\d+ lines of this log were lost here`)
			errors.Wait(t, `Booting worker`)
			errors.Wait(t, `was sent SIGKILL!`)
			errors.Wait(t, `Reload complete`)
			mark := errors.Mark()
			s.get("/raise?name=RuntimeError", 500)
			errors.WaitAfter(t, mark, `RuntimeError: raised by the view`)
			lines.Wait(t, `"GET /raise\?name=RuntimeError HTTP/1.1" 500`)
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			errors.Wait(t, `Shutting down: Master`)
		})
	}
}

// A stop waits for nobody either.
func TestStopWithStuckLogs(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			s := startStuck(t)
			s.get("/raise?name=ValueError", 500)
			s.Signal(sig)
			if code := s.Wait(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}

// The last line before a death is out, whatever the process dies of: nothing is kept
// back as long as somebody reads.
func TestLastLineBeforeADeath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app.py", `
import logging, os, signal
def application(environ, start_response):
    logging.getLogger("gunicorn.error").error("the last word of %d", os.getpid())
    os.kill(os.getpid(), signal.SIGKILL)
`)
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"app"}})
	for n := 1; n <= 3; n++ {
		victim := s.WaitBooted(n)[n-1]
		c := s.Dial()
		c.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.Rest()
		s.Log.Wait(t, "the last word of "+itoa(victim))
		s.Log.Wait(t, `Worker \(pid:`+itoa(victim)+`\) was sent SIGKILL!`)
	}
}
