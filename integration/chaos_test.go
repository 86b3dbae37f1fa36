package integration

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
	"gowsgi/internal/status"
)

// chaosFor is how long the chaos lasts: some seconds, or what GOWSGI_CHAOS says
// (make chaos: a minute).
func chaosFor(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("GOWSGI_CHAOS")
	if text == "" {
		return 8 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// chaos is a server to which everything happens at once, and its clients.
type chaos struct {
	t      *testing.T
	s      *gowsgitest.Server
	rand   *rand.Rand
	master int
	extra  int // workers more than at the start, by TTIN

	stop chan struct{}
	wg   sync.WaitGroup

	mu       sync.Mutex
	kills    []time.Time
	answers  map[string]int // by kind of client
	excused  int
	failures []string
	done     map[string]int // what was done to the server
}

// TestChaos kills workers and masters, reloads, scales, upgrades and rolls back at
// random while clients of all kinds ask. Every answer belongs to its request and is
// complete, unless the process that had the connection was killed meanwhile. At
// the end nothing is left over.
func TestChaos(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"--threads 1", "--threads 3", "--threads 1 --preload"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			// On a loaded machine a client may sleep for seconds between two requests.
			s := start(t, append(strings.Fields(how), "-w", "3", "--keep-alive", "60", "--graceful-timeout", "20", "--max-requests", "2000", "--max-requests-jitter", "500", "chaos")...)
			s.WaitBooted(3)
			c := &chaos{t: t, s: s, rand: rand.New(rand.NewPCG(seed, 0)), master: s.PID,
				stop: make(chan struct{}), answers: map[string]int{}, done: map[string]int{}}
			c.waitReady(3)
			before := len(gowsgitest.Descriptors(c.master))
			c.clients()
			for end := time.Now().Add(chaosFor(t)); time.Now().Before(end) && !t.Failed(); {
				c.act()
				time.Sleep(time.Duration(c.rand.IntN(250)) * time.Millisecond)
			}
			close(c.stop)
			c.wg.Wait()
			c.check(before)
			c.end()
		})
	}
}

// waitReady waits until n workers of the master serve and there are no others.
func (c *chaos) waitReady(n int) *status.Report {
	c.t.Helper()
	var r *status.Report
	if !gowsgitest.Eventually(func() bool {
		var err error
		r, err = status.Read(c.master)
		return err == nil && r.Ready == n && len(r.Workers) == n && r.Twin == 0 && !r.Reload.InProgress
	}) {
		c.t.Fatalf("the master %d never has %d workers: %+v", c.master, n, r)
	}
	return r
}

// scale sends TTIN or TTOU and waits until it is handled: two of the same that are
// pending are one.
func (c *chaos) scale(sig syscall.Signal) {
	mark := c.s.Log.Mark()
	signal(c.t, c.master, sig)
	c.s.Log.WaitAfter(c.t, mark, `Handling signal: tt`)
}

// act does one thing to the server.
func (c *chaos) act() {
	switch n := c.rand.IntN(20); {
	case n < 6:
		c.killWorker(syscall.SIGKILL)
	case n < 8:
		c.killWorker(syscall.SIGTERM)
	case n < 12:
		c.did("HUP")
		c.extra = 0 // it asks for the configured number
		signal(c.t, c.master, syscall.SIGHUP)
	case n < 14 && c.extra < 3:
		c.did("TTIN")
		c.extra++
		c.scale(syscall.SIGTTIN)
	case n < 16 && c.extra > 0:
		c.did("TTOU")
		c.extra--
		c.scale(syscall.SIGTTOU)
	case n < 17:
		c.did("USR1")
		signal(c.t, c.master, syscall.SIGUSR1)
	case n < 20:
		c.upgrade()
	}
}

func (c *chaos) did(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done[what]++
}

// killWorker sends sig to a worker that serves.
func (c *chaos) killWorker(sig syscall.Signal) {
	r, err := status.Read(c.master)
	if err != nil {
		c.t.Error(err)
		return
	}
	// One is left: without any, requests wait for the import of another.
	if r.Ready < 2 {
		return
	}
	w := r.Workers[c.rand.IntN(len(r.Workers))]
	if w.State != "serving" || w.PID <= 1 {
		return
	}
	if sig == syscall.SIGKILL {
		c.mu.Lock()
		c.kills = append(c.kills, time.Now())
		c.mu.Unlock()
	}
	c.did(sig.String())
	// It may be gone already.
	_ = syscall.Kill(w.PID, sig)
}

// upgrade starts a second master; then one of the two leaves, or is killed.
func (c *chaos) upgrade() {
	c.t.Helper()
	mark := c.s.Log.Mark()
	signal(c.t, c.master, syscall.SIGUSR2)
	next := atoi(c.t, c.s.Log.WaitAfter(c.t, mark, `Started a new master \(pid:(\d+)\)`)[1])
	c.s.Log.WaitAfter(c.t, mark, fmt.Sprintf(`New master \(pid:%d\) is ready`, next))
	old := c.master
	leaver, sig, what := old, syscall.SIGTERM, "upgrade"
	switch c.rand.IntN(4) {
	case 0:
		leaver, what = next, "rollback"
	case 1:
		sig, what = syscall.SIGKILL, "old master killed"
	case 2:
		what = "upgrade with WINCH"
		signal(c.t, old, syscall.SIGWINCH)
		time.Sleep(time.Duration(c.rand.IntN(300)) * time.Millisecond)
	}
	c.did(what)
	if leaver == old {
		c.master, c.extra = next, 0 // the new one knows nothing of TTIN
	}
	p := gowsgitest.NewProcess(leaver)
	signal(c.t, leaver, sig)
	if !gowsgitest.Eventually(func() bool { return !p.Alive() }) {
		c.t.Fatalf("master %d does not leave", leaver)
	}
	if leaver == old {
		c.s.Log.WaitAfter(c.t, mark, `Master has been promoted`)
	}
}

// clients starts clients of all kinds.
func (c *chaos) clients() {
	for i := range 3 {
		c.client(fmt.Sprint("kept", i), true, func(token string) request { return request{method: "GET", token: token} })
	}
	c.client("fresh", false, func(token string) request { return request{method: "GET", token: token} })
	c.client("sleeping", true, func(token string) request { return request{method: "GET", token: token, query: "&sleep=0.1"} })
	c.client("large", true, func(token string) request {
		return request{method: "GET", token: token, query: "&size=600000", slow: true}
	})
	c.client("stream", false, func(token string) request { return request{method: "GET", token: token, query: "&size=50000&stream=1"} })
	c.client("post", true, func(token string) request {
		return request{method: "POST", token: token, body: strings.Repeat(token, 3000)}
	})
	c.client("trickle", false, func(token string) request {
		return request{method: "POST", token: token, body: token, slow: true}
	})
	c.client("idle", true, func(token string) request { return request{method: "GET", token: token, pause: 300 * time.Millisecond} })
}

// request is one request and how the client behaves.
type request struct {
	method, token, query, body string
	slow                       bool          // sends and takes little at a time
	pause                      time.Duration // after the answer
}

// client asks until the end, on one connection as long as the server keeps it, or
// on a new one each time.
func (c *chaos) client(kind string, keep bool, make func(token string) request) {
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		var k *client
		defer func() { k.close() }()
		since := time.Now() // nothing has happened to the connection before
		for n := 0; ; n++ {
			select {
			case <-c.stop:
				return
			default:
			}
			q := make(fmt.Sprintf("%s-%d", kind, n))
			var err error
			if k == nil {
				since = time.Now()
				k, err = dial(c.s)
			}
			began := time.Now()
			if err == nil {
				err = q.do(k, keep)
			}
			c.note(kind, since, err)
			// What sent an answer may be dead long before a slow client has read it.
			if since = began; err != nil || !keep || k.closing {
				k.close()
				k = nil
			}
			time.Sleep(q.pause)
		}
	}()
}

// mixedUp is an answer that is not the request's: nothing excuses it.
type mixedUp struct{ text string }

func (e *mixedUp) Error() string { return "mixed up: " + e.text }

// do sends the request and checks the answer, byte by byte.
func (q request) do(k *client, keep bool) error {
	k.conn.SetDeadline(time.Now().Add(gowsgitest.Patience))
	last := ""
	if !keep {
		last = "Connection: close\r\n"
	}
	head := fmt.Sprintf("%s /?token=%s%s HTTP/1.1\r\nHost: test\r\n%sContent-Length: %d\r\n\r\n", q.method, q.token, q.query, last, len(q.body))
	if err := q.send(k.conn, head+q.body); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	r, err := http.ReadResponse(k.br, nil)
	if err != nil {
		return fmt.Errorf("reading the head: %w", err)
	}
	defer r.Body.Close()
	k.closing = r.Close
	if r.StatusCode != 200 {
		return fmt.Errorf("status %s", r.Status)
	}
	if got := r.Header.Get("X-Token"); got != q.token {
		return &mixedUp{fmt.Sprintf("head of %q for %q", got, q.token)}
	}
	sum := sha256.Sum256([]byte(q.body))
	want := q.token + " " + hex.EncodeToString(sum[:]) + " "
	lines := bufio.NewReader(r.Body)
	if q.slow {
		lines = bufio.NewReaderSize(slowly{r.Body}, 16<<10)
	}
	first := ""
	for n := 0; ; n++ {
		line, err := lines.ReadString('\n')
		switch {
		case err == io.EOF && line == "" && n > 0:
			return nil
		case err != nil:
			return fmt.Errorf("reading the body: %w", err)
		case n == 0:
			first = line
		}
		if !strings.HasPrefix(line, want) || line != first {
			return &mixedUp{fmt.Sprintf("%q in the answer to %q", line, want)}
		}
	}
}

// send writes text, or a third of it at a time with pauses.
func (q request) send(conn net.Conn, text string) error {
	if !q.slow {
		_, err := io.WriteString(conn, text)
		return err
	}
	for part := len(text)/3 + 1; text != ""; {
		n := min(part, len(text))
		if _, err := io.WriteString(conn, text[:n]); err != nil {
			return err
		}
		text = text[n:]
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

// slowly is a Reader that takes its time.
type slowly struct{ r io.Reader }

func (s slowly) Read(b []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return s.r.Read(b)
}

// note keeps the result of a request on a connection that was good at since.
func (c *chaos) note(kind string, since time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.answers[kind]++
		return
	}
	if _, worst := err.(*mixedUp); !worst {
		for _, at := range c.kills {
			// A connection may be handed over, and its new owner killed, just before
			// the client asks.
			if at.After(since.Add(-100*time.Millisecond)) && at.Before(time.Now()) {
				c.excused++
				return
			}
		}
	}
	c.failures = append(c.failures, fmt.Sprintf("%s at %s: %v", kind, time.Now().Format("15:04:05.000"), err))
}

// check looks at what clients got and at what the chaos has left.
func (c *chaos) check(descriptors int) {
	c.t.Logf("done: %v; answers: %v; failed when a process was killed: %d", c.done, c.answers, c.excused)
	for i, f := range c.failures {
		if i < 10 {
			c.t.Errorf("request failed: %s", f)
		}
	}
	if n := len(c.failures); n > 0 {
		c.t.Errorf("%d requests failed", n)
	}
	// No more than the clients that were in a request then, more or less.
	if c.excused > 8*len(c.kills) {
		c.t.Errorf("%d requests failed in %d kills: too many for connections of the killed", c.excused, len(c.kills))
	}
	for kind, n := range c.answers {
		if n < 3 {
			c.t.Errorf("%s got %d answers", kind, n)
		}
	}
	r := c.waitReady(3 + c.extra)
	// Status pipes of the workers; all else is as at the start.
	if !gowsgitest.Eventually(func() bool { return len(gowsgitest.Descriptors(c.master)) <= descriptors+c.extra }) {
		c.t.Errorf("the master has %d descriptors, %d at the start: %v", len(gowsgitest.Descriptors(c.master)), descriptors, gowsgitest.Descriptors(c.master))
	}
	if !gowsgitest.Eventually(func() bool { return len(gowsgitest.Zombies(c.master)) == 0 }) {
		c.t.Errorf("%v were not reaped", gowsgitest.Zombies(c.master))
	}
	for _, w := range r.Workers {
		if !gowsgitest.Eventually(func() bool { return len(gowsgitest.Descriptors(w.PID)) < 40 }) {
			c.t.Errorf("worker %d has %d descriptors: %v", w.PID, len(gowsgitest.Descriptors(w.PID)), gowsgitest.Descriptors(w.PID))
		}
	}
	if n := c.s.Log.Count(`panic|goroutine \d|was killed after graceful|WORKER TIMEOUT|WORKER HANGS|was sent SIG(SEGV|ABRT|BUS)`); n != 0 {
		c.t.Errorf("%d lines on the log that nobody asked for", n)
	}
}

// end stops the last master; that no process and no socket is left is checked by
// the server's own clean-up.
func (c *chaos) end() {
	if c.master != c.s.PID {
		stopsLast(c.t, c.s, c.master)
		return
	}
	if code := c.s.Stop(); code != 0 {
		c.t.Errorf("exit code %d, want 0", code)
	}
}
