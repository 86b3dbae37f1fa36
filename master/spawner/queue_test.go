package spawner

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/protocol/ipc"
)

// peer is a queue's other end.
type peer struct {
	t    *testing.T
	conn *net.UnixConn
}

func newPair(t *testing.T) (*Process, *peer) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ends := make([]*net.UnixConn, 2)
	for i, fd := range pair {
		f := os.NewFile(uintptr(fd), "end")
		conn, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = conn.(*net.UnixConn)
	}
	p := newProcess(0, ends[0])
	t.Cleanup(func() { p.Discard(); ends[1].Close(); <-p.queue.done })
	return p, &peer{t, ends[1]}
}

// next returns the next order, "" at the end.
func (p *peer) next() string {
	buf := make([]byte, 1<<16)
	n, err := p.conn.Read(buf)
	if n == 0 || err != nil {
		return ""
	}
	var o ipc.Order
	if err := json.Unmarshal(buf[:n], &o); err != nil {
		p.t.Errorf("%q: %v", buf[:n], err)
	}
	return o.Order + o.Hook + o.Message
}

func (p *peer) logged() {
	if _, err := p.conn.Write([]byte(`{"kind":"logged"}`)); err != nil {
		p.t.Error(err)
	}
}

// losses notes lines that were given back.
type losses struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{}
}

func (l *losses) of(line string) func() {
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lines = append(l.lines, line)
		l.more <- struct{}{}
	}
}

func (l *losses) want(t *testing.T, want ...string) {
	t.Helper()
	for range want {
		<-l.more
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.lines)
	if !slices.Equal(l.lines, want) {
		t.Errorf("%q were given back, want %q", l.lines, want)
	}
}

// Orders and lines keep their order, and what comes behind a line waits until that is
// logged.
func TestQueueKeepsOrder(t *testing.T) {
	t.Parallel()
	p, peer := newPair(t)
	lost := &losses{more: make(chan struct{}, 10)}
	for i := range 3 {
		name := fmt.Sprint(i)
		if err := p.Send(&ipc.Order{Order: ipc.OrderHook, Hook: name}); err != nil {
			t.Fatal(err)
		}
		if !p.Log("info", name, lost.of(name)) {
			t.Fatal("there was no room for a line")
		}
	}
	p.Close()
	if p.Log("info", "late", nil) || p.Send(&ipc.Order{}) == nil {
		t.Error("something was taken behind the end")
	}
	for i := range 3 {
		if got, want := peer.next(), fmt.Sprint("hook", i); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		if got, want := peer.next(), fmt.Sprint("log", i); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		peer.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		if got := peer.next(); got != "" {
			t.Errorf("%q came before the line was logged", got)
		}
		peer.conn.SetReadDeadline(time.Time{})
		peer.logged()
	}
	if got := peer.next(); got != "" {
		t.Errorf("got %q at the end", got)
	}
	lost.want(t)
}

// Lines that a dead spawner has not logged are given back.
func TestQueueOfTheDead(t *testing.T) {
	t.Parallel()
	p, peer := newPair(t)
	lost := &losses{more: make(chan struct{}, 10)}
	for _, line := range []string{"0", "1", "2"} {
		p.Log("info", line, lost.of(line))
	}
	peer.next()
	peer.logged()
	peer.next()
	peer.conn.Close()
	lost.want(t, "1", "2")
	p.Ended()
	if p.Log("info", "late", nil) {
		t.Error("a line was taken by the dead")
	}
}

// While a line is not logged in time, orders go on and lines are given back; then it is
// as before.
func TestQueueOfTheDeaf(t *testing.T) {
	t.Parallel()
	p, peer := newPair(t)
	lost := &losses{more: make(chan struct{}, 10)}
	for _, line := range []string{"0", "1", "2"} {
		p.Log("info", line, lost.of(line))
	}
	if err := p.Send(&ipc.Order{Order: "fork"}); err != nil {
		t.Fatal(err)
	}
	if got := peer.next(); got != "log0" {
		t.Fatalf("got %q", got)
	}
	p.queue.setDeaf(true) // as deafAfter does
	lost.want(t, "1", "2")
	if p.Log("info", "3", nil) {
		t.Error("a line was taken by the deaf")
	}
	if err := p.Send(&ipc.Order{Order: "state"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"fork", "state"} {
		if got := peer.next(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	peer.logged()
	for !p.Log("info", "4", nil) { // as soon as the report is read
	}
	if got := peer.next(); got != "log4" {
		t.Errorf("got %q", got)
	}
}
