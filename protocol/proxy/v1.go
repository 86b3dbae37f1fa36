package proxy

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"

	"gowsgi/protocol/http1"
)

// maxLine is the longest line of version 1, with its CR LF (PROXY, 2.1).
const maxLine = 107

// parseV1 reads a line of version 1 (PROXY, 2.1): words with exactly one space
// between them, in which nothing may vary.
func parseV1(b []byte) (h Header, n int, err *http1.Error) {
	window := b[:min(len(b), maxLine)]
	end := bytes.IndexAny(window, "\r\n")
	switch {
	case end < 0 && len(window) == maxLine, end == maxLine-1:
		return h, 0, errLongLine
	case end < 0, end == len(window)-1 && window[end] == '\r':
		return h, 0, nil
	case window[end] == '\n', window[end+1] != '\n':
		return h, 0, errLine // a LF or a CR alone
	}
	n = end + 2
	line := string(window[len(signature1):end])
	if line == "UNKNOWN" || strings.HasPrefix(line, "UNKNOWN ") {
		return Header{Kind: Unknown}, n, nil
	}
	words := strings.Split(line, " ")
	if len(words) != 5 {
		return h, 0, errLine
	}
	switch words[0] {
	case "TCP4":
		h.Kind = TCP4
	case "TCP6":
		h.Kind = TCP6
	default:
		return h, 0, errLine
	}
	var ok, ok2 bool
	h.Source, ok = addrPort(h.Kind, words[1], words[3])
	h.Destination, ok2 = addrPort(h.Kind, words[2], words[4])
	if !ok || !ok2 {
		return Header{}, 0, errLine
	}
	return h, n, nil
}

// addrPort parses an address of the family and a port, without leading zeros.
func addrPort(kind Kind, addr, port string) (netip.AddrPort, bool) {
	ip, err := netip.ParseAddr(addr)
	if err != nil || ip.Zone() != "" || ip.Is4() != (kind == TCP4) {
		return netip.AddrPort{}, false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != port {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), true
}
