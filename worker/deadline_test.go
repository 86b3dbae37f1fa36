package worker

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestDeadlines: random operations on two lists and a naive model of them.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		lists := []*deadlines{{wait: 10}, {wait: 1000}}
		model := make([][]*conn, len(lists))
		conns := make([]*conn, 8)
		for i := range conns {
			conns[i] = new(conn)
		}
		now := int64(0)
		for range 500 {
			now += rnd.Int64N(3)
			c := conns[rnd.IntN(len(conns))]
			k := rnd.IntN(len(lists) + 1)
			if k == len(lists) {
				c.leave()
				remove(model, c)
			} else {
				// A connection that is told twice at the same time stays where it is.
				if i := slices.Index(model[k], c); i < 0 || c.due != now+lists[k].wait {
					remove(model, c)
					model[k] = append(model[k], c)
				}
				c.waitIn(lists[k], now)
				if c.due != now+lists[k].wait {
					t.Fatalf("seed %d: due %d, want %d", seed, c.due, now+lists[k].wait)
				}
			}
			for i, l := range lists {
				checkList(t, l, model[i])
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

func remove(model [][]*conn, c *conn) {
	for i := range model {
		if at := slices.Index(model[i], c); at >= 0 {
			model[i] = slices.Delete(model[i], at, at+1)
		}
	}
}

// checkList compares l, walked both ways, with what must be in it, and looks at
// the order.
func checkList(t *testing.T, l *deadlines, want []*conn) {
	t.Helper()
	var forward, backward []*conn
	for c := l.first; c != nil; c = c.next {
		forward = append(forward, c)
		if c.list != l {
			t.Error("a connection does not know its list")
		}
		if c.next != nil && c.next.due < c.due {
			t.Errorf("%d is before %d", c.due, c.next.due)
		}
	}
	for c := l.last; c != nil; c = c.prev {
		backward = append(backward, c)
	}
	slices.Reverse(backward)
	if !slices.Equal(forward, want) || !slices.Equal(backward, want) {
		t.Errorf("forward %d, backward %d connections, want %d, or another order", len(forward), len(backward), len(want))
	}
}

func TestLeaveTwice(t *testing.T) {
	t.Parallel()
	l := &deadlines{wait: 5}
	a, b := new(conn), new(conn)
	a.waitIn(l, 0)
	b.waitIn(l, 0)
	a.leave()
	a.leave()
	new(conn).leave()
	checkList(t, l, []*conn{b})
	if a.list != nil || a.next != nil || a.prev != nil {
		t.Error("a connection that left still refers to the list")
	}
}
