package http1

import "bytes"

// NeedsUnescape reports whether AppendUnescaped would do more than copy path.
func NeedsUnescape(path []byte) bool { return bytes.IndexByte(path, '%') >= 0 }

// AppendUnescaped appends path to dst with its percent-encoded bytes decoded,
// and returns the extended slice, as append does. A "%" that two hexadecimal
// digits do not follow is kept as it is, and "+" means itself: gunicorn
// (urllib.parse.unquote_to_bytes) does the same. The result is never longer
// than path; dst may be path[:0].
func AppendUnescaped(dst, path []byte) []byte {
	for {
		i := bytes.IndexByte(path, '%')
		if i < 0 {
			return append(dst, path...)
		}
		dst = append(dst, path[:i]...)
		path = path[i:]
		if len(path) < 3 || class[path[1]]&class[path[2]]&classHex == 0 {
			dst = append(dst, '%')
			path = path[1:]
			continue
		}
		dst = append(dst, unhex(path[1])<<4|unhex(path[2]))
		path = path[3:]
	}
}

// unhex returns the value of a hexadecimal digit.
func unhex(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
