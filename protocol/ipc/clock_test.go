package ipc

import "testing"

// A Clock is CLOCK_MONOTONIC, in every process: what a worker stores another
// process, and code that is not Go, compares with its own reading.
func TestClock(t *testing.T) {
	t.Parallel()
	const slack = 100 * clockError
	for range 200 {
		c := NewClock()
		before := readMonotonic()
		now := c.Now()
		after := readMonotonic()
		if now < before-slack || now > after+slack {
			t.Fatalf("got %d, want between %d and %d", now, before, after)
		}
	}
}
