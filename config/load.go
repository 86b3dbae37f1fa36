package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// Command is a parsed command line.
type Command struct {
	// Action is what to do.
	Action Action
	// Config is the checked configuration, nil for ActionHelp and ActionVersion.
	Config *Config
	// Warnings are lines to log: what gunicorn would have read here and gowsgi
	// does not.
	Warnings []string
}

// argumentVariables are the environment variables that hold arguments, weakest
// first.
var argumentVariables = [...]string{"GUNICORN_CMD_ARGS", "GOWSGI_CMD_ARGS"}

// Load makes a Config of all sources, weakest first: the defaults, the variables
// that change defaults (PORT makes bind 0.0.0.0:$PORT, WEB_CONCURRENCY is
// workers), GUNICORN_CMD_ARGS, GOWSGI_CMD_ARGS, and args, the command line
// without the program's name. A source replaces the whole value of a weaker one;
// -b and -e add up within one source only. An empty variable is an unset one.
// dir is the absolute start directory. Load reads the file system (chdir must
// exist) but changes nothing, and may be called again for a reload.
//
// Errors are *UsageError and *Error; ExitCode has their exit codes.
func Load(args []string, getenv func(string) string, dir string) (*Command, error) {
	sources, err := readArguments(args, getenv)
	if err != nil {
		return nil, err
	}
	action := chooseAction(sources)
	if action == ActionHelp || action == ActionVersion {
		return &Command{Action: action}, nil
	}
	c := new(Config)
	if err := c.merge(sources, getenv); err != nil {
		return nil, err
	}
	if err := c.complete(dir); err != nil {
		return nil, err
	}
	return &Command{Action: action, Config: c, Warnings: warnings(getenv, dir)}, nil
}

// readArguments parses all lists of arguments, weakest first. The command line,
// the last, is the only one whose positional argument counts.
func readArguments(args []string, getenv func(string) string) ([]*arguments, error) {
	var sources []*arguments
	for _, name := range argumentVariables {
		value := getenv(name)
		words, err := splitWords(value)
		if err != nil {
			return nil, &Error{Setting: name, Value: value, Reason: err.Error()}
		}
		a, err := parseArguments(name, words)
		if err != nil {
			return nil, err
		}
		sources = append(sources, a)
	}
	a, err := parseArguments("", args)
	if err != nil {
		return nil, err
	}
	if len(a.positionals) > 0 {
		a.texts[appSetting()] = a.positionals[:1]
	}
	return append(sources, a), nil
}

// appSetting returns the row of the positional argument.
func appSetting() *setting {
	for i := range table {
		if table[i].flag == "" {
			return &table[i]
		}
	}
	panic("config: no positional argument in the table")
}

// chooseAction returns the action of all sources: the first of help and version,
// else the one that does more.
func chooseAction(sources []*arguments) Action {
	chosen := ActionRun
	for i := len(sources) - 1; i >= 0; i-- {
		for _, a := range sources[i].actions {
			if a == ActionHelp || a == ActionVersion {
				return a
			}
			chosen = max(chosen, a)
		}
	}
	return chosen
}

// merge sets every field from its strongest source.
func (c *Config) merge(sources []*arguments, getenv func(string) string) error {
	for i := range table {
		s := &table[i]
		if s.isAction() {
			continue
		}
		texts, source := s.strongest(sources, getenv)
		if texts == nil {
			continue
		}
		if err := s.set(c, texts); err != nil {
			return s.refuse(source, false, strings.Join(texts, " "), err)
		}
	}
	if c.App.Text == "" {
		return &Error{Setting: appSetting().name, Reason: "No application module specified.", complete: true}
	}
	return nil
}

// strongest returns the texts of s and the variable they come from, if any.
func (s *setting) strongest(sources []*arguments, getenv func(string) string) (texts []string, source string) {
	for i := len(sources) - 1; i >= 0; i-- {
		if texts := sources[i].texts[s]; texts != nil {
			return texts, sources[i].source
		}
	}
	if s.env != "" {
		if v := getenv(s.env); v != "" {
			if s.fromEnv != nil {
				v = s.fromEnv(v)
			}
			return []string{v}, s.env
		}
	}
	return s.defaults, ""
}

// complete derives what depends on several settings or on the start directory.
func (c *Config) complete(dir string) error {
	c.Threads = max(c.Threads, 1)
	if c.Threads > 1 && c.WorkerClass == "sync" {
		c.WorkerClass = "gthread"
	}
	if c.ProcName == "" {
		c.ProcName = c.App.Text
	}
	given := c.Chdir
	c.Chdir = absolute(dir, given)
	if fi, err := os.Stat(c.Chdir); err != nil {
		return &Error{Setting: "chdir", Value: given, Reason: "no such directory"}
	} else if !fi.IsDir() {
		return &Error{Setting: "chdir", Value: given, Reason: "not a directory"}
	} else if !utf8.ValidString(c.Chdir) {
		return &Error{Setting: "chdir", Value: c.Chdir, Reason: errNotUTF8.Error()}
	}
	for i, p := range c.PythonPath {
		c.PythonPath[i] = absolute(c.Chdir, p)
	}
	c.Python = pythonFrom(dir, c.Python)
	return nil
}

// absolute returns path as seen from dir.
func absolute(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// pythonFrom makes --python absolute, as seen from the start directory, if it is
// a path: a single word is one only if a directory has that name, else it is
// looked up on PATH.
func pythonFrom(dir, python string) string {
	if python == "" {
		return ""
	}
	path := absolute(dir, python)
	if strings.Contains(python, "/") {
		return path
	}
	if fi, err := os.Stat(path); err == nil && fi.IsDir() {
		return path
	}
	return python
}

// gunicornConfig is the file gunicorn reads from its start directory.
const gunicornConfig = "gunicorn.conf.py"

// warnings names what gunicorn would have read.
func warnings(getenv func(string) string, dir string) []string {
	var lines []string
	if _, err := os.Stat(filepath.Join(dir, gunicornConfig)); err == nil {
		lines = append(lines, fmt.Sprintf("%s is not read: configuration files are not supported yet", gunicornConfig))
	}
	for i := range refusals {
		if r := &refusals[i]; r.env != "" && getenv(r.env) != "" {
			lines = append(lines, fmt.Sprintf("%s is ignored: %s", r.env, r.reason()))
		}
	}
	return lines
}
