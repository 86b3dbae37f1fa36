package config

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// Load makes the configuration of all sources: the defaults, the variables that
// change defaults (PORT makes bind 0.0.0.0:$PORT, WEB_CONCURRENCY is workers),
// values, GUNICORN_CMD_ARGS, GOWSGI_CMD_ARGS, and the command line. A source
// replaces the whole value of a weaker one; -b and -e add up within one source
// only. An empty variable is an unset one. All of values is checked, also what a
// stronger source replaces; values is nil without a configuration file. Load
// reads the file system (chdir must exist) but changes nothing, and may be called
// again for a reload.
//
// Errors are *UsageError and *Error; ExitCode has their exit codes.
func (s *Sources) Load(values *Values) (*Command, error) {
	cmd := &Command{Action: s.Action(), Warnings: s.warnings()}
	if cmd.Action == ActionHelp || cmd.Action == ActionVersion {
		return cmd, nil
	}
	file, err := newFileValues(values)
	if err != nil {
		return nil, err
	}
	cmd.Warnings = append(cmd.Warnings, file.warnings...)
	cmd.Action = max(cmd.Action, file.action)
	c := new(Config)
	cmd.Config, cmd.origins = c, map[*setting]string{}
	for i := range table {
		if t := &table[i]; !t.isAction() {
			if cmd.origins[t], err = s.apply(c, t, file); err != nil {
				return nil, err
			}
		}
	}
	if c.App.Text == "" {
		return nil, &Error{Setting: "wsgi_app", Reason: "No application module specified.", complete: true}
	}
	c.Hooks = file.hooks
	if err := c.complete(s.dir, cmd.origins); err != nil {
		return nil, err
	}
	cmd.Warnings = append(cmd.Warnings, c.unknownAtoms()...)
	return cmd, nil
}

// apply sets t in c from its strongest source and returns what that is.
func (s *Sources) apply(c *Config, t *setting, file *fileValues) (origin string, err error) {
	texts, source := s.given(t)
	origin = cmp.Or(source, originFlags)
	if texts == nil && file.assigned(t) {
		return file.file, file.set(c, t)
	}
	if texts == nil {
		if texts, source = s.defaultOf(t); texts == nil {
			return originDefault, nil
		}
		origin = cmp.Or(source, originDefault)
	}
	if err := t.set(c, texts); err != nil {
		return "", t.refuse(source, false, strings.Join(texts, " "), err)
	}
	return origin, nil
}

// Where a value comes from, if it is neither a variable nor a file.
const (
	originDefault = "default"
	originFlags   = "command line"
)

// complete derives what depends on several settings or on the start directory.
func (c *Config) complete(dir string, origins map[*setting]string) error {
	c.Threads = max(c.Threads, 1)
	if c.Threads > 1 && c.WorkerClass == "sync" {
		c.WorkerClass = "gthread"
	}
	if len(c.Bind) == 0 {
		// Only a file can say so.
		t := settingNamed("bind")
		return &Error{Setting: t.name, Source: origins[t], Reason: "bind must not be empty", complete: true}
	}
	if c.DefaultProcName == "" {
		c.DefaultProcName = c.App.Text
	}
	if c.ProcName == "" {
		c.ProcName = c.DefaultProcName
	}
	c.StartDir = dir
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
	if err := c.checkLogFiles(); err != nil {
		return err
	}
	if err := c.checkSyslog(origins); err != nil {
		return err
	}
	c.Python = pythonFrom(dir, c.Python)
	return c.completeExtraFiles()
}

// completeExtraFiles makes reload_extra_files absolute and replaces patterns by the
// files they match now.
func (c *Config) completeExtraFiles() error {
	var files []string
	for _, given := range c.ReloadExtraFiles {
		path := absolute(c.Chdir, given)
		if _, err := os.Stat(path); err == nil {
			files = append(files, path)
			continue
		}
		matches, err := filepath.Glob(path)
		if err != nil || len(matches) == 0 {
			return &Error{Setting: "reload_extra_files", Value: given, Reason: "no such file"}
		}
		files = append(files, matches...)
	}
	c.ReloadExtraFiles = files
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
