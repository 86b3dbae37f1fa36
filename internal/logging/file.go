package logging

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/internal/sys"
)

// Reopenable is a log file that can be moved away and opened anew while
// others hold its descriptor number. It may be used concurrently.
type Reopenable struct {
	path string
	fd   int
	// also are descriptors that follow fd; see Also.
	also []int

	// mu orders Close and Reopen against writes: after Close the number may belong to
	// somebody else. It is never held while a write waits for a reader. It guards what
	// follows.
	mu     sync.RWMutex
	closed bool
	dest   destination
}

// Open opens the log at path for appending; it is made with mode 0644 less the
// umask. The path "-" means the standard stream std (1 or 2), which Reopen and
// Close leave alone. The error names the path as gunicorn's does and wraps the
// errno. It does not wait for who is to read a FIFO.
func Open(path string, std int) (*Reopenable, error) {
	if path == "-" {
		return &Reopenable{path: path, fd: std, dest: destinationOf(std)}, nil
	}
	fd, err := openAppend(path)
	if err != nil {
		return nil, err
	}
	return &Reopenable{path: path, fd: fd, dest: destinationOf(fd)}, nil
}

func openAppend(path string) (int, error) {
	const flags = unix.O_APPEND | unix.O_CREAT | unix.O_CLOEXEC | unix.O_NOCTTY
	open := func(mode int) (int, error) {
		return sys.IgnoringEINTR(func() (int, error) { return unix.Open(path, flags|mode, 0o644) })
	}
	fd, err := open(unix.O_WRONLY | unix.O_NONBLOCK)
	if err == unix.ENXIO {
		// A FIFO nobody reads. Who reads it later gets what fits in meanwhile.
		fd, err = open(unix.O_RDWR | unix.O_NONBLOCK)
	}
	if err == nil {
		// Programs that inherit it expect a file that waits.
		if err = unix.SetNonblock(fd, false); err != nil {
			unix.Close(fd)
		}
	}
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
// number, in one step: a concurrent write goes to the old file or the new one.
// After an error the old file stays in use. For a standard stream it does
// nothing.
func (r *Reopenable) Reopen() error {
	if r.path == "-" {
		return nil
	}
	fd, err := openAppend(r.path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return os.ErrClosed
	}
	if err := replace(r.fd, fd, unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("reopening '%s': %w", r.path, err)
	}
	r.dest.close()
	r.dest = destinationOf(r.fd)
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

// HasReader reports whether somebody has to read what is written: a pipe, a terminal, a
// socket, where a write may have to wait for ever. A disk is only slow.
func (r *Reopenable) HasReader() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.dest.kind != disk
}

// WriteNow writes what of p can be written without waiting for a reader, in whole
// lines if they are not longer than PIPE_BUF. The error wraps unix.EAGAIN if that is
// not all of it. A file on a disk takes everything.
func (r *Reopenable) WriteNow(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := r.writeOnce(p[done:])
		done += n
		if err != nil && !errors.Is(err, unix.EINTR) {
			return done, err
		}
	}
	return done, nil
}

func (r *Reopenable) writeOnce(p []byte) (int, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return 0, os.ErrClosed
	}
	n, err := r.dest.write(r.fd, r.dest.piece(p))
	if err != nil {
		return max(n, 0), fmt.Errorf("writing '%s': %w", r.path, os.NewSyscallError("write", err))
	}
	return n, nil
}

// Write writes p, and waits for a reader for as long as that takes, or until Close.
func (r *Reopenable) Write(p []byte) (int, error) {
	done := 0
	for {
		n, err := r.WriteNow(p[done:])
		if done += n; !errors.Is(err, unix.EAGAIN) {
			return done, err
		}
		r.await(closeNotice)
	}
}

// closeNotice is after how long at most who waits for a reader notices Close.
const closeNotice = 100 * time.Millisecond

// await waits until the file can be written to, for wait at most.
func (r *Reopenable) await(wait time.Duration) {
	r.mu.RLock()
	// A number of its own: the other one may be closed meanwhile.
	fd, err := unix.FcntlInt(uintptr(r.fd), unix.F_DUPFD_CLOEXEC, 0)
	closed := r.closed
	r.mu.RUnlock()
	if closed || err != nil {
		return
	}
	defer unix.Close(fd)
	_, _ = writable(fd, wait)
}

// writable reports whether fd can be written to, and waits that long for it.
func writable(fd int, wait time.Duration) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := sys.IgnoringEINTR(func() (int, error) {
		return unix.Poll(fds, int(wait/time.Millisecond))
	})
	return n > 0, os.NewSyscallError("poll", err)
}

// Close closes the file; later writes report os.ErrClosed, and so do those that wait
// for a reader, soon. A standard stream stays open.
func (r *Reopenable) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.path == "-" {
		return nil
	}
	r.closed = true
	r.dest.close()
	return os.NewSyscallError("close", unix.Close(r.fd))
}

// destination is what is known of a file: how to write to it without waiting for
// somebody who reads it.
type destination struct {
	kind kind
	// own is a descriptor of this process alone for the same pipe or terminal, 0
	// without one.
	own int
}

type kind uint8

const (
	// disk: a regular file, or a device that takes everything.
	disk kind = iota
	// socket: each write says whether it may wait.
	socket
	// pipe: a FIFO or a terminal. That a write must not wait is said to the open file,
	// which is shared with all who inherited it; so it is opened once more.
	pipe
)

// pipeBuf is PIPE_BUF of Linux: what a write to a pipe does not cut (pipe(7)).
const pipeBuf = 4096

// destinationOf looks at what fd refers to.
func destinationOf(fd int) destination {
	var st unix.Stat_t
	var d destination
	if unix.Fstat(fd, &st) != nil {
		return d
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		d.kind = socket
	case unix.S_IFIFO:
		d.kind = pipe
	case unix.S_IFCHR:
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
			d.kind = pipe
		}
	}
	if d.kind == pipe {
		const flags = unix.O_WRONLY | unix.O_NONBLOCK | unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_APPEND
		own, err := sys.IgnoringEINTR(func() (int, error) {
			return unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), flags, 0)
		})
		if err == nil {
			d.own = own
		}
	}
	return d
}

// piece returns what of p is written at a time: of what somebody has to read, whole
// lines that no other process's can get into. (A unix socket takes up to 32 KiB at
// once or not at all.)
func (d destination) piece(p []byte) []byte {
	if d.kind == disk || len(p) <= pipeBuf {
		return p
	}
	if i := bytes.LastIndexByte(p[:pipeBuf], '\n'); i >= 0 {
		return p[:i+1]
	}
	if i := bytes.IndexByte(p, '\n'); i >= 0 && (d.own > 0 || d.kind == socket) {
		return p[:i+1]
	}
	return p[:pipeBuf]
}

// write writes p to what fd refers to, and does not wait for a reader: EAGAIN.
func (d destination) write(fd int, p []byte) (int, error) {
	switch {
	case d.kind == socket:
		n, err := unix.SendmsgN(fd, p, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		return n, err
	case d.kind == pipe && d.own > 0:
		return unix.Write(d.own, p)
	case d.kind == pipe:
		// It may not be opened (its owner is somebody else): look first. Another
		// process may fill it between the two.
		if ok, _ := writable(fd, 0); !ok {
			return 0, unix.EAGAIN
		}
	}
	return unix.Write(fd, p)
}

func (d destination) close() {
	if d.own > 0 {
		_ = unix.Close(d.own)
	}
}
