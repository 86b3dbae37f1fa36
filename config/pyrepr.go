package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// pyRepr renders s as Python's repr does.
func pyRepr(s string) string {
	q := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	var b strings.Builder
	b.WriteRune(q)
	for i, r := range s {
		switch {
		case r == q || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == unicode.ReplacementChar && s[i] != 0xEF:
			// Not UTF-8: the byte as it is.
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteRune(q)
	return b.String()
}

// pyValue renders a value as Python's repr does: nil, bool, numbers, strings,
// lists and dictionaries (their keys sorted), and an Object.
func pyValue(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case string:
		return pyRepr(v)
	case json.Number:
		return v.String()
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case time.Time: // TOML has dates, no setting is one
		return v.Format(time.DateTime)
	case Object:
		return "<" + v.Repr + ">"
	case []string:
		return pyList(v, func(s string) string { return pyRepr(s) })
	case []any:
		return pyList(v, pyValue)
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for i, k := range keys {
			keys[i] = pyRepr(k) + ": " + pyValue(v[k])
		}
		return "{" + strings.Join(keys, ", ") + "}"
	}
	return fmt.Sprint(v)
}

func pyList[T any](list []T, repr func(T) string) string {
	reprs := make([]string, len(list))
	for i, v := range list {
		reprs[i] = repr(v)
	}
	return "[" + strings.Join(reprs, ", ") + "]"
}

// pyStr renders a value as Python's str does, as --print-config shows it.
func pyStr(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return pyValue(v)
}
