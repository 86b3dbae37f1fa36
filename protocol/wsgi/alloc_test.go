//go:build !race

package wsgi

import "testing"

// TestAllocs holds the promise that a response's head costs no allocation once
// the buffers have grown to its size.
func TestAllocs(t *testing.T) {
	p := newTypical()
	p.head()
	refused, host := []byte("a\r\nb"), []byte("example.org:8000")
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"typical head", func() { p.head() }},
		{"replaced head", func() { p.resp.Clear(); p.head() }},
		{"early hints", func() { p.out = p.resp.AppendInterim(p.out[:0]) }},
		{"refused header", func() { p.resp.AddHeader(p.status, refused) }},
		{"lookup", func() { p.resp.Header("vary") }},
		{"host and port", func() { HostPort(host, true) }},
	} {
		if n := testing.AllocsPerRun(100, c.f); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}
