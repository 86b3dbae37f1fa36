package worker

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"gowsgi/protocol/ipc"
	"gowsgi/protocol/proxy"
)

// The hand-off queue is one socket pair all workers share. A connection goes
// through it, descriptor and all, with the bytes that were read and not served:
// a complete request that finds every thread of its worker in a long call, or
// what a worker that retires leaves. Whoever is idle takes it out. On the way it
// belongs to the kernel: neither worker's death loses it.

const (
	// handoffMax is how many bytes may travel with a connection.
	handoffMax = 32 << 10
	// handoffHeader is ipc.HandoffVersion, the listener's number, for a complete
	// request the ipc.Clock time since when it waits, and what putPreface writes.
	handoffHeader = prefaceAt + 2 + 2*(16+2)
	sinceAt       = 2
	prefaceAt     = sinceAt + 8
)

// handoff is the engine's end of the queue.
type handoff struct {
	read, write int // descriptors, -1 without a queue
	buf         []byte
	oob         []byte
	// board and own tell whether another worker is there to take something.
	board *ipc.Scoreboard
	own   int
}

func (h *handoff) init(read, write int, board *ipc.Scoreboard, own int) {
	*h = handoff{read: read, write: write, board: board, own: own,
		buf: make([]byte, handoffHeader+handoffMax),
		oob: make([]byte, unix.CmsgSpace(4*4))}
}

// serving reports whether another worker serves, and is to go on serving.
func (h *handoff) serving() bool {
	if h.write < 0 {
		return false
	}
	if g := h.board.Global(); g.Heirs() || g.Stopping() {
		return g.Heirs()
	}
	for i := range h.board.Slots() {
		if i != h.own && h.board.Slot(i).State() == ipc.StateServing {
			return true
		}
	}
	return false
}

// mayHandOff reports whether somebody else could serve a request: another loop of
// this worker, or another worker.
func (e *engine) mayHandOff() bool {
	return e.group.loops > 1 && e.siblings.write >= 0 && !e.draining.Load() || e.siblings.serving()
}

// last reports whether nobody will take what these workers leave, on the sockets or
// in the queue.
func (h *handoff) last() bool {
	g := h.board.Global()
	return g.Stopping() && !g.Heirs()
}

// handOff gives c away. It reports false, with nothing changed, if c is not in a
// state that can travel or the queue does not take it.
func (e *engine) handOff(c *conn) bool {
	h := &e.siblings
	if c.n > handoffMax || c.chunked || c.held || c.listener > 255 {
		return false
	}
	h.buf[0], h.buf[1] = ipc.HandoffVersion, byte(c.listener)
	binary.NativeEndian.PutUint64(h.buf[sinceAt:], uint64(c.queuedAt))
	putPreface(h.buf[prefaceAt:handoffHeader], c)
	n := handoffHeader + copy(h.buf[handoffHeader:], c.buf[:c.n])
	if c.queuedAt != 0 {
		h.board.Global().Queued.Add(1)
	}
	if unix.Sendmsg(h.write, h.buf[:n], unix.UnixRights(c.fd), nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL) != nil {
		if c.queuedAt != 0 {
			h.board.Global().Queued.Add(-1)
		}
		return false
	}
	e.drop(c) // this process's descriptor; the connection stays open
	return true
}

// receive takes one connection out of the queue and serves what has been read of
// its request.
func (e *engine) receive(t *thread) bool {
	h := &e.siblings
	if !e.roomFor(h.read) {
		return false
	}
	n, oobn, _, _, err := unix.Recvmsg(h.read, h.buf, h.oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return false // a sibling was faster
	}
	since := int64(0)
	if n >= handoffHeader {
		since = int64(binary.NativeEndian.Uint64(h.buf[sinceAt:]))
	}
	if since != 0 {
		h.board.Global().Queued.Add(-1)
	}
	fd := receivedFD(h.oob[:oobn])
	if fd < 0 {
		e.log.Error().Msg("A connection handed over by another worker was lost: no descriptors left")
		return true
	}
	if n < handoffHeader || h.buf[0] != ipc.HandoffVersion || int(h.buf[1]) >= len(e.unixListener) {
		_ = unix.Close(fd)
		return true
	}
	size := uint32(unix.SizeofSockaddrAny)
	t.peer.Addr.Family = unix.AF_UNSPEC
	_, _, _ = unix.RawSyscall(unix.SYS_GETPEERNAME, uintptr(fd), uintptr(unsafe.Pointer(&t.peer)), uintptr(unsafe.Pointer(&size)))
	c := e.newConn(fd, int(h.buf[1]), &t.peer)
	e.takePreface(c, h.buf[prefaceAt:handoffHeader])
	if n == handoffHeader {
		e.resume(c)
		return true
	}
	c.buf = e.bufs.get(n)
	c.n = copy(c.buf, h.buf[handoffHeader:n])
	c.queuedAt = since
	c.arrived = e.clock.Now()
	if since != 0 {
		c.arrived = since
		if e.waitedLong(since) && clientLeft(fd) {
			e.hangUp(c)
			return true
		}
	}
	e.advance(t, c)
	return true
}

// The bits of what putPreface writes first. A worker of a version that did not know
// travelsContinued looks for a PROXY header again, and finds none.
const (
	travelsPreface   = 1 << iota // a PROXY header may still come
	travelsContinued             // the client has been told to send the content
)

// putPreface writes what the start of c's connection was: whether a PROXY header may
// still come, its kind if one came, and its addresses.
func putPreface(b []byte, c *conn) {
	clear(b)
	if c.preface != prefaceDone {
		b[0] |= travelsPreface
	}
	if c.continued {
		b[0] |= travelsContinued
	}
	if h := c.proxied; h != nil {
		b[1] = byte(h.Kind)
		for i, a := range []netip.AddrPort{h.Source, h.Destination} {
			if a.IsValid() {
				part := b[2+i*18:]
				ip := a.Addr().As16()
				binary.NativeEndian.PutUint16(part[copy(part, ip[:]):], a.Port())
			}
		}
	}
}

// takePreface reads what putPreface wrote. Whether the peer is believed this worker
// has judged itself, by its own settings.
func (e *engine) takePreface(c *conn, b []byte) {
	if b[0]&travelsPreface == 0 {
		c.preface = prefaceDone
	}
	c.continued = b[0]&travelsContinued != 0
	h := proxy.Header{Kind: proxy.Kind(b[1])}
	if h.Kind == proxy.None {
		return
	}
	if h.Kind == proxy.TCP4 || h.Kind == proxy.TCP6 {
		for i, a := range []*netip.AddrPort{&h.Source, &h.Destination} {
			part := b[2+i*18:]
			ip := netip.AddrFrom16([16]byte(part))
			*a = netip.AddrPortFrom(ip.Unmap(), binary.NativeEndian.Uint16(part[16:]))
		}
	}
	e.setProxied(c, h)
}

// waiting returns how many requests are in the queue.
func (h *handoff) waiting() int64 {
	g := h.board.Global()
	n := g.Queued.Load()
	if n == 0 {
		return 0
	}
	// A worker that died at the wrong moment leaves the count wrong, and so does
	// this, by one too few, between the count and the sending of a request.
	if unsent, err := unix.IoctlGetInt(h.write, unix.SIOCOUTQ); err == nil && unsent == 0 {
		g.Queued.CompareAndSwap(n, 0)
		return 0
	}
	return max(n, 0)
}

// receivedFD returns the descriptor that came with a message, -1 if none did.
func receivedFD(oob []byte) int {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) == 0 {
		return -1
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return -1
	}
	return fds[0]
}

// handOffAll gives away, when this worker retires and another goes on, every
// connection that waits for a request or for the rest of one.
func (e *engine) handOffAll() {
	for _, l := range []*deadlines{&e.idling, &e.head, &e.body} {
		for c := l.first; c != nil; {
			next := c.next
			e.handOff(c)
			c = next
		}
	}
}
