package python_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/internal/gowsgitest"
	"gowsgi/internal/pyfind"
	"gowsgi/internal/sys"
	"gowsgi/master/spawner"
	"gowsgi/protocol/ipc"
	"gowsgi/worker/python"
)

// CPython can be started once in a process, and only on its main thread. So the
// test binary runs itself once for every interpreter; there, the main thread
// takes what the tests want done from a channel.

// envPython tells the test binary, as JSON, which interpreter to host.
const envPython = "GOWSGI_TEST_EMBED"

// envArgs are the arguments of a test binary that a spawner has forked.
const envArgs = "GOWSGI_TEST_ARGS"

// patience is how long one interpreter may take for everything.
const patience = 5 * time.Minute

// embedded is the interpreter in this process, nil in the one that starts the
// others.
var embedded *interp

// The main goroutine keeps the main thread, for which init is the only moment.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	text := os.Getenv(envPython)
	if text == "" {
		flag.Parse()
		if flag.Lookup("test.bench").Value.String() != "" {
			os.Exit(hostBenchmarks(m.Run))
		}
		os.Exit(m.Run())
	}
	var p ipc.Python
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if args := os.Getenv(envArgs); args != "" {
		// A spawner's own are its title.
		os.Args = strings.Fields(args)
	}
	os.Exit(host(p, m.Run))
}

// cases are the tests that run inside of every interpreter.
var cases = []struct {
	name string
	run  func(t *testing.T, py *interp)
}{
	{"load", testLoad},
	{"load errors", testLoadErrors},
	{"environ", testEnviron},
	{"whole environ", testWholeEnviron},
	{"environ fields", testEnvironFields},
	{"wanted keys", testWanted},
	{"wsgi.errors", testErrors},
	{"start_response", testStartResponse},
	{"start_response refuses", testStartResponseRefuses},
	{"start_response after the head", testAfterHead},
	{"exc_info", testExcInfo},
	{"start_response inside itself", testReentry},
	{"start_response after the request", testKept},
	{"early hints", testEarlyHints},
	{"iterables", testIterables},
	{"write", testWrite},
	{"whole content", testWhole},
	{"forget file pages", testForgetFilePages},
	{"close", testClose},
	{"exceptions", testExceptions},
	{"gone", testGone},
	{"sendfile", testSendfile},
	{"input", testInput},
	{"streamed input", testStreamedInput},
	{"fork", testFork},
	{"threads", testThreads},
	{"replaced part", testReplacedPart},
	{"second writer", testSecondWriter},
	{"fresh names", testFreshNames},
	{"hooks around requests", testRequestHooks},
	{"what hooks log", testHookLog},
	{"loggers of the server", testServerLoggers},
	{"flat", testFlat},
}

// TestCPython runs every case in every CPython from 3.8 on that is installed
// here: once in a process of its own, once in one that a spawner has forked, in
// which CPython was there before Go.
func TestCPython(t *testing.T) {
	if embedded != nil {
		t.Run(embedded.name, func(t *testing.T) {
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) { c.run(t, embedded) })
			}
		})
		return
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	for _, p := range gowsgitest.Loadable(t) {
		t.Run(p.Name(), func(t *testing.T) {
			t.Parallel()
			t.Run("executed", func(t *testing.T) { runInside(t, p.Path, executed) })
			t.Run("forked", func(t *testing.T) { runInside(t, p.Path, forked) })
		})
	}
}

// runInside lets run run this test binary with the interpreter in it.
func runInside(t *testing.T, path string, run func(context.Context, *testing.T, ipc.Python, []string) ([]byte, error)) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p, err := pyfind.Find(ctx, ipc.Wanted{Python: path, Dir: "/"}, os.Getenv, nil)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.run=^TestCPython$", "-test.v", "-test.timeout=" + patience.String()}
	if run := strings.Split(flag.Lookup("test.run").Value.String(), "/"); len(run) > 3 {
		// Without the way it was started by.
		args[0] = "-test.run=" + strings.Join(slices.Delete(run, 2, 3), "/")
	}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	out, err := run(ctx, t, p, args)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "atexit handlers ran") {
		t.Errorf("the interpreter was not ended properly:\n%s", out)
	}
}

// environ is the environment of a test binary that hosts p.
func environ(t *testing.T, p ipc.Python) []string {
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return append(os.Environ(), envPython+"="+string(text), "PYTHONDONTWRITEBYTECODE=1")
}

// testdata is where the applications are found as by a server.
func testdata(t *testing.T) string {
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// executed runs this test binary again.
func executed(ctx context.Context, t *testing.T, p ipc.Python, args []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Dir, cmd.Env = testdata(t), environ(t, p)
	return cmd.CombinedOutput()
}

// forked makes a spawner of this test binary, and lets it fork one that runs the
// tests.
func forked(ctx context.Context, t *testing.T, p ipc.Python, args []string) ([]byte, error) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	s, err := spawner.Start(spawner.Options{
		Program: os.Args[0], Title: "spawner", Dir: testdata(t),
		Image:  python.SpawnerImage(p.Library, p.Executable),
		Env:    append(environ(t, p), envArgs+"=test "+strings.Join(args, " ")),
		Stdout: w, Stderr: w,
	})
	if err != nil {
		t.Fatal(err)
	}
	order := &ipc.Order{Order: ipc.OrderPrepare, Argv: []string{"apps", "argument"}, Chdir: testdata(t), Title: "spawner", WorkerTitle: "worker"}
	if _, err := s.Do(ctx, order, func(ipc.Report) {}); err != nil {
		s.Close()
		w.Close()
		out, _ := io.ReadAll(r)
		return out, err
	}
	statusR, statusW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer statusR.Close()
	if err := s.Fork(1, nil, []int{int(r.Fd()), int(statusW.Fd())}); err != nil {
		t.Fatal(err)
	}
	statusW.Close()
	w.Close()
	var started ipc.Message
	if err := json.NewDecoder(statusR).Decode(&started); err != nil || started.Kind != ipc.KindStarted || started.PID <= 1 || started.PID == s.PID {
		t.Errorf("the worker said %+v, %v, want its pid", started, err)
	}
	s.Close()
	if status, err := sys.Wait(s.PID); err != nil || status.ExitStatus() != 0 {
		t.Errorf("the spawner ended with %v, %v, want 0", status, err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := r.SetReadDeadline(deadline); err != nil {
			t.Fatal(err)
		}
	}
	out, err := io.ReadAll(r)
	if err != nil {
		return out, err
	}
	// Like a master's, its parent is gone, and this process has taken it on.
	status, err := sys.Wait(started.PID)
	if err == nil && status != 0 {
		err = fmt.Errorf("the tests ended with %v", status)
	}
	return out, err
}
