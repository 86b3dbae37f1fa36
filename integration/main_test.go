package integration

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"gowsgi/internal/gowsgitest"
)

func TestMain(m *testing.M) { os.Exit(gowsgitest.Main(m)) }

// apps is the directory of the test applications.
func apps() string { return filepath.Join(gowsgitest.Root(), "integration", "testdata") }

// start serves an application of testdata.
func start(t testing.TB, args ...string) *gowsgitest.Server {
	t.Helper()
	return gowsgitest.Start(t, gowsgitest.Config{Dir: apps(), Args: args})
}

// write makes a file of a temporary directory.
func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// replace changes a file in one step, so that nobody reads half of it.
func replace(t testing.TB, path, text string) {
	t.Helper()
	tmp := write(t, filepath.Dir(path), ".new", text)
	if err := os.Rename(tmp, path); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// exists reports whether there is a file at path.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// gate holds a request of probe.py up: the test learns when it has started and
// decides when it goes on.
type gate struct {
	tb   testing.TB
	path string
}

func newGate(t testing.TB) gate {
	t.Helper()
	return gate{t, filepath.Join(t.TempDir(), "gate")}
}

// target is what to ask probe.py for.
func (g gate) target() string { return "/wait?gate=" + url.QueryEscape(g.path) }

// waitStarted waits until n requests have come to the gate.
func (g gate) waitStarted(n int) {
	g.tb.Helper()
	if !gowsgitest.Eventually(func() bool {
		data, _ := os.ReadFile(g.path + ".started")
		return strings.Count(string(data), "\n") >= n
	}) {
		g.tb.Fatalf("%d requests did not start", n)
	}
}

func (g gate) open() {
	g.tb.Helper()
	write(g.tb, filepath.Dir(g.path), filepath.Base(g.path), "")
}

// answer is what a request in the background came to.
type answer struct {
	*gowsgitest.Response
	err error
}

// String returns the answer or the error, for failure messages.
func (a answer) String() string {
	if a.err != nil {
		return a.err.Error()
	}
	return a.Response.String()
}

// decode takes a good answer's JSON, and ends the test without one.
func (a answer) decode(t testing.TB, v any) {
	t.Helper()
	if a.err != nil || a.Status != 200 {
		t.Fatalf("got %v, want 200", a)
	}
	a.JSON(t, v)
}

// ask sends a GET in the background. The channel gets one answer.
func ask(s *gowsgitest.Server, target string) <-chan answer {
	req := s.NewRequest("GET", target, nil)
	c := make(chan answer, 1)
	go func() {
		r, err := s.Try(req)
		if err == nil {
			err = r.Err
		}
		c <- answer{r, err}
	}()
	return c
}

// pid asks probe.py who answers.
func pid(t testing.TB, s *gowsgitest.Server) int {
	t.Helper()
	return atoi(t, s.GetOK("/pid"))
}

func atoi(t testing.TB, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// answering holds n requests at a gate at once and returns the distinct pids
// that took them. With one thread a worker, n distinct ones answer only if n
// workers serve.
func answering(t testing.TB, s *gowsgitest.Server, n int) map[int]bool {
	t.Helper()
	g := newGate(t)
	var waiting []<-chan answer
	for i := range n {
		waiting = append(waiting, ask(s, g.target()))
		g.waitStarted(i + 1)
	}
	g.open()
	pids := map[int]bool{}
	for _, c := range waiting {
		a := <-c
		if a.err != nil || a.Status != 200 {
			t.Fatalf("got %v, want 200", a)
		}
		pids[atoi(t, a.Body)] = true
	}
	return pids
}

// load sends requests from several clients until stopped, and keeps what failed.
type load struct {
	stop     chan struct{}
	wg       sync.WaitGroup
	mu       sync.Mutex
	answers  int
	failures []string
	bodies   map[string]int
}

// startLoad starts clients that ask for target over and over: fresh of them with
// a new connection for each request, kept of them with one connection as long as
// the server keeps it. Nobody tries anything twice.
func startLoad(s *gowsgitest.Server, target string, fresh, kept int) *load {
	l := &load{stop: make(chan struct{}), bodies: map[string]int{}}
	for range fresh {
		l.run(s, target, false)
	}
	for range kept {
		l.run(s, target, true)
	}
	return l
}

func (l *load) run(s *gowsgitest.Server, target string, keep bool) {
	l.wg.Add(1)
	go func() {
		defer l.wg.Done()
		var c *client
		defer func() { c.close() }()
		for {
			select {
			case <-l.stop:
				return
			default:
			}
			var err error
			if c == nil {
				c, err = dial(s)
			}
			if err == nil {
				err = l.once(c, target, keep)
			}
			if err != nil {
				l.fail(err)
			}
			if err != nil || !keep || c.closing {
				c.close()
				c = nil
			}
		}
	}()
}

func (l *load) once(c *client, target string, keep bool) error {
	r, err := c.get(target, keep)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers++
	l.bodies[r.Body]++
	if r.Status != 200 {
		return fmt.Errorf("got %v", r)
	}
	return nil
}

func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, err.Error())
}

// count returns how many answers came so far.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answers
}

// waitMore waits for n more answers, so that what comes next happens under load.
func (l *load) waitMore(t testing.TB, n int) {
	t.Helper()
	want := l.count() + n
	if !gowsgitest.Eventually(func() bool { return l.count() >= want }) {
		t.Fatalf("got %d answers, want %d", l.count(), want)
	}
}

// end stops the clients and fails the test for each request that failed.
func (l *load) end(t testing.TB) {
	t.Helper()
	close(l.stop)
	l.wg.Wait()
	const shown = 10
	for i, f := range l.failures {
		if i == shown {
			break
		}
		t.Errorf("request failed under load: %s", f)
	}
	if len(l.failures) > 0 {
		t.Errorf("%d of %d requests failed", len(l.failures), l.answers+len(l.failures))
	}
}

func mkdir(t testing.TB, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
