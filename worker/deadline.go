package worker

import "math"

// never is when what has no deadline is due.
const never int64 = math.MaxInt64

// deadlines is a list of connections that all wait the same length of time, so
// that the order in which they came is the order in which they are due: adding
// and removing are a few stores. The engine's mutex guards it.
type deadlines struct {
	// wait is that time in nanoseconds; negative: for ever.
	wait        int64
	first, last *conn
}

// add puts c, which is in no list, where it is due: at the end, unless the length
// of time has been made shorter, or c has been waiting elsewhere before.
func (l *deadlines) add(c *conn, now int64) {
	c.due = l.due(now)
	c.list = l
	at := l.last
	for at != nil && at.due > c.due {
		at = at.prev
	}
	c.prev = at
	if at != nil {
		c.next, at.next = at.next, c
	} else {
		c.next, l.first = l.first, c
	}
	if c.next != nil {
		c.next.prev = c
	} else {
		l.last = c
	}
}

// due returns when what begins to wait now is due.
func (l *deadlines) due(now int64) int64 {
	if l.wait < 0 {
		return never
	}
	return now + l.wait
}

// leave takes c out of the list it is in, if any.
func (c *conn) leave() {
	l := c.list
	if l == nil {
		return
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.last = c.prev
	}
	c.list, c.prev, c.next = nil, nil, nil
}

// waitIn puts c in l, out of any other.
func (c *conn) waitIn(l *deadlines, now int64) {
	if c.list == l && c.due == l.due(now) {
		return
	}
	c.leave()
	l.add(c, now)
}
