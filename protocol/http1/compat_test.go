package http1

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"gowsgi/internal/golden"
)

// compatOf makes switches of the bits of n.
func compatOf(n uint8) Compat {
	return Compat{
		ObsFold: n&1 != 0, SpaceBeforeColon: n&2 != 0, AnyMethod: n&4 != 0,
		CasefoldMethod: n&8 != 0, AnyVersion: n&16 != 0,
	}
}

// checkCompat: with any switches a stream gives the same events however it is
// cut; and what was accepted without them is accepted with them, and is the same.
func checkCompat(t *testing.T, in []byte, cut int, switches uint8) {
	t.Helper()
	strict := drive(fuzzRules, in)
	rules := Rules{Limits: fuzzLimits, Compat: compatOf(switches)}
	whole := drive(rules, in)
	if got := driveBytes(rules, in); got.events != whole.events || got.used != whole.used {
		t.Errorf("%+v, byte by byte %d:\n%s\nwhole %d:\n%s", rules.Compat, got.used, got.events, whole.used, whole.events)
	}
	if got := drive(rules, in, cut); got.events != whole.events || got.used != whole.used {
		t.Errorf("%+v, cut at %d %d:\n%s\nwhole %d:\n%s", rules.Compat, cut, got.used, got.events, whole.used, whole.events)
	}
	if len(whole.heads) < len(strict.heads) {
		t.Fatalf("%+v: %d requests, without %d", rules.Compat, len(whole.heads), len(strict.heads))
	}
	for i := range strict.heads {
		if !bytes.Equal(whole.heads[i], strict.heads[i]) || !bytes.Equal(whole.bodies[i], strict.bodies[i]) || whole.ends[i] != strict.ends[i] {
			t.Errorf("%+v, request %d: %q and %q, without %q and %q", rules.Compat, i,
				whole.heads[i], whole.bodies[i], strict.heads[i], strict.bodies[i])
		}
	}
}

// FuzzCompat holds checkCompat against any stream.
func FuzzCompat(f *testing.F) {
	for i, in := range golden.Inputs(f, "testdata/*.txt") {
		if len(in) < 2000 {
			f.Add(in, uint16(len(in)/2), uint8(31))
			f.Add(in, uint16(7*i), uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, cut uint16, switches uint8) {
		checkCompat(t, in, int(cut)%(len(in)+1), switches)
	})
}

// TestCompatPieces holds it against streams that are mostly right.
func TestCompatPieces(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 5_000 {
		in := piecesStream(rnd)
		checkCompat(t, in, rnd.IntN(len(in)+1), uint8(rnd.IntN(32)))
		if t.Failed() {
			t.Fatalf("%q", in)
		}
	}
}

// TestUnfoldAlone: Parse unfolds heads that Scan would not give it without going
// astray.
func TestUnfoldAlone(t *testing.T) {
	t.Parallel()
	rules := Rules{Limits: defaultLimits.Normalize(), Compat: Compat{ObsFold: true}}
	const line = "GET / HTTP/1.1\r\n"
	for _, c := range []struct {
		head string
		want *Error
	}{
		{line, errIncomplete},
		{line + "A: b", errIncomplete},
		{line + "A: b\n c\r\n\r\n", errIncomplete},
		{line + "A: b\r\n c", errIncomplete},
		{line + "A: b\r\n c\n\r\n", errIncomplete},
		{line + "A: b\r\n \n", errIncomplete},
		{line + "A: b\r\n c\r\n", errIncomplete},
		{line + " ", errFold},
		{line + "\n", errIncomplete},
	} {
		r := Request{Fields: make([]Field, 0, 5)}
		if err := r.Parse([]byte(c.head), &rules); err != c.want {
			t.Errorf("%q: got %v, want %v", c.head, err, c.want)
		}
	}
}
