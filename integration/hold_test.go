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
import os, socket, time

def wait(gate):
    with open(gate + ".started", "a") as f:
        f.write("1\n")
    while not os.path.exists(gate):
        time.sleep(0.002)

class Finalized:
    def __init__(self, gate):
        self.gate = gate
    def __del__(self):
        wait(self.gate)

class Closed:
    def __init__(self, gate):
        self.gate = gate
    def __iter__(self):
        yield ("/close" + self.gate).encode("latin-1")
    def close(self):
        wait(self.gate)

def tail(body, gate):
    yield body
    wait(gate)

def more(body):
    yield body
    yield b"more"

class Writes:
    def __init__(self, body, write):
        self.body, self.write = body, write
    def __iter__(self):
        yield self.body
    def close(self):
        self.write(b"more")

def take(body, environ):
    yield body
    environ["gunicorn.socket"].sendall(b"taken")

def application(environ, start_response):
    path = environ["PATH_INFO"]
    body = path.encode("latin-1")
    if path.startswith("/wait"):
        wait(path[len("/wait"):])
    elif path.startswith("/finalize"):
        environ["finalized"] = Finalized(path[len("/finalize"):])
    elif path.startswith("/parts"):
        start_response("200 OK", [])(body[:3])
        return [body[3:]]
    elif path.startswith("/write"):
        return Writes(body, start_response("200 OK", []))
    start_response("200 OK", [("Content-Length", str(len(body)))])
    if path.startswith("/close"):
        return Closed(path[len("/close"):])
    if path.startswith("/tail"):
        return tail(body, path[len("/tail"):])
    if path.startswith("/more"):
        return more(body)
    if path.startswith("/take"):
        return take(body, environ)
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

// amongShortCalls has a worker find many requests at a time: eight short ones, that which
// ask sends, and eight short ones more. It returns the first eight clients.
func amongShortCalls(t *testing.T, s *gowsgitest.Server, ask func()) (before, after []*gowsgitest.Conn) {
	t.Helper()
	worker := s.WaitBooted(1)[0]
	var clients []*gowsgitest.Conn
	for range 16 {
		clients = append(clients, s.Dial())
	}
	askAll(t, clients, 100) // so that responses are held back
	// While the worker stands still they come together, and in this order.
	if err := syscall.Kill(worker, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for i, c := range clients {
		if i == 8 {
			ask()
		}
		sendGet(c, fmt.Sprint("/short/", i))
	}
	if err := syscall.Kill(worker, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	return clients[:8], clients[8:]
}

// shortAnswers checks the answers to the short requests from number first on.
func shortAnswers(t *testing.T, clients []*gowsgitest.Conn, first int) {
	t.Helper()
	for i, c := range clients {
		if r, want := c.Response("GET"), fmt.Sprint("/short/", first+i); r.Body != want {
			t.Errorf("got %v, want %s", r, want)
		}
	}
}

// TestShortCallsBeforeALongOne: responses that were produced do not wait for a call that
// comes behind them, nor for what an application does behind its response.
func TestShortCallsBeforeALongOne(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"/wait", "/finalize", "/close", "/tail"} {
		t.Run(kind[1:], func(t *testing.T) {
			t.Parallel()
			s := startEcho(t)
			long := s.Dial()
			askAll(t, []*gowsgitest.Conn{long}, 1)
			g := newGate(t)
			before, after := amongShortCalls(t, s, func() { sendGet(long, kind+g.path) })
			shortAnswers(t, before, 0)
			g.waitStarted(1)
			answered := func() {
				if r := long.Response("GET"); r.Body != kind+g.path {
					t.Errorf("got %v of the long call", r)
				}
			}
			if kind != "/wait" {
				answered()
			}
			g.open()
			if kind == "/wait" {
				answered()
			}
			shortAnswers(t, after, 8)
		})
	}
}

// TestUnreadContentAmongShortCalls: a response is whole, although the connection ends
// with it because nobody has read the request's content.
func TestUnreadContentAmongShortCalls(t *testing.T) {
	t.Parallel()
	s := startEcho(t)
	c := s.Dial()
	askAll(t, []*gowsgitest.Conn{c}, 1)
	before, after := amongShortCalls(t, s, func() {
		c.Send("POST /parts/1 HTTP/1.1\r\nHost: test\r\nContent-Length: 2000000\r\n\r\n" + strings.Repeat("z", 1000))
	})
	if r, err := c.TryResponse("POST"); err != nil || r.Body != "/parts/1" {
		t.Errorf("got %v, %v", r, err)
	}
	shortAnswers(t, before, 0)
	shortAnswers(t, after, 8)
}

// TestMoreBehindAShortCall: a response is not lost that was whole before the application
// went on with the connection: took it, wrote more than there can be, or was found to
// talk to nobody.
func TestMoreBehindAShortCall(t *testing.T) {
	t.Parallel()
	for path, then := range map[string]string{"/take": "taken", "/more": "", "/write": ""} {
		t.Run(path[1:], func(t *testing.T) {
			t.Parallel()
			s := startEcho(t)
			c := s.Dial()
			askAll(t, []*gowsgitest.Conn{c}, 1)
			before, after := amongShortCalls(t, s, func() {
				sendGet(c, path)
				if path == "/more" {
					c.CloseWrite()
				}
			})
			shortAnswers(t, before, 0)
			shortAnswers(t, after, 8)
			if r, err := c.TryResponse("GET"); err != nil || r.Body != path {
				t.Errorf("got %v, %v, want the response", r, err)
			}
			if path == "/write" {
				c.CloseWrite()
			}
			if got := c.Rest(); got != then {
				t.Errorf("behind the response came %q, want %q", got, then)
			}
		})
	}
}
