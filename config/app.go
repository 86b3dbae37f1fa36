package config

import (
	"errors"
	"strings"
)

// defaultAttr is the variable of an application argument that names none
// (gunicorn: import_app).
const defaultAttr = "application"

// parseApp parses an application argument, MODULE[:VARIABLE] or
// MODULE:FACTORY(...). What follows the first colon is kept as it is, for the
// worker to parse as Python does; whether the module exists is not looked at.
func parseApp(s string) (AppSpec, error) {
	module, attr, ok := strings.Cut(s, ":")
	if !ok {
		attr = defaultAttr
	}
	switch {
	case strings.TrimSpace(module) == "":
		return AppSpec{}, errors.New("no module name: want MODULE[:VARIABLE]")
	case strings.TrimSpace(attr) == "":
		return AppSpec{}, errors.New("no variable name after the colon: want MODULE[:VARIABLE]")
	}
	return AppSpec{Text: s, Module: module, Attr: attr}, nil
}

func formatApp(a AppSpec) string { return a.Text }
