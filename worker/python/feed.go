package python

/*
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import "unsafe"

// FeedRequest is the level of a Feed whose text is the JSON of an ipc.LoggedRequest.
const FeedRequest = "request"

// Feed gives a line of the error log to Python's logging; level is debug, info,
// warning, error or critical, empty when log files are to be opened anew, or
// FeedRequest. It takes the GIL for that and blocks as long as the logger does. The
// goroutine must be locked to an OS thread that is none of Python's, and CPython must
// not be ending.
func Feed(level, text string) {
	l, t := C.CString(level), C.CString(text)
	defer C.free(unsafe.Pointer(l))
	defer C.free(unsafe.Pointer(t))
	C.gw_feed(l, t, C.size_t(len(text)))
}
