package integration

import (
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
	"gowsgi/protocol/ipc"
)

// TestStacks: where a worker is that never gives an answer, asked for by the
// master's pid or its own; and it goes on.
func TestStacks(t *testing.T) {
	t.Parallel()
	t.Run("executed", func(t *testing.T) { testStacks(t) })
	t.Run("forked", func(t *testing.T) { testStacks(t, "--preload") })
}

func testStacks(t *testing.T, args ...string) {
	t.Parallel()
	s := start(t, append(args, "--threads", "2", "--timeout", "0", "--graceful-timeout", "1", "probe")...)
	worker := pid(t, s)
	spinning := ask(s, "/spin?x=1")
	const where = `probe\.py", line \d+ in spin`
	if !gowsgitest.Eventually(func() bool { // the thread has to come that far first
		_ = exec.Command(gowsgitest.Binary(t), "stacks", fmt.Sprint(s.PID)).Run()
		return s.Log.Count(where) > 0
	}) {
		t.Fatal("the stacks do not show the request")
	}
	for _, of := range []int{s.PID, worker} {
		before := s.Log.Count(where)
		if !gowsgitest.Eventually(func() bool { // Python drops what comes while it still writes
			out, err := exec.Command(gowsgitest.Binary(t), "stacks", fmt.Sprint(of)).CombinedOutput()
			if want := fmt.Sprintf("worker %d writes its stacks to the error log\n", worker); err != nil || string(out) != want {
				t.Fatalf("gowsgi stacks %d: %v, %q, want %q", of, err, out, want)
			}
			return s.Log.Count(where) > before
		}) {
			t.Fatalf("gowsgi stacks %d: the stacks do not show the request", of)
		}
	}
	if next := pid(t, s); next != worker {
		t.Errorf("%d answers, want %d still", next, worker)
	}
	out, err := exec.Command(gowsgitest.Binary(t), "stacks", "1").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "neither a gowsgi master nor") {
		t.Errorf("for another process: %v, %q", err, out)
	}
	s.Stop()
	<-spinning
}

// TestStacksOfBusyThreads: frames that come and go while they are looked at do the
// worker no harm.
func TestStacksOfBusyThreads(t *testing.T) {
	t.Parallel()
	const threads = 3
	s := start(t, "--threads", fmt.Sprint(threads), "--timeout", "0", "probe")
	worker := pid(t, s)
	quiet := make(chan struct{})
	var clients sync.WaitGroup
	for range threads {
		clients.Go(func() {
			for {
				select {
				case <-quiet:
					return
				default:
				}
				if a := <-ask(s, "/churn?n=2"); a.err != nil || a.Status != 200 {
					t.Errorf("got %v, want 200", a)
					return
				}
			}
		})
	}
	const first = `most recent call first`
	for range 300 {
		if err := syscall.Kill(worker, syscall.Signal(ipc.StacksSignal)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // what comes while stacks are written is dropped
	}
	if n := s.Log.Count(first); n < 100 {
		t.Errorf("the stacks of %d threads, want more", n)
	}
	close(quiet)
	clients.Wait()
	if next := pid(t, s); next != worker {
		t.Errorf("%d answers, want %d still", next, worker)
	}
}
