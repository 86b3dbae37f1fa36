package http1

import (
	"bytes"
	"strings"
	"testing"
)

// TestClass states the grammar again, by other means.
func TestClass(t *testing.T) {
	t.Parallel()
	const (
		digits  = "0123456789"
		upper   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		lower   = "abcdefghijklmnopqrstuvwxyz"
		symbols = "!#$%&'*+-.^_`|~"
	)
	visible := func(b byte) bool { return b >= 0x21 && b <= 0x7e }
	for i := range 256 {
		b := byte(i)
		in := func(s string) bool { return strings.IndexByte(s, b) >= 0 }
		for _, c := range []struct {
			name string
			mask uint8
			want bool
		}{
			{"token", classToken, in(digits + upper + lower + symbols)},
			{"name", className, in(digits+upper+lower+symbols) && b != '_'},
			{"method", classMethod, in(digits+upper+symbols) && b != '#'},
			{"value", classValue, visible(b) || b == ' ' || b == '\t' || b >= 0x80},
			{"target", classTarget, visible(b) && b != '#'},
			{"host", classHost, in(digits + upper + lower + "-._~" + "!$&'()*+;=")},
			{"hex", classHex, in(digits + "abcdefABCDEF")},
		} {
			if got := class[b]&c.mask != 0; got != c.want {
				t.Errorf("%q is %s: got %t, want %t", b, c.name, got, c.want)
			}
		}
	}
}

// TestWords compares the checks of eight bytes at a time with those of one, for
// every byte in every position of a short string.
func TestWords(t *testing.T) {
	t.Parallel()
	for n := range 18 {
		for _, fill := range []byte{'a', '\t', 0xff} {
			b := bytes.Repeat([]byte{fill}, n)
			for at := range n {
				for c := range 256 {
					b[at] = byte(c)
					if got, want := IsFieldValue(b), all(b, classValue); got != want {
						t.Fatalf("value %q: got %t, want %t", b, got, want)
					}
					if got, want := targetOK(b), all(b, classTarget); got != want {
						t.Fatalf("target %q: got %t, want %t", b, got, want)
					}
				}
				b[at] = fill
			}
		}
	}
}

// TestIsLower: folding takes no other byte of a value, a target or a token for
// one of a word.
func TestIsLower(t *testing.T) {
	t.Parallel()
	for c := byte(' '); c < 0xff; c++ {
		for _, word := range []string{"k", "-", "1", "0", "z"} {
			want := strings.EqualFold(string(rune(c)), word) && c < 0x80
			if got := isLower([]byte{c}, word); got != want {
				t.Errorf("%q is %q: got %t, want %t", c, word, got, want)
			}
		}
	}
	if isLower([]byte("clos"), "close") || isLower([]byte("closed"), "close") {
		t.Error("the length does not count")
	}
}

func TestAppendUnescaped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"", ""}, {"/", "/"}, {"/a%20b", "/a b"}, {"%2F%2f", "//"}, {"%00", "\x00"},
		{"%fF%Aa", "\xff\xaa"}, {"caf%C3%A9", "café"}, {"a+b", "a+b"},
		{"%", "%"}, {"%4", "%4"}, {"%zz", "%zz"}, {"%4g", "%4g"}, {"%g4", "%g4"},
		{"%%41", "%A"}, {"%%%41%", "%%A%"}, {"%2541", "%41"}, {"%a%41", "%aA"},
	} {
		if got := string(AppendUnescaped([]byte("x"), []byte(c.in))); got != "x"+c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, "x"+c.want)
		}
		in := []byte(c.in)
		if got := string(AppendUnescaped(in[:0], in)); got != c.want {
			t.Errorf("%q in place: got %q, want %q", c.in, got, c.want)
		}
		if got, want := NeedsUnescape([]byte(c.in)), strings.Contains(c.in, "%"); got != want {
			t.Errorf("%q needs it: got %t, want %t", c.in, got, want)
		}
	}
}
