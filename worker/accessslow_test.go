package worker

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"gowsgi/config"
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
	a := openLog(t, &config.Config{AccessLog: path, AccessLogFormat: config.DefaultAccessLogFormat})
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
	go func() { defer close(done); a.flush() }() // as add does when the buffer is full
	// A second writer would take what is buffered by now.
	for range 100 {
		a.mu.Lock()
		taken := len(a.buf) == 0
		a.mu.Unlock()
		if taken {
			t.Error("a second writer does not wait for the first")
			break
		}
		awaitFD(a.file.Fd(), unix.POLLOUT, 1)
	}
	text := make([]byte, total)
	if _, err := io.ReadFull(reader, text); err != nil {
		t.Fatal(err)
	}
	<-done
	a.close()
	checkLines(t, text, 1, all, pad)
}

// pipeIsFull reports whether nothing can be written to the log now.
func pipeIsFull(a *accessLog) bool { return !awaitFD(a.file.Fd(), unix.POLLOUT, 0) }

// TestManyEnvironKeys: a key that is asked for often is asked of the bridge once,
// and any number of keys are.
func TestManyEnvironKeys(t *testing.T) {
	t.Parallel()
	var a accessLog
	a.compile(strings.Repeat("%({A}e)s", 17) + "%({B}e)s")
	if keys := a.accessKeys(); len(keys) != 2 || keys[0] != "A" || keys[1] != "B" {
		t.Errorf("got %q, want A and B", keys)
	}
	if got := logged(t, pageView(t), strings.Repeat("%({A}e)s|", 17), 0); got != strings.Repeat(`ann\x0d\x0a|`, 17) {
		t.Errorf("got %q", got)
	}
	var many accessLog
	for i := range 40 {
		many.compile(fmt.Sprintf("%%({K%d}e)s", i))
	}
	if n := len(many.accessKeys()); n != 40 {
		t.Errorf("%d keys are asked for, want 40", n)
	}
}
