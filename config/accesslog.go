package config

import (
	"fmt"
	"strings"
)

// DefaultAccessLogFormat is the combined log format (gunicorn:
// access_log_format).
const DefaultAccessLogFormat = `%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"`

const (
	// textAtoms are written %(x)s.
	textAtoms = "hlutrsmUqHbfaLp"
	// numberAtoms are written %(x)s or %(x)d: body bytes, seconds, milliseconds
	// and microseconds; and Q, which gunicorn does not have, the microseconds a
	// request waited for a free thread.
	numberAtoms = "BTMDQ"
)

// parseAccessLogFormat checks that s consists of text, %% and known atoms:
// %(x)s with a letter of textAtoms or numberAtoms, %(x)d with one of
// numberAtoms, and %({name}i)s, %({name}o)s, %({name}e)s for a request field, a
// response field and an environ key. gunicorn writes "-" for an atom it does not
// know and fails at the first request on a form it cannot read; both are refused
// here. Field widths are refused too.
func parseAccessLogFormat(s string) (string, error) {
	for rest := s; ; {
		i := strings.IndexByte(rest, '%')
		if i < 0 {
			return s, nil
		}
		rest = rest[i+1:]
		if strings.HasPrefix(rest, "%") {
			rest = rest[1:]
			continue
		}
		n, err := checkAtom(rest)
		if err != nil {
			return "", err
		}
		rest = rest[n:]
	}
}

// checkAtom checks the atom whose "%" precedes s and returns its length.
func checkAtom(s string) (int, error) {
	if !strings.HasPrefix(s, "(") {
		return 0, fmt.Errorf("%s is no atom: write %%(h)s, or %%%% for a percent sign", quote("%"+firstRune(s)))
	}
	end := strings.IndexByte(s, ')')
	if end < 0 {
		return 0, fmt.Errorf("no ) after %s", quote("%"+s))
	}
	name, conv := s[1:end], firstRune(s[end+1:])
	atom := "%(" + name + ")" + conv
	isText, isNumber := isTextAtom(name), len(name) == 1 && strings.Contains(numberAtoms, name)
	switch {
	case !isText && !isNumber:
		return 0, fmt.Errorf("unknown atom %s", quote("%("+name+")"))
	case conv == "s", conv == "d" && isNumber:
		return len(s[:end]) + 1 + len(conv), nil
	}
	return 0, fmt.Errorf("%s must end in s", quote(atom))
}

func isTextAtom(name string) bool {
	if len(name) == 1 {
		return strings.Contains(textAtoms, name)
	}
	field, kind, ok := strings.Cut(strings.TrimPrefix(name, "{"), "}")
	return ok && name[0] == '{' && field != "" && (kind == "i" || kind == "o" || kind == "e")
}

// firstRune returns the first character of s, or "".
func firstRune(s string) string {
	for i := range s {
		if i > 0 {
			return s[:i]
		}
	}
	return s
}
