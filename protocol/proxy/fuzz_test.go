package proxy

import (
	"fmt"
	"net/netip"
	"testing"

	"gowsgi/internal/golden"
)

// FuzzHeader: no panic; in pieces as in one; what is read back from a header
// written anew is the same.
func FuzzHeader(f *testing.F) {
	for _, in := range golden.Inputs(f, "testdata/*.txt") {
		f.Add(in, uint8(V1|V2), uint16(len(in)/2))
	}
	f.Fuzz(func(t *testing.T, in []byte, versions uint8, cut uint16) {
		v := Versions(versions) & (V1 | V2)
		whole := drive(v, in)
		if got := driveBytes(v, in); got != whole {
			t.Errorf("byte by byte: %s\nwhole: %s", got, whole)
		}
		if got := drive(v, in, int(cut)%(len(in)+1)); got != whole {
			t.Errorf("cut: %s\nwhole: %s", got, whole)
		}
		if v.Detect(in) != Present {
			return
		}
		h, n, err := Parse(in)
		switch {
		case err != nil || n == 0:
		case n > len(in) || n > MaxHeader:
			t.Errorf("a header of %d bytes of %d", n, len(in))
		case h.Kind == TCP4 || h.Kind == TCP6:
			line := line1(h)
			if again, _, err := Parse([]byte(line)); err != nil || again != h {
				t.Errorf("%v became %v, %v, by %q", h, again, err, line)
			}
		}
	})
}

// line1 writes a header as a line of version 1.
func line1(h Header) string {
	text := func(ip netip.Addr) string {
		if h.Kind == TCP6 {
			return netip.AddrFrom16(ip.As16()).String()
		}
		return ip.String()
	}
	return fmt.Sprintf("PROXY %s %s %s %d %d\r\n", h.Kind, text(h.Source.Addr()), text(h.Destination.Addr()),
		h.Source.Port(), h.Destination.Port())
}

// FuzzForwarded: whatever a client wrote, what the proxy put behind it decides, or
// the request is refused.
func FuzzForwarded(f *testing.F) {
	for _, in := range []string{"", "1.2.3.4", "unknown", `for="`, `for=1.2.3.4;by="\`, `a="b\"`, "for=_x,", `;host="x`, "[::1]:80,"} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		client := netip.MustParseAddrPort("[2001:db9::1]:4711")
		for _, added := range []string{`, for="[2001:db9::1]:4711"`, `,for="[2001:db9::1]:4711";proto=https`} {
			got, more, err := Forwarded([]byte(string(in)+added), isProxy)
			if err == nil && (got != client || more) {
				t.Errorf("Forwarded: got %v, %t, want %v", got, more, client)
			}
		}
		if got, more := ForwardedFor([]byte(string(in)+", [2001:db9::1]:4711"), isProxy); got != client || more {
			t.Errorf("X-Forwarded-For: got %v, %t, want %v", got, more, client)
		}
		got, more, err := Forwarded(in, isProxy)
		if err == nil && got.IsValid() && more != isProxy(got.Addr()) && more {
			t.Errorf("got %v, which is no proxy, and more", got)
		}
	})
}
