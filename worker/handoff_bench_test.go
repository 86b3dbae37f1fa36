package worker

import (
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkHandOff is one connection that goes from worker to worker with a part
// of a request: sent, received, watched again.
func BenchmarkHandOff(b *testing.B) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = unix.Close(fds[0]); _ = unix.Close(fds[1]) })
	from, to := newRig(b, testConfig()), newRig(b, testConfig())
	for _, r := range []*rig{from, to} {
		r.siblings.init(fds[0], fds[1], r.siblings.board, 0)
	}
	c, _ := from.connect(b)
	const part = "GET / HTTP/1.1\r\nHost: example.org\r\nAccept: text/"
	c.buf = from.bufs.get(len(part))
	c.n = copy(c.buf, part)
	b.Cleanup(func() { from.close(c) })
	b.ReportAllocs()
	for b.Loop() {
		if !from.handOff(c) || !to.receive(to.threads[0]) || to.head.first == nil {
			b.Fatal("the connection did not arrive")
		}
		from, to, c = to, from, to.head.first
		if c.n != len(part) || !c.watched {
			b.Fatalf("got %d bytes, watched %v", c.n, c.watched)
		}
	}
}
