package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Values of Config.ProxyProtocol (gunicorn: proxy_protocol).
const (
	ProxyOff  = "off"
	ProxyV1   = "v1"
	ProxyV2   = "v2"
	ProxyAuto = "auto"
)

// Values of Config.RealIPHeader.
const (
	RealIPOff          = "off"
	RealIPForwardedFor = "x-forwarded-for"
	RealIPForwarded    = "forwarded" // RFC 7239
)

// parseProxyProtocol takes gunicorn's words for the versions (gunicorn:
// validate_proxy_protocol).
func parseProxyProtocol(s string) (string, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "off", "false", "0", "none", "":
		return ProxyOff, nil
	case "auto", "true", "1":
		return ProxyAuto, nil
	case "v1":
		return ProxyV1, nil
	case "v2":
		return ProxyV2, nil
	}
	return "", errors.New("must be: off, v1, v2, or auto")
}

// proxyMode is the accessor of proxy_protocol, which a configuration file may give as
// a bool too.
func proxyMode(ptr func(*Config) *string) accessor {
	a := checked(ptr, parseProxyProtocol)
	a.words = func(v any) ([]string, error) {
		if on, ok := v.(bool); ok {
			return []string{strconv.FormatBool(on)}, nil
		}
		return textWords(v)
	}
	return a
}

// parseFieldNames parses names of header fields, separated by commas, and turns
// them to upper case, in which gunicorn compares them. "*" stands for all.
func parseFieldNames(s string) ([]string, error) {
	var names []string
	for _, name := range splitCommas(s) {
		if !isToken(name) {
			return nil, fmt.Errorf("%s is not the name of a header field", quote(name))
		}
		names = append(names, strings.ToUpper(name))
	}
	return names, nil
}

// commaList is the accessor of a field that texts give as items with commas between
// them, and gunicorn holds as a list.
func commaList[T any](ptr func(*Config) *T, parse func(string) (T, error), items func(T) []string) accessor {
	a := one(ptr, parse, func(v T) string { return strings.Join(items(v), ",") })
	a.words = commaWords
	a.value = func(c *Config) any { return items(*ptr(c)) }
	return a
}

// dict is the accessor of a map, which texts give as NAME=VALUE each. An empty text
// is nothing, so that a flag can ask for an empty map.
func dict(ptr func(*Config) *map[string]string, parse func(string) (name, value string, err error)) accessor {
	return accessor{
		ptr: func(c *Config) any { return ptr(c) },
		set: func(c *Config, texts []string) error {
			m := map[string]string{}
			for _, t := range texts {
				pair, err := parseClean(t, func(s string) (pair [2]string, err error) {
					if s != "" {
						pair[0], pair[1], err = parse(s)
					}
					return pair, err
				})
				if err != nil {
					return err
				}
				if _, twice := m[pair[0]]; twice {
					return fmt.Errorf("%s is given twice", quote(pair[0]))
				}
				if pair[0] != "" {
					m[pair[0]] = pair[1]
				}
			}
			*ptr(c) = m
			return nil
		},
		words: dictWords,
		value: func(c *Config) any {
			m := map[string]any{}
			for name, value := range *ptr(c) {
				m[name] = value
			}
			return m
		},
		list: true,
	}
}

// parseSchemeHeader parses the name of a header field, which is turned to upper
// case, and a value, which is compared as it is.
func parseSchemeHeader(s string) (name, value string, err error) {
	name, value, ok := strings.Cut(s, "=")
	if !ok || !isToken(name) {
		return "", "", fmt.Errorf("%s is not NAME=VALUE with the name of a header field", quote(s))
	}
	return strings.ToUpper(name), value, nil
}

// isToken reports whether s is a token (RFC 9110, 5.6.2).
func isToken(s string) bool {
	const special = "!#$%&'*+-.^_`|~"
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		return !letter && (r < '0' || r > '9') && !strings.ContainsRune(special, r)
	}) < 0
}
