package config

import (
	"errors"
	"fmt"

	"github.com/BurntSushi/toml"
)

// parseTOML reads a TOML document whose top-level keys are settings, by their
// names in a Python file. name names it in errors, which have the line.
func parseTOML(name string, text []byte) (*Values, error) {
	v := &Values{File: name, Strict: true}
	if err := toml.Unmarshal(text, &v.Values); err != nil {
		reason := err.Error()
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			reason = fmt.Sprintf("line %d: %s", syntax.Position.Line, syntax.Message)
		}
		return nil, &Error{Setting: "config", Value: name, Reason: reason, Source: name, complete: true}
	}
	return v, nil
}
