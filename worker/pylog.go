package worker

import (
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"gowsgi/internal/logging"
	"gowsgi/worker/python"
)

// pyLog takes the lines of the error log to Python's logging. A line goes into a
// queue, which a goroutine empties, because whoever logs may hold the GIL, or must
// not wait for it. What the queue has no room for, and what is in it when Python
// ends, goes to the file of the error log, so that no line is lost.
type pyLog struct {
	io.Writer // the file
	direct    zerolog.Logger
	queue     chan pyLine
	done      chan struct{}

	// mu orders Divert and Close.
	mu     sync.RWMutex
	closed bool
}

type pyLine struct{ level, text string }

// pyLogQueue is how many lines may wait for Python.
const pyLogQueue = 1024

// newPyLog returns a pyLog in front of file; direct writes to the same.
func newPyLog(file io.Writer, direct zerolog.Logger) *pyLog {
	return &pyLog{Writer: file, direct: direct, queue: make(chan pyLine, pyLogQueue), done: make(chan struct{})}
}

// Divert implements logging.Diverter.
func (l *pyLog) Divert(level string, text []byte) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return false
	}
	select {
	case l.queue <- pyLine{level, string(text)}:
		return true
	default:
		return false
	}
}

// Reopen has the files of Python's loggers opened anew, behind the lines before it.
func (l *pyLog) Reopen() { l.Divert("", nil) }

// run gives lines to Python until Close. Python must run, and the goroutine is the
// only one that does this.
func (l *pyLog) run() {
	runtime.LockOSThread()
	defer close(l.done)
	for line := range l.queue {
		python.Feed(line.level, line.text)
	}
}

// Close sends lines to the file from now on, and returns when those that were in
// the queue are with Python, or, if it has not taken them in that time, in the file.
// wait is 0 if run was never started. It may be called again.
func (l *pyLog) Close(wait time.Duration) {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.queue)
	}
	l.mu.Unlock()
	if wait > 0 {
		select {
		case <-l.done:
		case <-time.After(wait):
		}
	}
	for line := range l.queue {
		if line.level != "" {
			logging.Lines(l.direct.WithLevel(logging.ParseLevel(line.level)), line.text, "")
		}
	}
}
