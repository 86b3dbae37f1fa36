package integration

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// leakMix is what the leak test sends, each request with its share in a thousand.
// It goes through every way an answer can be made, the failing ones included.
var leakMix = []struct {
	share   int
	request string
	status  int
}{
	{400, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200},
	{150, "GET /a%20path?with=a&query HTTP/1.1\r\nHost: x\r\nUser-Agent: leak\r\nX-Number: 7\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n", 200},
	{150, "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 26\r\n\r\nabcdefghijklmnopqrstuvwxyz", 200},
	{80, "POST /lines HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na\nb\n\r\n3\r\nc\nd\r\n0\r\n\r\n", 200},
	{70, "GET /write HTTP/1.1\r\nHost: x\r\n\r\n", 200},
	{70, "GET /generator HTTP/1.1\r\nHost: x\r\n\r\n", 200},
	{50, "GET /exc_info HTTP/1.1\r\nHost: x\r\n\r\n", 503},
	{18, "GET /generator HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200},
	{4, "GET /bad HTTP/1.1\r\nHost: x\r\n\r\n", 500},
	{4, "GET /raise HTTP/1.1\r\nHost: x\r\n\r\n", 500},
	{4, "GET /nonsense HTTP/1.1\r\nNo Host\r\n\r\n", 400},
}

// leakStats is what leak.py counts.
type leakStats struct {
	PID, Objects, Blocks int
	Refcounts            map[string]int
	Total                int // 0 unless Python counts them
	rss                  int
}

func askStats(t *testing.T, s *gowsgitest.Server) leakStats {
	t.Helper()
	var stats leakStats
	s.Get("/stats").JSON(t, &stats)
	stats.rss = gowsgitest.RSS(stats.PID)
	return stats
}

// TestLeak sends 100,000 requests on many connections: afterwards the worker's
// memory, its objects and the reference counts of what every request touches are
// what they were after the warm-up.
func TestLeak(t *testing.T) {
	t.Parallel()
	// The warm-up has many failing requests: they are what fills Go's heap up to
	// the size at which it is collected for the first time.
	const warmUp, measured = 60_000, 100_000
	for _, threads := range []string{"1", "3"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			s := start(t, "--threads", threads, "leak")
			send(t, s, warmUp, 4)
			before := askStats(t, s)
			send(t, s, measured, 0)
			after := askStats(t, s)
			if before.PID != after.PID {
				t.Fatal("the worker was replaced")
			}
			t.Logf("RSS %+d KiB of %d, objects %+d, blocks %+d", (after.rss-before.rss)>>10, after.rss>>10,
				after.Objects-before.Objects, after.Blocks-before.Blocks)
			const mostRSS = 2 << 20
			if grown := after.rss - before.rss; grown > mostRSS {
				t.Errorf("the worker grew by %d KiB, want at most %d", grown>>10, mostRSS>>10)
			}
			// A leak in the rarest request of the mix would show as 400.
			flat := func(what string, before, after int) {
				t.Helper()
				const most = 100
				if after-before > most || before-after > most {
					t.Errorf("%s: %d before, %d after %d requests", what, before, after, measured)
				}
			}
			flat("objects", before.Objects, after.Objects)
			flat("allocated blocks", before.Blocks, after.Blocks)
			flat("references in total", before.Total, after.Total)
			for name, n := range before.Refcounts {
				flat("references to "+name, n, after.Refcounts[name])
			}
		})
	}
}

// send sends n requests of the mix on 16 connections, some of which end in the
// middle of an answer, and checks every status. Of every failing requests one more
// fails (none for 0).
func send(t *testing.T, s *gowsgitest.Server, n, failing int) {
	t.Helper()
	const clients = 16
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, clients)
	for range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs <- sendSome(s, &next, int64(n), int64(failing))
		}()
	}
	wg.Wait()
	for range clients {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

func sendSome(s *gowsgitest.Server, next *atomic.Int64, n, failing int64) error {
	var c *client
	defer func() { c.close() }()
	for {
		i := next.Add(1)
		if i > n {
			return nil
		}
		if i%997 == 0 && c != nil {
			// Left in the middle: the answer has nobody to go to.
			fmt.Fprint(c.conn, "GET /generator HTTP/1.1\r\nHost: x\r\n\r\n")
			c.close()
			c = nil
		}
		if c == nil {
			var err error
			if c, err = dial(s); err != nil {
				return err
			}
		}
		request, status := pick(int(i))
		if failing > 0 && i%failing == 0 {
			m := leakMix[len(leakMix)-1-int(i/failing)%3]
			request, status = m.request, m.status
		}
		r, err := c.roundTrip("GET", request)
		if err != nil {
			return fmt.Errorf("request %d, %q: %w", i, request, err)
		}
		if r.Status != status {
			return fmt.Errorf("request %d, %q: got %v, want %d", i, request, r, status)
		}
		if c.closing {
			c.close()
			c = nil
		}
	}
}

// pick returns the i-th request. 389 has no factor in common with 1000, so every
// thousand requests hold the whole mix, spread out.
func pick(i int) (request string, status int) {
	place := i * 389 % 1000
	for _, m := range leakMix {
		if place -= m.share; place < 0 {
			return m.request, m.status
		}
	}
	panic("the shares of the mix are not a thousand")
}
