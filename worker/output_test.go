package worker

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/internal/accesslog"
	"gowsgi/worker/python"
)

// TestOutput: whatever is added comes out in its order, however the socket takes
// it, and all buffers come back.
func TestOutput(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		r := newRig(t, testConfig())
		c, client := r.connect(t)
		got := make(chan []byte, 1)
		go func() {
			b, _ := io.ReadAll(client)
			got <- b
		}()
		o := newOutput(c.fd, 0)
		var want []byte
		for step := 0; step < 60 || !o.empty(); step++ {
			if step < 60 && rnd.IntN(2) == 0 {
				p := make([]byte, rnd.IntN(3*outBuffer))
				for i := range p {
					p[i] = byte(len(want) + i*7)
				}
				want = append(want, p...)
				o.add(p, &r.bufs)
				clear(p) // it was copied
				continue
			}
			if o.empty() {
				continue
			}
			before := o.n
			n, err := o.write(c.fd)
			if err == unix.EAGAIN {
				awaitFD(c.fd, unix.POLLOUT, int(patience/time.Millisecond))
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if o.drop(n, &r.bufs); o.n != before-n {
				t.Fatalf("%d bytes left after %d of %d were sent", o.n, n, before)
			}
		}
		if len(o.bufs) != 0 {
			t.Errorf("%d buffers are kept for nothing", len(o.bufs))
		}
		r.close(c)
		if b := <-got; !bytes.Equal(b, want) {
			t.Fatalf("seed %d: got %d bytes, want %d, or not the same", seed, len(b), len(want))
		}
	}
}

// tempFile makes an open file of a test.
func tempFile(t *testing.T, content string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err == nil {
		_, err = f.WriteString(content)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// dup returns a copy of f's descriptor, for a filePart to own.
func dup(t *testing.T, f *os.File) int {
	t.Helper()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// TestFilePart: the part and no more, behind the bytes, and the end of the
// descriptor with it.
func TestFilePart(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("0123456789abcdef", 100_000)
	f := tempFile(t, content)
	for _, copied := range []bool{false, true} {
		r := newRig(t, testConfig())
		c, client := r.connect(t)
		got := make(chan string, 1)
		go func() {
			b, _ := io.ReadAll(client)
			got <- string(b)
		}()
		o := newOutput(c.fd, 0)
		o.add([]byte("head:"), &r.bufs)
		o.file = filePart{fd: dup(t, f), off: 16, left: int64(len(content) - 20)}
		for !o.empty() {
			var n int
			var err error
			if copied && o.n == 0 {
				n, err = o.file.copy(c.fd)
			} else {
				n, err = o.write(c.fd)
			}
			if err == unix.EAGAIN {
				awaitFD(c.fd, unix.POLLOUT, int(patience/time.Millisecond))
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			o.drop(n, &r.bufs)
		}
		r.close(c)
		if s := <-got; s != "head:"+content[16:len(content)-4] {
			t.Errorf("copied %t: got %d bytes, want the part", copied, len(s))
		}
		if n := descriptors(t, f); n != 1 {
			t.Errorf("%d descriptors are open, want the test's own", n)
		}
	}
}

// TestFileBecomesShort: a file that ends before its part is noticed, not waited
// for.
func TestFileBecomesShort(t *testing.T) {
	t.Parallel()
	f := tempFile(t, "0123456789")
	r := newRig(t, testConfig())
	c, _ := r.connect(t)
	p := filePart{fd: dup(t, f), left: 20}
	n, err := p.send(c.fd)
	if n != 10 || err != nil {
		t.Fatalf("got %d, %v, want the 10 bytes there are", n, err)
	}
	p.drop(n)
	if n, err := p.send(c.fd); n != 0 || err != errFileShort {
		t.Errorf("got %d, %v, want errFileShort", n, err)
	}
	p.close()
}

// TestLoopSendsBesideTheCall: what an application has yielded goes out while its
// call goes on, although its thread does not look at it.
func TestLoopSendsBesideTheCall(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.ResponseBuffer = 4 << 20
	r := newRig(t, cfg)
	c, client := r.connect(t)
	th := r.calling(t, c, outside)
	th.resp.SetStatus([]byte("200 OK"))
	part := strings.Repeat("0123456789abcdef", 100_000)
	if code, _ := th.Write([]byte(part), false, true); code != python.OK || !c.shared {
		t.Fatalf("got %d, shared %t, want the rest left to the loop", code, c.shared)
	}
	got := readResponse(client, outside)
	events := make([]unix.EpollEvent, eventBatch)
	for c.out != nil {
		n, _ := r.conns.wait(events, int(patience/time.Millisecond))
		r.dispatch(r.watcher.lead, events[:n])
	}
	if !c.behind || c.shared || c.watched || c.list != nil {
		t.Errorf("behind %t, shared %t, watched %t: the loop is not done with it", c.behind, c.shared, c.watched)
	}
	// The thread goes on as if nothing had been.
	if code, _ := th.Write([]byte(part), true, true); code != python.OK || c.lost != accesslog.OK {
		t.Errorf("got %d", code)
	}
	if th.flush(0) != python.OK || c.behind {
		t.Error("something is left")
	}
	r.close(c)
	if a := <-got; a.err != nil || a.body != part+part {
		t.Errorf("got %d bytes, %v, want %d", len(a.body), a.err, 2*len(part))
	}
}

// TestLoopLosesTheClient: a client that leaves while the loop sends for a thread
// is gone for the thread, too.
func TestLoopLosesTheClient(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		end  func(r *rig, c *conn)
	}{
		{"closed", func(r *rig, c *conn) { r.outputBeside(c) }},
		{"took nothing", func(r *rig, c *conn) { r.expire(r.clock.Now() + int64(2*time.Minute)) }},
	} {
		r := newRig(t, testConfig())
		c, client := r.connect(t)
		th := r.calling(t, c, outside)
		th.resp.SetStatus([]byte("200 OK"))
		for !c.shared {
			if code, _ := th.Write(make([]byte, 60_000), false, false); code != python.OK {
				t.Fatalf("%s: got %d", tt.name, code)
			}
		}
		if tt.name == "closed" {
			_ = client.Close()
		}
		if tt.end(r, c); c.lost == accesslog.OK || c.shared || c.state != calling {
			t.Errorf("%s: lost %v, state %v, want it left to its thread", tt.name, c.lost, c.state)
		}
		if code, _ := th.Write([]byte("x"), false, false); code != python.Gone {
			t.Errorf("%s: got %d, want Gone", tt.name, code)
		}
		if th.Flush() != python.Gone {
			t.Errorf("%s: flushed to nobody", tt.name)
		}
	}
}

// TestSendPace: a client that takes a little all the time keeps its connection if
// that is enough on the average.
func TestSendPace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		rate    int
		each    int           // bytes taken at a time
		every   time.Duration // and how often
		timeout time.Duration
		ends    bool
	}{
		{"enough", 1000, 100_000, 30 * time.Second, time.Minute, false},
		{"too little", 100_000, 100_000, 30 * time.Second, time.Minute, true},
		{"any rate", 0, 100_000, 30 * time.Second, time.Minute, false},
		{"nothing", 0, 0, time.Minute + time.Second, time.Minute, true},
		{"no limit", 1000, 0, time.Hour, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig()
			cfg.ResponseBuffer, cfg.SendMinRate, cfg.SendTimeout = 16<<20, tt.rate, tt.timeout
			r := newRig(t, cfg)
			c, client := r.connect(t)
			th := r.calling(t, c, outside)
			th.resp.SetStatus([]byte("200 OK"))
			if code, _ := th.Write(make([]byte, 8<<20), true, true); code != python.OK {
				t.Fatalf("got %d", code)
			}
			r.finish(c)
			if c.state != flushing {
				t.Fatalf("got state %v, want flushing", c.state)
			}
			for n := 0; n < 20 && c.state == flushing; n++ {
				c.out.pace.since -= int64(tt.every) // time goes by
				if tt.each == 0 {
					r.expire(r.clock.Now() + int64(tt.every))
					continue
				}
				if _, err := io.ReadFull(client, make([]byte, tt.each)); err != nil {
					t.Fatal(err)
				}
				r.output(th, c)
			}
			if ended := c.state == closed; ended != tt.ends {
				t.Errorf("closed: got %t, want %t", ended, tt.ends)
			}
		})
	}
}
