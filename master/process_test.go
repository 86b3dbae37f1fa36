package master

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/protocol/ipc"
)

var anyPort = config.Address{Text: "127.0.0.1:0", Network: "tcp", Host: "127.0.0.1"}

const (
	listening = `Listening at: http://(127\.0\.0\.1:\d+)`
	bootedPID = `Booting worker with pid: (\d+)`
)

// TestWorkerIsStartedByTheContract asks real workers what they were given.
func TestWorkerIsStartedByTheContract(t *testing.T) {
	t.Parallel()
	sock := filepath.Join(t.TempDir(), "s")
	pid := filepath.Join(t.TempDir(), "pid")
	s := serveMaster(t, config.Config{
		Workers: 2, Bind: []config.Address{anyPort, {Text: "unix:" + sock, Network: "unix", Path: sock}},
		PIDFile: pid, Env: []string{"RAW=1"},
	}, "serve", func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "LISTEN_FDS=1", "LISTEN_PID=1", "LISTEN_FDNAMES=x") })
	addr := s.log.wait(t, listening, 1)[0]

	seen := map[int]bool{}
	want := inheritedFDs(t)
	for i := range ipc.FDListeners + 2 {
		want = append(want, i)
	}
	check := func(r report) {
		seen[r.PID] = true
		// Trap: starting a worker must not clear O_NONBLOCK, which all share.
		if !slices.Equal(r.NonBlock, []bool{true, true}) {
			t.Errorf("worker %d: O_NONBLOCK of the listeners %v", r.Age, r.NonBlock)
		}
		for _, fd := range r.FDs {
			if !slices.Contains(want, fd) {
				t.Errorf("worker %d holds descriptor %d, want only %v", r.Age, fd, want)
			}
		}
		if r.Title != "gowsgi: worker [app]" || r.Dir != s.dir || r.Stdin != os.DevNull {
			t.Errorf("worker %d: title %q, directory %q, standard input %q", r.Age, r.Title, r.Dir, r.Stdin)
		}
		for _, kv := range r.Environ {
			if strings.HasPrefix(kv, "LISTEN_") {
				t.Errorf("worker %d has %s", r.Age, kv)
			}
		}
		for _, kv := range []string{"RAW=1", "SERVER_SOFTWARE=gowsgi/0.1.0", ipc.EnvWorker + "=" + ipc.Version} {
			if !slices.Contains(r.Environ, kv) {
				t.Errorf("worker %d lacks %s", r.Age, kv)
			}
		}
		if wantL := []ipc.Listener{{Network: "tcp", Addr: addr}, {Network: "unix", Addr: sock}}; !slices.Equal(r.Listeners, wantL) {
			t.Errorf("worker %d has listeners %v, want %v", r.Age, r.Listeners, wantL)
		}
	}
	// All workers, old and new, after each start of another one.
	for n := 2; n <= 4; n++ {
		s.log.wait(t, bootedPID, n)
		clear(seen)
		for deadline := time.Now().Add(testDeadline); len(seen) < n && time.Now().Before(deadline); {
			check(ask(t, "tcp", addr))
			check(ask(t, "unix", sock))
		}
		if len(seen) != n {
			t.Fatalf("%d workers answered, want %d\n%s", len(seen), n, s.log)
		}
		if n < 4 {
			s.signal(unix.SIGTTIN)
		}
	}
	if st, err := os.Stat(sock); err != nil || st.Mode() != fs.ModeSocket|0o777 {
		t.Errorf("socket %v, %v, want mode 0777", st, err)
	}
	if got := readPIDFile(pid); got != s.cmd.Process.Pid {
		t.Errorf("pid file has %d, want %d", got, s.cmd.Process.Pid)
	}

	s.signal(unix.SIGTERM)
	s.ends(0)
	for _, path := range []string{sock, pid} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there", path)
		}
	}
	wantRefused(t, addr)
}

// inheritedFDs returns the descriptors that whoever runs the tests lets every
// process inherit.
func inheritedFDs(t *testing.T) []int {
	t.Helper()
	var fds []int
	for _, fd := range openFDs(os.Getpid()) {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			fds = append(fds, fd)
		}
	}
	return fds
}

func wantRefused(t *testing.T, addr string) {
	t.Helper()
	deadline := time.Now().Add(testDeadline)
	for {
		conn, err := net.DialTimeout("tcp", addr, testDeadline)
		if errors.Is(err, unix.ECONNREFUSED) {
			return
		}
		if err == nil {
			conn.Close()
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s still answers (%v)", addr, err)
		}
		time.Sleep(time.Millisecond) // between two questions, not a guess at an answer
	}
}

// TestMasterKilled: workers see the end of the death pipe, and the port is free.
func TestMasterKilled(t *testing.T) {
	t.Parallel()
	s := serveMaster(t, config.Config{Workers: 3, Bind: []config.Address{anyPort}}, "serve", nil)
	addr := s.log.wait(t, listening, 1)[0]
	s.log.wait(t, bootedPID, 3)
	ask(t, "tcp", addr)
	s.signal(unix.SIGKILL)
	// The workers hold standard error: done means they are gone too.
	select {
	case <-s.done:
	case <-time.After(testDeadline):
		t.Fatal("workers outlive their master")
	}
	wantRefused(t, addr)
	ls, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	ls.Close()
}

func TestRealBootFailure(t *testing.T) {
	t.Parallel()
	for _, behaviour := range []string{"fail", "fail with a survivor"} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			pid := filepath.Join(t.TempDir(), "pid")
			var logFile string
			s := serveMaster(t, config.Config{Workers: 4, Bind: []config.Address{anyPort}, PIDFile: pid}, behaviour, func(cmd *exec.Cmd) {
				// A survivor must not keep the test's pipe: a file has no end to wait for.
				f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { f.Close() })
				cmd.Stderr, logFile = f, f.Name()
			})
			begin := time.Now()
			s.ends(ipc.ExitBoot)
			if d := time.Since(begin); d > 20*time.Second {
				t.Errorf("took %v: the survivor was waited for", d)
			}
			b, err := os.ReadFile(logFile)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.SplitSeq(string(b), "\n") {
				if survivor, ok := strings.CutPrefix(line, "survivor "); ok {
					n, _ := strconv.Atoi(survivor)
					_ = unix.Kill(n, unix.SIGKILL)
				}
			}
			if n := strings.Count(string(b), "Traceback"); n != 1 {
				t.Errorf("%d tracebacks, want 1:\n%s", n, b)
			}
			if !strings.Contains(string(b), "Reason: Worker failed to boot.\n") {
				t.Errorf("no reason:\n%s", b)
			}
			if _, err := os.Stat(pid); !errors.Is(err, fs.ErrNotExist) {
				t.Error("the pid file is still there")
			}
		})
	}
}

// TestOrphansAreReaped: the master may be process 1.
func TestOrphansAreReaped(t *testing.T) {
	t.Parallel()
	s := serveMaster(t, config.Config{Workers: 1, Bind: []config.Address{anyPort}}, "orphan", func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, envSubreaper+"=1")
	})
	orphan := s.log.number(t, `orphan (\d+)`)
	s.log.wait(t, fmt.Sprintf(`\[DEBUG\] Reaped unknown child \(pid:%d\)`, orphan), 1)
	s.signal(unix.SIGTERM)
	s.ends(0)
}

// TestKilledWorkerIsReplaced by signal and for real.
func TestKilledWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	s := serveMaster(t, config.Config{Workers: 1, Bind: []config.Address{anyPort}}, "serve", nil)
	addr := s.log.wait(t, listening, 1)[0]
	first := ask(t, "tcp", addr)
	if err := unix.Kill(first.PID, unix.SIGSEGV); err != nil {
		t.Fatal(err)
	}
	s.log.wait(t, fmt.Sprintf(`Worker \(pid:%d\) (was sent SIGSEGV!|exited with code 2\.)`, first.PID), 1)
	if second := ask(t, "tcp", addr); second.PID == first.PID || second.Age != 2 {
		t.Errorf("worker %d answers, pid %d", second.Age, second.PID)
	}
	s.signal(unix.SIGTERM)
	s.ends(0)
}

func TestDeafWorkersAreKilled(t *testing.T) {
	t.Parallel()
	s := serveMaster(t, config.Config{Workers: 1, GracefulTimeout: 200 * time.Millisecond}, "deaf", nil)
	s.log.wait(t, "deaf", 1)
	s.signal(unix.SIGHUP)
	s.log.wait(t, `Worker \(pid:\d+\) was killed after graceful timeout \(0\.2s\)`, 1)
	s.log.wait(t, "deaf", 2)
	s.signal(unix.SIGTERM)
	s.ends(0)
	s.log.wait(t, `was killed after graceful timeout`, 2)
}

func TestRealReload(t *testing.T) {
	t.Parallel()
	s := serveMaster(t, config.Config{Workers: 2, Bind: []config.Address{anyPort}}, "serve", nil)
	addr := s.log.wait(t, listening, 1)[0]
	ask(t, "tcp", addr)
	s.signal(unix.SIGHUP)
	s.log.wait(t, `Reload complete: 2 workers`, 1)
	s.log.wait(t, bootedPID, 4)
	s.signal(unix.SIGQUIT)
	s.ends(0)
}

func TestReopenRealLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "error.log")
	s := serveMaster(t, config.Config{Workers: 1, ErrorLog: path, Bind: []config.Address{anyPort}}, "serve", nil)
	waitFile(t, path, "Booting worker")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	s.signal(unix.SIGUSR1)
	waitFile(t, path, "") // it is there again
	s.signal(unix.SIGTERM)
	s.ends(0)
	waitFile(t, path, "Handling signal: term")
	waitFile(t, path+".1", "Handling signal: usr1")
}

func waitFile(t *testing.T, path, text string) {
	t.Helper()
	deadline := time.Now().Add(testDeadline)
	for {
		b, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(b), text) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q never was in %s: %v\n%s", text, path, err, b)
		}
		time.Sleep(time.Millisecond) // between two questions
	}
}

// TestNotify speaks with a service manager.
func TestNotify(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := serveMaster(t, config.Config{Workers: 2}, "mark", func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=100000")
	})
	status, pings := "", 0
	expect := func(want string) {
		t.Helper()
		buf := make([]byte, 1024)
		_ = conn.SetReadDeadline(time.Now().Add(testDeadline))
		for {
			n, err := conn.Read(buf)
			got := string(buf[:n])
			if err != nil {
				t.Fatalf("got %v, want %q", err, want)
			}
			if text, ok := strings.CutPrefix(got, "STATUS="); ok {
				status = text
			} else if got == "WATCHDOG=1" {
				pings++
			} else if strings.HasPrefix(got, want) {
				return
			} else {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	}
	expect("READY=1")
	// Not before the last worker of the first generation.
	for _, name := range []string{"ready-1", "ready-2"} {
		if _, err := os.Stat(filepath.Join(s.dir, name)); err != nil {
			t.Errorf("READY=1 came too early: %v", err)
		}
	}
	s.signal(unix.SIGHUP)
	expect("RELOADING=1\nMONOTONIC_USEC=")
	expect("READY=1")
	for before := pings; pings < before+3; { // signs of life go on
		buf := make([]byte, 1024)
		if n, err := conn.Read(buf); err != nil {
			t.Fatal(err)
		} else if string(buf[:n]) == "WATCHDOG=1" {
			pings++
		}
	}
	if status != "2 of 2 workers ready" {
		t.Errorf("status %q", status)
	}
	s.signal(unix.SIGTERM)
	expect("STOPPING=1")
	s.ends(0)
}

func TestWatchdogInterval(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		usec, pid string
		inherited bool
		want      time.Duration
	}{
		{"", "", false, 0},
		{"30000000", "", false, 30 * time.Second},
		{"30000000", "7", false, 30 * time.Second},
		{"30000000", "6", false, 0},
		{"30000000", "6", true, 30 * time.Second},
		{"0", "", false, 0}, {"-1", "", false, 0}, {"many", "", false, 0}, {"9223372036854775807", "", false, 0},
	} {
		env := []string{"WATCHDOG_USEC=" + tt.usec, "WATCHDOG_PID=" + tt.pid}
		if got := watchdogInterval(getenv(env), 7, tt.inherited); got != tt.want {
			t.Errorf("%v, inherited %v: got %v, want %v", env, tt.inherited, got, tt.want)
		}
	}
}

// TestSystemdSockets: activation passes the listener as descriptor 3.
func TestSystemdSockets(t *testing.T) {
	t.Parallel()
	ls, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ls.Close()
	file, err := ls.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s := serveMaster(t, config.Config{Workers: 1, Bind: []config.Address{{Network: "fd", FD: 999}}}, "serve", func(cmd *exec.Cmd) {
		// The pid is known only to the process itself.
		cmd.Args = []string{"sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0"`, cmd.Path}
		cmd.Path = "/bin/sh"
		cmd.ExtraFiles = []*os.File{file}
	})
	addr := s.log.wait(t, listening, 1)[0]
	if addr != ls.Addr().String() {
		t.Errorf("listening at %s, want %s", addr, ls.Addr())
	}
	r := ask(t, "tcp", addr)
	if !slices.Equal(r.NonBlock, []bool{true}) {
		t.Error("the passed socket is blocking")
	}
	s.signal(unix.SIGTERM)
	s.ends(0)
}

func TestAlreadyRunning(t *testing.T) {
	t.Parallel()
	pid := filepath.Join(t.TempDir(), "pid")
	if err := os.WriteFile(pid, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := serveMaster(t, config.Config{Workers: 1, PIDFile: pid}, "serve", nil)
	s.ends(1)
	s.log.wait(t, fmt.Sprintf(`\nError: Already running on PID %d \(or pid file '%s' is stale\)\n`, os.Getpid(), pid), 1)
	if readPIDFile(pid) != os.Getpid() {
		t.Error("the other server's pid file was touched")
	}
}

// A process id that means more than one process is never signalled.
func TestKillOneProcess(t *testing.T) {
	t.Parallel()
	for _, pid := range []int{-1, 0, 1, -os.Getpid()} {
		// Signal 0 does no harm, should it be sent.
		if err := kill(pid, 0); err == nil {
			t.Errorf("kill(%d) did something", pid)
		}
	}
	if err := kill(os.Getpid(), 0); err != nil {
		t.Errorf("kill of this process: %v", err)
	}
}
