package config

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// How values of a configuration file become texts, for one type of setting each.
// A value is nil, a bool, an int64, a float64, a json.Number, a string, a []any,
// a map[string]any or an Object. What gunicorn's validators refuse is refused,
// with a *typeError.

// typeError is a value of a configuration file that has the wrong type.
type typeError struct {
	// want is the type the setting has, "an int".
	want string
}

func (e *typeError) Error() string { return "must be " + e.want }

// textWords takes a string, or nil for none (gunicorn: validate_string).
func textWords(v any) ([]string, error) {
	switch v := v.(type) {
	case nil:
		return []string{""}, nil
	case string:
		return []string{v}, nil
	}
	return nil, &typeError{"a string"}
}

// commaWords takes what textWords takes, or a list of strings.
func commaWords(v any) ([]string, error) {
	if _, ok := v.([]any); !ok {
		return textWords(v)
	}
	texts, err := listWords(v)
	if err != nil {
		return nil, &typeError{"a string of words separated by commas"}
	}
	return []string{strings.Join(texts, ",")}, nil
}

// intWords takes a whole number, a bool, or a text of one (gunicorn:
// validate_pos_int).
func intWords(v any) ([]string, error) {
	switch v := v.(type) {
	case bool:
		if v {
			return []string{"1"}, nil
		}
		return []string{"0"}, nil
	case string:
		return []string{v}, nil
	case int64:
		return []string{strconv.FormatInt(v, 10)}, nil
	case json.Number:
		if !strings.ContainsAny(v.String(), ".eE") {
			return []string{v.String()}, nil
		}
	}
	return nil, &typeError{"an int"}
}

// numberWords takes what intWords takes, or a number with a fraction.
func numberWords(v any) ([]string, error) {
	if n, ok := v.(json.Number); ok {
		if f, err := n.Float64(); err == nil {
			v = f
		}
	}
	if f, ok := v.(float64); ok && !math.IsNaN(f) && !math.IsInf(f, 0) {
		return []string{strconv.FormatFloat(f, 'f', -1, 64)}, nil
	}
	texts, err := intWords(v)
	if err != nil {
		return nil, &typeError{"a number"}
	}
	return texts, nil
}

// boolWords takes a bool, nil for False, or "true" or "false" (gunicorn:
// validate_bool).
func boolWords(v any) ([]string, error) {
	switch v := v.(type) {
	case nil:
		return []string{"false"}, nil
	case bool:
		return []string{strconv.FormatBool(v)}, nil
	case string:
		return []string{v}, nil
	}
	return nil, &typeError{"a bool"}
}

// listWords takes a list of strings, a string for a list of one, or nil or an
// empty string for none (gunicorn: validate_list_string).
func listWords(v any) ([]string, error) {
	switch v := v.(type) {
	case nil:
		return []string{}, nil
	case string:
		if v == "" {
			return []string{}, nil
		}
		return []string{v}, nil
	case []any:
		texts := make([]string, len(v))
		for i := range v {
			s, ok := v[i].(string)
			if !ok {
				return nil, &typeError{"a list of strings"}
			}
			texts[i] = s
		}
		return texts, nil
	}
	return nil, &typeError{"a list of strings"}
}

// dictWords takes a dictionary of strings, as NAME=VALUE each (gunicorn:
// validate_dict).
func dictWords(v any) ([]string, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, &typeError{"a dictionary of strings"}
	}
	texts := []string{}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		value, ok := m[name].(string)
		if !ok {
			return nil, &typeError{"a dictionary of strings"}
		}
		texts = append(texts, name+"="+value)
	}
	return texts, nil
}
