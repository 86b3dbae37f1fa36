package worker

import (
	"gowsgi/internal/accesslog"
	"gowsgi/protocol/http1"
	"gowsgi/protocol/proxy"
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
	// trusted: the other end is a proxy whose fields are believed; speaksFor: and so
	// is the peer, so that one of them may name the client.
	trusted, speaksFor bool
	preface            preface

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
	held   bool // a response is held back, see holding
	// lost is the loop's: how it ended when it sent; OK: not.
	lost accesslog.Outcome

	taken  bool // the application has a copy and goes on with it
	abort  bool // close without finishing: the response is cut
	gone   bool // the client is
	unread bool // content was left unread: shut down, do not just close
	// lingerEnd is the ipc.Clock time until which input is discarded at most.
	lingerEnd int64

	// late records the end of a response that the thread left to the loop; nil: none.
	late *late
	// arrived is the ipc.Clock time at which the first byte of the request was read.
	arrived int64
	// queuedAt is the ipc.Clock time since when its complete request waits for a
	// thread; 0: it does not.
	queuedAt int64
	left     bool // its client has closed while it was queued

	due        int64 // ipc.Clock time
	list       *deadlines
	prev, next *conn

	// peer is the other end of the connection, or whom a PROXY header, proxied,
	// names as that. client is whom the current request is from, if a field of it
	// says so.
	peer, client endpoint
	proxied      *proxy.Header // nil: there was none
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

// content returns the bytes of the request's content that are in memory, and
// where in buf the request ends as far as it has been read.
func (c *conn) content() (body []byte, end int) {
	if c.chunked {
		return c.body[:c.bodyLen], c.headLen
	}
	end = c.headLen + int(min(max(c.length, 0), int64(c.n-c.headLen)))
	return c.buf[c.headLen:end], end
}
