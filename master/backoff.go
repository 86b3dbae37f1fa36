package master

import "time"

const (
	// backoffFirst is the delay after the first young death, backoffMax the
	// longest; in between it doubles.
	backoffFirst = 100 * time.Millisecond
	backoffMax   = 30 * time.Second
	// youngAge is how long a worker must live for its death not to count.
	// It covers an import that fails and a crash in the first requests.
	youngAge = 10 * time.Second
)

// backoff says when the next worker may be started. Young deaths in a row move
// that time away exponentially, so that an application that cannot start costs
// next to nothing and its log can be read (gunicorn respawns at once: 95 boots
// in 6 seconds were seen).
//
// Workers started together usually die together and for one reason. A step is
// therefore counted per wave: a death counts only if the worker was started
// after the last counted one.
type backoff struct {
	jitter func(time.Duration) time.Duration
	fails  int
	last   time.Time // when fails was last counted up
	until  time.Time // nothing is started before
}

// died records the death of a worker at now that had been started at spawned.
func (b *backoff) died(spawned, now time.Time) {
	switch {
	case now.Sub(spawned) >= youngAge:
		// An old worker is replaced at once, whatever happened to others since.
		b.reset()
	case b.fails == 0 || !spawned.Before(b.last):
		b.fails++
		b.last = now
		delay := backoffDelay(b.fails)
		b.until = now.Add(delay + b.jitter(delay/10))
	}
}

// lived records that a worker started at spawned was alive at now: one that
// was started after the last young death and has reached youngAge ends the row.
func (b *backoff) lived(spawned, now time.Time) {
	if b.fails > 0 && !spawned.Before(b.last) && now.Sub(spawned) >= youngAge {
		b.reset()
	}
}

// reset forgets all deaths: the next worker may start at once.
func (b *backoff) reset() {
	b.fails = 0
	b.until = time.Time{}
}

// backoffDelay returns the delay after that many young deaths in a row, at least 1.
func backoffDelay(fails int) time.Duration {
	d := backoffFirst
	for ; fails > 1 && d < backoffMax; fails-- {
		d *= 2
	}
	return min(d, backoffMax)
}
