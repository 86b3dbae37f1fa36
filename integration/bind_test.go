package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gowsgi/internal/gowsgitest"
)

func TestBindIPv6(t *testing.T) {
	t.Parallel()
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: apps(), Bind: "[::1]:0", Args: []string{"hello"}})
	if !strings.HasPrefix(s.All[0], "http://[::1]:") {
		t.Errorf("listens at %q, want [::1]", s.All[0])
	}
	if got := s.GetOK("/"); got != "application" {
		t.Errorf("got %q", got)
	}
}

// gunicorn: bind, `unix:PATH`. The file is made with umask 0, replaces a stale
// one, and is gone after the stop.
func TestBindUnix(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"unix:", "unix://"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "s")
			// What a server killed by SIGKILL leaves behind.
			stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			stale.SetUnlinkOnClose(false)
			stale.Close()
			s := gowsgitest.Start(t, gowsgitest.Config{Dir: apps(), Bind: form + path, Args: []string{"probe"}})
			if s.All[0] != "unix:"+path {
				t.Errorf("listens at %q, want unix:%s", s.All[0], path)
			}
			info, err := os.Stat(path)
			if err != nil || info.Mode() != os.ModeSocket|0o777 {
				t.Errorf("got mode %v, %v, want a socket with 0777", info.Mode(), err)
			}
			pid(t, s)
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			if exists(path) {
				t.Error("the socket file is left")
			}
		})
	}
	t.Run("not a socket", func(t *testing.T) {
		t.Parallel()
		path := write(t, t.TempDir(), "s", "precious")
		r := gowsgitest.Run(t, gowsgitest.Config{Dir: apps(), Bind: "unix:" + path, Args: []string{"hello"}})
		if r.Code != 1 || !strings.Contains(r.Stderr, path) {
			t.Errorf("got %d and %q, want 1 and the path", r.Code, r.Stderr)
		}
		if got := read(t, path); got != "precious" {
			t.Errorf("the file holds %q now", got)
		}
	})
}

// gunicorn: bind, `fd://N`: a listening socket somebody else made.
func TestBindInheritedDescriptor(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			addr := "127.0.0.1:0"
			if network == "unix" {
				addr = filepath.Join(t.TempDir(), "s")
			}
			l, err := net.Listen(network, addr)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			f, err := l.(interface{ File() (*os.File, error) }).File()
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			s := gowsgitest.Launch(t, gowsgitest.Config{
				Dir: apps(), Bind: "fd://3", Args: []string{"-w", "2", "hello"}, ExtraFiles: []*os.File{f},
			})
			s.Log.Wait(t, `Listening at: \S*`+network[:1])
			c := gowsgitest.DialConn(t, network, l.Addr().String())
			if r := c.Get("/"); r.Body != "application" {
				t.Errorf("got %v", r)
			}
			c.Close()
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			if network == "unix" && !exists(addr) {
				t.Error("the socket file was removed, but somebody else made it")
			}
		})
	}
	t.Run("not open", func(t *testing.T) {
		t.Parallel()
		r := gowsgitest.Run(t, gowsgitest.Config{Dir: apps(), Bind: "fd://99", Args: []string{"hello"}})
		if r.Code != 1 || !strings.Contains(r.Stderr, "99") || strings.Contains(r.Stderr, "Traceback") {
			t.Errorf("got %d and %q, want 1 and one line about descriptor 99", r.Code, r.Stderr)
		}
	})
}

// gunicorn tries five times, a second apart, and says so each time.
func TestAddressInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// Cleanup, not defer: the parallel subtests go on after this function.
	t.Cleanup(func() { l.Close() })
	addr := l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	t.Run("for good", func(t *testing.T) {
		t.Parallel()
		r := gowsgitest.Run(t, gowsgitest.Config{Dir: apps(), Bind: addr, Args: []string{"hello"}})
		if r.Code != 1 {
			t.Errorf("exit code %d, want 1", r.Code)
		}
		for _, want := range []string{"Connection in use", "Can't connect to", port} {
			if !strings.Contains(r.Stderr, want) {
				t.Errorf("got %q, want %q in it", r.Stderr, want)
			}
		}
		if strings.Contains(r.Stderr, "Booting worker") {
			t.Error("a worker was started without a listener")
		}
	})
	t.Run("until it is free", func(t *testing.T) {
		t.Parallel()
		other, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := gowsgitest.Launch(t, gowsgitest.Config{Dir: apps(), Bind: other.Addr().String(), Args: []string{"hello"}})
		s.Log.Wait(t, `in use`)
		other.Close()
		s.WaitListening()
		s.GetOK("/")
	})
}

// A server that is gone gives its port free at once (SO_REUSEADDR), also with
// connections in TIME-WAIT.
func TestRestartOnTheSamePort(t *testing.T) {
	t.Parallel()
	s := start(t, "hello")
	s.GetOK("/")
	addr := s.Addr
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	again := gowsgitest.Start(t, gowsgitest.Config{Dir: apps(), Bind: addr, Args: []string{"hello"}})
	if again.Log.Count(`in use`) != 0 {
		t.Error("the port was not free")
	}
	again.GetOK("/")
}

// gunicorn: reuse_port. Two servers share a port.
func TestReusePort(t *testing.T) {
	t.Parallel()
	a := start(t, "--reuse-port", "hello:app")
	b := gowsgitest.Start(t, gowsgitest.Config{Dir: apps(), Bind: a.Addr, Args: []string{"--reuse-port", "hello:instance"}})
	seen := map[string]bool{}
	if !gowsgitest.Eventually(func() bool {
		seen[a.GetOK("/")] = true
		return seen["app"] && seen["instance"]
	}) {
		t.Errorf("only %v answered, want both servers", seen)
	}
	// Without the flag the port is not to be had a second time.
	if strings.Contains(a.Log.String()+b.Log.String(), "in use") {
		t.Error("the port was not shared")
	}
}

// design trap: File() of a listener makes the socket that all workers share
// blocking; a worker then hangs in accept.
func TestListenersStayNonblocking(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "2", "probe")
	workers := s.WaitBooted(2)
	answering(t, s, 2)
	s.Signal(syscall.SIGTTIN)
	workers = append(workers, s.WaitBooted(3)[2])
	answering(t, s, 3)
	for _, w := range workers {
		for fd, target := range gowsgitest.Descriptors(w) {
			if !strings.HasPrefix(target, "socket:") || !slices.Contains(listening(t, s), target) {
				continue
			}
			flags := flagsOf(t, w, fd)
			if flags&syscall.O_NONBLOCK == 0 {
				t.Errorf("descriptor %d of worker %d, a listener, is blocking", fd, w)
			}
			if flags&syscall.O_CLOEXEC == 0 {
				t.Errorf("descriptor %d of worker %d, a listener, survives exec", fd, w)
			}
		}
	}
}

// listening returns the sockets of the master, as /proc names them.
func listening(t *testing.T, s *gowsgitest.Server) []string {
	t.Helper()
	var found []string
	for _, target := range gowsgitest.Descriptors(s.PID) {
		if strings.HasPrefix(target, "socket:") {
			found = append(found, target)
		}
	}
	return found
}

func flagsOf(t *testing.T, pid, fd int) int {
	t.Helper()
	for _, line := range strings.Split(read(t, fmt.Sprintf("/proc/%d/fdinfo/%d", pid, fd)), "\n") {
		if rest, ok := strings.CutPrefix(line, "flags:"); ok {
			var flags int
			if _, err := fmt.Sscanf(strings.TrimSpace(rest), "%o", &flags); err != nil {
				t.Fatal(err)
			}
			return flags
		}
	}
	t.Fatalf("no flags of descriptor %d of %d", fd, pid)
	return 0
}
