package worker

import (
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"gowsgi/internal/accesslog"
	"gowsgi/protocol/http1"
)

// connState says who owns a connection and what it waits for.
type connState uint8

const (
	// reading: for a request, or the rest of one. The loop owns it.
	reading connState = iota
	// queued: its request is complete and waits for an application thread.
	queued
	// calling: an application thread owns it and does its I/O.
	calling
	// flushing: the loop writes the rest of a response.
	flushing
	// lingering: shut down for writing; input is discarded until the client
	// closes, so that a reset does not eat the response (RFC 9112, 9.6).
	lingering
	// closed: its descriptor is gone.
	closed
)

// String returns the state's name.
func (s connState) String() string {
	return [...]string{"reading", "queued", "calling", "flushing", "lingering", "closed"}[s]
}

// conn is one client connection. The engine's mutex guards it, except while it
// is calling: then the thread that calls does.
type conn struct {
	fd       int
	gen      int32  // of the descriptor number, see poller.add
	serial   uint32 // of the request
	state    connState
	watched  bool   // in the epoll set
	mask     uint32 // the events it is registered for
	listener int
	trusted  bool // the peer is a proxy that is believed

	// buf holds the bytes read, buf[:n], from the first byte of the current
	// request; nil when there are none.
	buf []byte
	n   int

	scan    http1.HeadScanner
	headLen int // 0: the head is not complete
	// What the head said of its content and the connection.
	length    int64 // -1: none given
	chunked   bool
	keepAlive bool
	stream    bool // the content is read by the application's thread

	// body is the decoded content of a chunked request, body[:bodyLen].
	body    []byte
	bodyLen int
	chunks  http1.ChunkDecoder
	decoded bool // the last chunk has been seen
	// continued: the client was told to go on, or has been sending anyway.
	continued bool
	// read counts content bytes of a streamed Content-Length request that
	// have been given to the application.
	read int64

	// bodySince is the ipc.Clock time since when content is waited for, bodyCame
	// how many bytes have come since.
	bodySince, bodyCame int64

	// out is what the socket has not taken yet of responses, nil if that is
	// nothing. While the connection is calling, it belongs to the loop, under the
	// mutex, if shared is set, and else to the thread.
	out    *output
	shared bool
	behind bool // the thread's: out may hold something, shared or not
	// lost is the loop's: how it ended when it sent; OK: not.
	lost accesslog.Outcome

	taken    bool // the application has a copy and goes on with it
	abort    bool // close without finishing: the response is cut
	gone     bool // the client is
	unread   bool // content was left unread: shut down, do not just close
	lingered int  // bytes discarded

	// late records the end of a response that the thread left to the loop; nil: none.
	late *late
	// arrived is the ipc.Clock time at which the first byte of the request was read.
	arrived int64
	// queuedAt is the ipc.Clock time since when its complete request waits for a
	// thread; 0: it does not.
	queuedAt int64

	due        int64 // ipc.Clock time
	list       *deadlines
	prev, next *conn

	addr    [46]byte
	addrLen uint8
	port    uint16
}

// unsent returns how many bytes of responses the socket did not take yet.
func (c *conn) unsent() int64 {
	if c.out == nil {
		return 0
	}
	return int64(c.out.n) + c.out.file.left
}

// broken reports whether nothing more is sent on c, whatever is left.
func (c *conn) broken() bool { return c.gone || c.abort || c.taken }

// remoteAddr returns the peer's address as text, empty for unix sockets.
func (c *conn) remoteAddr() []byte { return c.addr[:c.addrLen] }

// setPeer takes the peer's address from accept and returns it; it is not valid for
// unix sockets. An IPv4 address that came over an IPv6 socket is shown as what it
// is.
func (c *conn) setPeer(sa *unix.RawSockaddrAny) (ip netip.Addr) {
	c.addrLen, c.port = 0, 0
	switch sa.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		ip, c.port = netip.AddrFrom4(in.Addr), ntohs(in.Port)
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(sa))
		ip, c.port = netip.AddrFrom16(in.Addr).Unmap(), ntohs(in.Port)
	default:
		return ip
	}
	c.addrLen = uint8(len(ip.AppendTo(c.addr[:0])))
	return ip
}

func ntohs(p uint16) uint16 { return p<<8 | p>>8 }

// portText appends the peer's port, nothing for unix sockets.
func (c *conn) portText(dst []byte) []byte {
	if c.addrLen == 0 {
		return dst
	}
	return strconv.AppendUint(dst, uint64(c.port), 10)
}

// content returns the bytes of the request's content that are in memory, and
// where in buf the request ends as far as it has been read.
func (c *conn) content() (body []byte, end int) {
	if c.chunked {
		return c.body[:c.bodyLen], c.headLen
	}
	end = c.headLen + int(max(c.length, 0))
	if c.stream || end > c.n {
		end = c.n
	}
	return c.buf[c.headLen:end], end
}
