package http1

// Span is a part of the buffer that was parsed: Len bytes from Off. The zero
// Span is empty. C code reads arrays of it: the layout, two unsigned 32-bit
// integers and no padding, must not change.
type Span struct{ Off, Len uint32 }

// Of returns the bytes of the span in b, which must be the buffer (or one with
// the same content) that was parsed. The result aliases b and cannot grow into
// the bytes behind it.
func (s Span) Of(b []byte) []byte {
	end := s.Off + s.Len
	return b[s.Off:end:end]
}

// span makes a Span of b[from:to]. The positions fit: a head is at most
// maxHead bytes long.
func span(from, to int) Span { return Span{Off: uint32(from), Len: uint32(to - from)} }

// Field is one field line: the name as sent, and the value without the
// whitespace around it (RFC 9112, 5). Its layout is relied upon as Span's is.
type Field struct{ Name, Value Span }
