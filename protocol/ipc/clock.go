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

// NewClock returns a Clock.
func NewClock() Clock {
	var ts unix.Timespec
	// CLOCK_MONOTONIC with a valid pointer cannot fail.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return Clock{base: time.Now(), baseAbs: ts.Nano()}
}

// Now returns nanoseconds of CLOCK_MONOTONIC, never 0.
func (c *Clock) Now() int64 { return c.baseAbs + int64(time.Since(c.base)) }
