package spawner

import (
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/protocol/ipc"
)

// What is sent to a spawner goes into a queue, from which a goroutine sends it: the
// spawner may be busy with a hook, or stuck, and nobody who orders something may wait
// for it. Orders and lines of the log keep their order.
//
//	Send, Fork, Log, Close --> queue --> write --> socket --> spawner
//	                                       |  after a line:      |
//	                                       +<---- "logged" ------+
//
// A line is kept until the spawner says that it is logged. If it dies before, or
// does not say so within deafAfter, the lines it has not logged are given back.

// entry is one thing to be sent.
type entry struct {
	text []byte
	fds  []int  // of a worker, owned by the queue; nil: none
	line bool   // wait for ReportLogged
	lost func() // the line will not be logged
	last bool   // nothing follows: close the writing end
}

// queue is what waits to be sent.
type queue struct {
	conn *net.UnixConn
	// more: look at the entries; logged: the line that was sent is logged.
	more, logged chan struct{}
	done         chan struct{} // closed when write has returned

	mu sync.Mutex
	// Below: guarded by mu. gone: nothing is sent any more. closing: entry.last is
	// among the entries. deaf: the spawner has not logged a line in time.
	entries             []entry
	lines               int
	gone, closing, deaf bool
}

const (
	// queueMax bounds orders, lineMax lines that wait.
	queueMax = 4096
	lineMax  = 1024
	// lineSize is the longest line that is sent.
	lineSize = 32 << 10
	// deafAfter is how long lines wait for one that is being logged.
	deafAfter = 5 * time.Second
)

// errUnreachable says that the spawner takes no orders any more, or too slowly.
var errUnreachable = errors.New("the spawner cannot be reached")

// push puts an entry at the end; it reports false, and keeps nothing, if that cannot be.
func (q *queue) push(e entry) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gone || q.closing || len(q.entries) >= queueMax || e.line && (q.deaf || q.lines >= lineMax) {
		return false
	}
	if e.line {
		q.lines++
	}
	q.closing = e.last
	q.entries = append(q.entries, e)
	signal(q.more)
	return true
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pop takes the first entry; gone says that no more will come.
func (q *queue) pop() (e entry, ok, gone bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gone || len(q.entries) == 0 {
		return entry{}, false, q.gone
	}
	e = q.entries[0]
	q.entries = q.entries[1:]
	if e.line {
		q.lines--
	}
	return e, true, false
}

// write sends entries until the spawner is gone. It is the queue's goroutine.
func (q *queue) write() {
	defer close(q.done)
	for {
		e, ok, gone := q.pop()
		switch {
		case gone:
			return
		case !ok:
			<-q.more
			continue
		}
		if err := q.send(&e); err != nil {
			e.dropped()
			q.end()
			return
		}
		if e.line && !q.awaitLogged() {
			e.dropped()
			return
		}
	}
}

func (q *queue) send(e *entry) error {
	if e.last {
		return q.conn.CloseWrite()
	}
	if _, err := q.conn.Write(e.text); err != nil || e.fds == nil {
		return err
	}
	_, _, err := q.conn.WriteMsgUnix([]byte{0}, unix.UnixRights(e.fds...), nil)
	closeAll(e.fds)
	e.fds = nil
	return err
}

// awaitLogged waits until the line that was sent is logged, while orders go on after
// deafAfter. It reports false if the spawner is gone.
func (q *queue) awaitLogged() bool {
	timeout := time.NewTimer(deafAfter)
	defer timeout.Stop()
	for {
		select {
		case <-q.logged:
			q.setDeaf(false)
			return true
		case <-timeout.C:
			q.setDeaf(true)
		case <-q.more:
		}
		q.mu.Lock()
		gone, deaf := q.gone, q.deaf
		q.mu.Unlock()
		if gone {
			return false
		}
		if deaf && !q.sendOrders() {
			return false
		}
	}
}

// setDeaf gives the lines that wait back when deaf begins.
func (q *queue) setDeaf(deaf bool) {
	q.mu.Lock()
	q.deaf = deaf
	var lines []entry
	if deaf {
		orders := q.entries[:0:0]
		for _, e := range q.entries {
			if e.line {
				lines = append(lines, e)
			} else {
				orders = append(orders, e)
			}
		}
		q.entries, q.lines = orders, 0
	}
	q.mu.Unlock()
	for _, e := range lines {
		e.dropped()
	}
}

// sendOrders sends what has no line before it, because a deaf spawner gets none.
func (q *queue) sendOrders() bool {
	for {
		e, ok, gone := q.pop()
		if !ok {
			return !gone
		}
		if err := q.send(&e); err != nil {
			e.dropped()
			q.end()
			return false
		}
	}
}

// end drops everything that waits: the spawner is gone. It may be called again.
func (q *queue) end() {
	q.mu.Lock()
	entries := q.entries
	q.gone, q.entries, q.lines = true, nil, 0
	q.mu.Unlock()
	signal(q.more)
	for _, e := range entries {
		e.dropped()
	}
}

// Ended says that the process is dead. It returns when lines that it has not logged
// are given back.
func (p *Process) Ended() {
	p.queue.end()
	// A child of the spawner may have its end of the socket.
	_ = p.conn.SetWriteDeadline(time.Unix(1, 0))
	<-p.queue.done
}

// dropped releases an entry that will not be sent, or has not been logged.
func (e *entry) dropped() {
	closeAll(e.fds)
	if e.lost != nil {
		e.lost()
	}
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd) // a copy
	}
}

// copyAll returns copies of descriptors.
func copyAll(fds []int) ([]int, error) {
	var copies []int
	for _, fd := range fds {
		c, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			closeAll(copies)
			return nil, err
		}
		copies = append(copies, c)
	}
	return copies, nil
}

// Log has the spawner log a line of the master's, through Python's logging, behind
// what it was told before. It does not block, and may be called concurrently with
// everything. It reports false, with nothing done, if the line is too long or cannot
// be logged soon; if it turns out later that it was not logged, lost is called, from
// any goroutine.
func (p *Process) Log(level, text string, lost func()) bool {
	if len(text) > lineSize {
		return false
	}
	e, err := newEntry(&ipc.Order{Order: ipc.OrderLog, Level: level, Message: text})
	if err != nil {
		return false
	}
	e.line, e.lost = true, lost
	return p.queue.push(e)
}
