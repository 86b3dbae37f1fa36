package http1

import "bytes"

// unfold joins the folded field lines of head, which start at pos (RFC 9112,
// 5.2): a line end, with the whitespace around it, becomes one SP. The bytes
// that become free are filled with SP at the end of the joined line, where they
// mean nothing; so head keeps its length, and whoever parses it again finds the
// same fields.
func unfold(head []byte, pos int, rules *Rules) *Error {
	if pos < len(head) && isOWS(head[pos]) {
		return errFold // there is nothing it could be the rest of
	}
	for pos < len(head) {
		end := lineEnd(head, pos)
		if end < 0 {
			return errIncomplete
		}
		if end < len(head) && isOWS(head[end]) {
			if !mayFold(head[pos:end]) {
				return errFold
			}
			end = joinLines(head, pos, end)
			if end < 0 {
				return errIncomplete
			}
			if end-pos > rules.FieldSize {
				return errLongField
			}
		}
		pos = end
	}
	return nil
}

// lineEnd returns where the line behind the one at pos starts, -1 if that one
// does not end in CRLF.
func lineEnd(head []byte, pos int) int {
	i := bytes.IndexByte(head[pos:], '\n')
	if i < 1 || head[pos+i-1] != '\r' {
		return -1
	}
	return pos + i + 1
}

// mayFold reports whether the field whose first line this is may go on in the
// next.
func mayFold(line []byte) bool {
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return false
	}
	name := trim(line[:colon])
	return !isLower(name, "host") && !isLower(name, "content-length") && !isLower(name, "transfer-encoding")
}

// joinLines joins the line head[pos:end] with those that continue it and
// returns the new end, or -1 if one of them has none.
func joinLines(head []byte, pos, end int) int {
	to := end - len("\r\n")
	for end < len(head) && isOWS(head[end]) {
		next := lineEnd(head, end)
		if next < 0 {
			return -1
		}
		for to > pos && isOWS(head[to-1]) {
			to--
		}
		head[to] = ' '
		to++
		to += copy(head[to:], trim(head[end:next-len("\r\n")]))
		end = next
	}
	for ; to < end-len("\r\n"); to++ {
		head[to] = ' '
	}
	return end
}
