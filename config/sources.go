package config

import "slices"

// Sources is what a process was told apart from a configuration file: arguments
// and environment variables, parsed. Parse makes one. It does not change, so that
// a reload reads another file with the same arguments, as gunicorn does.
type Sources struct {
	// lists are the argument lists, weakest first; the last is the command line.
	lists  []*arguments
	getenv func(string) string
	dir    string
}

// Command is what all sources together ask for.
type Command struct {
	// Action is what to do.
	Action Action
	// Config is the checked configuration, nil for ActionHelp and ActionVersion.
	Config *Config
	// Warnings are lines to log: what is accepted without effect, and what looks
	// like a mistake.
	Warnings []string

	// origins says where the value of each setting comes from.
	origins map[*setting]string
}

// argumentVariables are the environment variables that hold arguments, weakest
// first.
var argumentVariables = [...]string{"GUNICORN_CMD_ARGS", "GOWSGI_CMD_ARGS"}

// Parse parses args, the command line without the program's name, and the
// variables that hold arguments; getenv returns "" for a variable that is not
// set. dir is the absolute start directory. The first positional argument of the
// command line is the application; those of the variables do not count.
//
// Errors are *UsageError and *Error; ExitCode has their exit codes.
func Parse(args []string, getenv func(string) string, dir string) (*Sources, error) {
	s := &Sources{getenv: getenv, dir: dir}
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
		s.lists = append(s.lists, a)
	}
	a, err := parseArguments("", args)
	if err != nil {
		return nil, err
	}
	if len(a.positionals) > 0 {
		a.texts[settingNamed("wsgi_app")] = a.positionals[:1]
	}
	s.lists = append(s.lists, a)
	return s, nil
}

// Action returns what arguments ask for: the first of help and version, else the
// one that does more. A configuration file can ask for a check too, see Load.
func (s *Sources) Action() Action {
	chosen := ActionRun
	for _, list := range slices.Backward(s.lists) {
		for _, a := range list.actions {
			if a == ActionHelp || a == ActionVersion {
				return a
			}
			chosen = max(chosen, a)
		}
	}
	return chosen
}

// given returns the texts arguments give for t, nil if none do, and the variable
// they come from, "" for the command line.
func (s *Sources) given(t *setting) (texts []string, source string) {
	for _, list := range slices.Backward(s.lists) {
		if texts := list.texts[t]; texts != nil {
			return texts, list.source
		}
	}
	return nil, ""
}

// defaultOf returns the texts of the default of t, and the variable it comes
// from, if any.
func (s *Sources) defaultOf(t *setting) (texts []string, source string) {
	if t.env != "" {
		if v := s.getenv(t.env); v != "" {
			if t.fromEnv != nil {
				v = t.fromEnv(v)
			}
			return []string{v}, t.env
		}
	}
	return t.defaults, ""
}

// warnings returns what there is to say about arguments, each line
// once.
func (s *Sources) warnings() []string {
	var lines []string
	for _, list := range s.lists {
		for _, line := range list.warnings {
			if !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	return lines
}
