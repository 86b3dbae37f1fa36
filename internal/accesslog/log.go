package accesslog

import (
	"strconv"
	"sync"
	"time"

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
}

// Log is the access log of one process. Lines go into a buffer, which a goroutine
// writes out every flushEvery while there is something in it: one write(2) for many
// lines, off the threads that serve. A process that is killed loses what is in the
// buffer. It may be used concurrently.
type Log struct {
	file       *logging.Reopenable // nil: none
	also       func(lines []byte)
	format     *Format
	exclusions []exclusion
	pid        string

	// writing is held from taking the buffer to having written it.
	writing sync.Mutex

	mu sync.Mutex
	// buf is being filled, spare being written or empty. Both are guarded by mu.
	buf, spare []byte
	// drained: there is no goroutine any more. Guarded by mu.
	drained bool
	filled  chan struct{}
	ended   chan struct{} // closed when the goroutine has ended
	quit    chan struct{}
}

const (
	flushEvery = 50 * time.Millisecond
	// flushAt is how many bytes are buffered before the goroutine is not waited for
	// any more: the thread that adds then writes itself.
	flushAt = 1 << 20
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

// add puts a line into the buffer.
func (l *Log) add(line []byte) {
	l.mu.Lock()
	first := len(l.buf) == 0
	l.buf = append(l.buf, line...)
	now := len(l.buf) >= flushAt || l.drained
	l.mu.Unlock()
	if now {
		l.Flush()
		return
	}
	if first {
		select {
		case l.filled <- struct{}{}:
		default:
		}
	}
}

// writer is the goroutine that writes the buffer out; Drain ends it.
func (l *Log) writer() {
	defer close(l.ended)
	for {
		select {
		case <-l.filled:
		case <-l.quit:
			return
		}
		select {
		case <-time.After(flushEvery):
		case <-l.quit:
		}
		l.Flush()
	}
}

// Flush writes what is in the buffer. It blocks for as long as the file does.
func (l *Log) Flush() {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	full := l.buf
	l.buf, l.spare = l.spare[:0], nil
	l.mu.Unlock()
	if len(full) > 0 && l.file != nil {
		// There is nobody to tell about an access log that cannot be written.
		_, _ = l.file.Write(full)
	}
	if len(full) > 0 && l.also != nil {
		l.also(full)
	}
	l.mu.Lock()
	if l.spare == nil {
		l.spare = full
	}
	l.mu.Unlock()
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

// Drain ends the goroutine and returns when everything is written. Lines that come
// later, of a request that outlives the rest, are written one by one.
func (l *Log) Drain() {
	l.mu.Lock()
	drained := l.drained
	l.drained = true
	l.mu.Unlock()
	if !drained {
		close(l.quit)
	}
	<-l.ended
	l.Flush()
}

// Close drains the log and closes the file.
func (l *Log) Close() error {
	l.Drain()
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
