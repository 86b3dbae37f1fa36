package worker

import (
	"bytes"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/protocol/ipc"
	"gowsgi/worker/python"
)

// stacks are those of all Python threads at a time, on their way to the error log.
type stacks struct{ written chan struct{} }

const (
	// stacksWait bounds how long anything waits for stacks: who reads the log may be
	// stuck.
	stacksWait = 4 * time.Second
	// gilPatience is how long the GIL may be kept from who wants to look at stacks. A
	// thread that runs Python code gives it away every 5 ms; on a busy machine it has
	// to come to run, though.
	gilPatience = 1500 * time.Millisecond
)

// stacksLog is where the worker writes stacks to: the error log.
type stacksLog struct {
	fd int
	mu sync.Mutex // held while some are written
}

// write has stacks written. It does not wait.
func (l *stacksLog) write() *stacks {
	s := &stacks{make(chan struct{})}
	go func() {
		defer close(s.written)
		l.mu.Lock()
		defer l.mu.Unlock()
		fd, err := unix.MemfdCreate("gowsgi-stacks", unix.MFD_CLOEXEC)
		if err != nil {
			python.WriteStacks(-1, 0)
			return
		}
		f := os.NewFile(uintptr(fd), "stacks")
		defer f.Close()
		if !python.WriteStacks(fd, gilPatience) {
			return
		}
		_, _ = f.Seek(0, io.SeekStart)
		if text, err := io.ReadAll(f); err == nil {
			writeAll(l.fd, withoutWriter(text))
		}
	}()
	return s
}

// onSignal writes stacks, from now on, for every ipc.StacksSignal; what comes while
// some are written counts once.
func (l *stacksLog) onSignal() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, ipc.StacksSignal)
	go func() {
		for range asked {
			l.write().wait()
		}
	}()
}

// withoutWriter drops the thread that wrote the stacks, see python.WriteStacks: it is
// none of the application's.
func withoutWriter(text []byte) []byte {
	var others [][]byte
	for one := range bytes.SplitSeq(text, []byte("\n\n")) {
		if !bytes.HasPrefix(one, []byte("Current thread ")) {
			others = append(others, bytes.TrimSuffix(one, []byte("\n")))
		}
	}
	return append(bytes.Join(others, []byte("\n\n")), '\n')
}

// writeAll writes b, in one call if fd takes it.
func writeAll(fd int, b []byte) {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		switch err {
		case nil:
			b = b[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			awaitFD(fd, unix.POLLOUT, -1)
		default:
			return
		}
	}
}

// done reports whether they are on the log.
func (s *stacks) done() bool {
	select {
	case <-s.written:
		return true
	default:
		return false
	}
}

// wait returns when they are on the log, or stacksWait is over.
func (s *stacks) wait() {
	select {
	case <-s.written:
	case <-time.After(stacksWait):
	}
}
