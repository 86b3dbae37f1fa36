package master

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/internal/logging"
)

func bindOne(t *testing.T, a config.Address, reusePort bool) *listener {
	t.Helper()
	l, err := bind(t.Context(), a, &config.Config{Backlog: 16, ReusePort: reusePort})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closeListeners([]*listener{l}) })
	return l
}

func option(t *testing.T, fd, level, opt int) int {
	t.Helper()
	v, err := unix.GetsockoptInt(fd, level, opt)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestBindTCP(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, host, want string
		reusePort        bool
	}{
		{"IPv4", "127.0.0.1", "127.0.0.1:", false},
		{"every address", "", "0.0.0.0:", false},
		{"IPv6", "::1", "[::1]:", false},
		{"name", "localhost", "127.0.0.1:", false},
		{"reuse_port", "127.0.0.1", "127.0.0.1:", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := bindOne(t, config.Address{Network: "tcp", Host: tt.host}, tt.reusePort)
			if !strings.HasPrefix(l.addr, tt.want) || strings.HasSuffix(l.addr, ":0") || l.url() != "http://"+l.addr {
				t.Errorf("bound to %s, want %sPORT", l.addr, tt.want)
			}
			wantFlags(t, l.fd)
			if option(t, l.fd, unix.SOL_SOCKET, unix.SO_REUSEADDR) != 1 || option(t, l.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY) != 1 {
				t.Error("SO_REUSEADDR or TCP_NODELAY is not set")
			}
			if got := option(t, l.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT) == 1; got != tt.reusePort {
				t.Errorf("SO_REUSEPORT %v, want %v", got, tt.reusePort)
			}
			_, port, _ := net.SplitHostPort(l.addr)
			conn, err := net.DialTimeout("tcp", net.JoinHostPort(tt.host, port), testDeadline)
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
		})
	}
}

// wantFlags checks that a listener is non-blocking and close-on-exec.
func wantFlags(t *testing.T, fd int) {
	t.Helper()
	fl, err1 := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	fdFlags, err2 := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if fl&unix.O_NONBLOCK == 0 || fdFlags&unix.FD_CLOEXEC == 0 {
		t.Errorf("F_GETFL %#x, F_GETFD %#x: want O_NONBLOCK and FD_CLOEXEC", fl, fdFlags)
	}
}

// TestBindUnix is not parallel: a process that another test forks holds a copy
// of the listener until its exec, and a socket that is still open is not stale.
func TestBindUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l := bindOne(t, config.Address{Network: "unix", Path: path}, false)
	wantFlags(t, l.fd)
	if l.url() != "unix:"+path {
		t.Errorf("url %s", l.url())
	}
	// Somebody answers: in use.
	if _, err := bindUnix(path, &config.Config{Backlog: 1}); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("second bind: %v, want EADDRINUSE", err)
	}
	// Nobody does any more: stale, replaced.
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	next := bindOne(t, config.Address{Network: "unix", Path: path}, false)
	// The first server's exit must not take the second's socket away.
	if err := l.unlink(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Fatal("the socket of another server was removed")
	}
	if err := closeListeners([]*listener{next}); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("our own socket was not removed")
	}
	if err := next.unlink(); err != nil {
		t.Errorf("removing a socket that is gone: %v", err)
	}
}

// TestBindUnixRefuses what it might destroy.
func TestBindUnixRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(dir, strings.Repeat("x", 200))
	for _, tt := range []struct{ name, path, want string }{
		{"file", file, "'" + file + "' is not a socket"},
		{"directory", dir, "'" + dir + "' is not a socket"},
		{"link", link, "'" + link + "' is not a socket"},
		{"too long", long, "unix socket path '" + long + "' is too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := bindUnix(tt.path, &config.Config{Backlog: 1})
			var refused *refusedError
			if !errors.As(err, &refused) || refused.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	t.Cleanup(func() {
		if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
			t.Errorf("the file is now %q, %v", b, err)
		}
	})
}

func TestBindAbstract(t *testing.T) {
	t.Parallel()
	name := "@gowsgi-test-" + filepath.Base(t.TempDir()) + t.Name()
	l := bindOne(t, config.Address{Network: "unix", Path: name}, false)
	conn, err := net.DialTimeout("unix", name, testDeadline)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := l.unlink(); err != nil {
		t.Error(err)
	}
}

func TestAdoptFD(t *testing.T) {
	t.Parallel()
	good, err := socket(unix.AF_INET)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unix.Bind(good, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(good, 1), unix.SetNonblock(good, false)); err != nil {
		t.Fatal(err)
	}
	l := bindOne(t, config.Address{Text: "fd://x", Network: "fd", FD: good}, false)
	wantFlags(t, l.fd)
	if l.fd != good || l.network != "tcp" || !strings.HasPrefix(l.addr, "127.0.0.1:") {
		t.Errorf("adopted %+v", l)
	}

	silent, err := socket(unix.AF_INET)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(silent)
	datagrams, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(datagrams)
	null, err := devNull()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		fd   int
		want string
	}{
		{"closed", 9999, "fd://N is not an open file descriptor"},
		{"file", int(null.Fd()), "fd://N is not a socket"},
		{"not listening", silent, "fd://N is not a listening stream socket"},
		{"datagrams", datagrams, "fd://N is not a listening stream socket"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := adoptFD(tt.fd, "fd://N")
			var refused *refusedError
			if !errors.As(err, &refused) || refused.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// TestAddressInUse: five tries a second apart, gunicorn's lines, then an end.
func TestAddressInUse(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	addr := config.Address{Text: busy.Addr().String(), Network: "tcp", Host: "127.0.0.1", Port: busy.Addr().(*net.TCPAddr).Port}
	for _, tt := range []struct {
		name, host, first, second string
	}{
		{"in use", "127.0.0.1", "Connection in use: ('127.0.0.1', ", "[Errno 98] Address already in use\n"},
		{"not local", "192.0.2.1", "Invalid address: ('192.0.2.1', ", "[Errno 99] Cannot assign requested address\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			addr.Host = tt.host
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				_, err := bindRetrying(t.Context(), logging.New(&out, "text", "info", 7), addr, &config.Config{Backlog: 1})
				if !errors.Is(err, errLogged) {
					t.Errorf("got %v, want errLogged", err)
				}
				if d := time.Since(begin); d != bindTries*bindPause {
					t.Errorf("took %v, want %v", d, bindTries*bindPause)
				}
			})
			for text, times := range map[string]int{tt.first: 5, "connection to ('" + tt.host + "', ": 5, " failed: " + tt.second: 5, "[ERROR] Can't connect to ('" + tt.host + "', ": 1} {
				if n := strings.Count(out.String(), text); n != times {
					t.Errorf("%q is %d times on the log, want %d:\n%s", text, n, times, out.String())
				}
			}
		})
	}
}

// TestBindIsInterrupted: a signal need not wait for the retries.
func TestBindIsInterrupted(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		_, err := bindRetrying(ctx, zerolog.Nop(), config.Address{Network: "tcp", Host: "127.0.0.1", Port: busy.Addr().(*net.TCPAddr).Port}, &config.Config{Backlog: 1})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
	})
}

// TestBindAllLeavesNothing: the second address is refused, the first is given back.
func TestBindAllLeavesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	_, err := bindAll(t.Context(), zerolog.Nop(), []config.Address{
		{Network: "unix", Path: path}, {Text: "fd://9999", Network: "fd", FD: 9999},
	}, &config.Config{Backlog: 1}, nil)
	if err == nil || err.Error() != "fd://9999 is not an open file descriptor" {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the first socket is still there")
	}
}

func TestSystemdFDs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, pid, fds string
		want           int
		fails          bool
	}{
		{"none", "", "", 0, false},
		{"two", "7", "2", 2, false},
		{"for another process", "8", "2", 0, false},
		{"garbage for another process", "8", "x", 0, false},
		{"zero", "7", "0", 0, false},
		{"garbage", "7", "x", 0, true},
		{"negative", "7", "-1", 0, true},
		{"missing", "7", "", 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fds, err := systemdFDs(getenv([]string{"LISTEN_PID=" + tt.pid, "LISTEN_FDS=" + tt.fds}), 7)
			if len(fds) != tt.want || (err != nil) != tt.fails || tt.want > 0 && (fds[0] != 3 || fds[1] != 4) {
				t.Errorf("got %v, %v, want %d, error %v", fds, err, tt.want, tt.fails)
			}
		})
	}
}

func TestErrnoText(t *testing.T) {
	t.Parallel()
	if got := errnoText(os.NewSyscallError("bind", unix.EACCES)); got != "[Errno 13] Permission denied" {
		t.Errorf("got %q", got)
	}
	if got := errnoText(errors.New("resolving x: no such host")); got != "resolving x: no such host" {
		t.Errorf("got %q", got)
	}
}
