package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// defaultLogger is gunicorn's name of its own logger class.
const defaultLogger = "gunicorn.glogging.Logger"

// PythonLogging reports whether all processes log through Python's logging instead of
// writing their lines themselves.
func (c *Config) PythonLogging() bool {
	return c.LogConfig != "" || c.LogConfigJSON != "" || len(c.LogConfigDict) > 0 ||
		c.LoggerClass != "" && c.LoggerClass != defaultLogger
}

// parseLoggerClass takes the dotted name of a class. gunicorn's other names for
// its own class, and its class for statsd, which is there anyway, are the default.
func parseLoggerClass(s string) (string, error) {
	if slices.Contains([]string{"", "simple", "gunicorn.instrument.statsd.Statsd"}, s) {
		return defaultLogger, nil
	}
	module, name, ok := strings.Cut(s, ".")
	if strings.Contains(s, ":") || !ok || module == "" || name == "" {
		return "", errors.New("must be package.module.Class")
	}
	return s, nil
}

// orClass returns the accessor of a dotted name that a Python file may give as the
// class itself.
func (a accessor) orClass() accessor {
	words := a.words
	a.words = func(v any) ([]string, error) {
		if o, ok := v.(Object); ok && o.Kind == "class" {
			return []string{o.Repr}, nil
		}
		return words(v)
	}
	return a
}

// object is the accessor of a dictionary of anything. One that JSON cannot carry
// is kept by Python; its description stands for it.
func object(ptr func(*Config) *map[string]any) accessor {
	return accessor{
		ptr: func(c *Config) any { return ptr(c) },
		set: func(c *Config, texts []string) error {
			return json.Unmarshal([]byte(texts[0]), ptr(c))
		},
		words: func(v any) ([]string, error) {
			if o, ok := v.(Object); ok && o.Kind == "instance" && strings.HasPrefix(o.Repr, "{") {
				v = map[string]any{"object": o.Repr}
			}
			m, ok := v.(map[string]any)
			if !ok {
				return nil, &typeError{"a dictionary"}
			}
			text, err := json.Marshal(m)
			return []string{string(text)}, err
		},
		value: func(c *Config) any {
			if *ptr(c) == nil {
				return map[string]any{}
			}
			return *ptr(c)
		},
	}
}

// checkLogFiles refuses files for Python's logging that are not there. gunicorn
// ignores a missing logconfig_json.
func (c *Config) checkLogFiles() error {
	for _, f := range []struct{ setting, path string }{{"logconfig", c.LogConfig}, {"logconfig_json", c.LogConfigJSON}} {
		if f.path == "" {
			continue
		}
		if _, err := os.Stat(absolute(c.Chdir, f.path)); err != nil {
			return &Error{Setting: f.setting, Reason: fmt.Sprintf("log config %s not found", quote(f.path)), complete: true}
		}
	}
	return nil
}
