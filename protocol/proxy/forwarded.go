package proxy

import (
	"net/netip"
	"strings"

	"gowsgi/protocol/http1"
)

// errForwarded refuses a Forwarded field that cannot be read. Leaving it out would
// let a client that can break the field, by a quotation mark in its own part of it,
// pass for the proxy.
var errForwarded = &http1.Error{Status: 400, Reason: "malformed Forwarded"}

// Forwarded is ForwardedFor for one line of the field Forwarded (RFC 7239). An
// element without "for", one that is "unknown" and an obfuscated identifier (6.3)
// end the walk. A line that does not follow the grammar of section 4 is an error,
// wherever the mistake is.
func Forwarded(value []byte, isProxy func(netip.Addr) bool) (client netip.AddrPort, more bool, err *http1.Error) {
	p := forwardedParser{rest: string(value)}
	var hops []hop
	for p.skipTo(','); p.rest != ""; p.skipTo(',') {
		h, ok := p.element()
		if !ok {
			return client, false, errForwarded
		}
		hops = append(hops, h)
	}
	for i := len(hops) - 1; i >= 0; i-- {
		if !hops[i].IsValid() {
			return client, false, nil
		}
		if client = hops[i]; !isProxy(client.Addr()) {
			return client, false, nil
		}
	}
	return client, true, nil
}

// hop is the "for" of one element, not valid if it has no address.
type hop = netip.AddrPort

// forwardedParser goes through a line:
//
//	Forwarded         = 1#forwarded-element
//	forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] )
//	forwarded-pair    = token "=" ( token / quoted-string )
//
// Blanks around ";", which the grammar does not have, are accepted: they change
// nothing.
type forwardedParser struct{ rest string }

// skipTo skips blanks, and separators among them: a list may have empty elements
// (RFC 9110, 5.6.1.2).
func (p *forwardedParser) skipTo(separator byte) {
	for p.rest != "" && (p.rest[0] == ' ' || p.rest[0] == '\t' || p.rest[0] == separator) {
		p.rest = p.rest[1:]
	}
}

// element reads up to the next comma or the end.
func (p *forwardedParser) element() (h hop, ok bool) {
	named := false
	for p.skipTo(';'); p.rest != "" && p.rest[0] != ','; p.skipTo(';') {
		name, value, ok := p.pair()
		if !ok {
			return h, false
		}
		if strings.EqualFold(name, "for") {
			if named { // each parameter once (section 4)
				return h, false
			}
			named = true
			if h, ok = parseNode(value); !ok {
				return h, false
			}
		}
		p.rest = strings.TrimLeft(p.rest, " \t")
		if p.rest != "" && p.rest[0] != ';' && p.rest[0] != ',' {
			return h, false
		}
	}
	return h, true
}

// pair reads a parameter.
func (p *forwardedParser) pair() (name, value string, ok bool) {
	name = p.token()
	if name == "" || !strings.HasPrefix(p.rest, "=") {
		return "", "", false
	}
	p.rest = p.rest[1:]
	if strings.HasPrefix(p.rest, `"`) {
		value, ok = p.quoted()
		return name, value, ok
	}
	value = p.token()
	return name, value, value != ""
}

// token reads a token, "" if there is none.
func (p *forwardedParser) token() string {
	n := 0
	for n < len(p.rest) && isToken(p.rest[n]) {
		n++
	}
	token := p.rest[:n]
	p.rest = p.rest[n:]
	return token
}

func isToken(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// quoted reads a quoted-string and returns what it stands for (RFC 9110, 5.6.4).
// Bytes that no field value may have were refused with the head.
func (p *forwardedParser) quoted() (string, bool) {
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			return b.String(), true
		case c == '\\':
			if i++; i == len(p.rest) {
				return "", false
			}
			b.WriteByte(p.rest[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

// parseNode reads a node identifier (RFC 7239, 6):
//
//	node     = nodename [ ":" node-port ]
//	nodename = IPv4address / "[" IPv6address "]" / "unknown" / obfnode
//
// The hop is not valid if the node has no address.
func parseNode(s string) (h hop, ok bool) {
	name, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		name, port = s[:i], s[i:]
	}
	number, ok := parseNodePort(port)
	if !ok {
		return h, false
	}
	if strings.EqualFold(name, "unknown") || isObfuscated(name) {
		return h, true
	}
	bare, v6 := strings.CutPrefix(name, "[")
	if v6 {
		if bare, ok = strings.CutSuffix(bare, "]"); !ok {
			return h, false
		}
	}
	ip, err := netip.ParseAddr(bare)
	if err != nil || ip.Is4() == v6 {
		return h, false
	}
	return clean(netip.AddrPortFrom(ip, number))
}

// parseNodePort reads ":" and a port of up to five digits, or an obfuscated one,
// which is 0, as is none.
func parseNodePort(s string) (uint16, bool) {
	if s == "" {
		return 0, true
	}
	digits := s[1:]
	if isObfuscated(digits) {
		return 0, true
	}
	n := 0
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
		if n > 0xffff {
			return 0, false
		}
	}
	return uint16(n), len(digits) >= 1 && len(digits) <= 5
}

// isObfuscated reports whether s is an obfuscated identifier (RFC 7239, 6.3).
func isObfuscated(s string) bool {
	return len(s) > 1 && s[0] == '_' && strings.Trim(s,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
}
