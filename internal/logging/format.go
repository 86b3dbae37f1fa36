package logging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rs/zerolog"
)

// appendJSON appends the event p with time, level and pid in front of its
// fields. zerolog has escaped the fields already: JSON allows no raw control
// character, and it replaces invalid UTF-8.
func (w *writer) appendJSON(dst []byte, level zerolog.Level, p []byte) []byte {
	dst = append(dst, `{"time":"`...)
	dst = w.now().AppendFormat(dst, "2006-01-02T15:04:05.000Z07:00")
	dst = append(dst, `","level":"`...)
	dst = append(dst, levelName(level)...)
	dst = append(dst, `","pid":`...)
	dst = append(dst, w.pid...)
	rest := bytes.TrimPrefix(p, []byte(`{"level":"`+level.String()+`"`))
	rest = bytes.TrimPrefix(rest, []byte("{"))
	if len(rest) > 0 && rest[0] != ',' && rest[0] != '}' {
		dst = append(dst, ',')
	}
	return append(dst, rest...)
}

// appendText appends the event p as gunicorn's line.
func (w *writer) appendText(dst []byte, level zerolog.Level, p []byte) []byte {
	dst = append(dst, '[')
	dst = w.now().AppendFormat(dst, "2006-01-02 15:04:05 -0700")
	dst = append(dst, "] ["...)
	dst = append(dst, w.pid...)
	dst = append(dst, "] ["...)
	dst = append(dst, strings.ToUpper(levelName(level))...)
	dst = append(dst, "] "...)
	ev := decode(p)
	return append(ev.append(dst), '\n')
}

// event is what the text form shows of an event.
type event struct {
	Message   string          `json:"message"`
	Error     json.RawMessage `json:"error"`
	Traceback string          `json:"traceback"`
}

func decode(p []byte) (ev event) {
	if err := json.Unmarshal(p, &ev); err != nil {
		// A caller that gave "message" or "traceback" another type: show it raw
		// rather than lose it.
		ev.Message = string(bytes.TrimSpace(p))
	}
	return ev
}

// append appends the event's text, without the last line's end.
func (ev *event) append(dst []byte) []byte {
	dst = appendEscaped(dst, ev.Message, false)
	if reason := errorText(ev.Error); reason != "" {
		if ev.Message != "" {
			dst = append(dst, ": "...)
		}
		dst = appendEscaped(dst, reason, false)
	}
	if tb := strings.TrimRight(ev.Traceback, "\n"); tb != "" {
		for line := range strings.SplitSeq(tb, "\n") {
			dst = append(dst, '\n')
			if strings.HasPrefix(line, "[") {
				dst = append(dst, ' ')
			}
			dst = appendEscaped(dst, line, true)
		}
	}
	return dst
}

// errorText returns the text of an error field: a string as zerolog writes
// errors, or whatever else a caller put there.
func errorText(raw json.RawMessage) string {
	var s string
	if err := json.Unmarshal(raw, &s); err == nil {
		return s
	}
	return string(raw)
}

// appendEscaped appends s with everything escaped that could end a line, move
// a terminal's cursor or hide text: control characters (with keepTab all but
// the tab), the Unicode line separators, and bytes that are not UTF-8.
func appendEscaped(dst []byte, s string, keepTab bool) []byte {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = fmt.Appendf(dst, `\x%02x`, s[i])
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t' && !keepTab:
			dst = append(dst, `\t`...)
		case r == '\t':
			dst = append(dst, '\t')
		case unicode.IsControl(r) && r < utf8.RuneSelf:
			dst = fmt.Appendf(dst, `\x%02x`, r)
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = append(dst, s[i:i+size]...)
		}
		i += size
	}
	return dst
}
