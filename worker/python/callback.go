package python

/*
#include "bridge.h"
*/
import "C"

import "unsafe"

// The functions C calls, by the thread's number: C never holds a Go pointer.
// None of them recovers: nothing above them does either, so a panic ends the
// process and never unwinds C frames.

// refuse stores why in the thread's message buffer, NUL-terminated, and returns
// the code.
func refuse(code Code, reason string, err *C.char) C.int {
	if reason != "" {
		b := unsafe.Slice((*byte)(unsafe.Pointer(err)), C.GW_ERR)
		b[copy(b[:len(b)-1], reason)] = 0
	}
	return C.int(code)
}

//export gwgoThread
func gwgoThread(index C.uint64_t, tstate *C.PyThreadState) {
	r := threads[index]
	r.thread.c.tstate = tstate
	r.handler.Run()
}

//export gwgoStartResponse
func gwgoStartResponse(index C.uint64_t, status C.gw_bytes, h *C.gw_header, n C.size_t, excInfo C.int, err *C.char) C.int {
	code, reason := threads[index].handler.StartResponse(lent(status), Headers{h, int(n)}, excInfo != 0)
	return refuse(code, reason, err)
}

//export gwgoEarlyHints
func gwgoEarlyHints(index C.uint64_t, h *C.gw_header, n C.size_t, err *C.char) C.int {
	code, reason := threads[index].handler.EarlyHints(Headers{h, int(n)})
	return refuse(code, reason, err)
}

//export gwgoWrite
func gwgoWrite(index C.uint64_t, p C.gw_bytes, last, mayBlock C.int, err *C.char) C.int {
	code, reason := threads[index].handler.Write(lent(p), last != 0, mayBlock != 0)
	return refuse(code, reason, err)
}

//export gwgoSendFile
func gwgoSendFile(index C.uint64_t, fd C.int, off, size C.int64_t, err *C.char) C.int {
	code, reason := threads[index].handler.SendFile(int(fd), int64(off), int64(size))
	return refuse(code, reason, err)
}

//export gwgoFlush
func gwgoFlush(index C.uint64_t) C.int { return C.int(threads[index].handler.Flush()) }

//export gwgoTake
func gwgoTake(index C.uint64_t) { threads[index].handler.Take() }

//export gwgoCut
func gwgoCut(index C.uint64_t) { threads[index].handler.Cut() }

//export gwgoReadBody
func gwgoReadBody(index C.uint64_t, p *C.char, n C.size_t, err *C.char) C.long {
	got, reason := threads[index].handler.ReadBody(unsafe.Slice((*byte)(unsafe.Pointer(p)), int(n)))
	if got < 0 {
		refuse(Invalid, reason, err)
	}
	return C.long(got)
}

//export gwgoEnviron
func gwgoEnviron(index C.uint64_t, i C.int, v C.gw_bytes) {
	threads[index].handler.Environ(int(i), lent(v))
}

//export gwgoConclude
func gwgoConclude(index C.uint64_t, result C.int, end *C.gw_ending) {
	e := threads[index].handler.Conclude(Result(result))
	end.status, end.sent = C.int(e.Status), C.int64_t(e.Sent)
	b := unsafe.Slice((*byte)(unsafe.Pointer(&end.outcome)), C.GW_OUTCOME)
	b[copy(b[:len(b)-1], e.Outcome)] = 0
}

// logHook and signalled are those of Options, set once by Start.
var (
	logHook   func(level, message, traceback string)
	signalled func(number int)
)

//export gwgoLog
func gwgoLog(level, message, traceback C.gw_bytes) {
	if logHook != nil {
		logHook(string(lent(level)), string(lent(message)), string(lent(traceback)))
	}
}

//export gwgoSignalled
func gwgoSignalled(number C.int) {
	if signalled != nil {
		signalled(int(number))
	}
}

//export gwgoError
func gwgoError(index C.uint64_t, phase C.int, text C.gw_bytes) {
	threads[index].handler.Failed(Phase(phase), string(lent(text)))
}

//export gwgoHost
func gwgoHost(mark C.gw_bytes) {
	if hosted != nil {
		hosted(string(lent(mark)))
	}
}
