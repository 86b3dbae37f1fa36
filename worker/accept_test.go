package worker

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// eventually waits until ok, asked with the engine's mutex held, is true.
func (r *rig) eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		r.mu.Lock()
		done := ok()
		r.mu.Unlock()
		if done {
			return
		}
	}
	t.Fatal(what)
}

// TestCloseIdle: the connection that was idle for longest goes, never one of which
// something has arrived, or may be on its way.
func TestCloseIdle(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	fresh, _ := r.connect(t)
	sent, sender := r.connect(t)
	half, halfClient := r.connect(t)
	old, _ := r.connect(t)
	young, _ := r.connect(t)
	silent, _ := r.connect(t)
	send(t, halfClient, "GET /")
	r.input(r.threads[0], half)
	for _, c := range []*conn{sent, old, young} {
		r.resume(c)
	}
	send(t, sender, "GET /")
	silent.arrived -= int64(time.Hour)
	for i, want := range []*conn{old, young, silent, nil} {
		if got := r.closeIdle(); got != (want != nil) || got && want.state != closed {
			t.Fatalf("step %d: got %t, want this one closed: %t", i, got, want != nil)
		}
	}
	for _, c := range []*conn{fresh, sent, half} {
		if c.state != reading {
			t.Errorf("got state %v, want what is not idle left alone", c.state)
		}
	}
}

// TestWorkerConnections: at the bound nothing is accepted until a connection
// ends.
func TestWorkerConnections(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.WorkerConnections = 3
	r := newRig(t, cfg)
	r.start(t)
	first := r.dial(t)
	send(t, first, outside[:20])
	for range 2 {
		send(t, r.dial(t), outside[:20])
	}
	r.eventually(t, "the three were not accepted", func() bool { return r.open == 3 && r.head.last != nil && r.head.last.n > 0 })
	fourth := r.dial(t)
	send(t, fourth, outside)
	r.eventually(t, "the bound was not noticed", func() bool { return r.full })
	r.eventually(t, "one too many", func() bool { return r.open == 3 && r.group.served.Load() == 0 })
	send(t, first, outside[20:])
	for _, c := range []string{readAll(t, first), readAll(t, fourth)} {
		if got := statusOf(t, c); got != 500 {
			t.Errorf("got %d, want 500", got)
		}
	}
	r.eventually(t, "still full", func() bool { return !r.full && r.open == 2 })
}

// TestNoRoomForNobody: at the bound an idle connection is closed for one that waits,
// not for a look that finds none.
func TestNoRoomForNobody(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.WorkerConnections = 1
	r := newRig(t, cfg)
	pair := func() (read, write int) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fds[1]) })
		return fds[0], fds[1]
	}
	fd, _ := pair()
	idle := r.newConn(fd, 0, &unix.RawSockaddrAny{})
	r.resume(idle)
	listener, client := pair()
	defer unix.Close(listener)
	if r.roomFor(listener) || idle.state == closed || r.full {
		t.Fatalf("nobody waits: state %v, full %v, want nothing done", idle.state, r.full)
	}
	if _, err := unix.Write(client, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if !r.roomFor(listener) || idle.state != closed {
		t.Errorf("somebody waits: state %v, want the idle one closed", idle.state)
	}
}
