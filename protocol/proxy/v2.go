package proxy

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"

	"gowsgi/protocol/http1"
)

// Version 2 (PROXY, 2.2): the signature, a byte of version and command, a byte of
// family and transport, two bytes of length, then the addresses and TLVs.
const (
	fixed2 = len(signature2) + 4
	// MaxHeader is the longest header that is accepted, in bytes. Senders keep
	// theirs below the smallest segment, 536, but certificates may make them longer.
	MaxHeader = 4096
)

// Commands, families and transports.
const (
	commandLocal = 0x0
	commandProxy = 0x1

	maxFamily    = 0x3 // unix
	maxTransport = 0x2 // datagram

	tcpOver4 = 0x11
	tcpOver6 = 0x21
)

// parseV2 reads a header of version 2.
func parseV2(b []byte) (h Header, n int, err *http1.Error) {
	at := len(signature2)
	if len(b) <= at {
		return h, 0, nil
	}
	version, command := b[at]>>4, b[at]&0xf
	if version != 2 {
		return h, 0, errVersion
	}
	if command != commandLocal && command != commandProxy {
		return h, 0, errCommand
	}
	if len(b) < fixed2 {
		return h, 0, nil
	}
	n = fixed2 + int(binary.BigEndian.Uint16(b[fixed2-2:]))
	if n > MaxHeader {
		return h, 0, errLong
	}
	if len(b) < n {
		return h, 0, nil
	}
	header, kind := b[:n:n], b[at+1]
	if command == commandLocal {
		// Family and addresses mean nothing then, and there may be none.
		return Header{Kind: Local}, n, nil
	}
	if kind>>4 > maxFamily || kind&0xf > maxTransport {
		return h, 0, errFamily
	}
	h, used := addresses(kind, header[fixed2:])
	if used < 0 {
		return Header{}, 0, errShort
	}
	if err := checkTLVs(header, fixed2+used); err != nil {
		return Header{}, 0, err
	}
	return h, n, nil
}

// addresses reads the addresses at the start of b and returns how many bytes they
// take, negative if b is too short.
func addresses(kind byte, b []byte) (h Header, used int) {
	switch kind {
	case tcpOver4:
		h.Kind, used = TCP4, 2*4+2*2
	case tcpOver6:
		h.Kind, used = TCP6, 2*16+2*2
	default:
		h.Kind = Unspec
		if kind>>4 == 0 || kind&0xf == 0 {
			return h, len(b) // nothing says what is there
		}
		used = [...]int{0, 2*4 + 2*2, 2*16 + 2*2, 2 * 108}[kind>>4]
	}
	if len(b) < used {
		return Header{}, -1
	}
	if h.Kind == Unspec {
		return h, used
	}
	size := (used - 2*2) / 2
	src, _ := netip.AddrFromSlice(b[:size])
	dst, _ := netip.AddrFromSlice(b[size : 2*size])
	h.Source = netip.AddrPortFrom(src.Unmap(), binary.BigEndian.Uint16(b[2*size:]))
	h.Destination = netip.AddrPortFrom(dst.Unmap(), binary.BigEndian.Uint16(b[2*size+2:]))
	return h, used
}

// checksumType is the TLV that holds the CRC32c of the header (PROXY, 2.2.3).
const checksumType = 0x03

// checkTLVs walks over the TLVs behind the addresses. Of their values only the
// checksum is used.
func checkTLVs(header []byte, at int) *http1.Error {
	for at < len(header) {
		if len(header)-at < 3 {
			return errTLV
		}
		value := at + 3
		end := value + int(binary.BigEndian.Uint16(header[at+1:]))
		if end > len(header) {
			return errTLV
		}
		if header[at] == checksumType {
			if end-value != 4 {
				return errTLV
			}
			if binary.BigEndian.Uint32(header[value:]) != checksum(header, value) {
				return errChecksum
			}
		}
		at = end
	}
	return nil
}

// checksum returns the CRC32c of the header as it was when the four bytes from at
// were still zero.
func checksum(header []byte, at int) uint32 {
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, castagnoli, header[:at])
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return crc32.Update(sum, castagnoli, header[at+4:])
}
