package proxy

import (
	"bytes"
	"net/netip"
)

// ForwardedFor goes back through the addresses of one X-Forwarded-For line, which
// each proxy wrote whom it got the request from at the end of, as long as they are
// of proxies. client is the last address it came to, not valid if there was none;
// its port is 0 if none is told. more reports that the line ended before anything
// but proxies: the line before it goes on.
//
// Nobody vouches for what is left of an address that isProxy does not know.
// Something that is no address ends the walk like one.
func ForwardedFor(value []byte, isProxy func(netip.Addr) bool) (client netip.AddrPort, more bool) {
	for {
		comma := bytes.LastIndexByte(value, ',')
		if item := bytes.Trim(value[comma+1:], " \t"); len(item) > 0 {
			a, ok := parseHop(string(item))
			if !ok {
				return client, false
			}
			if client = a; !isProxy(a.Addr()) {
				return client, false
			}
		}
		if comma < 0 {
			return client, true
		}
		value = value[:comma]
	}
}

// parseHop parses an address, and a port some load balancers add: 192.0.2.1,
// 192.0.2.1:443, 2001:db8::1, [2001:db8::1], [2001:db8::1]:443.
func parseHop(s string) (netip.AddrPort, bool) {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return clean(a)
	}
	if n := len(s); n > 2 && s[0] == '[' && s[n-1] == ']' {
		s = s[1 : n-1]
		if a, err := netip.ParseAddr(s); err != nil || a.Is4() {
			return netip.AddrPort{}, false
		}
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return netip.AddrPort{}, false
	}
	return clean(netip.AddrPortFrom(ip, 0))
}

// clean refuses zones, which mean something on the proxy's machine only, and shows
// an IPv4 address that is written as IPv6 as what it is.
func clean(a netip.AddrPort) (netip.AddrPort, bool) {
	if a.Addr().Zone() != "" {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), true
}
