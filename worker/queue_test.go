package worker

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// queueOne makes a connection whose complete request waits for a thread.
func queueOne(t *testing.T, r *rig) (*conn, net.Conn) {
	t.Helper()
	c, client := r.connect(t)
	send(t, client, outside)
	if r.input(r.watcher.lead, c); c.state != queued {
		t.Fatalf("got state %v, want queued", c.state)
	}
	return c, client
}

// turnOnce has the watcher act on what is ready.
func turnOnce(r *rig) {
	events := make([]unix.EpollEvent, eventBatch)
	n, _ := r.conns.wait(events, int(patience/time.Millisecond))
	r.dispatch(r.watcher.lead, events[:n])
}

// TestQueuedClientLeaves: whoever leaves while he waits is forgotten at once, or
// when his turn comes; the others keep their order.
func TestQueuedClientLeaves(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	var conns []*conn
	var clients []net.Conn
	for range 4 {
		c, client := queueOne(t, r)
		conns, clients = append(conns, c), append(clients, client)
	}
	_ = clients[1].Close()
	turnOnce(r)
	if conns[1].state != queued || len(r.ready) != 4 {
		t.Fatalf("got state %v, want it kept until it has waited", conns[1].state)
	}
	for _, c := range conns {
		c.queuedAt -= int64(leftWait) // time goes by
	}
	r.dropLeft()
	if conns[1].state != closed || len(r.ready) != 3 || r.ready[0] != conns[0] || r.ready[1] != conns[2] {
		t.Fatalf("got %d waiting, state %v", len(r.ready), conns[1].state)
	}
	_ = clients[0].Close()
	if r.serveReady(r.threads[0]); conns[0].state != closed || len(r.ready) != 2 {
		t.Errorf("got state %v, %d waiting, want the first gone, unserved", conns[0].state, len(r.ready))
	}
	if n := r.leaving; n != 0 {
		t.Errorf("%d are still leaving", n)
	}
	if n := r.group.served.Load(); n != 0 {
		t.Errorf("%d requests were served, want none", n)
	}
}

// TestOverdue: a request that waits too long is refused then, in the order in
// which they came.
func TestOverdue(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.QueueTimeout = time.Second
	r := newRig(t, cfg)
	first, client := queueOne(t, r)
	second, _ := queueOne(t, r)
	second.queuedAt += int64(time.Second)
	second.waitIn(&r.waiting, second.queuedAt)
	r.expire(first.queuedAt + int64(cfg.QueueTimeout) - 1)
	if first.state != queued {
		t.Fatalf("got state %v before its time", first.state)
	}
	r.expire(first.queuedAt + int64(cfg.QueueTimeout))
	if first.state != lingering || second.state != queued || len(r.ready) != 1 || r.ready[0] != second {
		t.Errorf("got states %v, %v, %d waiting, want the first refused", first.state, second.state, len(r.ready))
	}
	_ = client.(*net.UnixConn).CloseWrite()
	if r.discard(first); first.state != closed {
		t.Errorf("got state %v", first.state)
	}
	if got := statusOf(t, readAll(t, client)); got != 503 {
		t.Errorf("got %d, want 503", got)
	}
}

// TestNoQueueTimeout: without one a request waits.
func TestNoQueueTimeout(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	c, _ := queueOne(t, r)
	r.expire(r.clock.Now() + int64(24*time.Hour))
	if c.state != queued || len(r.ready) != 1 {
		t.Errorf("got state %v, %d waiting", c.state, len(r.ready))
	}
}

// TestCountIsMended: whatever the count of the hand-off queue has come to, it is
// right again when the queue is seen empty.
func TestCountIsMended(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	h, queued := &r.siblings, &r.siblings.board.Global().Queued
	h.init(pair[0], pair[1], h.board, 0)
	for _, wrong := range []int64{1, -1} {
		queued.Store(wrong)
		if n := h.waiting(); n != 0 || queued.Load() != 0 {
			t.Errorf("count %d of none: got %d waiting, count %d", wrong, n, queued.Load())
		}
	}
	queued.Add(1)
	if _, err := unix.Write(h.write, []byte("request")); err != nil {
		t.Fatal(err)
	}
	if n := h.waiting(); n != 1 {
		t.Errorf("got %d waiting, want 1", n)
	}
}
