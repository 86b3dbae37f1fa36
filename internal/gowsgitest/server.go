package gowsgitest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Config says how to start gowsgi.
type Config struct {
	// Dir is the working directory; empty is the test's own.
	Dir string
	// Program is another file than Binary.
	Program string
	// Module is what makes an interpreter as Program start it, as in python -m gowsgi.
	Module []string
	// Args is the command line.
	Args []string
	// Bind replaces the free port of 127.0.0.1 that Start asks for with -b.
	Bind string
	// NoBind leaves -b out.
	NoBind bool
	// Env is added to an environment from which everything that gowsgi or CPython
	// reads has been taken out.
	Env []string
	// NoVenv leaves VIRTUAL_ENV out of the environment.
	NoVenv bool
	// ExtraFiles are inherited from descriptor 3 on.
	ExtraFiles []*os.File
}

// Server is a gowsgi master that a test started.
type Server struct {
	// PID is the master's.
	PID int
	// Log is standard error, Stdout standard output.
	Log, Stdout *Log
	// Network and Addr say where it listens first: "tcp" and "127.0.0.1:41233", or
	// "unix" and a path. Empty until it listens.
	Network, Addr string
	// All has every address of the log line.
	All []string

	tb     testing.TB
	cmd    *exec.Cmd
	mark   string
	exited chan struct{} // closed after Wait returned
	inodes []string      // of the TCP sockets it listens on
	client *httpClient
}

var serverCount atomic.Int64

// readByServer are the names of variables that change what gowsgi does.
var readByServer = []string{
	"PORT", "WEB_CONCURRENCY", "GUNICORN_", "GOWSGI_", "VIRTUAL_ENV", "PYTHON", "FORWARDED_ALLOW_IPS",
	"SCRIPT_NAME", "SENDFILE", "LISTEN_", "NOTIFY_SOCKET", "DJANGO_", "FLASK_",
}

func environment(tb testing.TB, c Config, mark string) []string {
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return slices.ContainsFunc(readByServer, func(prefix string) bool { return strings.HasPrefix(entry, prefix) })
	})
	// Tests rewrite modules faster than the one-second clock of .pyc files sees.
	env = append(env, "PYTHONDONTWRITEBYTECODE=1", mark)
	if Hosted() {
		env = append(env, "GOWSGI_PYTHON_MODE=hosted")
	}
	if !c.NoVenv {
		env = append(env, "VIRTUAL_ENV="+Venv(tb))
	}
	return append(env, c.Env...)
}

// Launch starts gowsgi and returns at once. At the end of the test the server is
// stopped, if it still runs, and the test fails if a process or a socket of it is
// left. The log of a failed test is printed.
func Launch(tb testing.TB, c Config) *Server {
	tb.Helper()
	s := &Server{
		tb:     tb,
		exited: make(chan struct{}),
		mark:   fmt.Sprintf("GOWSGITEST_MARK=%d.%d", os.Getpid(), serverCount.Add(1)),
	}
	args := c.Args
	if c.Bind == "" && !c.NoBind {
		c.Bind = "127.0.0.1:0"
	}
	if c.Bind != "" {
		args = append([]string{"-b", c.Bind}, args...)
	}
	if c.Program == "" {
		c.Program = Binary(tb)
	}
	s.cmd = exec.Command(c.Program, slices.Concat(c.Module, args)...)
	s.cmd.Dir = c.Dir
	s.cmd.Env = environment(tb, c, s.mark)
	s.cmd.ExtraFiles = c.ExtraFiles
	// A session of its own: without a terminal, whose Ctrl-C is for the test only.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var closeAfterStart []*os.File
	pipe := func() (*Log, *os.File) {
		r, w, err := os.Pipe()
		if err != nil {
			tb.Fatal(err)
		}
		closeAfterStart = append(closeAfterStart, w)
		return Collect(r), w
	}
	// Files, not writers: exec then copies nothing itself, and a grandchild that
	// keeps an output open cannot hold Wait up.
	var stderr, stdout *os.File
	s.Log, stderr = pipe()
	s.Stdout, stdout = pipe()
	s.cmd.Stderr, s.cmd.Stdout = stderr, stdout
	err := s.cmd.Start()
	for _, f := range closeAfterStart {
		f.Close()
	}
	if err != nil {
		tb.Fatal(err)
	}
	s.PID = s.cmd.Process.Pid
	tb.Cleanup(s.cleanup)
	go func() {
		// The result is read from ProcessState after exited is closed.
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	return s
}

// Start is Launch, and waits until the server listens.
func Start(tb testing.TB, c Config) *Server {
	tb.Helper()
	s := Launch(tb, c)
	s.WaitListening()
	return s
}

// WaitListening waits for the line that says where the server listens.
func (s *Server) WaitListening() {
	s.tb.Helper()
	m := s.Log.Wait(s.tb, `Listening at: (\S+(?:, ?\S+)*) \(\d+\)`)
	for _, url := range strings.Split(m[1], ",") {
		s.All = append(s.All, strings.TrimSpace(url))
	}
	s.Network, s.Addr = parseURL(s.All[0])
	for _, url := range s.All {
		network, addr := parseURL(url)
		if _, text, err := net.SplitHostPort(addr); network == "tcp" && err == nil {
			port, _ := strconv.Atoi(text)
			for _, inode := range listeningInodes(port) {
				// With SO_REUSEPORT the port may be somebody else's as well.
				if s.holds(inode) {
					s.inodes = append(s.inodes, inode)
				}
			}
		}
	}
	s.client = newClient(s.Network, s.Addr)
}

// holds reports whether the master or a worker has the socket with this inode.
func (s *Server) holds(inode string) bool {
	for _, pid := range append(Children(s.PID), s.PID) {
		for _, target := range Descriptors(pid) {
			if target == "socket:["+inode+"]" {
				return true
			}
		}
	}
	return false
}

func parseURL(url string) (network, addr string) {
	if path, ok := strings.CutPrefix(url, "unix:"); ok {
		return "unix", path
	}
	return "tcp", strings.TrimPrefix(url, "http://")
}

// In returns the same server for a subtest: what fails, fails tb.
func (s *Server) In(tb testing.TB) *Server {
	c := *s
	c.tb = tb
	return &c
}

// Signal sends sig to the master.
func (s *Server) Signal(sig syscall.Signal) {
	s.tb.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.tb.Fatalf("sending %v to the master: %v", sig, err)
	}
}

// Exited is closed when the master has ended.
func (s *Server) Exited() <-chan struct{} { return s.exited }

// Running reports whether the master still runs.
func (s *Server) Running() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// Wait waits for the end of the master and returns its exit code, or minus the
// signal that ended it. It ends the test when Patience runs out.
func (s *Server) Wait() int {
	s.tb.Helper()
	select {
	case <-s.exited:
	case <-time.After(Patience):
		s.tb.Fatalf("the master still runs after %v", Patience)
	}
	// What it wrote last is in the pipes; their ends may still be held by workers.
	for _, l := range []*Log{s.Log, s.Stdout} {
		select {
		case <-l.done:
		case <-time.After(Patience):
			s.tb.Fatalf("the output is still open %v after the end of the master", Patience)
		}
	}
	status := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return -int(status.Signal())
	}
	return status.ExitStatus()
}

// Stop sends SIGTERM and returns the exit code.
func (s *Server) Stop() int {
	s.tb.Helper()
	s.Signal(syscall.SIGTERM)
	return s.Wait()
}

// Workers returns the pids of the workers the log says were started and that
// still run, oldest first.
func (s *Server) Workers() []int {
	var alive []int
	children := Children(s.PID)
	for _, m := range s.Log.All(`Booting worker with pid: (\d+)`) {
		pid, _ := strconv.Atoi(m[1])
		if slices.Contains(children, pid) {
			alive = append(alive, pid)
		}
	}
	return alive
}

// WaitBooted waits until n workers have been started in all and returns the pids
// of all of them, in order.
func (s *Server) WaitBooted(n int) []int {
	s.tb.Helper()
	var pids []int
	for _, m := range s.Log.WaitN(s.tb, `Booting worker with pid: (\d+)`, n) {
		pid, err := strconv.Atoi(m[1])
		if err != nil {
			s.tb.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// cleanup stops what still runs, by pid, and fails the test for what is left.
func (s *Server) cleanup() {
	if s.client != nil {
		s.client.close()
	}
	if s.Running() {
		s.stopHard()
	}
	var left []Process
	if !Within(10*time.Second, func() bool { left = marked(s.mark); return len(left) == 0 }) {
		for _, p := range left {
			s.tb.Errorf("process %d is left: %s", p.PID, CommandLine(p.PID))
			// The pid is that of a process with our mark, checked a moment ago.
			_ = syscall.Kill(p.PID, syscall.SIGKILL)
		}
	}
	s.checkPorts()
	if s.tb.Failed() {
		s.tb.Logf("command: %s\nlog of the server:\n%s\nstandard output:\n%s",
			strings.Join(s.cmd.Args, " "), s.Log, s.Stdout)
	}
}

// stopHard ends the master: a quick stop first, so that its workers end too.
func (s *Server) stopHard() {
	for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGKILL} {
		if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			s.tb.Errorf("stopping the server: %v", err)
		}
		select {
		case <-s.exited:
			return
		case <-time.After(10 * time.Second):
			s.tb.Errorf("the master still runs 10s after %v", sig)
		}
	}
}

// checkPorts fails the test if a socket the server listened on still exists. The
// port number alone would not do: a parallel test may have been given it since.
func (s *Server) checkPorts() {
	for _, url := range s.All {
		_, text, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
		if err != nil {
			continue
		}
		port, _ := strconv.Atoi(text)
		for _, inode := range listeningInodes(port) {
			if slices.Contains(s.inodes, inode) {
				s.tb.Errorf("the server is gone but %s is still open", url)
			}
		}
	}
}

// Result is how a command ended.
type Result struct {
	Code           int
	Stdout, Stderr string
}

// Run starts gowsgi and waits for its end, for command lines that end by
// themselves.
func Run(tb testing.TB, c Config) Result {
	tb.Helper()
	s := Launch(tb, c)
	code := s.Wait()
	return Result{Code: code, Stdout: s.Stdout.String(), Stderr: s.Log.String()}
}
