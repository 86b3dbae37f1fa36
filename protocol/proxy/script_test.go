package proxy

import (
	"bytes"
	"fmt"
	"testing"

	"gowsgi/internal/golden"
)

// drive gives a connection's bytes to Detect and Parse, cut at the given places,
// and returns what a server would have seen.
func drive(v Versions, in []byte, cuts ...int) string {
	var buf []byte
	at := 0
	for _, cut := range append(cuts, len(in)) {
		// A new array each time: nothing may depend on where the buffer is.
		buf = append(bytes.Clone(buf), in[at:cut]...)
		at = cut
		switch v.Detect(buf) {
		case Undecided:
			continue
		case Plain:
			return fmt.Sprintf("plain %q", in)
		}
		h, n, err := Parse(buf)
		switch {
		case err != nil && n != 0:
			return fmt.Sprintf("an error and a length, %d", n)
		case err != nil:
			return fmt.Sprintf("error %d %s", err.Status, err.Reason)
		case n > 0:
			return fmt.Sprintf("%s\nrest %q", describe(h), in[n:])
		case h != Header{}:
			return fmt.Sprintf("a header without a length, %v", h)
		}
	}
	return "incomplete"
}

func describe(h Header) string {
	if h.Kind == TCP4 || h.Kind == TCP6 {
		return fmt.Sprintf("%s %s -> %s", h.Kind, h.Source, h.Destination)
	}
	return h.Kind.String()
}

// driveBytes is drive, byte by byte.
func driveBytes(v Versions, in []byte) string {
	var cuts []int
	for i := 1; i < len(in); i++ {
		cuts = append(cuts, i)
	}
	return drive(v, in, cuts...)
}

// TestScripts runs the scripts, one for each clause. What came in whole must look
// the same when it comes byte by byte and in any two pieces.
func TestScripts(t *testing.T) {
	t.Parallel()
	golden.Run(t, "testdata/*.txt", func(t *testing.T, c *golden.Case) string {
		v, ok := map[string]Versions{"v1": V1, "v2": V2, "auto": V1 | V2}[c.Command]
		if !ok {
			t.Fatalf("%s: unknown command %q", c.Where, c.Command)
		}
		whole := drive(v, c.Input)
		if got := driveBytes(v, c.Input); got != whole {
			t.Errorf("%s: byte by byte:\n%s\nwhole:\n%s", c.Where, got, whole)
		}
		for cut := range c.Input {
			if got := drive(v, c.Input, cut); got != whole {
				t.Errorf("%s: cut at %d:\n%s\nwhole:\n%s", c.Where, cut, got, whole)
				break
			}
		}
		return whole
	})
}

func TestKindString(t *testing.T) {
	t.Parallel()
	if got := fmt.Sprint(None, TCP4, TCP6, Unknown, Unspec, Local); got != " TCP4 TCP6 UNKNOWN UNSPEC LOCAL" {
		t.Errorf("got %q", got)
	}
	if got := fmt.Sprint(Undecided, Plain, Present); got != "undecided plain present" {
		t.Errorf("got %q", got)
	}
}
