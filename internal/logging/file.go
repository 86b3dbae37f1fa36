package logging

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/internal/sys"
)

// writeWait bounds how long one write waits for a full pipe or terminal that
// somebody made non-blocking. After it the rest of the line is lost: a log
// reader that hangs must not hang the server as well.
const writeWait = time.Second

// Reopenable is a log file that can be moved away and opened anew while
// others hold its descriptor number. It may be used concurrently.
type Reopenable struct {
	path string
	fd   int
	// also are descriptors that follow fd; see Also.
	also []int
	// mu orders Close against Write and Reopen: after Close the number may
	// belong to somebody else.
	mu     sync.RWMutex
	closed bool
}

// Open opens the log at path for appending; it is made with mode 0644 less the
// umask. The path "-" means the standard stream std (1 or 2), which Reopen and
// Close leave alone. The error names the path as gunicorn's does and wraps the
// errno.
func Open(path string, std int) (*Reopenable, error) {
	if path == "-" {
		return &Reopenable{path: path, fd: std}, nil
	}
	fd, err := openAppend(path)
	if err != nil {
		return nil, err
	}
	return &Reopenable{path: path, fd: fd}, nil
}

func openAppend(path string) (int, error) {
	fd, err := sys.IgnoringEINTR(func() (int, error) {
		return unix.Open(path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOCTTY, 0o644)
	})
	if err != nil {
		return -1, fmt.Errorf("'%s' isn't writable [%w]", path, err)
	}
	return fd, nil
}

// Fd returns the descriptor number, which stays the same over Reopen.
func (r *Reopenable) Fd() int { return r.fd }

// Path returns the path given to Open.
func (r *Reopenable) Path() string { return r.path }

// Reopen opens the path again and puts the new file under the old descriptor
// number, in one step: a concurrent Write goes to the old file or the new one.
// After an error the old file stays in use. For a standard stream it does
// nothing.
func (r *Reopenable) Reopen() error {
	if r.path == "-" {
		return nil
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return os.ErrClosed
	}
	fd, err := openAppend(r.path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := replace(r.fd, fd, unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("reopening '%s': %w", r.path, err)
	}
	return r.copyTo(r.also)
}

// replace makes the descriptor old mean what fd does, in one step.
func replace(old, fd, flags int) error {
	// dup3 may report EBUSY while another thread is between reserving this
	// number and installing it, and EINTR; both pass.
	for {
		err := unix.Dup3(fd, old, flags)
		if err != unix.EBUSY && err != unix.EINTR {
			return os.NewSyscallError("dup3", err)
		}
	}
}

// Also makes the descriptors fds, which programs that are started inherit, mean the
// file, now and after each Reopen (gunicorn: capture_output). For a standard stream
// it does nothing. It must not be called concurrently with anything.
func (r *Reopenable) Also(fds ...int) error {
	if r.path == "-" {
		return nil
	}
	r.also = fds
	return r.copyTo(fds)
}

func (r *Reopenable) copyTo(fds []int) error {
	for _, fd := range fds {
		if err := replace(fd, r.fd, 0); err != nil {
			return fmt.Errorf("capturing output in '%s': %w", r.path, err)
		}
	}
	return nil
}

// Write writes p by one write(2) unless the kernel takes it in pieces.
func (r *Reopenable) Write(p []byte) (int, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return 0, os.ErrClosed
	}
	done := 0
	for done < len(p) {
		n, err := unix.Write(r.fd, p[done:])
		switch {
		case err == nil:
			done += n
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if err := r.waitWritable(); err != nil {
				return done, err
			}
		default:
			return done, fmt.Errorf("writing '%s': %w", r.path, os.NewSyscallError("write", err))
		}
	}
	return done, nil
}

func (r *Reopenable) waitWritable() error {
	fds := []unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLOUT}}
	n, err := sys.IgnoringEINTR(func() (int, error) {
		return unix.Poll(fds, int(writeWait/time.Millisecond))
	})
	if err == nil && n == 0 {
		err = unix.EAGAIN
	}
	return os.NewSyscallError("poll", err)
}

// Close closes the file; later writes report os.ErrClosed. A standard stream
// stays open.
func (r *Reopenable) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.path == "-" {
		return nil
	}
	r.closed = true
	return os.NewSyscallError("close", unix.Close(r.fd))
}
