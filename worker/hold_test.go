package worker

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// answered has a call of c end with a response that is held back, if it may be.
func (r *rig) answered(t *testing.T, c *conn, response string) *thread {
	t.Helper()
	th := r.calling(t, c, get)
	th.headSent, th.complete = true, true
	th.resp.Status = 200
	th.kept = []byte(response)
	r.leader = th
	th.settle()
	r.hold(th, c)
	r.finish(c)
	return th
}

// receives checks what a client gets.
func receives(t *testing.T, client net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(client, got); err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got[:n], err, want)
	}
}

// receivesNothing checks that nothing has been sent.
func receivesNothing(t *testing.T, client net.Conn) {
	t.Helper()
	raw, err := client.(*net.UnixConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if err := raw.Control(func(fd uintptr) {
		if n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT); err != unix.EAGAIN {
			t.Errorf("got %d bytes, %v, want none yet", n, err)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// TestHeld: what is held goes to whom it is for, and connections go on meanwhile.
func TestHeld(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	var conns []*conn
	var clients []net.Conn
	for i := range 3 {
		c, client := r.connect(t)
		r.answered(t, c, fmt.Sprint("response ", i))
		if !c.held || c.state != reading {
			t.Fatalf("held %v, state %v", c.held, c.state)
		}
		if r.holding.overdue(r.holding.since) || !r.holding.overdue(r.holding.since+int64(holdMost)) {
			t.Error("not due when it has been held for holdMost")
		}
		conns, clients = append(conns, c), append(clients, client)
	}
	for _, client := range clients {
		receivesNothing(t, client)
	}
	r.sendAllHeld()
	for i, client := range clients {
		receives(t, client, fmt.Sprint("response ", i))
		if conns[i].held || conns[i].state != reading {
			t.Errorf("held %v, state %v", conns[i].held, conns[i].state)
		}
	}
	if len(r.holding.responses) > 0 || r.holding.overdue(never) {
		t.Error("something is still held")
	}
}

// TestNotHeld: there are reasons not to wait.
func TestNotHeld(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		make func(r *rig, th *thread, c *conn)
	}{
		{"the lead was taken", func(r *rig, _ *thread, _ *conn) { r.leader = r.watcher.lead }},
		{"after a long call", func(r *rig, th *thread, _ *conn) { r.holding.from = th.start + 1 }},
		{"pipelined", func(_ *rig, _ *thread, c *conn) { c.n += copy(c.buf[c.n:], "GET") }},
		{"last", func(_ *rig, _ *thread, c *conn) { c.keepAlive = false }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, testConfig())
			c, client := r.connect(t)
			th := r.calling(t, c, get)
			th.kept = []byte("response")
			r.leader = th
			tt.make(r, th, c)
			r.hold(th, c)
			receives(t, client, "response")
			if c.held || th.kept != nil {
				t.Error("it is held as well")
			}
		})
	}
}

// TestHeldAndBroken: a response that was cut is not sent.
func TestHeldAndBroken(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	c, client := r.connect(t)
	th := r.calling(t, c, get)
	th.kept, c.gone = []byte("response"), true
	r.leader = th
	r.hold(th, c)
	receivesNothing(t, client)
}

// TestHeldIsNotLost: a connection does not end, nor change hands, without what is held.
func TestHeldIsNotLost(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	c, client := r.connect(t)
	other, otherClient := r.connect(t)
	r.answered(t, c, "response")
	r.answered(t, other, "other")
	if r.handOff(c) {
		t.Error("it was handed over")
	}
	r.close(c)
	receives(t, client, "response")
	receives(t, otherClient, "other")
	if other.state != reading {
		t.Errorf("the other is %v", other.state)
	}
}

// TestHeldClientGone: one that has left takes nobody else's response along.
func TestHeldClientGone(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	gone, leaver := r.connect(t)
	c, client := r.connect(t)
	r.answered(t, gone, "nobody's")
	r.answered(t, c, "response")
	_ = leaver.Close()
	r.sendAllHeld()
	receives(t, client, "response")
	if r.open != 1 {
		t.Errorf("%d connections are open, want 1", r.open)
	}
}

// TestHeldSlowClient: what the socket does not take is sent later.
func TestHeldSlowClient(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	c, client := r.connect(t)
	r.answered(t, c, "response")
	filled := 0
	for {
		n, errno := rawSend(c.fd, make([]byte, 4096))
		if errno != 0 {
			break
		}
		filled += n
	}
	r.sendAllHeld()
	if c.state != flushing {
		t.Fatalf("the connection is %v", c.state)
	}
	if _, err := io.CopyN(io.Discard, client, int64(filled)); err != nil {
		t.Fatal(err)
	}
	r.output(r.threads[0], c)
	receives(t, client, "response")
	if c.state != reading {
		t.Errorf("the connection is %v", c.state)
	}
}

// TestHeldInALongCall: whoever finds the leader in a long call sends what is held, and
// nothing is held for a while.
func TestHeldInALongCall(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.Threads = 2
	r := newRig(t, cfg)
	c, client := r.connect(t)
	long, _ := r.connect(t)
	r.answered(t, c, "response")
	th := r.calling(t, long, get)
	th.record.Begin(r.clock.Now()-int64(shortCall), nil, nil, nil)
	r.idle = []*thread{r.threads[1]}
	r.look()
	receives(t, client, "response")
	if r.leader != r.threads[1] {
		t.Error("the idle thread does not lead")
	}
}

// TestNotHeldBehindALongCall: when a thread takes the lead back nothing is held for a
// while, for the watcher may not look.
func TestNotHeldBehindALongCall(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	r.leader = r.watcher.lead
	r.takeLead(r.threads[0])
	if ends := r.holding.from - r.clock.Now(); ends <= 0 || ends > int64(holdAgain) {
		t.Errorf("nothing is held for %v", time.Duration(ends))
	}
}

// TestKeptBack: only the leader keeps a response back, and what is kept goes out when
// the lead is taken.
func TestKeptBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	c, client := r.connect(t)
	th := r.calling(t, c, get)
	if th.keepBack([]byte("response")) {
		t.Error("a thread that does not lead keeps it back")
	}
	r.leader = th
	if !th.keepBack([]byte("response")) {
		t.Fatal("the leader does not keep it back")
	}
	receivesNothing(t, client)
	r.takeLead(r.watcher.lead)
	receives(t, client, "response")
	r.hold(th, c)
	r.finish(c)
	receivesNothing(t, client)
	if c.held || c.state != reading {
		t.Errorf("held %v, state %v", c.held, c.state)
	}
}

// TestKeptBackAndCut: what was kept back before a connection is cut is sent.
func TestKeptBackAndCut(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	c, client := r.connect(t)
	th := r.calling(t, c, get)
	r.leader = th
	if !th.keepBack([]byte("response")) {
		t.Fatal("the leader does not keep it back")
	}
	th.Cut()
	r.hold(th, c)
	if got := readAll(t, client); got != "response" {
		t.Errorf("got %q, want the response and an end", got)
	}
}

// TestHeldBytes: no more is held than there is room for.
func TestHeldBytes(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	response := strings.Repeat("x", heldContent)
	var clients []net.Conn
	for range heldBytes/heldContent + 1 {
		c, client := r.connect(t)
		r.answered(t, c, response)
		clients = append(clients, client)
	}
	receives(t, clients[len(clients)-1], response)
	receivesNothing(t, clients[0])
	r.sendAllHeld()
	receives(t, clients[0], response)
}

// TestPacer: the mean from one call of a batch to the other, but not across batches.
func TestPacer(t *testing.T) {
	t.Parallel()
	p := newPacer()
	steps := []struct {
		start int64
		reset bool
		gap   int64
	}{
		{start: 1000, gap: never}, {start: 1100, gap: 100}, {start: 1300, gap: 125}, {start: 1300, gap: 94},
		{reset: true, gap: 94}, {start: 9000, gap: 94}, {start: 9014, gap: 74},
	}
	for i, s := range steps {
		if s.reset {
			p.reset()
		} else {
			p.called(s.start)
		}
		if p.gap != s.gap {
			t.Errorf("step %d: gap %d, want %d", i, p.gap, s.gap)
		}
	}
}

// TestBatch: no more calls are begun at a time than take about topEvery, and what waits
// is served in the order in which it came.
func TestBatch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		gap  time.Duration
		want int
	}{
		{time.Duration(never), 2}, {time.Hour, 2}, {topEvery, 2}, {topEvery / 2, 3}, {100 * time.Microsecond, 11},
		{10 * time.Microsecond, 101}, {time.Microsecond, eventBatch}, {0, eventBatch},
	} {
		if got := (&pacer{gap: int64(tt.gap)}).batch(); got != tt.want {
			t.Errorf("a call every %v: %d at a time, want %d", tt.gap, got, tt.want)
		}
	}
	r := newRig(t, testConfig())
	th := r.threads[0]
	r.leader = th
	th.pace.gap = int64(time.Second)
	var conns []*conn
	for range 5 {
		c, client := r.connect(t)
		r.awaitInput(c)
		send(t, client, "bad\r\n\r\n")
		conns = append(conns, c)
	}
	for turn := 1; turn <= 3; turn++ {
		r.mu.Lock()
		r.turn(th)
		r.mu.Unlock()
		for i, c := range conns {
			if read := c.state != reading; read != (i < 2*turn) {
				t.Errorf("turn %d, connection %d: read is %v", turn, i, read)
			}
		}
	}
}
