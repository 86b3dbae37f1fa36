package integration

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
)

// pidOn asks on a kept connection which worker answers.
func pidOn(t testing.TB, c *gowsgitest.Conn) int {
	t.Helper()
	r := c.Get("/pid")
	n, err := strconv.Atoi(r.Body)
	if r.Status != 200 || err != nil {
		t.Fatalf("got %v, want a pid", r)
	}
	return n
}

// dialWorker returns a kept connection that the worker pid owns. Of connections that
// come one after the other an idle worker may get all; of several at a time it does not.
func dialWorker(t testing.TB, s *gowsgitest.Server, pid int) (found *gowsgitest.Conn) {
	t.Helper()
	if !gowsgitest.Eventually(func() bool {
		var burst [8]*gowsgitest.Conn
		for i := range burst {
			burst[i] = s.Dial()
			sendGet(burst[i], "/pid")
		}
		for _, c := range burst {
			if r := c.Response("GET"); found == nil && r.Body == strconv.Itoa(pid) {
				found = c
			} else {
				c.Close()
			}
		}
		return found != nil
	}) {
		t.Fatalf("worker %d takes no connection", pid)
	}
	return found
}

func sendGet(c *gowsgitest.Conn, target string) {
	c.Send("GET " + target + " HTTP/1.1\r\nHost: test\r\n\r\n")
}

// A request on a kept connection of a worker that is busy is answered by one that
// is idle, and so is everything that follows on that connection.
func TestBusyWorkerHandsOver(t *testing.T) {
	t.Parallel()
	for _, threads := range []int{1, 2} {
		t.Run(fmt.Sprint(threads, " threads"), func(t *testing.T) {
			t.Parallel()
			s := start(t, "-w", "2", "--threads", strconv.Itoa(threads), "--keep-alive", "30", "probe")
			workers := s.WaitBooted(2)
			busy, idle := workers[0], workers[1]
			kept := dialWorker(t, s, busy)
			g := newGate(t)
			var held []*gowsgitest.Conn
			// Each held request keeps one thread: all of the worker's.
			for i := range threads {
				c := dialWorker(t, s, busy)
				sendGet(c, g.target())
				g.waitStarted(i + 1)
				held = append(held, c)
			}
			for range 3 {
				if got := pidOn(t, kept); got != idle {
					t.Errorf("worker %d answered, want the idle one, %d", got, idle)
				}
			}
			g.open()
			for _, c := range held {
				if r := c.Response("GET"); r.Body != strconv.Itoa(busy) {
					t.Errorf("got %v from the held request, want %d", r, busy)
				}
			}
		})
	}
}

// When all workers are busy a request waits for whichever is free first, in the
// queue all share: it is lost neither with the worker it came to nor with another.
func TestQueuedRequestOutlivesWorkers(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "2", "--keep-alive", "30", "probe")
	workers := s.WaitBooted(2)
	kept := dialWorker(t, s, workers[0])
	g := newGate(t)
	for i, pid := range workers {
		c := dialWorker(t, s, pid)
		sendGet(c, g.target())
		g.waitStarted(i + 1)
	}
	sendGet(kept, "/pid")
	// It is on its way when the worker has closed its descriptor of it.
	if !gowsgitest.Eventually(func() bool { return !hasPeer(workers[0], kept) }) {
		t.Fatal("the busy worker keeps the request")
	}
	for _, pid := range workers {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	if r := kept.Response("GET"); r.Status != 200 {
		t.Errorf("got %v, want an answer of a new worker", r)
	}
}

// hasPeer reports whether process pid has an established connection to c, by the
// inode of the socket on its side.
func hasPeer(pid int, c *gowsgitest.Conn) bool {
	theirs := tcpLine(2, c)
	for _, what := range gowsgitest.Descriptors(pid) {
		if theirs != nil && what == "socket:["+theirs[9]+"]" {
			return true
		}
	}
	return false
}

// A worker that is replaced leaves its clients' connections to the next one: none
// is closed, whether it is idle or half a request has come.
func TestReloadKeepsConnections(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 3} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			t.Parallel()
			s := start(t, "-w", strconv.Itoa(workers), "--keep-alive", "60", "probe")
			old := s.WaitBooted(workers)
			var idle, half []*gowsgitest.Conn
			for range 4 {
				c := s.Dial()
				pidOn(t, c)
				idle = append(idle, c)
				c = s.Dial()
				pidOn(t, c)
				c.Send("GET /pid HTTP/1.1\r\nHo")
				half = append(half, c)
			}
			s.Signal(syscall.SIGHUP)
			for _, pid := range old {
				s.Log.Wait(t, fmt.Sprintf(`Worker exiting \(pid: %d\)`, pid))
			}
			for _, c := range half {
				c.Send("st: test\r\n\r\n")
				if r := c.Response("GET"); r.Status != 200 || r.Close {
					t.Errorf("half a request: got %v, close %v", r, r.Close)
				}
			}
			for _, c := range idle {
				if r := c.Get("/pid"); r.Status != 200 || r.Close {
					t.Errorf("idle: got %v, close %v", r, r.Close)
				}
			}
		})
	}
}

// More requests than may wait are refused at once, with a hint when to come back,
// and never reach the application.
func TestMaxQueue(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "1", "--max-queue", "1", "--keep-alive", "30", "probe")
	a, b := s.Dial(), s.Dial()
	pidOn(t, a)
	pidOn(t, b)
	g := newGate(t)
	held := s.Dial()
	sendGet(held, g.target())
	g.waitStarted(1)
	answers := make(chan *gowsgitest.Response, 2)
	for _, c := range []*gowsgitest.Conn{a, b} {
		sendGet(c, "/pid")
		go func() {
			r, err := c.TryResponse("GET")
			if err != nil {
				r = &gowsgitest.Response{Err: err}
			}
			answers <- r
		}()
	}
	r := <-answers // while the application is held: the one that is refused
	if r.Status != 503 || r.Header.Get("Retry-After") == "" || !r.Close {
		t.Errorf("got %v %v, want 503 with Retry-After", r, r.Header)
	}
	g.open()
	if r := <-answers; r.Status != 200 {
		t.Errorf("got %v, want 200 for the one that waited", r)
	}
	s.Log.Wait(t, `Overloaded: 1 requests refused`)
}

// A request that has waited for too long is answered 503 instead of served late.
func TestQueueTimeout(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "1", "--queue-timeout", "0.05", "--keep-alive", "30", "probe")
	waiting := s.Dial()
	pidOn(t, waiting)
	g := newGate(t)
	held := s.Dial()
	sendGet(held, g.target())
	g.waitStarted(1)
	sendGet(waiting, "/pid")
	// Longer than it may wait; how much longer does not matter.
	held.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	if _, err := held.Read(make([]byte, 1)); err == nil {
		t.Fatal("the held request was answered")
	}
	g.open()
	if r := waiting.Response("GET"); r.Status != 503 {
		t.Errorf("got %v, want 503", r)
	}
}

// A request that waits because there was nobody else is taken by a worker that is
// started meanwhile.
func TestNewWorkerTakesWaitingRequest(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "1", "--keep-alive", "30", "probe")
	busy := s.WaitBooted(1)[0]
	kept, held := s.Dial(), s.Dial()
	pidOn(t, kept)
	g := newGate(t)
	sendGet(held, g.target())
	g.waitStarted(1)
	sendGet(kept, "/pid")
	s.Signal(syscall.SIGTTIN)
	added := s.WaitBooted(2)[1]
	if r := kept.Response("GET"); r.Body != strconv.Itoa(added) {
		t.Errorf("got %v, want an answer of the new worker %d, not of %d", r, added, busy)
	}
	g.open()
	if r := held.Response("GET"); r.Body != strconv.Itoa(busy) {
		t.Errorf("got %v from the held request, want %d", r, busy)
	}
}

// RFC 9110, 10.1.1: a client that was told to go on is not told again by the worker
// that takes over.
func TestContinueIsSaidOnceOverReload(t *testing.T) {
	t.Parallel()
	s := start(t, "--keep-alive", "60", "inputs")
	old := s.WaitBooted(1)[0]
	c := s.Dial()
	c.Send("POST /?read HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	if got := c.ReadHead(); got != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("got %q, want 100 Continue", got)
	}
	s.Signal(syscall.SIGHUP)
	if !gowsgitest.Eventually(func() bool { return !hasPeer(old, c) }) {
		t.Fatal("the old worker keeps the connection")
	}
	c.Send("hello")
	if got := c.ReadHead(); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") {
		t.Errorf("got %q, want 200", got)
	}
}
