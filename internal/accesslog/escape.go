package accesslog

const hexDigits = "0123456789abcdef"

// plain says of each byte whether it is logged as it is: printable ASCII but the
// quote and the backslash.
var plain = func() (table [256]bool) {
	for c := ' '; c <= '~'; c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()

// plainPrefix returns how many bytes at the start of v are logged as they are.
func plainPrefix(v []byte) int {
	for i, c := range v {
		if !plain[c] {
			return i
		}
	}
	return len(v)
}

// appendEscaped appends a value so that it can neither end a quoted item nor a
// line: a quote and a backslash get a backslash, everything that is not printable
// ASCII becomes \xHH.
func appendEscaped(b, v []byte) []byte {
	n := plainPrefix(v)
	b = append(b, v[:n]...)
	for _, c := range v[n:] {
		switch {
		case plain[c]:
			b = append(b, c)
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return b
}

// appendJSONString appends a value as a JSON string; bytes beyond ASCII are
// taken as latin-1.
func appendJSONString(b, v []byte) []byte {
	b = append(b, '"')
	n := plainPrefix(v)
	b = append(b, v[:n]...)
	for _, c := range v[n:] {
		switch {
		case plain[c]:
			b = append(b, c)
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(b, '"')
}
