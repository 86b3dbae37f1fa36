package worker

import (
	"net/netip"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sockaddr is the peer's address as accept gives it.
func sockaddr(t *testing.T, peer string) *unix.RawSockaddrAny {
	t.Helper()
	sa := new(unix.RawSockaddrAny)
	if peer == "" {
		sa.Addr.Family = unix.AF_UNIX
		return sa
	}
	a, err := netip.ParseAddrPort(peer)
	if err != nil {
		t.Fatal(err)
	}
	port := a.Port()<<8 | a.Port()>>8
	if a.Addr().Is4() {
		*(*unix.RawSockaddrInet4)(unsafe.Pointer(sa)) = unix.RawSockaddrInet4{
			Family: unix.AF_INET, Port: port, Addr: a.Addr().As4()}
		return sa
	}
	*(*unix.RawSockaddrInet6)(unsafe.Pointer(sa)) = unix.RawSockaddrInet6{
		Family: unix.AF_INET6, Port: port, Addr: a.Addr().As16()}
	return sa
}

func TestSetPeer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, peer, addr, port string
	}{
		{"IPv4", "203.0.113.7:40000", "203.0.113.7", "40000"},
		{"longest IPv4", "255.255.255.255:65535", "255.255.255.255", "65535"},
		{"port 1", "203.0.113.7:1", "203.0.113.7", "1"},
		{"port 256", "203.0.113.7:256", "203.0.113.7", "256"},
		{"loopback IPv4", "127.0.0.1:1024", "127.0.0.1", "1024"},
		{"other loopback IPv4", "127.0.0.2:1024", "127.0.0.2", "1024"},
		{"IPv6", "[2001:db8::1]:443", "2001:db8::1", "443"},
		{"longest IPv6", "[1111:2222:3333:4444:5555:6666:7777:8888]:65535", "1111:2222:3333:4444:5555:6666:7777:8888", "65535"},
		{"loopback IPv6", "[::1]:5", "::1", "5"},
		{"IPv4 over IPv6", "[::ffff:203.0.113.7]:80", "203.0.113.7", "80"},
		{"loopback IPv4 over IPv6", "[::ffff:127.0.0.1]:80", "127.0.0.1", "80"},
		{"unix", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := new(conn)
			// A connection is used again: nothing of the last peer may remain.
			for _, last := range []string{"", "[1111:2222:3333:4444:5555:6666:7777:8888]:9", "127.0.0.1:9"} {
				c.setPeer(sockaddr(t, last))
				ip, local := c.setPeer(sockaddr(t, tt.peer))
				if got := string(c.remoteAddr()); got != tt.addr {
					t.Errorf("got address %q, want %q", got, tt.addr)
				}
				if got := string(c.portText(nil)); got != tt.port {
					t.Errorf("got port %q, want %q", got, tt.port)
				}
				if ip.IsValid() && ip.String() != tt.addr || ip.IsValid() != (tt.addr != "") {
					t.Errorf("got %v, want %s", ip, tt.addr)
				}
				if local != (tt.peer == "") {
					t.Errorf("got local %t", local)
				}
			}
			if got := string(c.portText([]byte("x"))); got != "x"+tt.port {
				t.Errorf("got %q, want the port appended", got)
			}
		})
	}
}

func TestConnStateString(t *testing.T) {
	t.Parallel()
	for s, want := range map[connState]string{reading: "reading", queued: "queued", calling: "calling",
		flushing: "flushing", lingering: "lingering", closed: "closed"} {
		if s.String() != want {
			t.Errorf("got %q, want %q", s, want)
		}
	}
}
