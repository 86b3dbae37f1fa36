// Package sys wraps the system calls that master, worker and logging share and
// for which the standard library has no function that does exactly this. Every
// descriptor it returns is close-on-exec.
package sys

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// IgnoringEINTR calls f until it returns something else than EINTR. Go installs
// its signal handlers with SA_RESTART, but not every call is restarted by the
// kernel (poll is not; open of some file systems is not).
func IgnoringEINTR[T any](f func() (T, error)) (T, error) {
	for {
		v, err := f()
		if err != unix.EINTR {
			return v, err
		}
	}
}

// Pipe returns a pipe, both ends blocking.
func Pipe() (r, w int, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return -1, -1, os.NewSyscallError("pipe2", err)
	}
	return p[0], p[1], nil
}

// SealedFile returns an anonymous memory file with the given content that
// nobody can change any more, positioned at its start. The name shows up in
// /proc/PID/fd only.
func SealedFile(name string, content []byte) (fd int, err error) {
	fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
			fd = -1
		}
	}()
	for off := 0; off < len(content); {
		// pwrite leaves the position at the start.
		n, err := unix.Pwrite(fd, content[off:], int64(off))
		if err != nil && err != unix.EINTR {
			return fd, os.NewSyscallError("pwrite", err)
		}
		off += max(n, 0)
	}
	seals := unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return fd, fmt.Errorf("sealing %s: %w", name, os.NewSyscallError("fcntl", err))
	}
	return fd, nil
}

// Wait blocks until the child is dead and collects it.
func Wait(pid int) (unix.WaitStatus, error) {
	var status unix.WaitStatus
	_, err := IgnoringEINTR(func() (int, error) { return unix.Wait4(pid, &status, 0, nil) })
	return status, os.NewSyscallError("wait4", err)
}

// Death is how a child ended.
type Death struct {
	// PID is 0 if none has.
	PID    int
	Status unix.WaitStatus
	// MaxRSS is the largest resident set it ever had, in bytes, and not less than
	// what its parent had when it forked (getrusage(2)).
	MaxRSS int64
}

// Reap collects one dead child without blocking: the one with this pid, or any
// if pid is -1. The Death is zero if none is dead yet, and the error unix.ECHILD
// if there is no such child at all.
func Reap(pid int) (Death, error) {
	var d Death
	var usage unix.Rusage
	got, err := IgnoringEINTR(func() (int, error) {
		return unix.Wait4(pid, &d.Status, unix.WNOHANG, &usage)
	})
	if err != nil || got == 0 {
		return Death{}, err
	}
	d.PID, d.MaxRSS = got, int64(usage.Maxrss)<<10
	return d, nil
}
