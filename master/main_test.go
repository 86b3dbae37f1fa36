package master

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/protocol/ipc"
)

// The test binary is also a master and its workers: a real master starts its
// workers by executing its own binary again.
const (
	envMaster    = "GOWSGI_TEST_MASTER"    // JSON of a config.Config
	envWorker    = "GOWSGI_TEST_WORKER"    // a key of testWorkers
	envSubreaper = "GOWSGI_TEST_SUBREAPER" // make the master one
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(ipc.EnvWorker) != "":
		os.Exit(runTestWorker())
	case os.Getenv(envMaster) != "":
		os.Exit(runTestMaster())
	}
	os.Exit(m.Run())
}

func runTestMaster() int {
	cfg := new(config.Config)
	if err := json.Unmarshal([]byte(os.Getenv(envMaster)), cfg); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 99
	}
	if os.Getenv(envSubreaper) != "" {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 99
		}
	}
	return New(cfg, Options{
		Args:    os.Args,
		Environ: os.Environ(),
		Stderr:  os.Stderr,
		Reload:  func(context.Context) (*Loaded, error) { return &Loaded{Config: cfg}, nil },
		FindPython: func(context.Context, ipc.Wanted, func(string) string) (ipc.Python, error) {
			// As the real one: a child that must not be reaped by anybody else.
			return ipc.Python{Version: "3.99.0"}, exec.Command("true").Run()
		},
	}).Run()
}

// testWorker is a worker process without Python.
type testWorker struct {
	boot   ipc.Boot
	status *os.File
	term   chan os.Signal
	dead   chan struct{} // closed when the master is gone
}

// testWorkers are the behaviours, by name.
var testWorkers = map[string]func(w *testWorker) int{
	"serve": (*testWorker).serve,
	"fail":  (*testWorker).fail,
	// Leaves a file in its directory before it is ready.
	"mark": func(w *testWorker) int {
		if err := os.WriteFile("ready-"+strconv.Itoa(w.boot.Age), nil, 0o644); err != nil {
			return 98
		}
		return w.serve()
	},
	// A process that the application forked holds the status pipe open.
	"fail with a survivor": func(w *testWorker) int {
		cmd := exec.Command("sleep", "30")
		cmd.ExtraFiles = []*os.File{w.status}
		if err := cmd.Start(); err != nil {
			return 98
		}
		fmt.Fprintf(os.Stderr, "survivor %d\n", cmd.Process.Pid)
		return w.fail()
	},
	// A grandchild that nobody waits for becomes the master's.
	"orphan": func(w *testWorker) int {
		cmd := exec.Command("sh", "-c", "sleep 0.1 & echo orphan $! >&2")
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return 98
		}
		return w.serve()
	},
	"deaf": func(w *testWorker) int {
		signal.Ignore(unix.SIGTERM, unix.SIGQUIT)
		w.say(ipc.Message{Kind: ipc.KindReady})
		fmt.Fprintln(os.Stderr, "deaf")
		<-w.dead
		return 0
	},
}

func runTestWorker() int {
	w := &testWorker{term: make(chan os.Signal, 1), dead: make(chan struct{})}
	signal.Notify(w.term, unix.SIGTERM, unix.SIGQUIT)
	if err := json.NewDecoder(os.NewFile(ipc.FDBoot, "boot")).Decode(&w.boot); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 97
	}
	for fd := ipc.FDDeath; fd < ipc.FDListeners+len(w.boot.Listeners); fd++ {
		unix.CloseOnExec(fd)
	}
	w.status = os.NewFile(ipc.FDStatus, "status")
	go func() {
		defer close(w.dead)
		_, _ = unix.Read(ipc.FDDeath, make([]byte, 1))
	}()
	return testWorkers[os.Getenv(envWorker)](w)
}

func (w *testWorker) say(msg ipc.Message) { _ = json.NewEncoder(w.status).Encode(msg) }

func (w *testWorker) fail() int {
	w.say(ipc.Message{Kind: ipc.KindBootFailed, Code: ipc.ExitBoot, Error: "ValueError: no", Traceback: "Traceback:\nValueError: no"})
	return ipc.ExitBoot
}

// report is what a serving worker answers to every connection.
type report struct {
	PID, Age  int
	Title     string
	Dir       string
	Environ   []string
	FDs       []int
	NonBlock  []bool // of the listeners
	Listeners []ipc.Listener
	Stdin     string
}

func (w *testWorker) report() report {
	r := report{PID: os.Getpid(), Age: w.boot.Age, Title: os.Args[0], Environ: os.Environ(), Listeners: w.boot.Listeners}
	r.Dir, _ = os.Getwd()
	r.Stdin, _ = os.Readlink("/proc/self/fd/0")
	for i := range w.boot.Listeners {
		flags, err := unix.FcntlInt(uintptr(ipc.FDListeners+i), unix.F_GETFL, 0)
		r.NonBlock = append(r.NonBlock, err == nil && flags&unix.O_NONBLOCK != 0)
	}
	return r
}

// serve answers connections with a report, one thread per listener and polling,
// so that the listeners stay out of Go's hands and in the mode they came in.
func (w *testWorker) serve() int {
	fds := openFDs(os.Getpid())
	w.say(ipc.Message{Kind: ipc.KindReady})
	for i := range w.boot.Listeners {
		go func() {
			fd := ipc.FDListeners + i
			for {
				_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 1000)
				conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
				if err != nil {
					continue
				}
				r := w.report()
				r.FDs = fds
				f := os.NewFile(uintptr(conn), "conn")
				_ = json.NewEncoder(f).Encode(r)
				f.Close()
			}
		}()
	}
	select {
	case <-w.term:
	case <-w.dead:
	}
	return 0
}

// openFDs returns the descriptors of a process that exec left open, and those
// it opened itself that are not the Go runtime's.
func openFDs(pid int) []int {
	entries, _ := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/fd")
	var fds []int
	for _, e := range entries {
		fd, _ := strconv.Atoi(e.Name())
		target, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/fd/" + e.Name())
		if err != nil || strings.HasPrefix(target, "anon_inode:") || strings.HasPrefix(target, "/sys/fs/cgroup/") {
			continue // gone again: the directory's own; or the runtime's
		}
		fds = append(fds, fd)
	}
	slices.Sort(fds)
	return fds
}

// served is a real master process under test.
type served struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  *lineLog
	done chan struct{}
	dir  string
}

// testDeadline is for things that take milliseconds on an idle machine.
const testDeadline = 30 * time.Second

// serveMaster starts a master with workers of one behaviour. Its log is
// standard error. wrap may change the command before it is started.
func serveMaster(t *testing.T, cfg config.Config, behaviour string, wrap func(*exec.Cmd)) *served {
	t.Helper()
	s := &served{t: t, done: make(chan struct{}), dir: t.TempDir()}
	if cfg.Chdir == "" {
		cfg.Chdir = s.dir
	}
	if cfg.ErrorLog == "" {
		cfg.ErrorLog = "-"
	}
	cfg.LogFormat, cfg.LogLevel, cfg.WorkerClass, cfg.ProcName, cfg.Threads = "text", "debug", "sync", "app", 1
	if cfg.GracefulTimeout == 0 {
		cfg.GracefulTimeout = 10 * time.Second
	}
	cfg.Backlog = 16
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(os.Args[0])
	s.cmd.Env = append(os.Environ(), envMaster+"="+string(text), envWorker+"="+behaviour)
	s.log = newLineLog()
	s.cmd.Stderr = s.log
	// Workers hold the standard error pipe that Wait waits for.
	s.cmd.WaitDelay = testDeadline
	if wrap != nil {
		wrap(s.cmd)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.done
	})
	return s
}

func (s *served) signal(sig unix.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// ends waits for the master's end and checks its exit code.
func (s *served) ends(code int) {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(testDeadline):
		s.t.Fatalf("the master did not end\n%s", s.log)
	}
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		s.t.Errorf("exit code %d, want %d\n%s", got, code, s.log)
	}
}

// ask connects and returns the answering worker's report.
func ask(t *testing.T, network, addr string) report {
	t.Helper()
	conn, err := net.DialTimeout(network, addr, testDeadline)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(testDeadline))
	var r report
	if err := json.NewDecoder(conn).Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}
