package worker

import (
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestQuotaOfLoops: what all loops of a worker serve counts together, and the
// worker asks to be replaced once.
func TestQuotaOfLoops(t *testing.T) {
	t.Parallel()
	asked := make(chan uint64, 10)
	g := &group{loops: 4, quota: 1000, recycle: func(served uint64) { asked <- served }}
	var wait sync.WaitGroup
	for range g.loops {
		wait.Go(func() {
			for range 500 {
				g.count()
			}
		})
	}
	wait.Wait()
	close(asked)
	if n := <-asked; n != 1000 || len(asked) > 0 {
		t.Errorf("asked after %d requests and %d times more, want after 1000, once", n, len(asked))
	}
}

// TestListenersOfLoops: while one loop accepts, the sockets stay open.
func TestListenersOfLoops(t *testing.T) { // alone: a number that was closed is used again
	first, second := newRig(t, testConfig()), newRig(t, testConfig())
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	g := &group{loops: 2, workers: 1}
	if g.alone() {
		t.Error("a loop with another beside it is alone, want not")
	}
	for _, e := range []*engine{first.engine, second.engine} {
		e.group, e.listeners = g, []listener{{fd: fd}}
	}
	open := func() bool {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		return err == nil
	}
	first.closeListeners()
	if !open() {
		t.Fatal("the listener is closed, want it open for the second loop")
	}
	second.closeListeners()
	if open() {
		t.Error("the listener is open after the last loop left it, want it closed")
	}
}
