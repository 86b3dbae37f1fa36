package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// AllowList is a set of peers by address (gunicorn: validate_string_to_addr_list).
// The zero value holds nobody.
type AllowList struct {
	// Any: every address is in it ("*"), whatever Networks says.
	Any bool `json:"any"`
	// Networks holds the addresses and networks, each without host bits. None is
	// an IPv4 network written as an IPv6 one.
	Networks []netip.Prefix `json:"networks"`
}

// Contains reports whether the address is in the list. An IPv4 address must be
// given as one, not as IPv6 (netip.Addr.Unmap). It does not allocate.
func (l *AllowList) Contains(ip netip.Addr) bool {
	if l.Any {
		return true
	}
	return l.Lists(ip)
}

// Lists is Contains without "*": it reports whether one of the networks has the
// address.
func (l *AllowList) Lists(ip netip.Addr) bool {
	for _, n := range l.Networks {
		if n.Contains(ip) {
			return true
		}
	}
	return false
}

// parseAllowList parses addresses, networks ("10.0.0.0/8") and "*", separated by
// commas. An empty text is nobody.
func parseAllowList(s string) (AllowList, error) {
	var l AllowList
	for _, item := range splitCommas(s) {
		if item == "*" {
			l.Any = true
			continue
		}
		n, err := parseNetwork(item)
		if err != nil {
			return AllowList{}, err
		}
		l.Networks = append(l.Networks, n)
	}
	return l, nil
}

// mappedBits is the length of the prefix ::ffff:0:0, below which IPv6 writes IPv4.
const mappedBits = 96

// parseNetwork parses an address or a network. Host bits are refused, as in
// gunicorn: 192.168.1.1/24 is a mistake for one of two things.
func parseNetwork(s string) (netip.Prefix, error) {
	bad := func() (netip.Prefix, error) {
		return netip.Prefix{}, fmt.Errorf("%s is not an IP address or a network", quote(s))
	}
	var n netip.Prefix
	if strings.Contains(s, "/") {
		var err error
		if n, err = netip.ParsePrefix(s); err != nil {
			return bad()
		}
	} else {
		ip, err := netip.ParseAddr(s)
		if err != nil || ip.Zone() != "" {
			return bad()
		}
		n = netip.PrefixFrom(ip, ip.BitLen())
	}
	if n.Masked() != n {
		return netip.Prefix{}, errors.New(quote(s) + " has host bits set")
	}
	if n.Addr().Is4In6() && n.Bits() >= mappedBits {
		n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-mappedBits)
	}
	return n, nil
}

// items returns the list as gunicorn holds it.
func (l AllowList) items() []string {
	items := []string{}
	if l.Any {
		items = append(items, "*")
	}
	for _, n := range l.Networks {
		if n.IsSingleIP() {
			items = append(items, n.Addr().String())
		} else {
			items = append(items, n.String())
		}
	}
	return items
}

// splitCommas splits a list and drops the space around its items and those that
// are empty (gunicorn: validate_string_to_list).
func splitCommas(s string) []string {
	var items []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
