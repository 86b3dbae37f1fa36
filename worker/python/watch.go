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

// Watch starts a thread that watches the times at which calls began, 0 while
// there is none: words that are written atomically and never move, in memory that
// is not Go's. Once for each call that takes longer than limit it adds to the
// eventfd long. wake is an eventfd, blocking, of its own. The thread lives as long
// as the process; while no calls are made it sleeps.
func Watch(starts []unsafe.Pointer, limit time.Duration, long, wake int) error {
	times := (**C.int64_t)(unsafe.Pointer(unsafe.SliceData(starts)))
	if C.gw_watch_start(times, C.int(len(starts)), C.int64_t(limit), C.int(long), C.int(wake)) != 0 {
		return errors.New("starting the watch: no thread or memory")
	}
	return nil
}
