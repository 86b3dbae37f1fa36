package accesslog

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// TestAccessWriter: of several threads, every line is written once and whole, and
// those of one thread in their order, whatever is in the buffer at close.
func TestAccessWriter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                   string
		threads, lines, length int
	}{
		{"one line", 1, 1, 10},
		{"many short", 4, 2000, 60},
		{"many flushes", 1, 300, 16 << 10}, // 4.8 MB: the buffer is full several times
		{"none", 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, path := openLog(t, Options{})
			pad := strings.Repeat("x", tt.length)
			var adding sync.WaitGroup
			for i := range tt.threads {
				adding.Go(func() {
					var line []byte // used again at once, as a thread's is
					for j := range tt.lines {
						line = fmt.Appendf(line[:0], "%d %d %s\n", i, j, pad)
						a.add(line)
					}
				})
			}
			adding.Wait()
			a.Drain(patience)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			checkLines(t, text, tt.threads, tt.lines, pad)
		})
	}
}

func checkLines(t *testing.T, text []byte, threads, count int, pad string) {
	t.Helper()
	next := make([]int, threads)
	for line := range bytes.Lines(text) {
		var i, j int
		var rest string
		if n, err := fmt.Sscanf(string(line), "%d %d %s\n", &i, &j, &rest); n != 3 || err != nil || rest != pad {
			t.Fatalf("a line is broken: %.100q", line)
		}
		if i >= threads || j != next[i] {
			t.Fatalf("got line %d of thread %d, want %d", j, i, next[i])
		}
		next[i]++
	}
	for i, n := range next {
		if n != count {
			t.Errorf("got %d lines of thread %d, want %d", n, i, count)
		}
	}
}

// TestAccessReopen: after the file was moved away and the log reopened, nothing
// is lost.
func TestAccessReopen(t *testing.T) {
	t.Parallel()
	a, path := openLog(t, Options{})
	a.add([]byte("0 0 x\n"))
	waitForText(t, path, "\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	a.add([]byte("0 1 x\n"))
	waitForText(t, path+".1", "0 1 x\n")
	if err := a.Reopen(); err != nil {
		t.Fatal(err)
	}
	a.add([]byte("0 2 x\n"))
	a.Drain(patience)
	old, _ := os.ReadFile(path + ".1")
	fresh, _ := os.ReadFile(path)
	if string(fresh) != "0 2 x\n" {
		t.Errorf("got %q in the new file", fresh)
	}
	checkLines(t, append(old, fresh...), 1, 3, "x")
}

// TestLateLine: a line that comes after the end is written at once.
func TestLateLine(t *testing.T) {
	t.Parallel()
	a, path := openLog(t, Options{})
	a.add([]byte("0 0 x\n"))
	a.Drain(patience)
	a.add([]byte("0 1 x\n"))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	checkLines(t, text, 1, 2, "x")
}

// TestKeys: without an access log nothing is asked of the bridge, with one any
// number of keys, each once.
func TestKeys(t *testing.T) {
	t.Parallel()
	if keys := (*Log)(nil).Keys(); keys != nil {
		t.Errorf("got %q, want none", keys)
	}
	a, _ := openLog(t, Options{Format: strings.Repeat("%({A}e)s", 17) + "%({B}e)s"})
	if keys := a.Keys(); len(keys) != 2 || keys[0] != "A" || keys[1] != "B" {
		t.Errorf("got %q, want A and B", keys)
	}
	a.Drain(patience)
}
