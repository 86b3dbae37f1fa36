package python

/*
#include "bridge.h"
*/
import "C"

import "time"

// WriteStacks writes the stacks of all Python threads, as Python's fault handler does,
// to the file out, among them that of the thread which writes, called the current one.
// If it cannot have the GIL within patience, or there is none or Python ends, it returns
// false: then the fault handler has written them, without it, to Options.FaultFD. It
// needs no thread of Python's. Only one call at a time.
func WriteStacks(out int, patience time.Duration) bool {
	return C.gw_stacks(C.int(out), C.int(patience/time.Millisecond)) != 0
}
