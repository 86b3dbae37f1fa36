package worker

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/protocol/http1"
	"gowsgi/protocol/ipc"
)

// The tests of this package run without an interpreter: everything but the call
// into Python is the same.

// patience is how long something that must happen may take.
const patience = 30 * time.Second

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// registering guards the bridge's list of threads, which in a worker grows before
// any of them runs.
var registering sync.Mutex

// rig is an engine whose application is never called: SCRIPT_NAME is /app, and
// a request for anything outside of it is answered by the server itself.
type rig struct {
	*engine
	logged *lockedBuffer
	addr   string
	ended  chan struct{} // closed when all threads have left
}

func testConfig() *config.Config {
	return &config.Config{
		Workers: 1, Threads: 1, KeepAlive: 2 * time.Second, GracefulTimeout: patience,
		HeaderTimeout: time.Minute, BodyTimeout: time.Minute, BodyMinRate: 240,
		SendTimeout: time.Minute, SendMinRate: 240,
		RequestBuffer: 1 << 20, ResponseBuffer: 256 << 10,
	}
}

// newRig makes an engine with threads that do not run yet.
func newRig(t testing.TB, cfg *config.Config) *rig {
	t.Helper()
	board, file, err := ipc.NewScoreboard(1, cfg.Threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close(); _ = board.Close() })
	r := &rig{logged: new(lockedBuffer), ended: make(chan struct{})}
	r.engine, err = newEngine(cfg, zerolog.New(r.logged), board.Slot(0))
	if err != nil {
		t.Fatal(err)
	}
	r.siblings.init(-1, -1, board, 0)
	r.script = "/app"
	r.unixListener = []bool{false}
	r.listeners = []listener{{fd: -1}}
	registering.Lock()
	for i := range cfg.Threads {
		r.threads = append(r.threads, newThread(r.engine, board.Thread(0, i)))
	}
	registering.Unlock()
	t.Cleanup(func() {
		for _, fd := range []int{r.conns.fd, r.top.fd, r.wakeFD, r.overFD} {
			_ = unix.Close(fd)
		}
	})
	return r
}

// start listens on a free port and lets the threads run; the test's end stops
// them.
func (r *rig) start(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err == nil {
		err = unix.Listen(fd, 16)
	}
	if err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	r.addr = (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: sa.(*unix.SockaddrInet4).Port}).String()
	r.listeners = []listener{{fd: fd}}
	if err := r.listen(r.listeners[0]); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	for _, th := range r.threads {
		running.Go(th.Run)
	}
	go func() { running.Wait(); close(r.ended) }()
	t.Cleanup(func() { r.stop(); r.wait(t) })
}

// wait returns when all threads have left.
func (r *rig) wait(t *testing.T) {
	t.Helper()
	select {
	case <-r.ended:
	case <-time.After(patience):
		t.Fatal("the threads did not leave")
	}
}

// dial connects to the rig.
func (r *rig) dial(t *testing.T) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// connect makes a connection of the engine's and returns it with the client's
// end of it. The engine does not run.
func (r *rig) connect(t testing.TB) (*conn, net.Conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fds[1]), "client")
	client, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	t.Cleanup(func() { _ = client.Close() })
	if err := client.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	peer := unix.RawSockaddrAny{Addr: unix.RawSockaddr{Family: unix.AF_UNIX}}
	c := r.newConn(fds[0], 0, &peer)
	t.Cleanup(func() { r.close(c) })
	return c, client
}

// calling makes c a connection whose request, the head given, is being served by
// the first thread, and returns that.
func (r *rig) calling(t *testing.T, c *conn, head string) *thread {
	t.Helper()
	th := r.threads[0]
	c.buf = r.bufs.get(len(head) + minBuffer)
	c.n = copy(c.buf, head)
	n, herr := c.scan.Scan(c.buf[:c.n], &r.rules)
	if herr != nil || n == 0 {
		t.Fatalf("%q is no head: %v", head, herr)
	}
	if err := r.readHead(th, c, n); err != nil {
		t.Fatalf("%q: %v", head, err)
	}
	c.state = calling
	c.leave()
	th.begin(c)
	return th
}

// parsedThread returns a thread with the request given, for functions that do no
// I/O.
func parsedThread(t testing.TB, head string) *thread {
	t.Helper()
	rules := http1.Rules{Limits: http1.Limits{}.Normalize()}
	th := &thread{
		e:    &engine{clock: ipc.NewClock()},
		head: &http1.Request{Fields: make([]http1.Field, 0, rules.Fields)},
		c:    &conn{buf: []byte(head), n: len(head)},
	}
	if err := th.head.Parse(th.c.buf, &rules); err != nil {
		t.Fatalf("%q: %v", head, err)
	}
	return th
}

// readAll returns what comes until the connection ends.
func readAll(t *testing.T, c net.Conn) string {
	t.Helper()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("%v after %q", err, b)
	}
	return string(b)
}

// send writes s to a connection.
func send(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}
