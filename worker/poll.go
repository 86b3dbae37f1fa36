package worker

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller is an epoll set. What is registered is level-triggered: an event that
// was not acted on comes again.
type poller struct{ fd int }

// eventBatch is how many events one wait returns at most.
const eventBatch = 128

func newPoller() (poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return poller{fd}, os.NewSyscallError("epoll_create1", err)
}

// add registers fd; gen comes back with its events, so that those of a closed
// connection whose number was given away again can be told.
func (p poller) add(fd int, gen int32, mask uint32) error {
	return p.ctl(unix.EPOLL_CTL_ADD, fd, gen, mask)
}

func (p poller) mod(fd int, gen int32, mask uint32) error {
	return p.ctl(unix.EPOLL_CTL_MOD, fd, gen, mask)
}

func (p poller) del(fd int) error { return p.ctl(unix.EPOLL_CTL_DEL, fd, 0, 0) }

func (p poller) ctl(op, fd int, gen int32, mask uint32) error {
	ev := unix.EpollEvent{Events: mask, Fd: int32(fd), Pad: gen}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), uintptr(op), uintptr(fd),
		uintptr(unsafe.Pointer(&ev)), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}

// poll returns what is ready now. It does not block, so the scheduler is not told.
func (p poller) poll(events []unix.EpollEvent) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// wait blocks until something is ready or ms milliseconds have passed, for ever
// if ms is negative. interrupted is set when a signal ended it.
func (p poller) wait(events []unix.EpollEvent, ms int) (n int, interrupted bool) {
	n, err := unix.EpollWait(p.fd, events, ms)
	if err != nil {
		return 0, err == unix.EINTR
	}
	return n, false
}

// The calls below cannot block, the descriptors being non-blocking.

// rawRead and rawWrite are for descriptors that are no sockets.
func rawRead(fd int, p []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(n), errno
}

func rawWrite(fd int, p []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(n), errno
}

// rawRecv and rawSend are recv(2) and send(2), which skip what read and write do
// for files.
func rawRecv(fd int, p []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
	return int(n), errno
}

func rawSend(fd int, p []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}

// rawSend2 sends two slices in one call.
func rawSend2(fd int, a, b []byte) (int, unix.Errno) {
	iov := [2]unix.Iovec{{Base: unsafe.SliceData(a)}, {Base: unsafe.SliceData(b)}}
	iov[0].SetLen(len(a))
	iov[1].SetLen(len(b))
	msg := unix.Msghdr{Iov: &iov[0]}
	msg.SetIovlen(len(iov))
	n, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), unix.MSG_NOSIGNAL)
	return int(n), errno
}

func rawAccept(fd int, sa *unix.RawSockaddrAny) (int, unix.Errno) {
	size := uint32(unix.SizeofSockaddrAny)
	n, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(sa)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int(n), errno
}

// pollNow returns which of the events fd has now, and what poll(2) adds.
func pollNow(fd int, events int16) int16 {
	pfd := unix.PollFd{Fd: int32(fd), Events: events}
	var none unix.Timespec
	n, _, _ := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&pfd)), 1, uintptr(unsafe.Pointer(&none)), 0, 0, 0)
	if int(n) != 1 {
		return 0
	}
	return pfd.Revents
}

// atEOF reports whether there is nothing more to come from the peer of fd, nor to read.
func atEOF(fd int) bool {
	var b [1]byte
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b)), uintptr(len(b)),
		unix.MSG_PEEK, 0, 0)
	return errno == 0 && n == 0 || errno == unix.ECONNRESET
}

// awaitFD blocks until fd has one of the events or ms milliseconds have passed.
func awaitFD(fd int, events int16, ms int) (ready bool) {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		n, err := unix.Poll(fds[:], ms)
		if err == unix.EINTR {
			continue
		}
		return err == nil && n > 0
	}
}
