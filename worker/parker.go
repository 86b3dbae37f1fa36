package worker

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// parker lets a goroutine wait for the events of a poller as Go's own poller waits for
// sockets. A goroutine that waits in a system call has a thread and, until the runtime's
// monitor takes it away, a processor; when it does so over and over, the monitor looks
// for more of the kind hundreds of times a second.
type parker struct {
	inner poller // what is waited for
	// outer is an epoll set that Go's poller has, and that has inner while begin and
	// end say so: else each event would wake a thread.
	outer poller
	file  *os.File // of outer
	raw   syscall.RawConn
	// poll looks at inner for wait, which so allocates nothing.
	poll   func(uintptr) bool
	events []unix.EpollEvent
	n      int
}

func newParker(inner poller) (p *parker, err error) {
	p = &parker{inner: inner}
	if p.outer, err = newPoller(); err != nil {
		return p, err
	}
	// What Go takes for a file that it can wait for.
	if err = unix.SetNonblock(p.outer.fd, true); err != nil {
		return p, os.NewSyscallError("fcntl", err)
	}
	p.file = os.NewFile(uintptr(p.outer.fd), "epoll")
	p.poll = func(uintptr) bool {
		p.n = p.inner.poll(p.events)
		return p.n > 0
	}
	p.raw, err = p.file.SyscallConn()
	return p, err
}

// begin is called before the first wait, end after the last.
func (p *parker) begin() error { return p.outer.add(p.inner.fd, 0, unix.EPOLLIN) }

func (p *parker) end() { _ = p.outer.del(p.inner.fd) }

// wait blocks until something is ready, or for as long as that.
func (p *parker) wait(events []unix.EpollEvent, most time.Duration) int {
	p.events, p.n = events, 0
	_ = p.file.SetReadDeadline(time.Now().Add(most))
	// An error says that the time is over.
	_ = p.raw.Read(p.poll)
	return p.n
}
