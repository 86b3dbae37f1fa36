package http1

import (
	"bytes"
	"testing"

	"gowsgi/internal/golden"
)

// fuzzLimits are small, so that the fuzzer gets to them.
var fuzzLimits = Limits{RequestLine: 200, Fields: 20, FieldSize: 400}

var fuzzRules = Rules{Limits: fuzzLimits}

// FuzzRequest: any stream of requests gives the same events however it is cut,
// and net/http frames what is accepted as we do.
func FuzzRequest(f *testing.F) {
	for _, in := range golden.Inputs(f, "testdata/*.txt") {
		if len(in) < 2000 {
			f.Add(in, uint16(len(in)/2), uint16(7))
			f.Add(append([]byte(chunkedHead), in...), uint16(len(in)/2), uint16(7))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, cut1, cut2 uint16) {
		whole := drive(fuzzRules, in)
		if got := driveBytes(fuzzRules, in); got.events != whole.events || got.used != whole.used {
			t.Errorf("byte by byte %d:\n%s\nwhole %d:\n%s", got.used, got.events, whole.used, whole.events)
		}
		a, b := int(cut1)%(len(in)+1), int(cut2)%(len(in)+1)
		if got := drive(fuzzRules, in, min(a, b), max(a, b)); got.events != whole.events || got.used != whole.used {
			t.Errorf("cut at %d and %d %d:\n%s\nwhole %d:\n%s", a, b, got.used, got.events, whole.used, whole.events)
		}
		checkStream(t, in, whole)
	})
}

// checkStream compares each complete request of a stream with net/http.
func checkStream(t *testing.T, in []byte, out outcome) {
	at := 0
	rules := Rules{Limits: fuzzLimits.Normalize()}
	for i, head := range out.heads {
		if !bytes.HasPrefix(in[at:], head) {
			t.Fatalf("request %d does not start at %d of %q", i, at, in)
		}
		r := Request{Fields: make([]Field, 0, rules.Fields)}
		if err := r.Parse(head, &rules); err != nil {
			t.Fatalf("parsing %q again: %v", head, err)
		}
		end := out.ends[i]
		checkNetHTTP(t, &r, head, in[at+len(head):end], out.bodies[i], in[end:])
		at = end
	}
	if at != out.used {
		t.Errorf("%d bytes used, the requests end at %d", out.used, at)
	}
}

// FuzzChunked: content gives the same data, end and error whatever the sizes
// of the buffers on either side, also in place, and net/http sees the same.
func FuzzChunked(f *testing.F) {
	for _, in := range golden.Inputs(f, "testdata/rfc9112-7.1*.txt") {
		if len(in) < 4000 {
			f.Add(in, uint8(3), uint8(2))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, srcStep, dstStep uint8) {
		data, used, done, err := decodeIn(in, len(in)+1, len(in)+1)
		for _, steps := range [][2]int{{1, 1}, {int(srcStep) + 1, int(dstStep) + 1}, {len(in) + 1, 1}, {1, len(in) + 1}} {
			d, u, end, e := decodeIn(in, steps[0], steps[1])
			if !bytes.Equal(d, data) || u != used || end != done || e != err {
				t.Errorf("in steps of %v: %q %d %t %v, whole: %q %d %t %v", steps, d, u, end, e, data, used, done, err)
			}
		}
		var c ChunkDecoder
		same := bytes.Clone(in)
		n, u, end, e := c.Decode(same, same)
		if !bytes.Equal(same[:n], data) || u != used || end != done || e != err {
			t.Errorf("in place: %q %d %t %v, else: %q %d %t %v", same[:n], u, end, e, data, used, done, err)
		}
		if !done {
			return
		}
		rules := Rules{Limits: defaultLimits.Normalize()}
		r := Request{Fields: make([]Field, 0, rules.Fields)}
		if err := r.Parse([]byte(chunkedHead), &rules); err != nil {
			t.Fatal(err)
		}
		checkNetHTTP(t, &r, []byte(chunkedHead), in[:used], data, in[used:])
	})
}

// decodeIn decodes in, given srcStep bytes at a time to dst of dstStep bytes.
func decodeIn(in []byte, srcStep, dstStep int) (data []byte, used int, done bool, err *Error) {
	var d ChunkDecoder
	dst := make([]byte, dstStep)
	for have := 0; ; {
		have = min(have+srcStep, len(in))
		for {
			n, u, end, e := d.Decode(dst, in[used:have])
			data = append(data, dst[:n]...)
			used += u
			if end || e != nil {
				return data, used, end, e
			}
			if n == 0 && u == 0 {
				break
			}
		}
		if have == len(in) {
			return data, used, false, nil
		}
	}
}
