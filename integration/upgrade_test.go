package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
)

// signal sends sig to a process the server's log has named.
func signal(t testing.TB, pid int, sig syscall.Signal) {
	t.Helper()
	if pid <= 1 {
		t.Fatalf("%d is no process of the test", pid) // and -1 all that there are
	}
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatalf("sending %v to %d: %v", sig, pid, err)
	}
}

// upgrade sends SIGUSR2 to the master with that pid and waits until the new one
// has said that n workers are ready. It returns the new one's pid.
func upgrade(t testing.TB, s *gowsgitest.Server, master, n int) int {
	t.Helper()
	mark := s.Log.Mark()
	signal(t, master, syscall.SIGUSR2)
	next := atoi(t, s.Log.WaitAfter(t, mark, `Started a new master \(pid:(\d+)\)`)[1])
	s.Log.WaitAfter(t, mark, fmt.Sprintf(`New master \(pid:%d\) is ready: %d workers`, next, n))
	return next
}

// leaves waits for the end of a master that is no child of the test.
func leaves(t testing.TB, pid int) {
	t.Helper()
	p := gowsgitest.NewProcess(pid)
	if !gowsgitest.Eventually(func() bool { return !p.Alive() }) {
		t.Fatalf("%d does not leave", pid)
	}
}

// stopsLast ends the test's server when its first master is gone already.
func stopsLast(t testing.TB, s *gowsgitest.Server, master int) {
	t.Helper()
	signal(t, master, syscall.SIGTERM)
	leaves(t, master)
	s.Wait()
}

// gunicorn: USR2. A new master with the same sockets; either of the two may leave,
// and no request fails, on new connections or on kept ones.
func TestUpgradeUnderLoad(t *testing.T) {
	t.Parallel()
	for _, bind := range []string{"tcp", "unix"} {
		t.Run(bind, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := write(t, dir, "app.py", version(1))
			pidfile := filepath.Join(dir, "pid")
			c := gowsgitest.Config{Dir: dir, Args: []string{"-w", "2", "-p", pidfile, "app"}}
			if bind == "unix" {
				c.Bind = "unix:" + filepath.Join(dir, "sock")
			}
			s := gowsgitest.Start(t, c)
			s.WaitBooted(2)
			l := startLoad(s, "/", 2, 3)
			l.waitMore(t, 100)

			// Forth, and back: the new master leaves.
			replace(t, path, version(2))
			next := upgrade(t, s, s.PID, 2)
			if got := atoi(t, read(t, pidfile+".2")); got != next {
				t.Errorf("the new pid file says %d, want %d", got, next)
			}
			if got := atoi(t, read(t, pidfile)); got != s.PID {
				t.Errorf("the pid file says %d, want %d", got, s.PID)
			}
			s.Signal(syscall.SIGUSR2)
			s.Log.Wait(t, `USR2 signal ignored. Child exists.`)
			signal(t, next, syscall.SIGUSR2)
			s.Log.Wait(t, `USR2 signal ignored. Parent exists.`)
			l.waitMore(t, 100)
			signal(t, next, syscall.SIGTERM)
			leaves(t, next)
			s.Log.Wait(t, fmt.Sprintf(`New master \(pid:%d\) has left`, next))
			s.Log.Wait(t, `Shutting down: Master\.2`)
			if exists(pidfile + ".2") {
				t.Error("the new pid file is left")
			}
			l.waitMore(t, 100)

			// Forth again, by all steps: the old master's workers first, then itself.
			replace(t, path, version(3))
			next = upgrade(t, s, s.PID, 2)
			s.Signal(syscall.SIGWINCH)
			if !gowsgitest.Eventually(func() bool { return len(gowsgitest.Children(s.PID)) == 1 }) {
				t.Errorf("the old master has children %v, want the new master only", gowsgitest.Children(s.PID))
			}
			l.waitMore(t, 100)
			s.Signal(syscall.SIGTERM)
			s.Log.Wait(t, `Master has been promoted\.`)
			leaves(t, s.PID)
			if !gowsgitest.Eventually(func() bool {
				got, err := os.ReadFile(pidfile) // it moves there when the old master's is gone
				return err == nil && strings.TrimSpace(string(got)) == strconv.Itoa(next) && !exists(pidfile+".2")
			}) {
				t.Errorf("the pid file does not become that of %d", next)
			}
			l.waitMore(t, 100)
			if got := s.GetOK("/"); got != "version 3" {
				t.Errorf("got %q, want the new code", got)
			}

			// And once more from there.
			last := upgrade(t, s, next, 2)
			signal(t, next, syscall.SIGTERM)
			leaves(t, next)
			l.waitMore(t, 100)
			l.end(t)
			if s.Log.Count(`was sent|exited with code|\[ERROR\]`) != 0 {
				t.Error("the log of good upgrades has complaints")
			}
			if bind == "unix" && !exists(s.Addr) {
				t.Error("the socket file is gone")
			}
			stopsLast(t, s, last)
			if exists(pidfile) || bind == "unix" && exists(s.Addr) {
				t.Error("the pid file or the socket file is left")
			}
		})
	}
}

// A new master that cannot start or load the application changes nothing.
func TestUpgradeThatFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := write(t, dir, "app.py", version(1)+saysLoaded)
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"-w", "2", "app"}})
	workers := s.WaitBooted(2)
	waitLoaded(t, dir, 2)
	before := len(gowsgitest.Descriptors(s.PID))
	l := startLoad(s, "/", 1, 2)
	l.waitMore(t, 20)
	replace(t, path, "raise ValueError('broken')\n")
	s.Signal(syscall.SIGUSR2)
	s.Log.Wait(t, `ValueError: broken`)
	s.Log.Wait(t, `\[ERROR\] New master \(pid:\d+\) exited with code 3\.`)
	l.waitMore(t, 50)
	l.end(t)
	if got := s.Workers(); !slices.Equal(got, workers) {
		t.Errorf("workers are %v, want %v as before", got, workers)
	}
	if !gowsgitest.Eventually(func() bool { return len(gowsgitest.Descriptors(s.PID)) <= before }) {
		t.Errorf("the master has descriptors %v, at first %d", gowsgitest.Descriptors(s.PID), before)
	}
	if z := gowsgitest.Zombies(s.PID); len(z) != 0 {
		t.Errorf("%v were not reaped", z)
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// Either master may be killed: the other one goes on, and is promoted.
func TestUpgradeAndKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pidfile := filepath.Join(dir, "pid")
	write(t, dir, "app.py", version(1))
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"-w", "2", "-p", pidfile, "app"}})
	s.WaitBooted(2)
	next := upgrade(t, s, s.PID, 2)
	signal(t, next, syscall.SIGKILL)
	s.Log.Wait(t, fmt.Sprintf(`New master \(pid:%d\) was sent SIGKILL!`, next))
	for range 50 {
		s.GetOK("/")
	}
	if err := os.Remove(pidfile + ".2"); err != nil {
		t.Error(err)
	}
	next = upgrade(t, s, s.PID, 2)
	l := startLoad(s, "/", 1, 2)
	l.waitMore(t, 50)
	s.Signal(syscall.SIGKILL)
	s.Log.Wait(t, `Master has been promoted\.`)
	l.waitMore(t, 200)
	l.end(t)
	if got := atoi(t, read(t, pidfile)); got != next {
		t.Errorf("the pid file says %d, want %d", got, next)
	}
	stopsLast(t, s, next)
}

// The program at the path is what a new master runs, also when the file was
// replaced, and its arguments, environment and directory are the old one's.
func TestUpgradeRunsTheNewProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app.py", version(1))
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"--chdir", ".", "-n", "named", "app"}})
	s.WaitBooted(1)
	next := upgrade(t, s, s.PID, 1)
	for pid, want := range map[int]string{s.PID: "gowsgi: master [named]", next: "gowsgi: master [named]"} {
		if got := gowsgitest.CommandLine(pid); !strings.HasPrefix(got, want[:len("gowsgi: master")]) {
			t.Errorf("the title of %d is %q", pid, got)
		}
	}
	if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", next)); err != nil || cwd != dir {
		t.Errorf("directory %q, %v, want %q", cwd, err, dir)
	}
	env := read(t, fmt.Sprintf("/proc/%d/environ", gowsgitest.Children(next)[0]))
	if strings.Contains(env, "GOWSGI_HANDOVER") {
		t.Error("workers get what was meant for the master")
	}
	s.Signal(syscall.SIGTERM)
	leaves(t, s.PID)
	stopsLast(t, s, next)
}

// Connections that wait to be accepted when the service stops are answered, not
// reset; also when all processes get the signal, as from a terminal or from
// systemd's default KillMode.
func TestStopAnswersTheQueue(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ bind, to string }{{"tcp", "master"}, {"unix", "master"}, {"tcp", "all"}, {"unix", "all"}, {"tcp", "slow master"}, {"unix", "slow master"}} {
		t.Run(tt.bind+" to "+tt.to, func(t *testing.T) {
			t.Parallel()
			c := gowsgitest.Config{Dir: apps(), Args: []string{"-w", "2", "--keep-alive", "0", "probe"}}
			if tt.bind == "unix" {
				c.Bind = "unix:" + filepath.Join(t.TempDir(), "sock")
			}
			s := gowsgitest.Start(t, c)
			s.WaitBooted(2)
			answering(t, s, 2)
			g := newGate(t)
			var waiting []<-chan answer
			for i := range 2 {
				waiting = append(waiting, ask(s, g.target()))
				g.waitStarted(i + 1)
			}
			// All threads are busy: these wait in the kernel, or in the hand-off queue.
			var queued []*gowsgitest.Conn
			for range 20 {
				c := s.Dial()
				c.Send("GET /pid HTTP/1.1\r\nHost: a\r\n\r\n")
				queued = append(queued, c)
			}
			switch tt.to {
			case "slow master": // the workers know of it long before
				s.Signal(syscall.SIGSTOP)
				signalGroup(t, s.PID, syscall.SIGTERM)
				time.Sleep(300 * time.Millisecond)
				s.Signal(syscall.SIGCONT)
			case "all":
				signalGroup(t, s.PID, syscall.SIGTERM)
			default:
				s.Signal(syscall.SIGTERM)
			}
			s.Log.Wait(t, `Handling signal: term`)
			time.Sleep(300 * time.Millisecond)
			g.open()
			for _, c := range waiting {
				if a := <-c; a.err != nil || a.Status != 200 {
					t.Errorf("got %v, want 200", a)
				} else if !a.Close {
					t.Error("the answer does not say that it is the last one")
				}
			}
			for _, c := range queued {
				if r := c.Response("GET"); r.Status != 200 || !r.Close {
					t.Errorf("got %v, want 200 and that it is the last answer", r)
				}
			}
			if code := s.Wait(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}

// signalGroup sends sig to all processes of a session that the test has started.
func signalGroup(t testing.TB, leader int, sig syscall.Signal) {
	t.Helper()
	if leader <= 1 {
		t.Fatalf("%d leads no group of the test", leader)
	}
	if err := syscall.Kill(-leader, sig); err != nil {
		t.Fatal(err)
	}
}

// Under systemd the old master names the new one when it leaves, and what the service
// is doing is what that one says.
func TestUpgradeTellsTheServiceManager(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var told []string
	expect := func(want string) {
		t.Helper()
		buf := make([]byte, 1024)
		_ = conn.SetReadDeadline(time.Now().Add(gowsgitest.Patience))
		for {
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatalf("got %v, want %q; before: %q", err, want, told)
			}
			if told = append(told, string(buf[:n])); told[len(told)-1] == want {
				return
			}
		}
	}
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: apps(), Env: []string{"NOTIFY_SOCKET=" + path}, Args: []string{"-w", "2", "probe"}})
	expect("STATUS=2 of 2 workers ready")
	s.Signal(syscall.SIGUSR2)
	next := atoi(t, s.Log.Wait(t, `New master \(pid:(\d+)\) is ready`)[1])
	told = nil
	s.Signal(syscall.SIGTERM)
	expect(fmt.Sprintf("MAINPID=%d", next))
	expect("STATUS=2 of 2 workers ready")
	for _, text := range told {
		if strings.Contains(text, "STOPPING") || strings.Contains(text, "stopping") {
			t.Errorf("the service manager was told %q of a service that goes on", told)
		}
	}
	leaves(t, s.PID)
	stopsLast(t, s, next)
	expect("STOPPING=1")
}
