package config

import (
	"errors"
	"strings"
)

// splitWords splits s as a POSIX shell splits words, without any expansion
// (Python: shlex.split). Quotes join what they touch; a backslash takes the next
// character as it is, inside double quotes only before " and \.
func splitWords(s string) ([]string, error) {
	var (
		words []string
		word  strings.Builder
		open  bool // a word has begun, perhaps an empty one in quotes
	)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ' ', '\t', '\r', '\n':
			if open {
				words = append(words, word.String())
				word.Reset()
				open = false
			}
		case '\\':
			if i++; i == len(s) {
				return nil, errors.New("no character after the last backslash")
			}
			word.WriteByte(s[i])
			open = true
		case '\'', '"':
			n, err := quoted(&word, s[i+1:], c)
			if err != nil {
				return nil, err
			}
			i += n
			open = true
		default:
			word.WriteByte(c)
			open = true
		}
	}
	if open {
		words = append(words, word.String())
	}
	return words, nil
}

// quoted writes to word what stands in s before the closing quote q, and returns
// how many bytes of s that took, the quote included.
func quoted(word *strings.Builder, s string, q byte) (int, error) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == q:
			return i + 1, nil
		case c == '\\' && q == '"' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			c = s[i]
		}
		word.WriteByte(c)
	}
	return 0, errors.New("no closing quotation mark")
}
