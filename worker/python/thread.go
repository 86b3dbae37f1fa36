package python

/*
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"runtime"
	"unsafe"

	"gowsgi/protocol/http1"
)

// Code answers a callback of the bridge.
type Code int

// Answers of a Handler.
const (
	// OK: done.
	OK Code = C.GW_OK
	// Wait: the response is further ahead of the client than it may be; the
	// bridge gives the GIL away and calls Flush.
	Wait Code = C.GW_WAIT
	// Gone: the client is gone; the iteration ends, close is called.
	Gone Code = C.GW_GONE
	// Invalid: refused, with a reason the application sees as an exception.
	Invalid Code = C.GW_INVALID
	// Twice: start_response was called before, without exc_info.
	Twice Code = C.GW_TWICE
	// Sent: exc_info was given, but the head has been sent: the exception is
	// raised again.
	Sent Code = C.GW_SENT
	// Iterate: the file cannot be sent as it is; the bridge reads it in blocks.
	Iterate Code = C.GW_ITERATE
)

// Phase says where an exception came from.
type Phase int

// Phases of Handler.Failed.
const (
	InApplication   Phase = C.GW_IN_APPLICATION
	InClose         Phase = C.GW_IN_CLOSE
	InSignalHandler Phase = C.GW_IN_SIGNAL_HANDLER
)

// Result is how a call ended.
type Result int

// Results of Thread.Call.
const (
	// Done: the iterable is exhausted and closed.
	Done Result = C.GW_CALL_OK
	// Failed: the application raised; Handler.Failed has been called.
	Failed Result = C.GW_CALL_FAILED
	// ClientGone: the client left before all was sent.
	ClientGone Result = C.GW_CALL_GONE
)

// Handler is the server's side of a thread: the bridge calls it while the
// application runs, on that thread. The GIL is held except where it says
// otherwise, so a method that may not block must not. Byte slices are C memory,
// valid until the method returns.
type Handler interface {
	// Run is the life of a thread started by RunThreads, without the GIL.
	Run()
	// StartResponse takes the status and the headers. It does not block.
	StartResponse(status []byte, headers Headers, excInfo bool) (Code, string)
	// EarlyHints sends a 103 response.
	EarlyHints(headers Headers) (Code, string)
	// Write sends a part of the body; last: nothing follows. It may block only
	// if mayBlock is set; then the GIL is not held.
	Write(p []byte, last, mayBlock bool) (Code, string)
	// SendFile sends size bytes of a file from off on, as all of the body, without
	// the GIL. The descriptor is the handler's from here on. It does not wait for
	// the client.
	SendFile(fd int, off, size int64) (Code, string)
	// Flush waits, without the GIL, until the client has caught up.
	Flush() Code
	// Take is told before the application takes the connection over, without the
	// GIL. It returns when what was written before is sent.
	Take()
	// Cut breaks the connection, so that a Write, Flush or ReadBody that another
	// thread of the application is in returns.
	Cut()
	// ReadBody reads content into p, without the GIL: 0 at its end, negative
	// with a reason when it cannot be had.
	ReadBody(p []byte) (int, string)
	// Environ gets the i-th of the SetWanted keys.
	Environ(i int, value []byte)
	// Conclude makes the response whole, or cuts it, for a hook after the request, and
	// returns how it ended. It does not block.
	Conclude(result Result) Ending
	// Failed gets an exception of the application as text.
	Failed(phase Phase, traceback string)
}

// Ending is how a request ended that the application was called for.
type Ending struct {
	// Status is 0 if there was no response. Sent counts bytes of content.
	Status int
	Sent   int64
	// Outcome is that of the access log, "" if the request is recorded already.
	Outcome string
}

// Headers are the headers an application passed to start_response.
type Headers struct {
	p *C.gw_header
	n int
}

// Len returns the number of headers.
func (h Headers) Len() int { return h.n }

// At returns the i-th header.
func (h Headers) At(i int) (name, value []byte) {
	f := &unsafe.Slice(h.p, h.n)[i]
	return lent(f.name), lent(f.value)
}

// Request is what Call takes besides the parsed head. Its slices must not be Go
// memory (they are kept in C memory during the call): they are the connection's
// read buffer, or the thread's own.
type Request struct {
	// Buf is what the spans of the head refer to.
	Buf []byte
	// PathInfo is the decoded path, ScriptName what came off its front; nil
	// leaves the base environ's SCRIPT_NAME.
	PathInfo, ScriptName []byte
	// ServerName and ServerPort replace the base environ's if not empty.
	ServerName, ServerPort []byte
	// RemoteAddr and RemotePort are the peer's; the port is empty for unix sockets.
	RemoteAddr, RemotePort []byte
	// ProxyProtocol, ProxyAddr and ProxyPort are what a PROXY header said: its kind,
	// empty if there was none, and what the client connected to, if it said that.
	ProxyProtocol, ProxyAddr, ProxyPort []byte
	// Body is the whole content, unless Stream: then ReadBody is called for it.
	Body   []byte
	Stream bool
	HTTPS  bool
	// FD is the client's connection.
	FD int
	// QueueTime is how long the request waited for a thread, in seconds.
	QueueTime float64
	// Listener selects the base environ.
	Listener int
}

// Thread is one application thread's side of the bridge. It is used by that
// thread only.
type Thread struct {
	c    *C.gw_thread
	Head http1.Request
}

// threads is filled by NewThread before any of them runs, and read-only then.
var threads []*registered

type registered struct {
	thread  *Thread
	handler Handler
}

// NewThread registers a thread; its number is the count of those before it.
// maxFields is how many field lines a request may have. All threads are made
// before the first runs.
func NewThread(h Handler, maxFields int) *Thread {
	c := C.gw_thread_new(C.uint64_t(len(threads)), C.uint32_t(maxFields))
	if c == nil {
		panic("python: out of memory")
	}
	t := &Thread{c: c}
	// The parser writes field lines where C reads them.
	t.Head.Fields = unsafe.Slice((*http1.Field)(unsafe.Pointer(c.fields)), maxFields)[:0]
	threads = append(threads, &registered{t, h})
	return t
}

// DetachMain gives the GIL away on the main thread; t is its Thread.
func (t *Thread) DetachMain() { C.gw_detach_main(t.c) }

// AttachMain takes the GIL back on the main thread.
func (t *Thread) AttachMain() { C.gw_attach_main(t.c) }

// CheckSignals runs Python signal handlers that are due. Only the main thread's.
func (t *Thread) CheckSignals() { C.gw_check_signals(t.c) }

// Finalize ends CPython: atexit handlers run, non-daemon threads are joined. It
// blocks as long as they do. Only the main thread's, which does not hold the GIL.
func (t *Thread) Finalize() { C.gw_finalize(t.c) }

// Call runs the request in t.Head through the application and returns when its
// iterable is closed. It takes the GIL for that long.
func (t *Thread) Call(r *Request) Result {
	q := &t.c.req
	h := &t.Head
	q.buf = (*C.char)(unsafe.Pointer(unsafe.SliceData(r.Buf)))
	q.fields = t.c.fields
	q.nfields = C.uint32_t(len(h.Fields))
	q.method, q.target, q.query = span(h.Method), span(h.Target), span(h.Query)
	q.host = C.gw_span{}
	if h.Form == http1.Absolute {
		q.host = span(h.Host)
	}
	q.path_info, q.script_name = lend(r.PathInfo), lend(r.ScriptName)
	q.server_name, q.server_port = lend(r.ServerName), lend(r.ServerPort)
	q.remote_addr, q.remote_port = lend(r.RemoteAddr), lend(r.RemotePort)
	q.proxy_protocol, q.proxy_addr, q.proxy_port = lend(r.ProxyProtocol), lend(r.ProxyAddr), lend(r.ProxyPort)
	q.body = lend(r.Body)
	q.body_stream = C.uint8_t(cbool(r.Stream))
	q.version = span(h.Version)
	q.https = C.uint8_t(cbool(r.HTTPS))
	q.upgrade = C.uint8_t(cbool(h.Upgrade))
	q.listener = C.uint32_t(r.Listener)
	q.queue_time = C.double(r.QueueTime)
	q.fd = C.int(r.FD)
	// As a number, for which cgo does not look whether it points to Go's memory.
	return Result(C.gw_call(C.uintptr_t(uintptr(unsafe.Pointer(t.c)))))
}

// Interrupt raises an exception in the thread, if it is still in the call it is in
// now, as soon as it runs Python code, but not before ready has returned. It does not
// wait for that, nor for the GIL, which C code may keep for ever. The caller knows that
// the call has not returned.
func (t *Thread) Interrupt(ready func()) {
	serial := t.c.serial
	go func() {
		ready()
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		C.gw_interrupt(t.c, serial)
	}()
}

// Taken reports whether the application has taken the connection of the running
// request, or of the one that ran last, for itself.
func (t *Thread) Taken() bool { return t.c.taken != 0 }

// Whole tells, in Handler.Write, that all of the content that was announced has been
// written. No last Write follows then: Exhausted says what it would have said.
func (t *Thread) Whole() { t.c.whole = 1 }

// Exhausted reports whether the iterable of the running request, or of the one that ran
// last, ended without an exception. Its close method may have raised one.
func (t *Thread) Exhausted() bool { return t.c.exhausted != 0 }

func span(s http1.Span) C.gw_span { return C.gw_span{off: C.uint32_t(s.Off), len: C.uint32_t(s.Len)} }

func lend(b []byte) C.gw_bytes {
	return C.gw_bytes{p: (*C.char)(unsafe.Pointer(unsafe.SliceData(b))), len: C.size_t(len(b))}
}

func lent(b C.gw_bytes) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(b.p)), int(b.len))
}

// The spans of http1 are handed to C as they are.
const (
	_ = -(unsafe.Sizeof(http1.Span{}) ^ C.sizeof_gw_span)
	_ = -(unsafe.Sizeof(http1.Field{}) ^ C.sizeof_gw_field)
)

// Alloc returns n bytes of memory that is never freed and is not Go's, for what a
// thread lends to C request after request.
func Alloc(n int) []byte {
	p := C.calloc(1, C.size_t(max(n, 1)))
	if p == nil {
		panic("python: out of memory")
	}
	return unsafe.Slice((*byte)(p), n)
}
