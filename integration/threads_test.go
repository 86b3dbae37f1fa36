package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// gunicorn: threads. N requests run at once in one process, the next one waits,
// and everything is answered.
func TestThreadsRunConcurrently(t *testing.T) {
	t.Parallel()
	const n = 4
	s := start(t, "--threads", itoa(n), "probe")
	g := newGate(t)
	var waiting []<-chan answer
	for range n {
		waiting = append(waiting, ask(s, g.target()))
	}
	g.waitStarted(n)
	// All are taken: one more must wait, and is served when one is free.
	late := ask(s, "/pid")
	select {
	case a := <-late:
		t.Errorf("got %v while all threads were busy", a)
	default:
	}
	g.open()
	pids := map[string]bool{}
	for _, c := range append(waiting, late) {
		a := <-c
		if a.err != nil || a.Status != 200 {
			t.Fatalf("got %v, want 200", a)
		}
		pids[a.Body] = true
	}
	if len(pids) != 1 {
		t.Errorf("%v answered, want one process", pids)
	}
	if n := s.Log.Count(`Booting worker`); n != 1 {
		t.Errorf("%d workers, want 1", n)
	}
}

// A thread of Python each, with a name of its own, that stays: what an
// application keeps in threading.local is still there later.
func TestThreadsAreThreads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app.py", `
import threading
local = threading.local()
barrier = threading.Barrier(3, timeout=20)
def application(environ, start_response):
    if environ["PATH_INFO"] == "/meet":
        barrier.wait()
    local.count = getattr(local, "count", 0) + 1
    thread = threading.current_thread()
    body = ("%s %s %d %s" % (thread.name, thread.ident, local.count, type(thread).__name__)).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
`)
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"--threads", "3", "app"}})
	threads := map[string]string{}
	for round := 1; round <= 4; round++ {
		var waiting []<-chan answer
		for range 3 {
			waiting = append(waiting, ask(s, "/meet"))
		}
		for _, c := range waiting {
			a := <-c
			if a.err != nil || a.Status != 200 {
				t.Fatalf("got %v, want 200", a)
			}
			word := strings.Fields(a.Body)
			if strings.Contains(word[0], "Dummy") || word[3] == "_DummyThread" {
				t.Errorf("%s is no thread of Python's", word[0])
			}
			threads[word[0]] = word[1]
			if word[2] != itoa(round) {
				t.Errorf("round %d: thread %s has counted %s", round, word[0], word[2])
			}
		}
	}
	if len(threads) != 3 {
		t.Errorf("threads are %v, want 3", threads)
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// With one thread the application runs on Python's main thread.
func TestOneThreadIsTheMainThread(t *testing.T) {
	t.Parallel()
	s := start(t, "probe")
	var got struct {
		Thread string
		IsMain bool `json:"is_main"`
	}
	s.Get("/main").JSON(t, &got)
	if !got.IsMain || got.Thread != "MainThread" {
		t.Errorf("runs on %v, want the main thread", got)
	}
}

// startLiving serves living.py and returns where it reports.
func startLiving(t *testing.T, env []string, args ...string) (*gowsgitest.Server, string) {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report")
	return gowsgitest.Start(t, gowsgitest.Config{
		Dir: apps(), Args: append(args, "living"), Env: append(env, "LIVING_LOG="+report),
	}), report
}

type living struct {
	PID, Ticks int
	Signals    []int
}

// A thread the application started gets its share while the server waits, and
// while it works.
func TestBackgroundThread(t *testing.T) {
	t.Parallel()
	for _, threads := range []string{"1", "2"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			s, _ := startLiving(t, nil, "--threads", threads)
			ask := func(target string) int {
				t.Helper()
				var got living
				s.Get(target).JSON(t, &got)
				return got.Ticks
			}
			// Idle: nothing asks while the thread ticks, but for a look now and then.
			first := ask("/")
			if !gowsgitest.Eventually(func() bool { return ask("/") > first+20 }) {
				t.Error("the thread stands still")
			}
			// Busy in Python code.
			before := ask("/")
			if after := ask("/busy"); after < before+5 {
				t.Errorf("%d ticks during a busy view, want 5", after-before)
			}
			// Under load.
			l := startLoad(s, "/", 0, 4)
			l.waitMore(t, 500)
			before = ask("/")
			if !gowsgitest.Eventually(func() bool { return ask("/") > before+20 }) {
				t.Error("the thread stands still under load")
			}
			l.end(t)
		})
	}
}

// atexit handlers run when a worker leaves gracefully, once in each.
func TestAtexit(t *testing.T) {
	t.Parallel()
	for _, threads := range []string{"1", "2"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			s, report := startLiving(t, nil, "-w", "2", "--threads", threads)
			pids := map[int]bool{}
			if !gowsgitest.Eventually(func() bool {
				a, b := ask(s, "/busy"), ask(s, "/busy")
				for _, c := range []<-chan answer{a, b} {
					var got living
					(<-c).decode(t, &got)
					pids[got.PID] = true
				}
				return len(pids) == 2
			}) {
				t.Fatal("only one worker answers")
			}
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			if got := read(t, report); got != "atexit\natexit\n" {
				t.Errorf("got %q, want two handlers", got)
			}
		})
	}
}

// signal.signal works in the application: its handlers run, between requests and
// during one, and the server's own signals stay the server's.
func TestApplicationSignalHandlers(t *testing.T) {
	t.Parallel()
	s, _ := startLiving(t, []string{"LIVING_SIGNALS=1"})
	var got living
	s.Get("/alarm").JSON(t, &got)
	if fmt.Sprint(got.Signals) != "[14]" {
		t.Errorf("got %v, want SIGALRM during the view", got.Signals)
	}
	kill(t, got.PID, "USR2")
	if !gowsgitest.Eventually(func() bool {
		s.Get("/").JSON(t, &got)
		return fmt.Sprint(got.Signals) == "[14 12]"
	}) {
		t.Errorf("got %v, want SIGUSR2 too", got.Signals)
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if n := s.Log.Count(`Booting worker`); n != 1 {
		t.Errorf("%d workers were started, want 1", n)
	}
}
