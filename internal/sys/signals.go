package sys

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// WithBlocked calls f on an OS thread that has these signals blocked, which a process
// that f starts inherits.
func WithBlocked(signals []unix.Signal, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	set := sigset(signals)
	var old unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, &old); err != nil {
		return os.NewSyscallError("rt_sigprocmask", err)
	}
	defer func() {
		// It fails for bad arguments only.
		_ = unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
	}()
	return f()
}

// Unblock unblocks these signals on the calling OS thread, to which the goroutine
// must be locked.
func Unblock(signals []unix.Signal) error {
	set := sigset(signals)
	return os.NewSyscallError("rt_sigprocmask", unix.PthreadSigmask(unix.SIG_UNBLOCK, &set, nil))
}

func sigset(signals []unix.Signal) (set unix.Sigset_t) {
	word := 8 * int(unsafe.Sizeof(set.Val[0]))
	for _, s := range signals {
		n := int(s) - 1
		set.Val[n/word] |= 1 << (n % word)
	}
	return set
}
