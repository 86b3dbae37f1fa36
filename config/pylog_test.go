package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestPythonLogging(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"log.ini", "log.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	object := Object{Kind: "instance", Repr: "{'handlers': {'x': <class 'X'>}}"}
	for _, tt := range []struct {
		name   string
		args   []string
		values map[string]any
		want   bool
		err    string
	}{
		{name: "default"},
		{name: "simple", args: []string{"--logger-class", "simple"}},
		{name: "the class by its name", args: []string{"--logger-class=gunicorn.glogging.Logger"}},
		{name: "statsd's", values: map[string]any{"logger_class": "gunicorn.instrument.statsd.Statsd"}},
		{name: "another class", args: []string{"--logger-class", "pkg.mod.Logger"}, want: true},
		{name: "a class object", values: map[string]any{"logger_class": Object{Kind: "class", Repr: "__config__.Logger"}}, want: true},
		{name: "a function", values: map[string]any{"logger_class": Object{Kind: "function", Repr: "f"}},
			err: "conf.py: invalid value for logger_class: <f>: must be a string"},
		{name: "no module", args: []string{"--logger-class", "Logger"}, err: "invalid value for logger_class: 'Logger': must be package.module.Class"},
		{name: "an egg", args: []string{"--logger-class", "egg:x#y.z"}, err: "invalid value for logger_class: 'egg:x#y.z': must be package.module.Class"},
		{name: "file", args: []string{"--log-config", "log.ini"}, want: true},
		{name: "JSON file", args: []string{"--log-config-json", filepath.Join(dir, "log.json")}, want: true},
		{name: "no file", args: []string{"--log-config", "nosuch"}, err: "log config 'nosuch' not found"},
		{name: "empty dictionary", values: map[string]any{"logconfig_dict": map[string]any{}}},
		{name: "dictionary", values: map[string]any{"logconfig_dict": map[string]any{"version": json.Number("1")}}, want: true},
		{name: "dictionary of objects", values: map[string]any{"logconfig_dict": object}, want: true},
		{name: "no dictionary", values: map[string]any{"logconfig_dict": nil}, err: "conf.py: invalid value for logconfig_dict: None: must be a dictionary"},
		{name: "another object", values: map[string]any{"logconfig_dict": Object{Kind: "instance", Repr: "<X>"}},
			err: "conf.py: invalid value for logconfig_dict: <<X>>: must be a dictionary"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			src, err := Parse(append(tt.args, "app"), environ(nil), dir)
			var cmd *Command
			if err == nil {
				cmd, err = src.Load(&Values{File: "conf.py", Values: tt.values})
			}
			if tt.err != "" {
				wantError(t, err, 1, tt.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := cmd.Config.PythonLogging(); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if o, ok := cmd.Config.AccessOptions(1); tt.want && (ok || o.Path != "") {
				t.Errorf("Go opens an access log, too: %+v", o)
			}
		})
	}
}
