package proxy

import (
	"net/netip"

	"gowsgi/protocol/http1"
)

// Versions is a set of versions of the PROXY protocol. The document that defines
// them is HAProxy's doc/proxy-protocol.txt, "The PROXY protocol, versions 1 & 2";
// its sections are cited as PROXY, 2.1 and so on.
type Versions uint8

// The versions. Zero is none.
const (
	V1 Versions = 1 << iota
	V2
)

// Detection is what the first bytes of a connection are.
type Detection uint8

// Detections.
const (
	// Undecided: the next bytes tell.
	Undecided Detection = iota
	// Plain: no PROXY header of the versions looked for.
	Plain
	// Present: a PROXY header begins.
	Present
)

// String returns the detection's name.
func (d Detection) String() string { return [...]string{"undecided", "plain", "present"}[d] }

// The signatures. No request of HTTP begins with that of version 2, and one that
// began with "PROXY " would have a method nobody uses.
const (
	signature1 = "PROXY "
	signature2 = "\r\n\r\n\x00\r\nQUIT\n"
)

// Detect looks at the first bytes of a connection. It is Undecided for at most 11
// bytes. The header is optional, as in gunicorn: PROXY, 2 forbids to guess, and
// leaves it to the list of peers that may send one to make the guess safe.
func (v Versions) Detect(b []byte) Detection {
	d := Plain
	for _, s := range [...]struct {
		version Versions
		text    string
	}{{V1, signature1}, {V2, signature2}} {
		n := min(len(b), len(s.text))
		if v&s.version == 0 || string(b[:n]) != s.text[:n] {
			continue
		}
		if n == len(s.text) {
			return Present
		}
		d = Undecided
	}
	return d
}

// Kind is what a PROXY header says of the connection.
type Kind uint8

// Kinds. All but TCP4 and TCP6 leave the addresses as those of the connection.
const (
	// None: there was no header.
	None Kind = iota
	// TCP4 and TCP6 have addresses.
	TCP4
	TCP6
	// Unknown is version 1's word for a client whose address is not told.
	Unknown
	// Unspec is the same in version 2; datagrams and unix sockets, which it can
	// name and we have no use for, count as such (PROXY, 2.2).
	Unspec
	// Local: the proxy connected on its own account, to check the server's health.
	Local
)

// String returns the kind as gunicorn's PROXY_PROTOCOL has it; UNKNOWN it refuses.
func (k Kind) String() string {
	return [...]string{"", "TCP4", "TCP6", "UNKNOWN", "UNSPEC", "LOCAL"}[k]
}

// Header is a PROXY header.
type Header struct {
	Kind Kind
	// Source is the client and Destination what it connected to; both are valid for
	// TCP4 and TCP6 only. An IPv4 address that was written as an IPv6 one is shown
	// as what it is.
	Source, Destination netip.AddrPort
}

// Parse reads the header that b begins with: Detect has found it Present. n is its
// length, 0 if b ends before it does. Nothing is kept of b. The result depends on
// the bytes only, not on the pieces they come in, but a mistake is reported as
// soon as it can be seen.
func Parse(b []byte) (h Header, n int, err *http1.Error) {
	if b[0] == signature1[0] {
		return parseV1(b)
	}
	return parseV2(b)
}

// Mistakes in a PROXY header. The connection cannot be used any more.
var (
	errLine     = &http1.Error{Status: 400, Reason: "malformed PROXY line"}
	errLongLine = &http1.Error{Status: 400, Reason: "PROXY line too long"}
	errVersion  = &http1.Error{Status: 400, Reason: "unsupported version of the PROXY protocol"}
	errCommand  = &http1.Error{Status: 400, Reason: "unknown PROXY command"}
	errFamily   = &http1.Error{Status: 400, Reason: "unknown address family or transport in PROXY header"}
	errLong     = &http1.Error{Status: 400, Reason: "PROXY header too long"}
	errShort    = &http1.Error{Status: 400, Reason: "PROXY header too short for its addresses"}
	errTLV      = &http1.Error{Status: 400, Reason: "malformed TLV in PROXY header"}
	errChecksum = &http1.Error{Status: 400, Reason: "wrong checksum of PROXY header"}
)
