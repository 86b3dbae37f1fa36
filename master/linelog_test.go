package master

import (
	"bytes"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"
)

// lineLog collects what a process writes and lets tests wait for it.
type lineLog struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed and replaced at every write
}

func newLineLog() *lineLog { return &lineLog{changed: make(chan struct{})} }

func (l *lineLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.text.Write(p)
}

func (l *lineLog) String() string {
	text, _ := l.snapshot()
	return text
}

func (l *lineLog) snapshot() (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String(), l.changed
}

// wait waits until the pattern has matched n times and returns the first
// submatches of all matches.
func (l *lineLog) wait(t *testing.T, pattern string, n int) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(testDeadline)
	for {
		text, changed := l.snapshot()
		if ms := re.FindAllStringSubmatch(text, -1); len(ms) >= n {
			var got []string
			for _, m := range ms {
				got = append(got, m[len(m)-1])
			}
			return got
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("never %d times %q on the log:\n%s", n, pattern, text)
		}
	}
}

// number is wait for a number.
func (l *lineLog) number(t *testing.T, pattern string) int {
	t.Helper()
	n, err := strconv.Atoi(l.wait(t, pattern, 1)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
