package accesslog

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stuckLog returns a log in a pipe that is full, and the reader's end. Of lines of
// 1000 bytes and their number, the first total are in the pipe or on their way.
func stuckLog(t *testing.T, o Options) (a *Log, reader *os.File, add func(from, to int)) {
	t.Helper()
	o.Path = filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(o.Path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(o.Path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	a, _ = openLog(t, o)
	add = func(from, to int) {
		for j := from; j < to; j++ {
			a.add(slowLine(j))
		}
	}
	add(0, slowFirst)
	waitFor(t, "filling the pipe", func() bool { return !writable(a.file.Fd(), 0) })
	return a, reader, add
}

const slowFirst = 300

var slowPad = strings.Repeat("x", 1000)

func slowLine(j int) []byte { return fmt.Appendf(nil, "0 %d %s\n", j, slowPad) }

// readLines reads n lines.
func readLines(t *testing.T, r io.Reader, n int) []byte {
	t.Helper()
	size := 0
	for j := range n {
		size += len(slowLine(j))
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		t.Fatal(err)
	}
	return text
}

// TestAccessWriterSlowReader: a reader that falls behind gets every line whole and in
// order, and nobody who adds one waits for it, however many there are.
func TestAccessWriterSlowReader(t *testing.T) {
	t.Parallel()
	a, reader, add := stuckLog(t, Options{})
	const all = slowFirst + 2*flushAt/1000 // the thread that adds writes, too
	add(slowFirst, all)
	a.FlushWithin(time.Millisecond) // and nobody has to wait for ever
	text := readLines(t, reader, all)
	a.Drain(patience)
	checkLines(t, text, 1, all, slowPad)
}

// TestAccessStuckReader: what has no room is lost and counted, and what comes when
// somebody reads again is written.
func TestAccessStuckReader(t *testing.T) {
	t.Parallel()
	lost := make(chan int, 10)
	a, reader, add := stuckLog(t, Options{Lost: func(n int) { lost <- n }})
	const added = slowFirst + 3*bufferMost/1000
	add(slowFirst, added)
	a.Drain(time.Millisecond) // gives up
	got, next := 0, 0
	for r := bufio.NewReader(reader); got+next < added; {
		line, err := r.ReadString('\n')
		if err != nil || line != string(slowLine(got)) {
			t.Fatalf("line %d is %.40q, %v", got, line, err)
		}
		got++
		select {
		case n := <-lost:
			next += n
		default:
		}
	}
	if next == 0 {
		t.Error("no line was lost")
	}
}

// TestAccessCloseOfAStuckLog: neither the log nor its goroutine outlives Close.
func TestAccessCloseOfAStuckLog(t *testing.T) {
	t.Parallel()
	a, _, _ := stuckLog(t, Options{})
	if err := a.Close(time.Millisecond); err != nil {
		t.Error(err)
	}
	<-a.ended
}

// TestAccessLinesOfSeveralProcesses: the lines of logs that share a pipe do not mix,
// although many are written at a time.
func TestAccessLinesOfSeveralProcesses(t *testing.T) {
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
	const logs, lines = 3, 3000
	for i := range logs {
		a, _ := openLog(t, Options{Path: path})
		go func() {
			for j := range lines {
				a.add(fmt.Appendf(nil, "%d %d %s\n", i, j, slowPad[:300]))
			}
		}()
	}
	var text []byte
	r := bufio.NewReader(reader)
	for range logs * lines {
		line, err := r.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, line...)
	}
	checkLines(t, text, logs, lines, slowPad[:300])
}
