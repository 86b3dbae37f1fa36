package logging

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const patience = 30 * time.Second

// stream is a queue's file and its reader's end.
type stream struct {
	*Queue
	reader *os.File
}

// streams makes one of each kind of file that has a reader. The descriptor is shared,
// as that of a standard error is, and waits.
func streams(t *testing.T) map[string]func(t *testing.T) *stream {
	t.Helper()
	of := func(t *testing.T, r, w int) *stream {
		q := &Queue{Reopenable: &Reopenable{path: "-", fd: w, dest: destinationOf(w)}}
		s := &stream{Queue: q, reader: os.NewFile(uintptr(r), "reader")}
		t.Cleanup(func() {
			s.reader.Close()
			q.Flush(patience)
			q.dest.close()
			unix.Close(w)
		})
		return s
	}
	return map[string]func(t *testing.T) *stream{
		"pipe": func(t *testing.T) *stream {
			var p [2]int
			if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
			return of(t, p[0], p[1])
		},
		"pipe of somebody else": func(t *testing.T) *stream {
			var p [2]int
			if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
			s := of(t, p[0], p[1])
			s.dest.close()
			s.dest.own = 0 // as if it may not be opened
			return s
		},
		"socket": func(t *testing.T) *stream {
			p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			return of(t, p[0], p[1])
		},
	}
}

// fill writes lines "n xxx" from the number given until the reader's end is full, and
// returns the next number. No write waits, or the test would.
func (s *stream) fill(t *testing.T, from int) int {
	t.Helper()
	for {
		s.line(t, from)
		from++
		s.mu.Lock()
		stuck := s.idle != nil
		s.mu.Unlock()
		if stuck {
			return from
		}
	}
}

var pad = strings.Repeat("x", 200)

func (s *stream) line(t *testing.T, n int) {
	t.Helper()
	if _, err := fmt.Fprintf(s.Queue, "%d %s\n", n, pad); err != nil {
		t.Fatal(err)
	}
}

// TestQueueOrder: a line that finds a reader is out when Write returns. Behind a full
// pipe lines wait, and come in their order, none lost.
func TestQueueOrder(t *testing.T) {
	t.Parallel()
	for name, open := range streams(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			s.line(t, 0)
			if ok, err := readable(int(s.reader.Fd())); !ok {
				t.Fatalf("nothing to read after Write: %v", err)
			}
			if s.idle != nil {
				t.Error("something waits, although there is room")
			}
			next := s.fill(t, 1)
			end := next + 1000
			for ; next < end; next++ {
				s.line(t, next)
			}
			go s.Flush(patience)
			r := bufio.NewReader(s.reader)
			for n := range end {
				line, err := r.ReadString('\n')
				if want := fmt.Sprintf("%d %s\n", n, pad); line != want || err != nil {
					t.Fatalf("got %.20q, %v, want line %d", line, err, n)
				}
			}
			s.Flush(patience)
			s.line(t, end)
			if line, err := r.ReadString('\n'); !strings.HasPrefix(line, strconv.Itoa(end)) {
				t.Errorf("got %.20q, %v after it flowed again", line, err)
			}
		})
	}
}

func readable(fd int) (bool, error) {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return n > 0, err
}

// TestQueueCountsWhatIsLost: what has no room is counted, and the count stands where
// the lines would.
func TestQueueCountsWhatIsLost(t *testing.T) {
	t.Parallel()
	for name, open := range streams(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			log := New(s.Queue, FormatText, "info", 7)
			const lines = 2 * queueMax / 200
			for n := range lines {
				log.Info().Msgf("%d %s", n, pad)
			}
			s.mu.Lock()
			lost := s.lost
			if s.size > queueMax || lost == 0 {
				t.Errorf("%d bytes wait, %d lines are lost", s.size, lost)
			}
			s.mu.Unlock()
			event := regexp.MustCompile(`^\[.*\] \[7\] \[INFO\] (\d+) x+\n$`)
			count := regexp.MustCompile(`^\[.*\] \[7\] \[ERROR\] (\d+) lines of this log were lost here: nobody read it\n$`)
			r := bufio.NewReader(s.reader)
			for next := 0; next < lines; {
				line, err := r.ReadString('\n')
				if m := event.FindStringSubmatch(line); m != nil && m[1] == strconv.Itoa(next) {
					next++
					continue
				}
				m := count.FindStringSubmatch(line)
				if m == nil {
					t.Fatalf("got %.80q, %v where line %d was to be", line, err, next)
				}
				n, _ := strconv.Atoi(m[1])
				next += n
			}
		})
	}
}

// TestQueueFlush: it waits for the reader, and not for ever; Close ends what waits.
func TestQueueFlush(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	q, err := OpenQueue(path, unix.Stderr) // nobody reads it
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{Queue: q}
	s.fill(t, 0)
	q.Flush(time.Millisecond)
	if q.idle == nil {
		t.Error("nothing waits")
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	q.Flush(patience)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.idle != nil || len(q.waiting) != 0 {
		t.Errorf("%d lines wait after Close", len(q.waiting))
	}
}

// TestQueueReopen: a stuck reader does not hold Reopen up, and what waited for it is
// in the new file, in order.
func TestQueueReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	q, err := OpenQueue(path, unix.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	s := &stream{Queue: q}
	first := s.fill(t, 0) - 1 // the first one that waits
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	s.line(t, first+1)
	if err := q.Reopen(); err != nil {
		t.Fatal(err)
	}
	s.line(t, first+2)
	q.Flush(patience)
	wantContent(t, path, fmt.Sprintf("%d %s\n%d %s\n%d %s\n", first, pad, first+1, pad, first+2, pad))
}

// TestQueueOfManyWriters: no line is torn or lost, of several logs that share a slow
// reader; events longer than PIPE_BUF may be cut between their lines.
func TestQueueOfManyWriters(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"pipe", "socket"} {
		open := streams(t)[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			const logs, events, long = 3, 60, 60
			var wg sync.WaitGroup
			for i := range logs {
				q := &Queue{Reopenable: &Reopenable{path: "-", fd: s.fd, dest: destinationOf(s.fd)}}
				defer q.dest.close()
				wg.Go(func() {
					for j := range events {
						var text []byte
						for k := range long {
							text = fmt.Appendf(text, "%d %d %s\n", i, j*long+k, pad)
						}
						if _, err := q.Write(text); err != nil {
							t.Error(err)
						}
					}
					q.Flush(patience)
				})
			}
			next := [logs]int{}
			r := bufio.NewReaderSize(s.reader, 512)
			for range logs * events * long {
				line, err := r.ReadString('\n')
				var i, j int
				var rest string
				if n, scan := fmt.Sscanf(line, "%d %d %s\n", &i, &j, &rest); n != 3 || scan != nil || rest != pad || i >= logs || j != next[i] {
					t.Fatalf("got %.40q, %v, want line %d of one", line, err, next)
				}
				next[i]++
			}
			wg.Wait()
		})
	}
}
