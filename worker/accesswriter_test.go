package worker

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gowsgi/config"
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
			path := filepath.Join(t.TempDir(), "log")
			a := openLog(t, &config.Config{AccessLog: path, AccessLogFormat: config.DefaultAccessLogFormat})
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
			a.close()
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
	path := filepath.Join(t.TempDir(), "log")
	a := openLog(t, &config.Config{AccessLog: path, AccessLogFormat: config.DefaultAccessLogFormat})
	a.add([]byte("0 0 x\n"))
	waitForText(t, path, "\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	a.add([]byte("0 1 x\n"))
	waitForText(t, path+".1", "0 1 x\n")
	if err := a.file.Reopen(); err != nil {
		t.Fatal(err)
	}
	a.add([]byte("0 2 x\n"))
	a.close()
	old, _ := os.ReadFile(path + ".1")
	fresh, _ := os.ReadFile(path)
	if string(fresh) != "0 2 x\n" {
		t.Errorf("got %q in the new file", fresh)
	}
	checkLines(t, append(old, fresh...), 1, 3, "x")
}

// TestAccessKeys: without an access log nothing is asked of the bridge.
func TestAccessKeys(t *testing.T) {
	t.Parallel()
	if keys := (*accessLog)(nil).accessKeys(); keys != nil {
		t.Errorf("got %q, want none", keys)
	}
	a := new(accessLog)
	a.compile("%({A}e)s%({B}e)s")
	if keys := a.accessKeys(); len(keys) != 2 || keys[0] != "A" || keys[1] != "B" {
		t.Errorf("got %q", keys)
	}
}
