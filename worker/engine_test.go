package worker

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/protocol/ipc"
)

// outside is a request that the server answers itself, with a 500.
const outside = "GET /elsewhere HTTP/1.1\r\nHost: h\r\n\r\n"

// statusOf returns the status of the first response in text, which must be whole
// and the last.
func statusOf(t *testing.T, text string) int {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(text))
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		t.Errorf("got %q after the response", rest)
	}
	return resp.StatusCode
}

// TestRefusals: a bad request gets its status and the end of the connection,
// whether it comes at once or byte by byte.
func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	r.start(t)
	for _, tt := range []struct {
		name, in string
		status   int
	}{
		{"bad field line", "GET / HTTP/1.1\r\nbad\r\n\r\n", 400},
		{"bad version", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
		{"two lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
		{"bad chunk", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400},
		{"outside of SCRIPT_NAME", outside, 500},
		{"with content", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", 500},
		{"with chunks", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 500},
		{"pipelined", outside + outside, 500},
	} {
		for _, step := range []int{len(tt.in), 1} {
			c := r.dial(t)
			for i := 0; i < len(tt.in); i += step {
				// The rest of a request that was refused early may meet a closed
				// connection.
				_, _ = io.WriteString(c, tt.in[i:min(i+step, len(tt.in))])
			}
			// A connection that is closed behind an answer may meet a rest, too.
			if got := statusOf(t, readAllReset(t, c)); got != tt.status {
				t.Errorf("%s, %d at a time: got %d, want %d", tt.name, step, got, tt.status)
			}
			_ = c.Close()
		}
	}
	if logged := r.logged.String(); !strings.Contains(logged, "Invalid request from ip=127.0.0.1: ") {
		t.Errorf("got log %q, want the peer and the reason", logged)
	}
}

// TestContinue: a client that waits for a 100 gets it before its content is
// waited for (RFC 9110, 10.1.1).
func TestContinue(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	r.start(t)
	c := r.dial(t)
	send(t, c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
	line := make([]byte, len(continueLine))
	if _, err := io.ReadFull(c, line); err != nil || !bytes.Equal(line, continueLine) {
		t.Fatalf("got %q, %v, want %q", line, err, continueLine)
	}
	send(t, c, "abc")
	if got := statusOf(t, readAll(t, c)); got != 500 {
		t.Errorf("got %d, want 500", got)
	}
}

// TestRequestsAreLogged: what the server answers itself is on the access log and
// in the counters.
func TestRequestsAreLogged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	a := openLog(t, path, `%(m)s %(U)s %(s)s %(b)s`)
	r := newRig(t, testConfig())
	r.logInto(a)
	r.start(t)
	c := r.dial(t)
	send(t, c, outside)
	answer := readAll(t, c)
	_, body, _ := strings.Cut(answer, "\r\n\r\n")
	want := fmt.Sprintf("GET  500 %d\n", len(body))
	if got := waitForText(t, path, "\n"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r.stop()
	r.wait(t)
	_ = a.Close(30 * time.Second)
	if n := r.slot.Requests.Load(); n != 1 {
		t.Errorf("got %d requests, want 1", n)
	}
	if n := r.slot.Connections.Load(); n != 0 {
		t.Errorf("got %d connections, want 0", n)
	}
}

// TestRecycle: the worker asks once, when it has served its share.
func TestRecycle(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	asked := make(chan uint64, 10)
	r.group.quota, r.group.recycle = 2, func(n uint64) { asked <- n }
	r.start(t)
	for range 4 {
		c := r.dial(t)
		send(t, c, outside)
		readAll(t, c)
	}
	r.stop()
	r.wait(t)
	close(asked)
	var got []uint64
	for n := range asked {
		got = append(got, n)
	}
	if len(got) != 1 || got[0] != 2 {
		t.Errorf("asked %v, want once, after 2", got)
	}
}

// TestDrain: no new connections, what is under way is finished, idle clients are
// let go, and then all threads leave.
func TestDrain(t *testing.T) {
	t.Parallel()
	for _, threads := range []int{1, 3} {
		cfg := testConfig()
		cfg.Threads, cfg.KeepAlive = threads, 50*time.Millisecond
		r := newRig(t, cfg)
		r.start(t)
		silent, half := r.dial(t), r.dial(t)
		send(t, half, outside[:20])
		// One request more, so that both connections have been accepted.
		c := r.dial(t)
		send(t, c, outside)
		readAll(t, c)
		r.drain()
		if got := readAll(t, silent); got != "" {
			t.Errorf("got %q on a silent connection, want its end", got)
		}
		send(t, half, outside[20:])
		if got := statusOf(t, readAll(t, half)); got != 500 {
			t.Errorf("got %d, want the half request answered", got)
		}
		r.wait(t)
		if c, err := net.DialTimeout("tcp", r.addr, patience); err == nil {
			_ = c.Close()
			t.Error("a connection after the end")
		}
	}
}

// TestStop: nothing is waited for.
func TestStop(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.Threads = 2
	r := newRig(t, cfg)
	r.start(t)
	send(t, r.dial(t), outside[:20])
	r.stop()
	r.wait(t)
}

// TestTimeouts: what waits too long ends, with a 408 if there is a request to
// answer.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, in string
		after    time.Duration
		want     int // 0: closed without a word, -1: still open
	}{
		{"nothing sent, in time", "", time.Minute - time.Second, -1},
		{"nothing sent", "", time.Minute + time.Second, 0},
		{"half a head, in time", "GET / HT", time.Minute - time.Second, -1},
		{"half a head", "GET / HT", time.Minute + time.Second, 408},
		{"half the content", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab", time.Minute + time.Second, 408},
		{"half a chunk", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", time.Minute + time.Second, 408},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, testConfig())
			c, client := r.connect(t)
			if tt.in != "" {
				send(t, client, tt.in)
				r.input(r.threads[0], c)
			}
			r.expire(r.clock.Now() + int64(tt.after))
			if tt.want == -1 {
				if c.state != reading {
					t.Errorf("got state %v, want it to wait", c.state)
				}
				return
			}
			text := readAll(t, client)
			if tt.want == 0 && text != "" || tt.want != 0 && statusOf(t, text) != tt.want {
				t.Errorf("got %q, want status %d", text, tt.want)
			}
			_ = client.Close()
			if c.state == lingering {
				r.discard(c)
			}
			if c.state != closed || r.open != 0 {
				t.Errorf("got state %v, %d open, want it closed", c.state, r.open)
			}
		})
	}
}

// TestSentInTime: a request that has come is not timed out because it was not read yet:
// the process may have been held up.
func TestSentInTime(t *testing.T) {
	t.Parallel()
	end := func(r *rig) { r.expire(r.clock.Now() + int64(time.Hour)) }
	for _, tt := range []struct {
		name string
		kept bool
		end  func(*rig)
	}{
		{"new", false, end},
		{"kept", true, end},
		{"kept, with no time for that any more", true, func(r *rig) { r.idling.wait = 0; end(r) }},
		{"new, draining", false, func(r *rig) { r.closeSilent(&r.head) }},
		{"kept, draining", true, func(r *rig) { r.closeSilent(&r.idling) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, testConfig())
			c, client := r.connect(t)
			silent, _ := r.connect(t)
			if tt.kept {
				r.resume(c)
				r.resume(silent)
			}
			send(t, client, "GET / HT")
			tt.end(r)
			if silent.state != closed {
				t.Errorf("silent: got state %v, want it closed", silent.state)
			}
			if c.state != reading {
				t.Fatalf("got state %v, want it to be read", c.state)
			}
			if r.input(r.threads[0], c); c.n != len("GET / HT") {
				t.Errorf("got %d bytes", c.n)
			}
		})
	}
}

// TestLinger: after an early refusal the rest of what the client sends is read
// for a while, so that the response is not lost (RFC 9112, 9.6), and not for ever.
func TestLinger(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	c, client := r.connect(t)
	send(t, client, "bad\r\n\r\n")
	r.input(r.threads[0], c)
	if c.state != lingering || c.buf != nil {
		t.Fatalf("got state %v, a buffer: %t", c.state, c.buf != nil)
	}
	for range 100 {
		send(t, client, strings.Repeat("x", minBuffer))
		if r.discard(c); c.state != lingering {
			t.Fatal("closed while the client was sending")
		}
	}
	c.lingerEnd = r.clock.Now() // time goes by
	send(t, client, "x")
	if r.discard(c); c.state != closed {
		t.Errorf("got state %v, want an end", c.state)
	}
	if got := statusOf(t, readAllReset(t, client)); got != 400 {
		t.Errorf("got %d, want 400", got)
	}
}

// readAllReset is readAll where the other end may have closed with input unread.
func readAllReset(t *testing.T, c net.Conn) string {
	t.Helper()
	b, _ := io.ReadAll(c)
	return string(b)
}

// TestLingerEnds: in time, or when the client closes.
func TestLingerEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	for _, end := range []func(c *conn, client net.Conn){
		func(_ *conn, client net.Conn) { _ = client.Close() },
		func(*conn, net.Conn) { r.expire(r.clock.Now() + int64(lingerWait) + 1) },
	} {
		c, client := r.connect(t)
		send(t, client, "bad\r\n\r\n")
		r.input(r.threads[0], c)
		end(c, client)
		if c.state == lingering {
			r.discard(c)
		}
		if c.state != closed {
			t.Errorf("got state %v, want closed", c.state)
		}
	}
}

// TestAssemble: content is the same however it is cut, and everything is given
// back at the end.
func TestAssemble(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789abcdef", 5000) // 80,000 bytes: buffers grow
	for _, tt := range []struct {
		name, in, body string
		step           int
	}{
		{"no content", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "", 1},
		{"length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde", "abcde", 1},
		{"length 0", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "", 1},
		{"chunks", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX: y\r\n\r\n", "abcde", 1},
		{"large length", fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(large), large), large, 1777},
		{"large chunks", fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(large), large), large, 1777},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, testConfig())
			c, client := r.connect(t)
			// The complete request is queued instead of served: the watcher's lead
			// runs no application.
			next := "GET /next HTTP/1.1"
			in := tt.in + next
			for len(in) > 0 && c.state == reading {
				n := min(tt.step, len(in))
				send(t, client, in[:n])
				in = in[n:]
				r.input(r.watcher.lead, c)
			}
			if c.state != queued || len(r.ready) != 1 {
				t.Fatalf("got state %v, want the request queued; log %s", c.state, r.logged)
			}
			body, end := c.content()
			if string(body) != tt.body {
				t.Errorf("got %d bytes %.40q, want %d", len(body), body, len(tt.body))
			}
			if got := string(c.buf[end:c.n]) + in; got != next {
				t.Errorf("got %q left over, want %q", got, next)
			}
			r.nextRequest(c, end)
			if c.headLen != 0 || c.length != -1 || c.chunked || c.stream || c.bodyLen != 0 || c.body != nil || string(c.buf[:c.n])+in != next {
				t.Errorf("something of the request is left: %q", c.buf[:c.n])
			}
		})
	}
}

// TestStream: content longer than RequestBuffer does not wait for its end.
func TestStream(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, head, part string }{
		{"length", fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", testConfig().RequestBuffer+1), ""},
		{"chunks", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", fmt.Sprintf("%x\r\n%s\r\n", 4096, strings.Repeat("x", 4096))},
	} {
		r := newRig(t, testConfig())
		c, client := r.connect(t)
		send(t, client, tt.head)
		r.input(r.watcher.lead, c)
		for sent := 0; c.state == reading; sent += len(tt.part) {
			if int64(sent) > 2*testConfig().RequestBuffer {
				t.Fatalf("%s: still not streamed after %d bytes", tt.name, sent)
			}
			send(t, client, tt.part)
			r.input(r.watcher.lead, c)
		}
		if c.state != queued || !c.stream {
			t.Errorf("%s: got state %v, stream %t", tt.name, c.state, c.stream)
		}
		if int64(c.bodyLen) >= 2*testConfig().RequestBuffer {
			t.Errorf("%s: got %d bytes ahead of the application", tt.name, c.bodyLen)
		}
	}
}

// TestDescriptorsAreReused: the events of a closed connection do not reach the one
// that has its descriptor now.
func TestDescriptorsAreReused(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	first, client := r.connect(t)
	fd, gen := first.fd, first.gen
	_ = client.Close()
	r.input(r.threads[0], first)
	if first.state != closed || r.table[fd] != nil {
		t.Fatalf("got state %v, want closed", first.state)
	}
	peer := unix.RawSockaddrAny{Addr: unix.RawSockaddr{Family: unix.AF_UNIX}}
	other, err := unix.FcntlInt(uintptr(r.wakeFD), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	second := r.newConn(other, 0, &peer)
	defer r.close(second)
	if second != first || second.gen == gen {
		t.Errorf("got generation %d after %d", second.gen, gen)
	}
	r.dispatch(r.threads[0], []unix.EpollEvent{{Events: unix.EPOLLIN, Fd: int32(second.fd), Pad: gen}})
	if second.state != reading || second.n != 0 {
		t.Errorf("a stale event was acted on: state %v, %d bytes", second.state, second.n)
	}
}

// TestGenerationsDiffer: a descriptor has another generation each time, also when
// another conn has it.
func TestGenerationsDiffer(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	peer := unix.RawSockaddrAny{Addr: unix.RawSockaddr{Family: unix.AF_UNIX}}
	var clients []int
	accepted := func() *conn {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, fds[1])
		return r.newConn(fds[0], 0, &peer)
	}
	defer func() {
		for _, fd := range clients {
			_ = unix.Close(fd)
		}
	}()
	first, second := accepted(), accepted()
	r.close(first)
	first = accepted() // of a later generation than second
	seen := map[int32]bool{first.gen: true, second.gen: true}
	r.close(first)
	r.close(second)
	next := accepted() // second's conn
	defer r.close(next)
	if seen[next.gen] {
		t.Errorf("generation %d is given out again", next.gen)
	}
}

// TestPatienceForCalls: who waits for events looks at the other threads' calls as
// often as their timeout asks for.
func TestPatienceForCalls(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.Threads, cfg.Timeout = 2, time.Second
	r := newRig(t, cfg)
	c, _ := r.connect(t)
	now := r.clock.Now()
	r.checkCalls(now)
	if ms := r.patience(now); ms < 900 {
		t.Errorf("got %d ms without a call, want none but the usual", ms)
	}
	r.threads[1].record.Begin(now, c.remoteAddr(), nil, nil)
	if ms := r.patience(now); ms > 125 {
		t.Errorf("got %d ms, want an eighth of the timeout at most", ms)
	}
}

// An idle worker wakes up for its sign of life only, however many threads it has,
// and the sign is not given at every turn.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	for _, threads := range []int{1, 3} {
		e := &engine{cfg: &config.Config{LivenessTimeout: time.Minute}, clock: ipc.NewClock(), threads: make([]*thread, threads), slot: new(ipc.Slot)}
		for i := range e.lists {
			e.lists[i] = new(deadlines)
		}
		if got := e.patience(e.clock.Now()); got < 14900 || got > 15100 {
			t.Errorf("%d threads: sleeps %d ms, want a quarter of a minute", threads, got)
		}
		e.cfg.LivenessTimeout = 0
		if got := e.patience(e.clock.Now()); got != -1 {
			t.Errorf("%d threads: sleeps %d ms without a limit, want for ever", threads, got)
		}
		first := e.tick()
		e.tick()
		if got := e.slot.Beat.Load(); got != first {
			t.Errorf("%d threads: beat at %d, want at the first turn, %d", threads, got, first)
		}
		e.beatAt = first
		if second := e.tick(); e.slot.Beat.Load() != second {
			t.Errorf("%d threads: no beat when it was due", threads)
		}
	}
}
