package logging

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Queue is an error log whose lines never wait for a reader. As long as there is one
// a line is written in place, so that it is out before whatever happens next, be that
// the end of the process. What a full pipe does not take is queued, in order, and
// written by a goroutine that lives as long as something is; what has no room there
// is counted, and the count takes its place. It may be used concurrently.
type Queue struct {
	*Reopenable

	mu sync.Mutex
	// lostLine makes the line that says how many were lost. Guarded by mu.
	lostLine func(n int) []byte
	// waiting are lines, of which the first may have been written in part, size their
	// bytes, lost how many have had no room behind them. All are guarded by mu.
	waiting [][]byte
	size    int
	lost    int
	// idle is closed when nothing waits and there is no goroutine, nil if so.
	idle chan struct{}
}

// queueMax is how many bytes may wait: the lines of hours, or the stacks of minutes.
const queueMax = 1 << 20

// OpenQueue is Open for an error log.
func OpenQueue(path string, std int) (*Queue, error) {
	file, err := Open(path, std)
	if err != nil {
		return nil, err
	}
	return &Queue{Reopenable: file}, nil
}

func (q *Queue) setLostLine(f func(n int) []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lostLine = f
}

// Write writes a line, now or soon. An error is one of a file that takes nothing,
// never that of a reader that is slow.
func (q *Queue) Write(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	rest := p
	if q.idle == nil {
		n, err := q.WriteNow(p)
		if !errors.Is(err, unix.EAGAIN) {
			return n, err
		}
		rest = p[n:]
		q.idle = make(chan struct{})
		go q.drain() // Flush waits for it
	}
	q.pushLocked(rest)
	return len(p), nil
}

// pushLocked queues a line. Once one was lost there must be room for many before the
// next one is taken, so that the log does not consist of counts.
func (q *Queue) pushLocked(line []byte) {
	room := queueMax
	if q.lost > 0 {
		room /= 2
	}
	if q.size > 0 && q.size+len(line) > room {
		q.lost++
		return
	}
	q.countLocked()
	q.appendLocked(line)
}

func (q *Queue) appendLocked(line []byte) {
	q.waiting = append(q.waiting, append([]byte(nil), line...))
	q.size += len(line)
}

// countLocked queues the count of lines that were lost, if some were.
func (q *Queue) countLocked() {
	if q.lost > 0 && q.lostLine != nil {
		q.appendLocked(q.lostLine(q.lost))
	}
	q.lost = 0
}

// drain writes what waits, and ends when nothing does.
func (q *Queue) drain() {
	for q.drainOne() {
	}
}

// drainOne writes the first line that waits, and reports whether there was one.
func (q *Queue) drainOne() bool {
	q.mu.Lock()
	if len(q.waiting) == 0 {
		q.countLocked()
	}
	if len(q.waiting) == 0 {
		close(q.idle)
		q.idle = nil
		q.mu.Unlock()
		return false
	}
	n, err := q.WriteNow(q.waiting[0])
	stuck := errors.Is(err, unix.EAGAIN)
	if !stuck {
		n = len(q.waiting[0]) // there is nobody to tell of a file that takes nothing
	}
	q.size -= n
	if q.waiting[0] = q.waiting[0][n:]; len(q.waiting[0]) == 0 {
		q.waiting = q.waiting[1:]
	}
	q.mu.Unlock()
	if stuck {
		q.await(closeNotice)
	}
	return true
}

// Flush returns when nothing waits, or after that time.
func (q *Queue) Flush(wait time.Duration) {
	q.mu.Lock()
	idle := q.idle
	q.mu.Unlock()
	if idle == nil {
		return
	}
	select {
	case <-idle:
	case <-time.After(wait):
	}
}
