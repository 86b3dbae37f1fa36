package accesslog

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Combined is the combined log format, gunicorn's default (gunicorn:
// access_log_format).
const Combined = `%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"`

// JSON is the format of one JSON object a line, with typed fields.
const JSON = "json"

// Format is a compiled format. It does not change, so all pens share it.
type Format struct {
	atoms []atom
	json  bool
	// keys are the environ keys the format asks for.
	keys []string
	// unknown are the atoms that say nothing.
	unknown []string
}

// Keys returns the environ keys the format asks for, in the order that
// Fields.EnvironKey counts them.
func (f *Format) Keys() []string { return f.keys }

// Unknown returns the atoms that say nothing to this package, as written. As under
// gunicorn each stands for "-".
func (f *Format) Unknown() []string { return f.unknown }

// kind is what an atom stands for: a letter of gunicorn's language, or one of the
// constants.
type kind byte

const (
	literal       kind = iota // the atom's text
	requestField              // text is the name, as in the next
	responseField             //
	environKey                // index says which
	// Of the JSON form, in milliseconds with three decimals but for the time.
	timestamp
	takenMS
	queuedMS
	appMS
	writeMS
	processID
)

const (
	// textAtoms stand for text: gunicorn's, and X, the outcome.
	textAtoms = "hlutrsmUqHbfaLpX"
	// numberAtoms stand for whole numbers: the bytes of content, the whole time in
	// seconds, milliseconds and microseconds; and, which gunicorn does not have,
	// microseconds waiting for a thread, in the application, and waiting for the
	// client to take the response.
	numberAtoms = "BTMDQAW"
	// endAtoms are those an Ending says.
	endAtoms = "tsBbLTMDAWX"
)

// atom is one piece of a format.
type atom struct {
	kind  kind
	index int
	text  string
	// ending: it is known only at the end.
	ending bool
	// width is the least number of characters; left and zero say how it is filled.
	width      int
	left, zero bool
}

// maxWidth bounds the width of an atom, so that no line is all padding.
const maxWidth = 1000

// Parse compiles a format: JSON, or text with %% for a percent sign and atoms.
// These are %(x)s with a letter of gunicorn's language or one of Q (microseconds
// waiting for a thread), A (in the application), W (writing) and X (the outcome);
// %({name}i)s, %({name}o)s and %({name}e)s for a request field, a response field and
// an environ key; d may be written for s where the value is a whole number. A width
// may precede it, with "-" or "0" before that. Anything else gunicorn, too, cannot
// log: it is an error here.
func Parse(format string) (*Format, error) {
	if format == JSON {
		return jsonFormat(), nil
	}
	f := new(Format)
	for rest := format; rest != ""; {
		text, after, found := strings.Cut(rest, "%")
		f.literal(text)
		if !found {
			break
		}
		if strings.HasPrefix(after, "%") {
			f.literal("%")
			rest = after[1:]
			continue
		}
		n, err := f.atom(after)
		if err != nil {
			return nil, err
		}
		rest = after[n:]
	}
	return f, nil
}

func (f *Format) literal(text string) {
	if text != "" {
		f.atoms = append(f.atoms, atom{kind: literal, text: text})
	}
}

// atom adds the atom whose "%" precedes s and returns its length.
func (f *Format) atom(s string) (int, error) {
	if !strings.HasPrefix(s, "(") {
		return 0, fmt.Errorf("%s is no atom: write %%(h)s, or %%%% for a percent sign", quote("%"+firstRune(s)))
	}
	name, conversion, ok := strings.Cut(s[1:], ")")
	if !ok {
		return 0, fmt.Errorf("no ) after %s", quote("%"+s))
	}
	a := f.named(name)
	n, err := a.convert(conversion)
	if err != nil {
		return 0, fmt.Errorf("%s %w", quote("%("+name+")"+firstRune(conversion[n:])), err)
	}
	f.atoms = append(f.atoms, a)
	return len("(") + len(name) + len(")") + n, nil
}

// named returns the atom of a name. One that says nothing becomes a dash.
func (f *Format) named(name string) atom {
	if len(name) == 1 && strings.Contains(textAtoms+numberAtoms, name) {
		return atom{kind: kind(name[0]), ending: strings.Contains(endAtoms, name)}
	}
	key, letter, ok := strings.Cut(strings.TrimPrefix(name, "{"), "}")
	if ok && name[0] == '{' && key != "" {
		switch letter {
		case "i":
			return atom{kind: requestField, text: strings.ToLower(key)}
		case "o":
			return atom{kind: responseField, text: strings.ToLower(key)}
		case "e":
			return atom{kind: environKey, index: f.key(key)}
		}
	}
	f.unknown = append(f.unknown, "%("+name+")s")
	return atom{kind: literal, text: "-"}
}

func (f *Format) key(name string) int {
	i := slices.Index(f.keys, name)
	if i < 0 {
		i = len(f.keys)
		f.keys = append(f.keys, name)
	}
	return i
}

// convert reads the conversion, what follows the name, and returns its length; with
// an error, how far it got.
func (a *atom) convert(s string) (n int, err error) {
	for ; n < len(s) && (s[n] == '-' || s[n] == '0'); n++ {
		a.left = a.left || s[n] == '-'
		a.zero = a.zero || s[n] == '0'
	}
	digits := n
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	if n > digits {
		if a.width, err = strconv.Atoi(s[digits:n]); err != nil || a.width > maxWidth {
			return digits, fmt.Errorf("must not be wider than %d", maxWidth)
		}
	}
	isNumber := a.kind > processID && strings.IndexByte(numberAtoms, byte(a.kind)) >= 0
	// Python fills numbers with zeros, text never, and nothing on the right.
	a.zero = a.zero && !a.left && strings.HasPrefix(s[n:], "d")
	switch {
	case strings.HasPrefix(s[n:], "s"), isNumber && strings.HasPrefix(s[n:], "d"):
		return n + 1, nil
	}
	return n, errConversion
}

var errConversion = errors.New("must end in s")

func quote(s string) string { return "'" + s + "'" }

// firstRune returns the first character of s, or "".
func firstRune(s string) string {
	for i := range s {
		if i > 0 {
			return s[:i]
		}
	}
	return s
}

// jsonFormat returns the JSON form. Its atoms bring their quotes along, or are null.
func jsonFormat() *Format {
	f := &Format{json: true}
	for _, field := range []struct {
		name string
		atom
	}{
		{"time", atom{kind: timestamp, ending: true}},
		{"type", atom{text: `"access"`}},
		{"pid", atom{kind: processID}},
		{"remote_addr", atom{kind: 'h'}},
		{"method", atom{kind: 'm'}},
		{"target", atom{kind: 'r'}},
		{"protocol", atom{kind: 'H'}},
		{"status", atom{kind: 's', ending: true}},
		{"bytes", atom{kind: 'B', ending: true}},
		{"outcome", atom{kind: 'X', ending: true}},
		{"dur_ms", atom{kind: takenMS, ending: true}},
		{"queue_ms", atom{kind: queuedMS}},
		{"app_ms", atom{kind: appMS, ending: true}},
		{"write_ms", atom{kind: writeMS, ending: true}},
		{"user", atom{kind: 'u'}},
		{"referer", atom{kind: 'f'}},
		{"user_agent", atom{kind: 'a'}},
	} {
		separator := ","
		if len(f.atoms) == 0 {
			separator = "{"
		}
		f.literal(separator + `"` + field.name + `":`)
		f.atoms = append(f.atoms, field.atom)
	}
	f.literal("}")
	return f
}
