package accesslog

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAccessWriterSlowReader: a reader that falls behind gets every line whole and
// in order, although an application's thread writes as well when the buffer is
// full: it waits for the one that writes already.
func TestAccessWriterSlowReader(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	a, _ := openLog(t, Options{Path: path})
	pad := strings.Repeat("x", 1000)
	const first, all = 300, 600
	total := 0
	add := func(from, to int) {
		for j := from; j < to; j++ {
			line := fmt.Appendf(nil, "0 %d %s\n", j, pad)
			total += len(line)
			a.add(line)
		}
	}
	add(0, first)
	waitFor(t, "filling the pipe", func() bool {
		n, err := unix.IoctlGetInt(int(reader.Fd()), unix.TIOCINQ)
		return err != nil || n >= 4096 && pipeIsFull(a)
	})
	add(first, all)
	done := make(chan struct{})
	go func() { defer close(done); a.Flush() }() // as add does when the buffer is full
	// A second writer would take what is buffered by now.
	for range 100 {
		a.mu.Lock()
		taken := len(a.buf) == 0
		a.mu.Unlock()
		if taken {
			t.Error("a second writer does not wait for the first")
			break
		}
		writable(a.file.Fd(), 1)
	}
	a.FlushWithin(time.Millisecond) // and nobody has to wait for ever
	text := make([]byte, total)
	if _, err := io.ReadFull(reader, text); err != nil {
		t.Fatal(err)
	}
	<-done
	a.Drain()
	checkLines(t, text, 1, all, pad)
}

// pipeIsFull reports whether nothing can be written to the log now.
func pipeIsFull(a *Log) bool { return !writable(a.file.Fd(), 0) }
