package http1

import "bytes"

// Whether an authority must have a port.
const (
	portOptional = false
	portRequired = true
)

// maxPort is the greatest TCP port.
const maxPort = 65535

// validAuthority reports whether b is uri-host [ ":" port ] with a host that
// is not empty: the authority of a target, and the value of Host (RFC 9110,
// 7.2; RFC 3986, 3.2.2 and 3.2.3). There is no userinfo. A port is decimal, at
// most 65535, and may be empty ("host:") unless it is required.
func validAuthority(b []byte, needPort bool) bool {
	var host, port []byte
	hasPort := false
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 || !validIPv6(b[1:end]) {
			return false
		}
		rest := b[end+1:]
		if len(rest) > 0 {
			if rest[0] != ':' {
				return false
			}
			hasPort, port = true, rest[1:]
		}
	} else {
		host = b
		if i := bytes.IndexByte(b, ':'); i >= 0 {
			hasPort, host, port = true, b[:i], b[i+1:]
		}
		if len(host) == 0 || !validRegName(host) {
			return false
		}
	}
	if needPort && (!hasPort || len(port) == 0) {
		return false
	}
	return validPort(port)
}

// validPort reports whether b is empty or a number of at most five digits up
// to maxPort.
func validPort(b []byte) bool {
	if len(b) > 5 {
		return false
	}
	n := 0
	for _, c := range b {
		if !isDigit(c) {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return n <= maxPort
}

// validRegName reports whether b is a reg-name, of which an IPv4 address is
// one: unreserved and sub-delims characters and percent-encoded bytes. Of the
// sub-delims "," is refused: it is what a recipient that combines two Host
// fields puts between them (RFC 9110, 5.3), and in no host there is.
func validRegName(b []byte) bool {
	for i := 0; i < len(b); i++ {
		if class[b[i]]&classHost != 0 {
			continue
		}
		if b[i] != '%' || i+2 >= len(b) || class[b[i+1]]&class[b[i+2]]&classHex == 0 {
			return false
		}
		i += 2
	}
	return true
}

// validIPv6 reports whether b is an IPv6 address without brackets: eight
// groups of one to four hexadecimal digits, one run of them perhaps left out
// as "::", the last two perhaps written as an IPv4 address. A zone has no
// meaning to another host (RFC 6874), and the IPvFuture of RFC 3986 has no
// addresses: both are refused.
func validIPv6(b []byte) bool {
	groups, gap := 0, false
	if len(b) >= 2 && b[0] == ':' && b[1] == ':' {
		gap = true
		b = b[2:]
	}
	for len(b) > 0 {
		n := 0
		for n < len(b) && class[b[n]]&classHex != 0 {
			n++
		}
		if n < len(b) && b[n] == '.' {
			groups += 2
			if !validIPv4(b) {
				return false
			}
			break
		}
		if n == 0 || n > 4 {
			return false
		}
		groups++
		b = b[n:]
		if len(b) == 0 {
			break
		}
		if b[0] != ':' || len(b) == 1 {
			return false
		}
		b = b[1:]
		if b[0] == ':' {
			if gap {
				return false
			}
			gap = true
			b = b[1:]
		}
	}
	// A gap stands for one group at least.
	if gap {
		return groups < 8
	}
	return groups == 8
}

// validIPv4 reports whether b is four decimal numbers up to 255, without
// leading zeros, and dots between them.
func validIPv4(b []byte) bool {
	for part := 1; ; part++ {
		n, digits := 0, 0
		for digits < len(b) && isDigit(b[digits]) && digits < 4 {
			n = n*10 + int(b[digits]-'0')
			digits++
		}
		if digits == 0 || n > 255 || digits > 1 && b[0] == '0' {
			return false
		}
		b = b[digits:]
		if part == 4 {
			return len(b) == 0
		}
		if len(b) == 0 || b[0] != '.' {
			return false
		}
		b = b[1:]
	}
}
