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
// therefore counted per wave: of the workers started since the last step only
// the first death counts.
type backoff struct {
	jitter func(time.Duration) time.Duration
	fails  int       // steps in a row
	wave   int       // steps ever; a worker belongs to the wave it was started in
	until  time.Time // nothing is started before
}

// died records the death, at now, of a worker of that wave and age.
func (b *backoff) died(wave int, age time.Duration, now time.Time) {
	switch {
	case age >= youngAge:
		// An old worker is replaced at once, whatever happened to others since.
		b.reset()
	case wave == b.wave:
		b.fails++
		b.wave++
		delay := backoffDelay(b.fails)
		b.until = now.Add(delay + b.jitter(delay/10))
	}
}

// lived records that a worker of that wave has reached that age: youngAge ends
// the row, if the worker was started after the last young death.
func (b *backoff) lived(wave int, age time.Duration) {
	if b.fails > 0 && wave == b.wave && age >= youngAge {
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
