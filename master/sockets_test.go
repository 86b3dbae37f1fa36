package master

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/config"
)

// unixAddress is a bind setting for a socket in a test's directory.
func unixAddress(path string) config.Address {
	return config.Address{Text: "unix:" + path, Network: "unix", Path: path}
}

// exists reports whether there is a file at path.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// TestReloadChangesSockets: what is kept is the same socket, what is new is bound
// before anything is given up, and what is dropped is closed when the last old
// worker leaves.
func TestReloadChangesSockets(t *testing.T) {
	dir := t.TempDir()
	a, b, c := unixAddress(dir+"/a"), unixAddress(dir+"/b"), unixAddress(dir+"/c")
	script := func(p *proc) {
		p.boots()
		for _, l := range p.boot.Listeners {
			if !exists(l.Addr) {
				p.sim.t.Errorf("worker %d has a socket without a file, %s", p.boot.Age, l.Addr)
			}
		}
		p.serve(time.Second)
	}
	simulate(t, config.Config{Workers: 2, Bind: []config.Address{a, b}}, script, func(s *sim) {
		s.settled(2)
		kept := s.master.gen.listeners[1]
		s.next.Bind = []config.Address{c, b}
		s.signal(unix.SIGHUP)
		s.until("a socket beside the old one", func() bool { return exists(c.Path) })
		if !exists(a.Path) {
			t.Error("the old socket was given up before the new generation had proven itself")
		}
		s.until("reload complete", func() bool { return strings.Contains(s.logText(), "Reload complete: 2 workers") })
		s.settled(2)
		if exists(a.Path) || !exists(b.Path) || !exists(c.Path) {
			t.Errorf("sockets: a %v, b %v, c %v, want only b and c", exists(a.Path), exists(b.Path), exists(c.Path))
		}
		if got := s.master.gen.listeners; len(got) != 2 || got[1] != kept || got[1].fd < 0 {
			t.Error("the socket that stays was bound again")
		}
		for _, p := range s.alive() {
			if got := p.boot.Listeners; len(got) != 2 || got[0].Addr != c.Path || got[1].Addr != b.Path {
				t.Errorf("worker %d has %v", p.boot.Age, got)
			}
			if p.board.Global().Stopping() {
				t.Errorf("worker %d is told that the service stops", p.boot.Age)
			}
		}
		s.logs("Listening at: unix:"+c.Path+",unix:"+b.Path, 1)
		if n := len(s.master.sockets); n != 2 {
			t.Errorf("%d sockets are open, want 2", n)
		}
	})
}

// TestReloadThatCannotBind: the old sockets and workers stay.
func TestReloadThatCannotBind(t *testing.T) {
	dir := t.TempDir()
	a := unixAddress(dir + "/a")
	simulate(t, config.Config{Workers: 1, Bind: []config.Address{a}}, good, func(s *sim) {
		s.settled(1)
		s.next.Bind = []config.Address{unixAddress(dir + "/b"), unixAddress(dir + "/no/such/directory")}
		s.signal(unix.SIGHUP)
		s.until("failed", func() bool { return strings.Contains(s.logText(), "Reload failed: an address cannot be bound") })
		s.settled(1)
		if exists(dir+"/b") || !exists(a.Path) || s.started() != 1 || len(s.master.sockets) != 1 {
			t.Errorf("b exists %v, a exists %v, %d workers started, %d sockets", exists(dir+"/b"), exists(a.Path), s.started(), len(s.master.sockets))
		}
		s.next.Bind = []config.Address{a, unixAddress(dir + "/b")}
		s.signal(unix.SIGHUP)
		s.until("complete", func() bool { return strings.Contains(s.logText(), "Reload complete") })
		s.settled(1)
	})
}

// TestReloadWithNewSocketsFails: new workers that cannot load leave the new
// sockets to nobody.
func TestReloadWithNewSocketsFails(t *testing.T) {
	for _, good := range []int{0, 1} { // workers of the new generation that can load
		t.Run(strconv.Itoa(good)+" good", func(t *testing.T) {
			dir := t.TempDir()
			a, b := unixAddress(dir+"/a"), unixAddress(dir+"/b")
			script := func(p *proc) {
				if p.boot.Age > 2+good && p.boot.Listeners[0].Addr == b.Path {
					p.bootFails("Traceback")
				}
				p.boots()
				p.serve(time.Second)
			}
			simulate(t, config.Config{Workers: 2, Bind: []config.Address{a}}, script, func(s *sim) {
				s.settled(2)
				s.next.Bind = []config.Address{b}
				s.signal(unix.SIGHUP)
				s.until("failed", func() bool { return strings.Contains(s.logText(), "Reload failed") })
				s.until("all on the old socket", func() bool {
					for _, p := range s.alive() {
						if p.boot.Listeners[0].Addr != a.Path {
							return false
						}
					}
					return true
				})
				s.settled(2)
				if !exists(a.Path) || exists(b.Path) {
					t.Errorf("a exists %v, b exists %v, want only a", exists(a.Path), exists(b.Path))
				}
				if s.alive()[0].board.Global().Stopping() {
					t.Error("workers that go on are told that the service stops")
				}
			})
		})
	}
}

// TestHush: after it nobody connects any more, and who was connecting is served.
func TestHush(t *testing.T) {
	t.Parallel()
	l := bindOne(t, config.Address{Network: "tcp", Host: "127.0.0.1"}, false)
	dial := func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		to, err := unix.Getsockname(l.fd)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
	}
	accept := func(ms int) bool {
		fds := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, ms); err != nil || n == 0 {
			return false
		}
		fd, _, err := unix.Accept(l.fd)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		return true
	}
	dial()
	if err := l.hush(); err != nil {
		t.Skipf("no socket filters here: %v", err)
	}
	dial()
	if !accept(int(testDeadline.Milliseconds())) {
		t.Error("a connection from before is lost")
	}
	if accept(100) {
		t.Error("a new connection came in")
	}
}
