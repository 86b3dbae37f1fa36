package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Owner is whom the file of a unix socket is to belong to.
type Owner struct {
	// Text is the setting as given, "" for none.
	Text string `json:"text,omitempty"`
	// UID and GID are -1 for what stays as it is without the setting.
	UID int `json:"uid"`
	GID int `json:"gid"`
}

// parseOwner parses USER, USER:GROUP or :GROUP, names or numbers. What is left out
// is left alone.
func parseOwner(s string) (Owner, error) {
	if s == "" {
		return Owner{}, nil
	}
	name, group, both := strings.Cut(s, ":")
	if both && group == "" {
		return Owner{}, errors.New("must be USER, USER:GROUP or :GROUP")
	}
	o := Owner{Text: s, UID: -1, GID: -1}
	if name != "" {
		u, err := parseUser(name)
		if err != nil {
			return Owner{}, err
		}
		o.UID = u.UID
	}
	if group != "" {
		g, err := parseGroup(group)
		if err != nil {
			return Owner{}, err
		}
		o.GID = g.GID
	}
	return o, nil
}

// errMode says what a mode may be.
var errMode = errors.New("must be an octal mode from 0001 to 0777")

// parseMode parses the permissions of a file: octal, as chmod(1) takes them, with or
// without 0 or 0o in front. An empty text is 0, which stands for none given.
func parseMode(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimPrefix(s, "0o"), "0O"), 8, 32)
	if err != nil || n == 0 || n > 0o777 {
		return 0, errMode
	}
	return int(n), nil
}

func formatMode(mode int) string {
	if mode == 0 {
		return ""
	}
	return fmt.Sprintf("0%03o", mode)
}

// fileMode is the accessor of a mode, which a configuration file may give as a
// number too: 0o660.
func fileMode(ptr func(*Config) *int) accessor {
	a := one(ptr, parseMode, formatMode)
	a.words = func(v any) ([]string, error) {
		if _, isBool := v.(bool); isBool {
			return nil, errMode
		}
		texts, err := intWords(v)
		if _, isText := v.(string); isText || err != nil {
			return textWords(v)
		}
		n, err := strconv.ParseUint(texts[0], 10, 32)
		if err != nil || n == 0 {
			return nil, errMode
		}
		return []string{strconv.FormatUint(n, 8)}, nil
	}
	return a
}
