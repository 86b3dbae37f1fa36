package http1

import "encoding/binary"

// Classes of bytes, bits of class.
const (
	classToken  = 1 << iota // tchar (RFC 9110, 5.6.2)
	className               // tchar but "_", see Request.Underscore
	classMethod             // tchar that gunicorn accepts in a method
	classValue              // field value: HTAB, SP, VCHAR, obs-text (RFC 9110, 5.5)
	classTarget             // request-target: VCHAR but '#'
	classHost               // reg-name but "%" and ",": unreserved, sub-delims (RFC 3986, 3.2.2)
	classHex                // HEXDIG, either case
)

// class says which classes a byte belongs to.
var class = makeClass()

func makeClass() (t [256]uint8) {
	for c := range t {
		switch {
		case c >= 'a' && c <= 'z':
			t[c] = classToken | className | classHost
		case c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			t[c] = classToken | className | classMethod | classHost
		}
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' {
			t[c] |= classHex
		}
		if c == '\t' || c >= ' ' && c != 0x7f {
			t[c] |= classValue
		}
		if c > ' ' && c < 0x7f && c != '#' {
			t[c] |= classTarget
		}
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] |= classToken
		if c != '#' {
			t[c] |= classMethod
		}
		if c != '_' {
			t[c] |= className
		}
	}
	for _, c := range "-._~!$&'()*+;=" {
		t[c] |= classHost
	}
	return t
}

// all reports whether every byte of b belongs to one of the classes in mask.
func all(b []byte, mask uint8) bool {
	for _, c := range b {
		if class[c]&mask == 0 {
			return false
		}
	}
	return true
}

// Masks with one value in each of the eight bytes of a word.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// below has the high bit of some byte set if and only if a byte of x is less
// than n, for n up to 128.
func below(x, n uint64) uint64 { return (x - ones*n) &^ x & highs }

// equal has the high bit of some byte set if and only if a byte of x is c.
func equal(x uint64, c byte) uint64 { return below(x^ones*uint64(c), 1) }

// IsToken reports whether b is a token (RFC 9110, 5.6.2).
func IsToken(b []byte) bool { return len(b) > 0 && all(b, classToken) }

// IsFieldValue reports whether b can be the value of a field: it holds no control
// character but HTAB (RFC 9110, 5.5). It takes eight bytes at a time: values are
// most of a head.
func IsFieldValue(b []byte) bool {
	for len(b) >= 8 {
		x := binary.LittleEndian.Uint64(b)
		if below(x, ' ')|equal(x, 0x7f) != 0 && !all(b[:8], classValue) {
			return false
		}
		b = b[8:]
	}
	return all(b, classValue)
}

// targetOK reports whether b has only bytes of a request-target.
func targetOK(b []byte) bool {
	for len(b) >= 8 {
		x := binary.LittleEndian.Uint64(b)
		if below(x, '!')|equal(x, 0x7f)|equal(x, '#')|x&highs != 0 {
			return false
		}
		b = b[8:]
	}
	return all(b, classTarget)
}

// isLower reports whether b is word, which must be in lower case, in any case.
// Setting bit 5 folds letters; of the other bytes it can only take a control
// character or one of "@[\]^_" for a byte of word, so words are limited to
// letters, digits and "-", for which those are not in question: no control
// character gets past the checks before.
func isLower(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i := range len(word) {
		if b[i]|0x20 != word[i] {
			return false
		}
	}
	return true
}

// trim returns b without the SP and HTAB around it (OWS, RFC 9110, 5.6.3).
func trim(b []byte) []byte {
	for len(b) > 0 && isOWS(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isOWS(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isOWS(c byte) bool { return c == ' ' || c == '\t' }
