package python

/*
#include "bridge.h"
*/
import "C"

import (
	"errors"
	"time"
	"unsafe"
)

// Watched is a thread whose calls are watched.
type Watched struct {
	// Start is the time at which its call began, 0 while there is none: a word
	// that is written atomically and never moves, in memory that is not Go's.
	Start unsafe.Pointer
	// Long is the eventfd that is added to once for each long call.
	Long int
}

// Watch starts a thread that watches calls and tells of each that takes longer than
// limit. wake is an eventfd, blocking, of its own. The thread lives as long as the
// process; while no calls are made it sleeps.
func Watch(calls []Watched, limit time.Duration, wake int) error {
	list := C.gw_watch_new(C.int(len(calls)))
	if list == nil {
		return errors.New("starting the watch: no memory")
	}
	watched := unsafe.Slice(list, len(calls))
	for i := range watched {
		w := &watched[i]
		w.start, w.long_fd = (*C.int64_t)(calls[i].Start), C.int(calls[i].Long)
	}
	if C.gw_watch_start(C.int64_t(limit), C.int(wake)) != 0 {
		return errors.New("starting the watch: no thread or memory")
	}
	return nil
}
