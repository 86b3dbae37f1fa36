package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Values is what a configuration file assigns, as whoever read it reports it.
type Values struct {
	// File names the file in messages.
	File string `json:"file"`
	// Strict says that every name must be one of a setting. It is false for
	// Python, whose files have variables of their own.
	Strict bool `json:"strict,omitempty"`
	// Values holds, by name, every value that JSON can carry: nil, bool, string,
	// []any, map[string]any, and numbers as json.Number (see ParseValues), or as
	// int64 and float64.
	Values map[string]any `json:"values"`
	// Objects describes, by name, every other value: functions, classes, modules
	// and instances. A hook that the file names by a string, "module.function", is
	// resolved by whoever read the file and stands here too.
	Objects map[string]Object `json:"objects"`
}

// Object stands for a Python value that JSON cannot carry.
type Object struct {
	// Kind is "function" for anything that can be called and is no class,
	// "class", "module", or "instance".
	Kind string `json:"kind"`
	// Repr says in messages what it is: the qualified name of a function or a
	// class, repr() of another.
	Repr string `json:"repr"`
	// Arity is the number of positional parameters of a function, -1 if that is
	// not known (gunicorn: util.get_arity).
	Arity int `json:"arity"`
}

// fileValues is a checked Values.
type fileValues struct {
	file     string
	values   map[*setting]any
	hooks    []string
	action   Action
	warnings []string
}

// newFileValues checks v, nil for no file: every name and the type and text of
// every value, as gunicorn does when it reads a file.
func newFileValues(v *Values) (*fileValues, error) {
	f := &fileValues{values: map[*setting]any{}}
	if v == nil {
		return f, nil
	}
	f.file = v.File
	all := maps.Clone(v.Values)
	if all == nil {
		all = map[string]any{}
	}
	for name, o := range v.Objects {
		all[name] = o
	}
	// In the order of names, so that of two errors it is always the same one.
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := f.add(name, all[name], v.Strict); err != nil {
			return nil, err
		}
	}
	f.warnings = append(f.warnings, misspelled(f.file, all)...)
	return f, nil
}

// add takes one name.
func (f *fileValues) add(name string, v any, strict bool) error {
	if s := settingNamed(name); s != nil {
		return f.addSetting(s, v)
	}
	if h := hookNamed(name); h != nil {
		return f.addHook(h, v)
	}
	if r := refusalNamed(name); r != nil {
		return f.addRefused(r, v)
	}
	if strict {
		reason := "there is no setting " + quote(name)
		if near := nearest(name); near != "" {
			reason += "; did you mean " + near + "?"
		}
		return &Error{Setting: name, Reason: reason, Source: f.file, complete: true}
	}
	return nil
}

func (f *fileValues) addSetting(s *setting, v any) error {
	if s.isAction() {
		if s.action == ActionHelp || s.action == ActionVersion {
			return nil // no settings of gunicorn: any variable may have these names
		}
		on := new(bool)
		texts, err := boolWords(v)
		if err == nil {
			*on, err = parseBool(texts[0])
		}
		if err != nil {
			return f.refuse(s, v, err)
		}
		if *on {
			f.action = max(f.action, s.action)
		}
		return nil
	}
	f.values[s] = v
	return f.set(new(Config), s)
}

func (f *fileValues) addHook(h *hook, v any) error {
	bad := func(reason string) error {
		return &Error{Setting: h.name, shown: pyValue(v), Reason: reason, Source: f.file}
	}
	o, ok := v.(Object)
	if !ok || o.Kind != "function" && o.Kind != "class" {
		return bad("must be a function")
	}
	if o.Kind == "function" && !h.takes(o.Arity) {
		return bad("must have " + h.parameters() + " parameters")
	}
	f.hooks = append(f.hooks, h.name)
	return nil
}

// addRefused refuses or ignores what gowsgi does not have, unless the value asks
// for nothing.
func (f *fileValues) addRefused(r *refusal, v any) error {
	switch {
	case !asks(v), !r.asks(pyStr(v)):
		return nil
	case r.noop:
		f.warnings = append(f.warnings, f.file+": "+r.reason(r.name()))
		return nil
	}
	return &Error{Setting: r.name(), Reason: r.reason(r.name()), Source: f.file, complete: true}
}

// asks reports whether a value is one that Python takes for true.
func asks(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return pyValue(v) != "0"
}

func (f *fileValues) assigned(s *setting) bool {
	_, ok := f.values[s]
	return ok
}

// set puts the value of s into c.
func (f *fileValues) set(c *Config, s *setting) error {
	v := f.values[s]
	texts, err := s.words(v)
	if err == nil {
		err = s.set(c, texts)
	}
	if err != nil {
		return f.refuse(s, v, err)
	}
	return nil
}

// refuse makes the error for the value v of s.
func (f *fileValues) refuse(s *setting, v any, reason error) error {
	var bad *Error
	if errors.As(reason, &bad) {
		bad.Setting, bad.shown, bad.Source = s.name, pyValue(v), f.file
		return bad
	}
	return &Error{Setting: s.name, shown: pyValue(v), Reason: reason.Error(), Source: f.file}
}

// settingNamed returns the row of that name, or nil.
func settingNamed(name string) *setting {
	for i := range table {
		if table[i].name == name {
			return &table[i]
		}
	}
	return nil
}

// refusalNamed returns the refusal of that name, or nil.
func refusalNamed(name string) *refusal {
	for i := range refusals {
		if refusals[i].name() == name {
			return &refusals[i]
		}
	}
	return nil
}

// ParseValues decodes the JSON form of Values, as a process that runs Python
// sends it. NaN and the infinities have no JSON form and are Objects there.
func ParseValues(text []byte) (*Values, error) {
	v := new(Values)
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // an int stays one, of any size
	if err := d.Decode(v); err != nil {
		return nil, fmt.Errorf("decoding a configuration file's values: %w", err)
	}
	return v, nil
}
