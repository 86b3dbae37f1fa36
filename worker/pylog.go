package worker

import (
	"encoding/json"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"gowsgi/internal/logging"
	"gowsgi/protocol/ipc"
	"gowsgi/worker/python"
)

// pyLog takes lines of the error log, and requests that no Python code ran to their
// end, to Python's logging. They go into a queue, which a goroutine empties, because
// whoever logs may hold the GIL, or must not wait for it. What the queue has no room
// for, and what is in it when Python ends, goes to the file of the error log, so that
// nothing is lost.
type pyLog struct {
	io.Writer // the file
	direct    zerolog.Logger
	more      chan struct{} // the queue is not empty any more, or closed
	done      chan struct{} // closed when run has returned

	mu sync.Mutex
	// queue and closed are guarded by mu.
	queue  []pyLine
	closed bool
}

// pyLine is a line, a request, or somebody who waits for what is before it; else, that
// the files are to be opened anew.
type pyLine struct {
	level, text string
	request     *ipc.LoggedRequest
	reached     chan struct{}
}

const (
	// pyLogLines is how many lines may wait for Python.
	pyLogLines = 1024
	// pyLogAll is the same with requests among them: there may be many when the
	// server is overloaded, and each is to be on the access log.
	pyLogAll = 16 * pyLogLines
)

// newPyLog returns a pyLog in front of file; direct writes to the same.
func newPyLog(file io.Writer, direct zerolog.Logger) *pyLog {
	return &pyLog{Writer: file, direct: direct, more: make(chan struct{}, 1), done: make(chan struct{})}
}

// push puts a line into the queue if there are fewer than most in it.
func (l *pyLog) push(line pyLine, most int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.queue) >= most {
		return false
	}
	l.queue = append(l.queue, line)
	l.signal()
	return true
}

func (l *pyLog) signal() {
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// pop takes the first line out of the queue; closed says that no more will come.
func (l *pyLog) pop() (line pyLine, ok, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		l.queue = nil
		return pyLine{}, false, l.closed
	}
	line = l.queue[0]
	l.queue = l.queue[1:]
	return line, true, false
}

// Divert implements logging.Diverter.
func (l *pyLog) Divert(level string, text []byte) bool {
	return l.push(pyLine{level: level, text: string(text)}, pyLogLines)
}

// Request has a request on Python's access log.
func (l *pyLog) Request(r *ipc.LoggedRequest) {
	line := pyLine{request: r}
	if !l.push(line, pyLogAll) {
		l.write(line)
	}
}

// Reopen has the files of Python's loggers opened anew, behind the lines before it.
func (l *pyLog) Reopen() { l.push(pyLine{}, pyLogAll) }

// run gives lines to Python until Close. Python must run, and the goroutine is the
// only one that does this.
func (l *pyLog) run() {
	runtime.LockOSThread()
	defer close(l.done)
	for {
		line, ok, closed := l.pop()
		switch {
		case closed:
			return
		case !ok:
			<-l.more
		case line.request != nil:
			feedRequest(line.request)
		case line.reached != nil:
			close(line.reached)
		default:
			python.Feed(line.level, line.text)
		}
	}
}

func feedRequest(r *ipc.LoggedRequest) {
	if text, err := json.Marshal(r); err == nil { // it always can
		python.Feed(python.FeedRequest, string(text))
	}
}

// Flush returns when what is in the queue is with Python or, if it has not taken it in
// that time, in the file.
func (l *pyLog) Flush(wait time.Duration) {
	reached := make(chan struct{})
	if !l.push(pyLine{reached: reached}, pyLogAll+1) {
		return
	}
	select {
	case <-reached:
	case <-time.After(wait):
		l.writeAll()
	}
}

// Close sends lines to the file from now on, and returns when those that were in
// the queue are with Python, or, if it has not taken them in that time, in the file.
// wait is 0 if run was never started. It may be called again.
func (l *pyLog) Close(wait time.Duration) {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.signal()
	if wait > 0 {
		select {
		case <-l.done:
		case <-time.After(wait):
		}
	}
	l.writeAll()
}

// writeAll empties the queue into the file.
func (l *pyLog) writeAll() {
	for line, ok, _ := l.pop(); ok; line, ok, _ = l.pop() {
		l.write(line)
	}
}

// write writes a line to the file. What the access log should have had stands there
// as a line of its own.
func (l *pyLog) write(line pyLine) {
	switch r := line.request; {
	case r != nil:
		l.direct.Warn().Str("addr", r.Addr).Str("method", r.Method).Str("target", r.Target).Int("status", r.Status).
			Msgf("Request that Python has not logged: %s", r)
	case line.level != "":
		logging.Lines(l.direct.WithLevel(logging.ParseLevel(line.level)), line.text, "")
	}
}
