package worker

import (
	"time"

	"golang.org/x/sys/unix"
)

// To send a response wakes whoever waits for it, which on one machine costs as much as a
// short call does. So while one short call follows the other, as fast as events come,
// complete small responses are held back and sent together, as the loop turns:
//
//	dispatch   call, call, call ...     send, send, send ...   next turn
//
// Nobody waits for long: what is held is sent when it is holdMost old, and when the
// leader is found in a long call; after one of these nothing is held for a while.
//
// A response takes two steps: its thread keeps it back until the call is over, and then
// the engine holds it. Nothing is held but while a leader goes through a batch of events
// (dispatch): what time brings (tick) comes before and behind.

const (
	// heldBytes is how much is held at most, and heldContent of one response: to copy
	// more costs as much as to wake its client.
	heldBytes   = 256 << 10
	heldContent = 4 << 10
	// holdMost is how long responses are held at most, but for a call that suddenly
	// takes long: then until the watch tells, some milliseconds.
	holdMost = 500 * time.Microsecond
	// shortGap is the most from one call to the next for responses to be held. With
	// longer ones there would be nothing to send together.
	shortGap = holdMost / 2
	// holdAgain is how long after a long call, or one that the machine held up, nothing
	// is held.
	holdAgain = 20 * time.Millisecond
)

// holding is what an engine holds back. Its mutex guards it.
type holding struct {
	responses []heldResponse
	bytes     []byte
	since     int64 // start of the first one's call
	from      int64 // when responses may be held again, after a long call
}

// heldResponse is a whole response, bytes[off:end], for c.
type heldResponse struct {
	c        *conn
	gen      int32
	off, end int
}

// gapMean says how much one call counts in the mean: a quarter. After a long one it takes
// some before responses are held again.
const gapMean = 4

// pacer knows how fast the calls of a thread follow each other. It is the thread's.
type pacer struct {
	gap  int64 // nanoseconds from the start of one to that of the next, without a pause; a mean
	last int64 // start of the last one; 0: that was before a pause
	more bool  // more events of the batch follow, or other responses are held
}

func newPacer() pacer { return pacer{gap: never} }

// called notes that a call starts.
func (p *pacer) called(now int64) {
	switch gap := now - p.last; {
	case p.last == 0:
	case p.gap == never:
		p.gap = gap
	default:
		p.gap += (gap - p.gap) / gapMean
	}
	p.last = now
}

// batch returns how many events to take at a time: as many calls as take about topEvery,
// and two at least, to tell the gap of. What comes meanwhile is in its place behind those
// that wait, and does not wait for a second round of all.
func (p *pacer) batch() int {
	return max(2, min(eventBatch, 1+int(int64(topEvery)/max(p.gap, 1))))
}

// reset is for the time between two batches.
func (p *pacer) reset() { p.last, p.more = 0, false }

// mayHold reports whether the rest of the running call's response may be held, of which
// so many bytes are content. What it is asked of is the thread's.
func (t *thread) mayHold(size int) bool {
	_, end := t.c.content()
	return t.pace.more && t.pace.gap <= int64(shortGap) && size <= heldContent &&
		t.c.keepAlive && !t.c.behind && t.c.n <= end && (!t.c.stream || t.c.atEnd())
}

// holds reports whether the responses of t are held: it leads, and no long call was
// found shortly before its own.
func (e *engine) holds(t *thread) bool { return e.leader == t && t.start >= e.holding.from }

// keepBack keeps a response until the call is over, if the thread leads: otherwise
// nobody would look what becomes of it.
func (t *thread) keepBack(b []byte) bool {
	t.e.mu.Lock()
	defer t.e.mu.Unlock()
	if !t.e.holds(t) {
		return false
	}
	t.kept, t.keptFD = b, t.c.fd
	return true
}

// sendKept sends what a thread has kept back whose call goes on: behind the response,
// close is called, and objects are finalized. The rest of it, or an error, is for hold.
func (t *thread) sendKept() {
	if len(t.kept) == 0 {
		return
	}
	if n, errno := rawSend(t.keptFD, t.kept); errno == 0 {
		t.kept = t.kept[n:]
	}
}

// letGo sends what has been kept back before the application does more with the
// connection.
func (t *thread) letGo() {
	t.e.mu.Lock()
	b := t.kept
	t.kept = nil
	t.e.mu.Unlock()
	if len(b) > 0 {
		t.send(b, nil, false)
	}
}

// hold takes over the response the thread has kept back, when the call is over; the
// mutex is held. If there is a reason not to wait, it is sent at once.
func (e *engine) hold(t *thread, c *conn) {
	b := t.kept
	t.kept = nil
	if len(b) == 0 || c.broken() {
		return
	}
	_, end := c.content()
	h := &e.holding
	if !e.holds(t) || c.n > end || !c.keepAlive || len(h.bytes)+len(b) > heldBytes {
		e.sendHeld(c, b)
		return
	}
	if len(h.responses) == 0 {
		h.since = t.start
	}
	off := len(h.bytes)
	h.bytes = append(h.bytes, b...)
	h.responses = append(h.responses, heldResponse{c, c.gen, off, len(h.bytes)})
	c.held = true
}

// sendAllHeld sends what is held. A connection that is not worth going on with is
// closed.
func (e *engine) sendAllHeld() {
	h := &e.holding
	responses, bytes := h.responses, h.bytes
	h.responses, h.bytes = nil, nil // of closing connections others may come of it
	for _, r := range responses {
		c := r.c
		if c.gen != r.gen || !c.held {
			continue
		}
		c.held = false
		e.sendHeld(c, bytes[r.off:r.end])
		switch {
		case c.gone:
			e.close(c)
		case c.out != nil:
			e.flushLater(c)
		}
	}
	clear(responses)
	h.responses, h.bytes = responses[:0], bytes[:0]
}

// sendHeld sends a response of c. Its end is on record: what is not taken at once is the
// loop's to send.
func (e *engine) sendHeld(c *conn, b []byte) {
	n, errno := rawSend(c.fd, b)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		n = 0
	case errno != 0:
		e.log.Debug().Msg("Ignored premature client disconnection.")
		c.gone = true
		return
	}
	if n < len(b) {
		c.out = newOutput(c.fd, e.clock.Now())
		c.out.add(b[n:], &e.bufs)
	}
}

func (h *holding) any() bool { return len(h.responses) > 0 }

// overdue reports whether something has been held for holdMost.
func (h *holding) overdue(now int64) bool {
	return len(h.responses) > 0 && now-h.since >= int64(holdMost)
}
