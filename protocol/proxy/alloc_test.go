//go:build !race

package proxy

import "testing"

// TestAllocs holds the promise that looking for fields costs no allocation.
func TestAllocs(t *testing.T) {
	var f Fields
	f.Add("X-FORWARDED-PROTO", Scheme, "https")
	names := [][]byte{[]byte("Host"), []byte("X-Forwarded-Proto"), []byte("x-forwarded-prot0")}
	if n := testing.AllocsPerRun(100, func() {
		for _, name := range names {
			f.Find(name)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
