package integration

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// echoApp is an application of calls that are short, but for those that wait.
const echoApp = `
import os, time
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/wait"):
        gate = path[len("/wait"):]
        with open(gate + ".started", "a") as f:
            f.write("1\n")
        while not os.path.exists(gate):
            time.sleep(0.002)
    elif path == "/exit":
        os._exit(7)
    body = path.encode("latin-1")
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
`

func startEcho(t *testing.T, args ...string) *gowsgitest.Server {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "echo.py", echoApp)
	return gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: append(args, "--keep-alive", "30", "echo:application")})
}

// askAll has each client ask n times, all at the same time, and checks that each gets
// what it asked for.
func askAll(t *testing.T, clients []*gowsgitest.Conn, n int) {
	t.Helper()
	var all sync.WaitGroup
	for i, c := range clients {
		all.Go(func() {
			for j := range n {
				paths := []string{fmt.Sprintf("/%d/%d/%s", i, j, strings.Repeat("x", (i*j)%300))}
				if j%7 == 0 { // pipelined
					paths = append(paths, paths[0]+"/2", paths[0]+"/3")
				}
				for _, p := range paths {
					sendGet(c, p)
				}
				for _, p := range paths {
					if r, err := c.TryResponse("GET"); err != nil || r.Body != p {
						t.Errorf("got %v, %v, want %s", r, err, p)
						return
					}
				}
			}
		})
	}
	all.Wait()
}

// TestManyShortCalls: of many clients at a time each gets its own responses, in order.
func TestManyShortCalls(t *testing.T) {
	t.Parallel()
	for _, threads := range []int{1, 2} {
		t.Run(fmt.Sprint(threads, " threads"), func(t *testing.T) {
			t.Parallel()
			s := startEcho(t, "--threads", fmt.Sprint(threads))
			var clients []*gowsgitest.Conn
			for range 24 {
				clients = append(clients, s.Dial())
			}
			askAll(t, clients, 150)
		})
	}
}

// TestShortCallsBeforeALongOne: responses that were produced do not wait for a call that
// comes behind them.
func TestShortCallsBeforeALongOne(t *testing.T) {
	t.Parallel()
	s := startEcho(t)
	worker := s.WaitBooted(1)[0]
	var clients []*gowsgitest.Conn
	for range 16 {
		clients = append(clients, s.Dial())
	}
	askAll(t, clients, 100) // so that responses are held back
	waiting := s.Dial()
	askAll(t, []*gowsgitest.Conn{waiting}, 1)
	g := newGate(t)
	// While the worker stands still they come together, and in this order.
	if err := syscall.Kill(worker, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for i, c := range clients {
		sendGet(c, fmt.Sprint("/before/", i))
	}
	sendGet(waiting, "/wait"+g.path)
	if err := syscall.Kill(worker, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for i, c := range clients {
		if r, want := c.Response("GET"), fmt.Sprint("/before/", i); r.Body != want {
			t.Errorf("got %v, want %s", r, want)
		}
	}
	g.waitStarted(1)
	g.open()
	if r := waiting.Response("GET"); r.Body != "/wait"+g.path {
		t.Errorf("got %v of the long call", r)
	}
}
