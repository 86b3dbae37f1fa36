package master

import (
	"errors"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// handoffBuffer is the wanted size of a hand-off queue in bytes.
const handoffBuffer = 4 << 20

// queue is a hand-off queue as the master sees it: both ends, so that what is in
// it survives every worker. A connection in it names its listener by number, so
// that workers share a queue only if they have the same listeners.
type queue struct {
	read, write int
	listeners   []*listener
	boards      int // that use it
}

// queueFor returns the queue of workers with those listeners, a new one if there
// is none yet.
func (m *Master) queueFor(ls []*listener) (*queue, error) {
	for _, q := range m.queues() {
		if q.read >= 0 && slices.Equal(q.listeners, ls) {
			return q, nil
		}
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	// What fits bounds the queue. The kernel cuts it to net.core.wmem_max.
	_ = unix.SetsockoptInt(fds[1], unix.SOL_SOCKET, unix.SO_SNDBUF, handoffBuffer)
	return &queue{read: fds[0], write: fds[1], listeners: ls}, nil
}

// queues returns the queues in use, and the one shared with another master.
func (m *Master) queues() []*queue {
	var qs []*queue
	if m.twin != nil && m.twin.queue != nil {
		qs = append(qs, m.twin.queue)
	}
	for _, b := range m.boards() {
		qs = append(qs, b.queue)
	}
	return qs
}

// release is called by each board when it is closed. The last one closes the
// queue.
func (q *queue) release() error {
	q.boards--
	return q.releaseUnused()
}

func (q *queue) releaseUnused() error {
	if q.boards > 0 || q.read < 0 {
		return nil
	}
	err := errors.Join(os.NewSyscallError("close", unix.Close(q.read)), os.NewSyscallError("close", unix.Close(q.write)))
	q.read, q.write = -1, -1
	return err
}
