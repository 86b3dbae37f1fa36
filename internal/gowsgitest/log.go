package gowsgitest

import (
	"bufio"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Log collects the lines of one output of a server as they come.
type Log struct {
	mu      sync.Mutex
	lines   []string
	changed chan struct{} // closed and replaced at each line
	done    chan struct{} // closed at the end of the output
}

// Collect reads r to its end in a goroutine, which the end of r stops.
func Collect(r io.ReadCloser) *Log {
	l := &Log{changed: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		defer r.Close()
		br := bufio.NewReader(r)
		for {
			line, err := br.ReadString('\n')
			if line != "" {
				l.add(strings.TrimSuffix(line, "\n"))
			}
			if err != nil {
				return
			}
		}
	}()
	return l
}

func (l *Log) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	close(l.changed)
	l.changed = make(chan struct{})
}

// Lines returns the lines so far.
func (l *Log) Lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

// String returns the lines so far as one text.
func (l *Log) String() string { return strings.Join(l.Lines(), "\n") }

// Mark returns the number of lines so far, for WaitAfter.
func (l *Log) Mark() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lines)
}

// All returns the submatches of every line that pattern matches.
func (l *Log) All(pattern string) [][]string {
	re := regexp.MustCompile(pattern)
	var found [][]string
	for _, line := range l.Lines() {
		if m := re.FindStringSubmatch(line); m != nil {
			found = append(found, m)
		}
	}
	return found
}

// Count returns how many lines pattern matches.
func (l *Log) Count(pattern string) int { return len(l.All(pattern)) }

// Wait waits for a line that pattern matches and returns its submatches. It ends
// the test when the output ends or Patience runs out first.
func (l *Log) Wait(tb testing.TB, pattern string) []string {
	tb.Helper()
	return l.WaitAfter(tb, 0, pattern)
}

// WaitAfter is Wait for lines from mark on.
func (l *Log) WaitAfter(tb testing.TB, mark int, pattern string) []string {
	tb.Helper()
	return l.waitN(tb, mark, pattern, 1)[0]
}

// WaitN waits until pattern has matched n lines and returns their submatches.
func (l *Log) WaitN(tb testing.TB, pattern string, n int) [][]string {
	tb.Helper()
	return l.waitN(tb, 0, pattern, n)
}

func (l *Log) waitN(tb testing.TB, mark int, pattern string, n int) [][]string {
	tb.Helper()
	re := regexp.MustCompile(pattern)
	timeout := time.NewTimer(Patience)
	defer timeout.Stop()
	var found [][]string
	ended := false
	for next := mark; ; {
		l.mu.Lock()
		lines, changed := l.lines[next:], l.changed
		l.mu.Unlock()
		for _, line := range lines {
			if m := re.FindStringSubmatch(line); m != nil {
				if found = append(found, m); len(found) == n {
					return found
				}
			}
		}
		next += len(lines)
		if ended {
			tb.Fatalf("output ended with %d of %d lines matching %q", len(found), n, pattern)
		}
		select {
		case <-changed:
		case <-l.done:
			ended = true // look once more at what came last
		case <-timeout.C:
			tb.Fatalf("after %v %d of %d lines match %q", Patience, len(found), n, pattern)
		}
	}
}
