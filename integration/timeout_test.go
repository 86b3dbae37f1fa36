package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
)

// gunicorn: timeout. The client gets a 504, the log names the request and shows where
// it hangs, the worker is replaced, and the kill is not blamed on memory.
func TestTimeout(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, threads, target, stack string }{
		{"sleeping", "1", "/sleep?t=300", `in sleep`},
		{"spinning", "1", "/spin?x=1", `in spin`},
		{"sleeping in a thread", "2", "/sleep?t=300", `in sleep`},
		{"spinning in a thread", "2", "/spin?x=1", `in spin`},
		{"in C code that keeps the GIL", "1", "/hold?t=300", `in hold`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			access := filepath.Join(t.TempDir(), "access")
			s := start(t, "--timeout", "1", "--threads", tt.threads, "--access-logfile", access,
				"--access-logformat", "%(r)s %(s)s %(T)s %(A)s", "probe")
			victim := pid(t, s)
			began := time.Now()
			stuck := ask(s, tt.target)
			line := s.Log.Wait(t, fmt.Sprintf(`WORKER TIMEOUT \(pid:%d\).*`, victim))[0]
			if took := time.Since(began); took < 900*time.Millisecond {
				t.Errorf("timed out after %v, want 1s", took)
			}
			if want := "GET " + tt.target; !strings.Contains(line, want) {
				t.Errorf("got %q, want %q in it", line, want)
			}
			if a := <-stuck; a.err != nil || a.Status != 504 {
				t.Errorf("got %v, want 504", a)
			}
			s.Log.Wait(t, tt.stack)
			waitWorkers(t, s, 1, victim)
			if next := pid(t, s); next == victim {
				t.Errorf("%d still answers", next)
			}
			s.Log.Wait(t, fmt.Sprintf(`Worker \(pid:%d\)`, victim))
			if s.Log.Count(`out of memory`) != 0 {
				t.Error("the master's own kill is blamed on memory")
			}
			if n, of := s.Log.Count(tt.stack+`$`), s.Log.Count(`most recent call first`); n != 1 || of > 4 {
				t.Errorf("the stack is %d times on the log, of %d threads, want once", n, of)
			}
			if n := s.Log.Count(`WORKER TIMEOUT`); n != 1 {
				t.Errorf("%d lines name the request, want one", n)
			}
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			lines, err := os.ReadFile(access)
			// The whole time, in seconds, and that in the application, at least one too.
			want := "GET " + regexp.QuoteMeta(tt.target) + ` HTTP/1.1 504 [1-9]\d* \d{7,}\n`
			if err != nil || strings.Count(string(lines), tt.target) != 1 || !regexp.MustCompile(want).Match(lines) {
				t.Errorf("the access log has %q, %v, want once %q", lines, err, want)
			}
		})
	}
}

// A reader of the access log that is stuck does not hold up what comes after a
// timeout.
func TestTimeoutWithStuckAccessLog(t *testing.T) {
	t.Parallel()
	access := filepath.Join(t.TempDir(), "access")
	if err := syscall.Mkfifo(access, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Open(access, syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	for err == nil { // until it is full
		_, err = syscall.Write(fd, make([]byte, 4096))
	}
	s := start(t, "--timeout", "1", "--threads", "2", "--access-logfile", access, "probe")
	victim := pid(t, s)
	if a := <-ask(s, "/sleep?t=300"); a.err != nil || a.Status != 504 {
		t.Errorf("got %v, want 504", a)
	}
	pid(t, s)
	waitWorkers(t, s, 1, victim)
}

// The other threads' requests are none of it: they end as they would have, also
// those that began before and go on after the replacement is there.
func TestTimeoutSparesSiblings(t *testing.T) {
	t.Parallel()
	s := start(t, "--timeout", "2", "--threads", "3", "probe")
	victim := pid(t, s)
	stuck := ask(s, "/sleep?t=300")
	s.Log.Wait(t, `WORKER TIMEOUT`)
	long := ask(s, "/sleep?t=1.5") // perhaps still there, perhaps in the replacement
	if a := <-stuck; a.err != nil || a.Status != 504 {
		t.Errorf("the stuck request got %v, want 504", a)
	}
	if a := <-long; a.err != nil || a.Status != 200 {
		t.Errorf("a request beside the stuck one got %v, want 200", a)
	}
	waitWorkers(t, s, 1, victim)
	if n := s.Log.Count(`WORKER TIMEOUT`); n != 1 {
		t.Errorf("%d requests were timed out, want one", n)
	}
}

// A response that has begun is broken off, so that the client can tell.
func TestTimeoutInTheMiddle(t *testing.T) {
	t.Parallel()
	s := start(t, "--timeout", "1", "probe")
	c := s.Dial()
	defer c.Close()
	c.Send("GET /trickle?t=300 HTTP/1.1\r\nHost: h\r\n\r\n")
	if got := c.Rest(); !strings.HasPrefix(got, "HTTP/1.1 200") || strings.HasSuffix(got, "0\r\n\r\n") || strings.Contains(got, "504") {
		t.Errorf("got %q, want a response without its end", got)
	}
	s.Log.Wait(t, `WORKER TIMEOUT`)
}

// When the stuck thread comes back to Python code it gets an exception, which
// neither reaches the log as the application's mistake nor the next request.
func TestTimeoutRaises(t *testing.T) {
	t.Parallel()
	s := start(t, "--timeout", "1", "--graceful-timeout", "30", "probe")
	victim := pid(t, s)
	if a := <-ask(s, "/spin?x=1&say=1"); a.Status != 504 {
		t.Errorf("got %v, want 504", a)
	}
	s.Log.Wait(t, `probe: interrupted by RequestTimeout`)
	waitWorkers(t, s, 1, victim)
	s.Log.Wait(t, fmt.Sprintf(`Worker exiting \(pid: %d\)`, victim))
	if s.Log.Count(`Error handling request`) != 0 {
		t.Error("the exception is on the log as the application's")
	}
}

// Who does not run a request is not timed out: neither an idle worker, nor one
// that is importing, nor one whose clients are slow.
func TestNoTimeoutWithoutARequest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const importTakes = 3 // seconds
	write(t, dir, "slow.py", fmt.Sprintf("import time\ntime.sleep(%d)\n", importTakes)+version(1))
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"--timeout", "1", "slow"}})
	s.GetOK("/")
	silent := s.Dial()
	half := s.Dial()
	half.Send("GET / HTTP/1.1\r\nHost:")
	kept := s.Dial()
	kept.Get("/")
	select {
	case <-s.Exited():
		t.Fatal("the service ended")
	case <-time.After(3 * time.Second):
	}
	s.GetOK("/")
	if n := s.Log.Count(`Booting worker`); n != 1 {
		t.Errorf("%d workers were started, want 1", n)
	}
	if s.Log.Count(`TIMEOUT`) != 0 {
		t.Error("an idle worker was timed out")
	}
	silent.Close()
}

// A view shorter than the timeout may run as often as it likes.
func TestTimeoutIsPerRequest(t *testing.T) {
	t.Parallel()
	s := start(t, "--timeout", "1", "probe")
	first := pid(t, s)
	c := s.Dial()
	for range 8 {
		if r := c.Get("/sleep?t=0.3"); r.Status != 200 {
			t.Fatalf("got %v, want 200", r)
		}
	}
	if got := pid(t, s); got != first {
		t.Errorf("%d answers, want %d: the timeout counted several requests", got, first)
	}
}

// The timeout is for the application. A client that keeps a thread waiting has
// clocks of its own.
func TestWaitingForTheClientIsNoTimeout(t *testing.T) {
	t.Parallel()
	s, _ := startOutputs(t, "--timeout", "1", "--threads", "2", "--request-buffer", "4", "--response-buffer", "4")
	reader := s.Dial()
	sendGet(reader, "/many?n=2000")
	reader.ReadHead()
	sender := s.Dial()
	sender.Send("POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n")
	for range 30 {
		<-time.After(100 * time.Millisecond)
		sender.Send("x")
	}
	if r := sender.Response("POST"); r.Body != strings.Repeat("x", 30) {
		t.Errorf("got %v, want the content", r)
	}
	reader.ReadN(2000 * 16 << 10)
	s.GetOK("/one")
	if s.Log.Count(`TIMEOUT`) != 0 || s.Log.Count(`Booting worker`) != 1 {
		t.Error("a worker was ended for its clients")
	}
}

// A request that graceful_timeout cuts off is named on the log, as every one that a
// worker dies in.
func TestGracefulTimeoutNamesTheRequest(t *testing.T) {
	t.Parallel()
	s := start(t, "--graceful-timeout", "1", "--timeout", "0", "probe")
	victim := pid(t, s)
	g := newGate(t)
	cut := ask(s, g.target())
	g.waitStarted(1)
	s.Signal(syscall.SIGHUP)
	s.Log.Wait(t, fmt.Sprintf(`\[ERROR\] Worker \(pid:%d\) was killed after graceful timeout .*in GET /wait`, victim))
	if a := <-cut; a.err == nil {
		t.Errorf("got %v, want the connection closed", a)
	}
	waitWorkers(t, s, 1, victim)
}

// A worker_abort hook has time: one that writes a report is not cut off.
func TestTimeoutWaitsForTheHook(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app.py", "import time\ndef application(environ, start_response):\n    time.sleep(300)\n")
	write(t, dir, "gunicorn.conf.py", `
import time
timeout = 1
def worker_abort(worker):
    worker.log.error("hook begun")
    time.sleep(2.5)
    worker.log.error("hook ended")
`)
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"app"}})
	if a := <-ask(s, "/"); a.Status != 504 {
		t.Errorf("got %v, want 504", a)
	}
	s.Log.Wait(t, `hook begun`)
	s.Log.Wait(t, `Worker \(pid:\d+\) was ended after request timeout`)
	if s.Log.Count(`hook ended`) != 1 || s.Log.Count(`in application$`) != 1 {
		t.Error("the hook did not run to its end, or the stacks are not there once")
	}
}
