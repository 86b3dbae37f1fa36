//go:build !race && !asan

// Built with a sanitizer, arguments of system calls are on the heap.

package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"gowsgi/internal/gowsgitest"
	"gowsgi/internal/pyfind"
	"gowsgi/protocol/ipc"
	"gowsgi/worker/python"
)

// envHost tells the test binary, as JSON, to host an interpreter and count what
// the engine allocates. CPython needs the process's main thread, so that is a
// process of its own.
const envHost = "GOWSGI_TEST_ALLOCS"

// init is the only moment at which the main goroutine gets the main thread.
func init() {
	if os.Getenv(envHost) != "" {
		runtime.LockOSThread()
	}
}

func TestMain(m *testing.M) {
	text := os.Getenv(envHost)
	if text == "" {
		os.Exit(m.Run())
	}
	n, err := countAllocs(text)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("allocations:", n)
}

// countedRequests is how many requests are counted. What the runtime allocates
// meanwhile, and the Date of a new second, must be little beside them.
const countedRequests = 5000

// TestAllocs holds the promise that a request costs no allocation in Go: from the
// socket through parser, bridge, application and response back to the socket.
func TestAllocs(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	i := interpreter(t)
	p, err := pyfind.Find(ctx, ipc.Wanted{Python: i.Path, Dir: "/"}, os.Getenv, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), envHost+"="+string(text), "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	var n int
	line := string(out[strings.LastIndex(string(out), "allocations:")+len("allocations:"):])
	if _, scanErr := fmt.Sscan(line, &n); err != nil || scanErr != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n > countedRequests/20 {
		t.Errorf("%d allocations in %d requests", n, countedRequests)
	}
}

// interpreter returns one that a worker can load.
func interpreter(t *testing.T) gowsgitest.Interpreter {
	t.Helper()
	return gowsgitest.Loadable(t)[0]
}

// countAllocs serves countedRequests requests of one connection with a real
// interpreter, on this thread, and returns how many allocations the process made.
func countAllocs(text string) (uint64, error) {
	e, th, err := hostedEngine(text)
	if err != nil {
		return 0, err
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return 0, err
	}
	peer := unix.RawSockaddrAny{Addr: unix.RawSockaddr{Family: unix.AF_UNIX}}
	e.awaitInput(e.newConn(fds[0], 0, &peer))
	counted := make(chan uint64)
	var clientErr error
	go func() {
		defer e.stop()
		var n uint64
		n, clientErr = countRequests(fds[1])
		go func() { counted <- n }()
	}()
	e.run(th)
	return <-counted, clientErr
}

// hostedEngine returns an engine with one thread, this one, whose application
// says "function". It does not hold the GIL.
func hostedEngine(text string) (*engine, *thread, error) {
	var p ipc.Python
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, nil, err
	}
	err := python.Start(python.Options{Library: p.Library, Executable: p.Executable,
		Argv: []string{"test"}, Path: []string{"python/testdata"}, FaultFD: 2})
	if err == nil {
		err = python.Load("apps", "function")
	}
	if err == nil {
		err = python.SetBases([]python.Base{{Vars: map[string]string{"SERVER_NAME": "h"}, ErrorFD: 2}})
	}
	if err != nil {
		return nil, nil, err
	}
	board, _, err := ipc.NewScoreboard(1, 1)
	if err != nil {
		return nil, nil, err
	}
	e, err := newEngine(testConfig(), zerolog.New(os.Stdout).Level(zerolog.InfoLevel), board.Slot(0))
	if err != nil {
		return nil, nil, err
	}
	e.siblings.init(-1, -1, board, 0)
	e.unixListener = []bool{true}
	e.listeners = []listener{{fd: -1, unix: true}}
	th := newThread(e, board.Thread(0, 0))
	e.threads = []*thread{th}
	th.py.DetachMain()
	return e, th, nil
}

// countRequests is the client: it warms the engine up, and then counts.
func countRequests(fd int) (uint64, error) {
	request := []byte("GET /a%20b?c HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\nCookie: a=1; b=2\r\n\r\n")
	end := []byte("\r\n\r\nfunction")
	var answer [1024]byte
	ask := func(times int) error {
		for range times {
			if _, err := unix.Write(fd, request); err != nil {
				return err
			}
			n, err := unix.Read(fd, answer[:])
			if err != nil || !bytes.HasSuffix(answer[:n], end) {
				return fmt.Errorf("got %q, %w", answer[:n], err)
			}
		}
		return nil
	}
	if err := ask(500); err != nil {
		return 0, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := ask(countedRequests)
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs, err
}
