package worker

import "time"

// pace is what is asked of a client that sends content or takes a response: to do
// so every wait nanoseconds, and on the average, beyond the first wait, at rate
// bytes a second. A rate alone would not notice for days that a client which was
// fast has stopped; a wait alone lets one keep a connection for a byte a minute.
type pace struct {
	wait int64 // negative: no limit
	rate int64 // 0: any
}

func newPace(timeout time.Duration, rate int) pace {
	return pace{limit(timeout), int64(rate)}
}

// tooSlow reports whether n bytes in so many nanoseconds are too few.
func (p pace) tooSlow(elapsed, n int64) bool {
	return p.rate > 0 && p.wait >= 0 && elapsed > p.wait &&
		float64(elapsed-p.wait)/float64(time.Second)*float64(p.rate) > float64(n)
}

// limit returns a timeout setting, of which 0 is none, as deadlines.wait.
func limit(timeout time.Duration) int64 {
	if timeout == 0 {
		return -1
	}
	return int64(timeout)
}

// milliseconds returns a deadlines.wait as poll wants it.
func milliseconds(wait int64) int {
	if wait < 0 {
		return -1
	}
	return int((wait + int64(time.Millisecond) - 1) / int64(time.Millisecond))
}
