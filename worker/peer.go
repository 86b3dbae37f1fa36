package worker

import (
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"gowsgi/protocol/proxy"
)

// endpoint is an address as the environ and the logs show it. The zero value is
// that of a unix socket: no address and no port.
type endpoint struct {
	text    [46]byte // INET6_ADDRSTRLEN
	n       uint8
	hasPort bool
	port    uint16
}

func (a *endpoint) set(ip netip.Addr, port uint16, hasPort bool) {
	a.n = uint8(len(ip.AppendTo(a.text[:0])))
	a.port, a.hasPort = port, hasPort
}

// preface is what may come on a connection before its first request.
type preface uint8

const (
	// prefaceDone: requests only, from here on.
	prefaceDone preface = iota
	// prefaceExpected: a PROXY header, or none.
	prefaceExpected
	// prefaceForbidden: a PROXY header would be refused, see proxy_allow_ips.
	prefaceForbidden
)

// from returns whom the request is from.
func (c *conn) from() *endpoint {
	if c.client.n > 0 {
		return &c.client
	}
	return &c.peer
}

// remoteAddr returns the client's address as text, empty for unix sockets.
func (c *conn) remoteAddr() []byte {
	a := c.from()
	return a.text[:a.n]
}

// portText appends the client's port, nothing if it is not known.
func (c *conn) portText(dst []byte) []byte {
	if a := c.from(); a.hasPort {
		return strconv.AppendUint(dst, uint64(a.port), 10)
	}
	return dst
}

// setPeer takes the peer's address from accept and returns it. It is not valid for a
// unix socket, which local tells, nor for a client that left before it was asked
// for. An IPv4 address that came over an IPv6 socket is shown as what it is.
func (c *conn) setPeer(sa *unix.RawSockaddrAny) (ip netip.Addr, local bool) {
	var port uint16
	switch sa.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		ip, port = netip.AddrFrom4(in.Addr), ntohs(in.Port)
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(sa))
		ip, port = netip.AddrFrom16(in.Addr).Unmap(), ntohs(in.Port)
	default:
		c.peer.n, c.peer.hasPort = 0, false
		return ip, sa.Addr.Family == unix.AF_UNIX
	}
	c.peer.set(ip, port, true)
	return ip, false
}

func ntohs(p uint16) uint16 { return p<<8 | p>>8 }

// setProxied takes what a PROXY header says of c's peer.
func (e *engine) setProxied(c *conn, h proxy.Header) {
	c.preface, c.proxied = prefaceDone, &h
	if h.Kind == proxy.TCP4 || h.Kind == proxy.TCP6 {
		c.peer.set(h.Source.Addr(), h.Source.Port(), true)
		// Listed, not merely believed: with "*" the header may name anybody.
		c.speaksFor = c.trusted && e.cfg.ForwardedAllowIPs.Lists(h.Source.Addr())
	}
}
