package accesslog

import (
	"bytes"
	"errors"
	"strings"
)

var errExclude = errors.New(`must begin with "/", and may end in "*"`)

// CheckExclude checks one rule of paths to leave out: a path, or the beginning of
// one with "*" behind it.
func CheckExclude(rule string) error {
	path := strings.TrimSuffix(rule, "*")
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "*?") {
		return errExclude
	}
	return nil
}

// exclusion is a rule CheckExclude has seen.
type exclusion struct {
	path   []byte
	prefix bool
}

func newExclusions(rules []string) (list []exclusion) {
	for _, rule := range rules {
		path, prefix := strings.CutSuffix(rule, "*")
		list = append(list, exclusion{[]byte(path), prefix})
	}
	return list
}

// excludes reports whether a rule fits the path, which is compared as it was sent:
// not decoded, case and all.
func (l *Log) excludes(path []byte) bool {
	for i := range l.exclusions {
		x := &l.exclusions[i]
		if x.prefix && bytes.HasPrefix(path, x.path) || bytes.Equal(path, x.path) {
			return true
		}
	}
	return false
}
