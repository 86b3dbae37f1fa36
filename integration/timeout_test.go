package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
)

// gunicorn: timeout. The log names the request, the worker is replaced, and the
// kill is not blamed on memory.
func TestTimeout(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, threads, target string }{
		{"sleeping", "1", "/sleep?t=300"},
		{"spinning", "1", "/spin?x=1"},
		{"sleeping in a thread", "2", "/sleep?t=300"},
		{"spinning in a thread", "2", "/spin?x=1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, "--timeout", "1", "--threads", tt.threads, "probe")
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
			if a := <-stuck; a.err == nil && a.Status == 200 {
				t.Errorf("got %v from a request that cannot have ended", a)
			}
			waitWorkers(t, s, 1, victim)
			if next := pid(t, s); next == victim {
				t.Errorf("%d still answers", next)
			}
			if s.Log.Count(`out of memory`) != 0 {
				t.Error("the master's own kill is blamed on memory")
			}
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
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
