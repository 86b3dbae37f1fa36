package proxy

import "testing"

// BenchmarkFind is what the fields of a trusted peer cost: five that mean nothing
// and one that does.
func BenchmarkFind(b *testing.B) {
	var f Fields
	f.Add("X-REQUEST-START", RequestStart, "")
	f.Add("X-FORWARDED-PROTO", Scheme, "https")
	f.Add("X-FORWARDED-PROTOCOL", Scheme, "ssl")
	f.Add("X-FORWARDED-SSL", Scheme, "on")
	f.Add("SCRIPT_NAME", ScriptName, "")
	f.Add("PATH_INFO", Forwarder, "")
	names := [][]byte{[]byte("Host"), []byte("User-Agent"), []byte("Accept"), []byte("Accept-Encoding"),
		[]byte("Cookie"), []byte("X-Forwarded-Proto")}
	b.ReportAllocs()
	for b.Loop() {
		found := 0
		for _, name := range names {
			if role, _ := f.Find(name); role != NoRole {
				found++
			}
		}
		if found != 1 {
			b.Fatal(found)
		}
	}
}
