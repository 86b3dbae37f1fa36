package accesslog

import (
	"errors"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/internal/logging"
)

// Options are what a Log is opened with.
type Options struct {
	// Path is the file's, "-" for standard output, "" for none.
	Path string
	// Also is given the lines too, several at a time and each with its end; nil:
	// there is nobody else. It must not keep them.
	Also func(lines []byte)
	// Format is the form of the lines; see Parse.
	Format string
	// Exclude are the rules of paths to leave out; see CheckExclude.
	Exclude []string
	// PID is the process the lines are of.
	PID int
	// Lost is told how many lines had no room, when there is some again; nil: nobody
	// is. It must not block.
	Lost func(lines int)
}

// Log is the access log of one process. Lines go into a buffer, which a goroutine
// writes out every flushEvery while there is something in it: one write(2) for many
// lines, off the threads that serve. Nobody else ever waits for whoever reads the log;
// what has no room in the buffer while that one is stuck is counted and lost. A
// process that is killed loses what is in the buffer. It may be used concurrently.
type Log struct {
	file       *logging.Reopenable // nil: none
	also       func(lines []byte)
	lostLines  func(n int)
	format     *Format
	exclusions []exclusion
	pid        string

	// writing is held from taking the buffer to having written it. It guards taken,
	// which is nil if there is none, and written, how much of it is.
	writing sync.Mutex
	taken   []byte
	written int

	mu sync.Mutex
	// buf is being filled, spare being written or empty. Both are guarded by mu.
	buf, spare []byte
	// lost are lines that had no room. Guarded by mu.
	lost int
	// drained: there is no goroutine any more. Guarded by mu.
	drained bool
	filled  chan struct{}
	ended   chan struct{} // closed when the goroutine has ended
	quit    chan struct{}
}

const (
	// flushEvery is how long a line waits at most for others, and what of the log a
	// process that is killed takes along. At 60,000 lines a second the goroutine costs
	// 1% more of a core than with 50 ms.
	flushEvery = 10 * time.Millisecond
	// flushAt is how many bytes are buffered before the goroutine is not waited for
	// any more: the thread that adds then writes itself.
	flushAt = 1 << 20
	// bufferMost is how many bytes are buffered for a reader that is stuck.
	bufferMost = 4 << 20
)

// Open opens the log. Errors are those of Parse and logging.Open. Drain or
// Close ends it.
func Open(o Options) (*Log, error) {
	format, err := Parse(o.Format)
	if err != nil {
		return nil, err
	}
	l := &Log{
		also:       o.Also,
		lostLines:  o.Lost,
		format:     format,
		exclusions: newExclusions(o.Exclude),
		pid:        strconv.Itoa(o.PID),
		filled:     make(chan struct{}, 1),
		ended:      make(chan struct{}),
		quit:       make(chan struct{}),
	}
	if o.Path != "" {
		if l.file, err = logging.Open(o.Path, 1); err != nil {
			return nil, err
		}
	}
	go l.writer()
	return l, nil
}

// Keys returns the environ keys the lines need, none for a nil Log.
func (l *Log) Keys() []string {
	if l == nil {
		return nil
	}
	return l.format.keys
}

// add puts a line into the buffer. It waits for a disk at most.
func (l *Log) add(line []byte) {
	l.mu.Lock()
	if len(l.buf) > bufferMost-len(line) {
		l.lost++
		l.mu.Unlock()
		return
	}
	first := len(l.buf) == 0
	l.buf = append(l.buf, line...)
	now := len(l.buf) >= flushAt || l.drained
	l.mu.Unlock()
	switch {
	case now && l.file != nil && l.file.HasReader():
		l.FlushNow()
	case now:
		l.Flush()
	case first:
		select {
		case l.filled <- struct{}{}:
		default:
		}
	}
}

// writer is the goroutine that writes the buffer out; Drain ends it.
func (l *Log) writer() {
	defer close(l.ended)
	for over := false; !over; l.Flush() {
		select {
		case <-l.filled:
			select {
			case <-time.After(flushEvery):
			case <-l.quit:
			}
		case <-l.quit:
			over = true
		}
	}
}

// Flush writes what is in the buffer. It blocks for as long as the file does.
func (l *Log) Flush() {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.writeAll(l.file.Write)
}

// FlushNow writes what of the buffer can be written without waiting for anybody, if
// nobody else does so.
func (l *Log) FlushNow() {
	if !l.writing.TryLock() {
		return
	}
	defer l.writing.Unlock()
	if !l.writeAll(l.file.WriteNow) {
		select { // the goroutine goes on
		case l.filled <- struct{}{}:
		default:
		}
	}
}

// writeAll writes what was taken before, and then the buffer. It reports whether all
// is written. l.writing is held.
func (l *Log) writeAll(write func([]byte) (int, error)) bool {
	if l.taken != nil && !l.writeTaken(write) {
		return false
	}
	l.take()
	return l.writeTaken(write)
}

// take takes the buffer, and says what was lost before it. l.writing is held.
func (l *Log) take() {
	l.mu.Lock()
	lost := l.lost
	l.taken, l.written = l.buf, 0
	l.buf, l.spare, l.lost = l.spare[:0], nil, 0
	l.mu.Unlock()
	if len(l.taken) > 0 && l.also != nil {
		l.also(l.taken)
	}
	if lost > 0 && l.lostLines != nil {
		l.lostLines(lost)
	}
}

// writeTaken writes what was taken, gives the memory back, and reports true, unless
// that would have to wait. l.writing is held.
func (l *Log) writeTaken(write func([]byte) (int, error)) bool {
	if l.file != nil && l.written < len(l.taken) {
		n, err := write(l.taken[l.written:])
		if l.written += n; errors.Is(err, unix.EAGAIN) {
			return false
		}
		// There is nobody to tell about an access log that cannot be written.
	}
	l.mu.Lock()
	if l.spare == nil && cap(l.taken) <= 2*flushAt {
		l.spare = l.taken
	}
	l.mu.Unlock()
	l.taken = nil
	return true
}

// FlushWithin is Flush, but gives up after wait: who reads the log may be stuck.
func (l *Log) FlushWithin(wait time.Duration) {
	flushed := make(chan struct{})
	go func() { // ends with the process if it does not before
		defer close(flushed)
		l.Flush()
	}()
	select {
	case <-flushed:
	case <-time.After(wait):
	}
}

// Reopen opens the file anew after it was moved away. On an error, which names the
// path, the old one stays in use.
func (l *Log) Reopen() error {
	if l.file == nil {
		return nil
	}
	return l.file.Reopen()
}

// Drain ends the goroutine and returns when everything is written, or after that
// time. Lines that come later, of a request that outlives the rest, are written one by
// one.
func (l *Log) Drain(wait time.Duration) {
	l.mu.Lock()
	drained := l.drained
	l.drained = true
	l.mu.Unlock()
	if !drained {
		close(l.quit)
	}
	select {
	case <-l.ended:
	case <-time.After(wait): // it waits for a reader, and ends with the file or the process
	}
}

// Close drains the log, within that time, and closes the file.
func (l *Log) Close(wait time.Duration) error {
	l.Drain(wait)
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
