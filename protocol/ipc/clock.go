package ipc

import (
	"time"

	"golang.org/x/sys/unix"
)

// Clock reads CLOCK_MONOTONIC, which is the same in all processes of a machine,
// at the price of a vDSO call: time.Since an instant whose absolute value was
// read once. Make one per process with NewClock.
type Clock struct {
	base    time.Time
	baseAbs int64
}

// clockError is how far apart, in nanoseconds, the two readings a Clock is made
// of may be, and clockTries how often that is tried.
const (
	clockError = 5000
	clockTries = 100
)

// NewClock returns a Clock. It is right to a few microseconds: a process that
// loses its processor between two readings of the time reads them again.
func NewClock() Clock {
	var best Clock
	width := int64(-1)
	for range clockTries {
		before := readMonotonic()
		now := time.Now()
		after := readMonotonic()
		if w := after - before; width < 0 || w < width {
			width = w
			best = Clock{base: now, baseAbs: before + w/2}
		}
		if width <= clockError {
			break
		}
	}
	return best
}

func readMonotonic() int64 {
	var ts unix.Timespec
	// CLOCK_MONOTONIC with a valid pointer cannot fail.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

// Now returns nanoseconds of CLOCK_MONOTONIC, never 0.
func (c *Clock) Now() int64 { return c.baseAbs + int64(time.Since(c.base)) }
