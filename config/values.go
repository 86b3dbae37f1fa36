package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// accessor ties a setting to its place in Config.
type accessor struct {
	// ptr returns the address of the field.
	ptr func(c *Config) any
	// set parses texts into the field. Only a list gets another number of texts
	// than one.
	set func(c *Config, texts []string) error
	// words turns a value of a configuration file into what set takes, see
	// filevalue.go.
	words func(v any) ([]string, error)
	// value returns what gunicorn's cfg object holds: nil, a bool, an int, a
	// float64, a string, or a list of strings.
	value func(c *Config) any
	// list says that a repeated flag adds a value instead of replacing it.
	list bool
}

// one is the accessor of a field with a single value, whose text is empty if
// there is none.
func one[T any](ptr func(*Config) *T, parse func(string) (T, error), format func(T) string) accessor {
	return accessor{
		ptr: func(c *Config) any { return ptr(c) },
		set: func(c *Config, texts []string) error {
			v, err := parseClean(texts[len(texts)-1], parse)
			if err != nil {
				return err
			}
			*ptr(c) = v
			return nil
		},
		words: textWords,
		value: func(c *Config) any {
			if s := format(*ptr(c)); s != "" {
				return s
			}
			return nil
		},
	}
}

// orNumber returns the accessor of a text that a configuration file may give as a
// number.
func (a accessor) orNumber() accessor {
	a.words = func(v any) ([]string, error) {
		if _, isBool := v.(bool); !isBool {
			if texts, err := intWords(v); err == nil {
				return texts, nil
			}
		}
		return textWords(v)
	}
	return a
}

// many is the accessor of a field with a list of values.
func many[T any](ptr func(*Config) *[]T, parse func(string) (T, error), text func(T) string) accessor {
	return accessor{
		ptr: func(c *Config) any { return ptr(c) },
		set: func(c *Config, texts []string) error {
			list := make([]T, 0, len(texts))
			for _, t := range texts {
				v, err := parseClean(t, parse)
				if err != nil {
					return err
				}
				list = append(list, v)
			}
			*ptr(c) = list
			return nil
		},
		words: listWords,
		value: func(c *Config) any {
			texts := make([]string, len(*ptr(c)))
			for i, v := range *ptr(c) {
				texts[i] = text(v)
			}
			return texts
		},
		list: true,
	}
}

var (
	errNUL     = errors.New("must not contain a NUL byte")
	errNotUTF8 = errors.New("must be UTF-8")
)

// parseClean is parse for texts that reach their users unharmed: a NUL ends a
// string of the system, and JSON, on the way to a worker, holds UTF-8 only. Space
// around a text is dropped (gunicorn: validate_string).
func parseClean[T any](s string, parse func(string) (T, error)) (T, error) {
	var none T
	switch {
	case strings.ContainsRune(s, 0):
		return none, errNUL
	case !utf8.ValidString(s):
		return none, errNotUTF8
	}
	return parse(strings.TrimSpace(s))
}

func count(ptr func(*Config) *int) accessor { return number(ptr, parseCount) }

// number is the accessor of a whole number.
func number(ptr func(*Config) *int, parse func(string) (int, error)) accessor {
	a := one(ptr, parse, strconv.Itoa)
	a.words = intWords
	a.value = func(c *Config) any { return *ptr(c) }
	return a
}

// size is the accessor of a number of bytes.
func size(ptr func(*Config) *int64) accessor {
	a := one(ptr, parseSize, func(n int64) string { return strconv.FormatInt(n, 10) })
	a.words = intWords
	a.value = func(c *Config) any { return int(*ptr(c)) }
	return a
}

func seconds(ptr func(*Config) *time.Duration) accessor {
	a := one(ptr, parseSeconds, formatSeconds)
	a.words = numberWords
	a.value = func(c *Config) any {
		if s := ptr(c).Seconds(); s != math.Trunc(s) {
			return s
		}
		return int(*ptr(c) / time.Second)
	}
	return a
}

func text(ptr func(*Config) *string) accessor {
	return checked(ptr, parseText)
}

func checked(ptr func(*Config) *string, parse func(string) (string, error)) accessor {
	return one(ptr, parse, func(s string) string { return s })
}

// commas is the accessor of a list that is one text with commas.
func commas(ptr func(*Config) *[]string, parse func(string) ([]string, error)) accessor {
	a := one(ptr, parse, func(list []string) string { return strings.Join(list, ",") })
	a.words = commaWords
	return a
}

func boolean(ptr func(*Config) *bool) accessor {
	a := one(ptr, parseBool, strconv.FormatBool)
	a.words = boolWords
	a.value = func(c *Config) any { return *ptr(c) }
	return a
}

// noneIs makes None in a configuration file the word given.
func (a accessor) noneIs(word string) accessor {
	words := a.words
	a.words = func(v any) ([]string, error) {
		if v == nil {
			return []string{word}, nil
		}
		return words(v)
	}
	return a
}

// orNone makes None in a configuration file leave the field as it is, empty.
func (a accessor) orNone() accessor {
	set, words := a.set, a.words
	a.words = func(v any) ([]string, error) {
		if v == nil {
			return []string{}, nil
		}
		return words(v)
	}
	a.set = func(c *Config, texts []string) error {
		if len(texts) == 0 {
			return nil
		}
		return set(c, texts)
	}
	return a
}

// sendfileFromEnv reads the variable as gunicorn does: anything it does not know
// is no.
func sendfileFromEnv(v string) string {
	return strconv.FormatBool(slices.Contains([]string{"y", "1", "yes", "true"}, strings.ToLower(v)))
}

var errNegative = errors.New("must not be negative")

func tooLarge(most int64) error { return fmt.Errorf("must not be more than %d", most) }

// parseCount parses a whole number from 0 to 2^31-1. As in gunicorn's
// validate_pos_int, 0x, 0o and 0b are understood; a leading zero alone means
// nothing.
func parseCount(s string) (int, error) {
	n, err := parseWhole(s, math.MaxInt32)
	return int(n), err
}

// parseWhole is parseCount up to most.
func parseWhole(s string, most int64) (int64, error) {
	t, sign := strings.TrimSpace(s), ""
	if t != "" && (t[0] == '+' || t[0] == '-') {
		sign, t = strings.Trim(t[:1], "+"), t[1:]
	}
	if strings.Trim(t, "0123456789") == "" && len(t) > 1 {
		t = strings.TrimLeft(t[:len(t)-1], "0") + t[len(t)-1:]
	}
	if t == "" || strings.ContainsAny(t, "+-") {
		return 0, &syntaxError{"int"}
	}
	n, err := strconv.ParseInt(sign+t, 0, 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange):
		return 0, &syntaxError{"int"}
	case n < 0:
		return 0, errNegative
	case n > most:
		return 0, tooLarge(most)
	}
	return n, nil
}

// parseSize parses a number of bytes from 0 to 2^50, with k, m or g behind it for
// that many KiB, MiB or GiB.
func parseSize(s string) (int64, error) {
	t, shift := strings.TrimSpace(s), 0
	for i, unit := range []string{"k", "m", "g"} {
		if before, ok := strings.CutSuffix(strings.ToLower(t), unit); ok {
			t, shift = before, 10*(i+1)
			break
		}
	}
	const most = 1 << 50
	n, err := parseWhole(t, most>>shift)
	var bad *syntaxError
	switch {
	case errors.As(err, &bad):
		return 0, &syntaxError{"size: a number of bytes, or one with k, m or g behind it"}
	case err != nil && shift > 0 && !errors.Is(err, errNegative):
		return 0, tooLarge(most)
	}
	return n << shift, err
}

// parsePositive parses a whole number from 1 on.
func parsePositive(s string) (int, error) {
	n, err := parseCount(s)
	if err == nil && n == 0 {
		err = errors.New("must be 1 or more")
	}
	return n, err
}

// parseSeconds parses whole seconds, as gunicorn does, or a decimal fraction of
// at least a millisecond, which gunicorn refuses.
func parseSeconds(s string) (time.Duration, error) {
	t := strings.TrimSpace(s)
	if !strings.Contains(t, ".") {
		n, err := parseCount(t)
		return time.Duration(n) * time.Second, err
	}
	if strings.Trim(strings.TrimPrefix(t, "-"), "0123456789.") != "" {
		return 0, &syntaxError{"number of seconds"}
	}
	f, err := strconv.ParseFloat(t, 64)
	switch {
	case errors.Is(err, strconv.ErrSyntax):
		return 0, &syntaxError{"number of seconds"}
	case f < 0:
		return 0, errNegative
	case f > math.MaxInt32:
		return 0, tooLarge(math.MaxInt32)
	}
	d := time.Duration(f * float64(time.Second)).Round(time.Microsecond)
	if f > 0 && d < time.Millisecond {
		// Rounding down to zero would turn a limit into none.
		return 0, errors.New("must be 0 or at least 0.001")
	}
	return d, nil
}

func formatSeconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64)
}

func parseText(s string) (string, error) { return s, nil }

func parseBool(s string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, &syntaxError{"bool"}
}

// oneOf returns a parser for a choice of words, case ignored.
func oneOf(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		word := strings.ToLower(strings.TrimSpace(s))
		if !slices.Contains(words, word) {
			return "", fmt.Errorf("must be one of %s", strings.Join(words, ", "))
		}
		return word, nil
	}
}

// parsePath takes a path that must be given.
func parsePath(s string) (string, error) {
	if s == "" {
		return "", errors.New("must not be empty")
	}
	return s, nil
}

// parseEnv checks one KEY=VALUE.
func parseEnv(s string) (string, error) {
	if key, _, ok := strings.Cut(s, "="); !ok || key == "" {
		return "", &Error{Reason: "environment setting " + quote(s) + " invalid", complete: true}
	}
	return s, nil
}

// parsePythonPath splits a comma-separated list of directories.
func parsePythonPath(s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	return strings.Split(s, ","), nil
}
