//go:build !race

package http1

import "testing"

// TestAllocs holds the promise that a request costs no allocation.
func TestAllocs(t *testing.T) {
	p := newHeadParser()
	minimal, browser := []byte(minimalHead), []byte(browserHead)
	bad := []byte("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n")
	src, dst := chunkedContent(100, 10), make([]byte, 1000)
	path, to := []byte("/a%20b"), make([]byte, 0, 10)
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"minimal head", func() { p.head(minimal) }},
		{"browser's head", func() { p.head(browser) }},
		{"refused head", func() { p.head(bad) }},
		{"chunked content", func() {
			var d ChunkDecoder
			d.Decode(dst, src)
		}},
		{"path", func() { AppendUnescaped(to, path) }},
	} {
		if n := testing.AllocsPerRun(100, c.f); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}
