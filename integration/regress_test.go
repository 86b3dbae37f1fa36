package integration

import (
	"bytes"
	"fmt"
	"net/url"
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

// Each test of this file is of something that went wrong once; the application is
// regress.py.

// gated is the target of a view of regress.py that starts a gate.
func gated(view string, g gate, more string) string {
	return "/" + view + "?gate=" + url.QueryEscape(g.path) + more
}

// New clients are let in while those that keep their connections leave no pause
// between their requests. How long it takes is counted in answers of the others,
// not in seconds.
func TestNewClientsUnderSaturation(t *testing.T) {
	t.Parallel()
	const clients, most = 12, 500
	for _, args := range [][]string{{"--threads", "1"}, {"--threads", "4"}, {"-w", "2"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			s := start(t, append(args, "--keep-alive", "30", "probe")...)
			l := startLoad(s, "/sleep?t=0.005", 0, clients)
			l.waitMore(t, 10*clients)
			for range 3 {
				before := l.count()
				if r := s.Dial().Get("/pid"); r.Status != 200 {
					t.Errorf("got %v, want 200", r)
				}
				if others := l.count() - before; others > most {
					t.Errorf("%d requests of %d clients were answered before that of a new one, want at most %d", others, clients, most)
				}
			}
			l.end(t)
		})
	}
}

// A forked child of a view ends by the signals that end any process.
func TestSignalsEndChildren(t *testing.T) {
	t.Parallel()
	for _, threads := range []string{"1", "2"} {
		s := start(t, "--threads", threads, "regress")
		for _, tt := range []struct{ target, want string }{
			{"/terminate", "-15"}, // multiprocessing's exitcode
			{"/signal_child?signal=15", "15"},
			{"/signal_child?signal=2", "2"},
		} {
			t.Run(tt.target+" "+threads+" threads", func(t *testing.T) {
				if r := s.In(t).Get(tt.target); r.Body != tt.want {
					t.Errorf("got %v, want the child ended by %s", r, tt.want)
				}
			})
		}
	}
}

// A client whose response ends with the connection sees that end, although a child
// of the application has a copy of the descriptor.
func TestEndOfResponseWithAForkedChild(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"HTTP/1.0\r\n", "HTTP/1.1\r\nConnection: close\r\nHost: test\r\n"} {
		t.Run(version[:8], func(t *testing.T) {
			t.Parallel()
			s := start(t, "regress")
			g := newGate(t)
			c := s.Dial()
			c.Send("GET " + gated("hold", g, "") + " " + version + "\r\n")
			if rest := c.Rest(); !strings.Contains(rest, "held") {
				t.Errorf("got %q", rest)
			}
			g.waitStarted(1)
			child := gowsgitest.NewProcess(atoi(t, read(t, g.path+".started")))
			if !child.Alive() {
				t.Error("the child is gone, so this shows nothing")
			}
			g.open()
			if !gowsgitest.Eventually(func() bool { return !child.Alive() }) {
				t.Error("the child did not end")
			}
		})
	}
}

// A client that asked for 100 Continue and got it does not get another one when
// the application has caught up with what it sent (RFC 9110, 10.1.1).
func TestOneContinue(t *testing.T) {
	t.Parallel()
	const first, rest = 1 << 20, "rest"
	for _, threads := range []string{"1", "2"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			s := start(t, "--threads", threads, "regress")
			g := newGate(t)
			c := s.Dial()
			c.Send("POST " + gated("upload", g, "") + " HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
			if got := c.ReadHead(); got != "HTTP/1.1 100 Continue\r\n\r\n" {
				t.Fatalf("got %q, want 100 Continue", got)
			}
			c.Send(fmt.Sprintf("%x\r\n%s\r\n", first, strings.Repeat("y", first)))
			g.waitStarted(1) // it has read that and waits for more
			c.Send(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(rest), rest))
			if r := c.Response("POST"); r.Status != 200 || r.Body != itoa(first+len(rest)) {
				t.Errorf("got %v, want 200 and %d bytes read", r, first+len(rest))
			}
		})
	}
}

// A client that leaves during its upload is no error of the application's: one
// warning, no traceback, whether the view handles the exception or not.
func TestClientGoneDuringUpload(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, more, framing string
		leave               func(c *gowsgitest.Conn)
	}{
		{"closed", "", "Content-Length: 5000000\r\n\r\n", func(c *gowsgitest.Conn) { c.Close() }},
		{"closed, caught", "&caught=1", "Content-Length: 5000000\r\n\r\n", func(c *gowsgitest.Conn) { c.Close() }},
		{"reset", "", "Content-Length: 5000000\r\n\r\n", (*gowsgitest.Conn).Reset},
		{"half closed", "", "Content-Length: 5000000\r\n\r\n", (*gowsgitest.Conn).CloseWrite},
		{"chunked", "", "Transfer-Encoding: chunked\r\n\r\n100000\r\n" + strings.Repeat("y", 1<<20) + "\r\n10\r\n", func(c *gowsgitest.Conn) { c.Close() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, "regress")
			g := newGate(t)
			c := s.Dial()
			c.Send("POST " + gated("upload", g, tt.more) + " HTTP/1.1\r\nHost: test\r\n" + tt.framing + "some")
			g.waitStarted(1)
			tt.leave(c)
			s.Log.Wait(t, `\[WARNING\] Invalid request from ip=127\.0\.0\.1: the client disconnected`)
			s.GetOK("/") // by the same thread, so that request is over
			s.Stop()
			for _, noise := range []string{`\[ERROR\]`, `Traceback`, `Error handling request`} {
				if s.Log.Count(noise) != 0 {
					t.Errorf("%s is on the log", noise)
				}
			}
			if n := s.Log.Count(`\[WARNING\]`); n != 1 {
				t.Errorf("%d warnings, want 1", n)
			}
		})
	}
}

// The answer to a HEAD without content does not claim that GET has none either
// (RFC 9110, 8.6).
func TestHeadWithoutContent(t *testing.T) {
	t.Parallel()
	s := start(t, "regress")
	c := s.Dial()
	c.Send("HEAD /empty HTTP/1.1\r\nHost: test\r\n\r\n")
	if head := strings.ToLower(c.ReadHead()); !strings.HasPrefix(head, "http/1.1 200") || strings.Contains(head, "content-length") {
		t.Errorf("got %q, want 200 without a length", head)
	}
	if r := c.Get("/empty"); r.Status != 200 || r.Header.Get("Content-Length") != "0" {
		t.Errorf("GET: got %v %v, want a length of 0", r, r.Header)
	}
}

// The access log may ask for any number of environ keys.
func TestManyEnvironKeysInTheAccessLog(t *testing.T) {
	t.Parallel()
	for _, n := range []int{16, 17, 40} {
		t.Run(itoa(n), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "access")
			var format, want []string
			for i := range n {
				format = append(format, fmt.Sprintf("%%({regress.%d}e)s", i))
				want = append(want, fmt.Sprintf("v%d", i))
			}
			s := start(t, "--access-logfile", path, "--access-logformat", strings.Join(format, " "), "regress")
			s.GetOK("/atoms")
			s.Stop()
			if got := read(t, path); got != strings.Join(want, " ")+"\n" {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// A proxy that sends nonsense in X-Request-Start does not stop the worker.
func TestRequestStartWithoutEnd(t *testing.T) {
	t.Parallel()
	s := start(t, "--timeout", "5", "regress")
	c := s.Dial()
	for _, value := range []string{"inf", "t=inf", "nan", "-inf", "infinity", "1e300"} {
		m := message{method: "POST", target: "/", field: "X-Request-Start: " + value, content: "x"}
		c.Send(m.head() + m.content)
		answered(t, c, m)
	}
}

// Arguments that are literals but make no value are a mistake in the command line:
// exit code 4, as for any other.
func TestUnhashableLiteral(t *testing.T) {
	t.Parallel()
	r := gowsgitest.Run(t, gowsgitest.Config{Dir: apps(), Args: []string{"regress:factory({[]: 1})"}})
	if r.Code != 4 || !strings.Contains(r.Stderr, "Failed to parse arguments as literal values") {
		t.Errorf("got %d and %q, want 4 and the reason", r.Code, r.Stderr)
	}
}

// A worker that is told to leave as soon as it serves says so, like any other.
func TestTermToAFreshWorker(t *testing.T) {
	t.Parallel()
	for _, threads := range []string{"1", "2"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			s := start(t, "--threads", threads, "probe")
			for i := range 8 {
				fresh := pid(t, s) // it answers, so it serves
				if i%2 == 0 {
					kill(t, fresh, "TERM")
				} else {
					s.Signal(syscall.SIGHUP)
				}
				s.Log.Wait(t, fmt.Sprintf(`Worker exiting \(pid: %d\)`, fresh))
			}
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}

// While a call takes long, the requests of other connections are read as they
// come, in pieces too, and answered after it.
func TestRequestsAreReadDuringALongCall(t *testing.T) {
	t.Parallel()
	// Looking into the kernel's table of sockets takes long when it is full of other
	// tests' connections; no limit of the server may end the wait.
	s := start(t, "--keep-alive", "600", "--timeout", "0", "probe")
	// The worker accepts nothing while it is busy, so these are there before.
	var kept []*gowsgitest.Conn
	for range 2 {
		c := s.Dial()
		c.Get("/pid")
		kept = append(kept, c)
	}
	for range 3 { // each call has to be noticed
		g := newGate(t)
		held := ask(s, g.target())
		g.waitStarted(1)
		for _, piece := range []string{"GE", "T /pid HTTP/1.1\r\nHost: test\r\nX-Long: " + strings.Repeat("x", 3000), "\r\n\r\n"} {
			for _, c := range kept {
				sendRead(t, c, piece)
			}
		}
		g.open()
		if a := <-held; a.err != nil || a.Status != 200 {
			t.Errorf("got %v, want 200", a)
		}
		for _, c := range kept {
			if r := c.Response("GET"); r.Status != 200 {
				t.Errorf("got %v, want 200", r)
			}
		}
	}
}

// usage is what a process has cost so far.
type usage struct {
	ticks    int // of processor time, a hundredth of a second each
	switches int // how often one of its threads went to sleep
}

func usageOf(t testing.TB, pid int) (u usage) {
	t.Helper()
	stat := []byte(read(t, fmt.Sprintf("/proc/%d/stat", pid)))
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	for _, f := range fields[11:13] { // utime and stime, proc(5)
		u.ticks += atoi(t, string(f))
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		text, _ := os.ReadFile(task) // a thread may have ended
		for line := range strings.Lines(string(text)) {
			if n, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				u.switches += atoi(t, n)
			}
		}
	}
	return u
}

// A long call is told once, not every millisecond: a worker whose only call sleeps
// sleeps too.
func TestALongCallCostsNothing(t *testing.T) {
	t.Parallel()
	const seconds = 3
	for _, threads := range []string{"1", "3"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			s := start(t, "--threads", threads, "regress")
			g := newGate(t)
			held := ask(s, gated("doze", g, "&t="+itoa(seconds)))
			g.waitStarted(1)
			worker := atoi(t, read(t, g.path+".started"))
			began, before := time.Now(), usageOf(t, worker)
			if a := <-held; a.err != nil || a.Status != 200 {
				t.Fatalf("got %v, want 200", a)
			}
			after := usageOf(t, worker)
			took := time.Since(began).Seconds() // on a busy machine more than it slept
			// A look every millisecond would be a thousand a second.
			if n := after.switches - before.switches; float64(n) > 500*took {
				t.Errorf("the threads woke up %d times in %.1f s, want at most 500 a second", n, took)
			}
			if n := after.ticks - before.ticks; n > 20*seconds {
				t.Errorf("%d ms of processor time in %d s of sleep", 10*n, seconds)
			}
		})
	}
}

// A handler of signal.signal runs when the signal comes, not with the next
// request: while the worker is idle, and while its threads are in calls.
func TestSignalHandlersRunAtOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		threads string
		busy    bool
	}{{"1", false}, {"3", false}, {"3", true}} {
		t.Run(fmt.Sprintf("%s threads, busy %t", tt.threads, tt.busy), func(t *testing.T) {
			t.Parallel()
			report := filepath.Join(t.TempDir(), "report")
			s := gowsgitest.Start(t, gowsgitest.Config{
				Dir: apps(), Args: []string{"--threads", tt.threads, "regress"}, Env: []string{"REGRESS_REPORT=" + report},
			})
			var got told
			s.Get("/tell").JSON(t, &got)
			var held <-chan answer
			if tt.busy {
				g := newGate(t)
				held = ask(s, gated("doze", g, "&t=2"))
				g.waitStarted(1)
			}
			var want []string
			for range 10 {
				want = append(want, strconv.Itoa(int(syscall.SIGUSR2)))
				kill(t, got.PID, "USR2")
				began := time.Now()
				if !gowsgitest.Eventually(func() bool {
					text, _ := os.ReadFile(report)
					return slices.Equal(strings.Fields(string(text)), want)
				}) {
					t.Fatalf("the handler did not run for signal %d", len(want))
				}
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("the handler ran %v after the signal", took)
				}
			}
			if held != nil {
				if a := <-held; a.err != nil || a.Status != 200 {
					t.Errorf("got %v, want 200", a)
				}
			}
			if n := s.Log.Count(`Booting worker`); n != 1 {
				t.Errorf("%d workers were started, want 1", n)
			}
		})
	}
}
