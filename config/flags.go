package config

import (
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/pflag"
)

// arguments is one parsed list of arguments: the command line or one of the
// *_CMD_ARGS variables.
type arguments struct {
	// source is the variable's name, "" for the command line.
	source string
	// texts holds the values given, by setting.
	texts map[*setting][]string
	// actions holds the actions asked for, in order.
	actions     []Action
	positionals []string
	// warnings are about flags that have no effect.
	warnings []string
}

// option is what a long flag stands for: a setting, or a refusal.
type option struct {
	setting *setting
	refusal *refusal
}

func (o option) takesValue() bool {
	return o.setting != nil && o.setting.takesValue() || o.refusal != nil && o.refusal.meta != ""
}

func (o option) display() string {
	if o.setting != nil {
		return o.setting.display()
	}
	return o.refusal.display()
}

// options holds all flags by their full names, without dashes; shorts by letter.
type options struct {
	long  map[string]option
	short map[string]option
	// abbreviable are the long flags of gunicorn, sorted.
	abbreviable []string
}

func newOptions() *options {
	o := &options{long: map[string]option{}, short: map[string]option{}}
	add := func(opt option, short string, names []string, ours bool) {
		for _, name := range names {
			o.long[name] = opt
			if !ours {
				o.abbreviable = append(o.abbreviable, name)
			}
		}
		if short != "" {
			o.short[short] = opt
		}
	}
	for i := range table {
		s := &table[i]
		add(option{setting: s}, s.short, s.names(), s.ours)
	}
	for i := range refusals {
		r := &refusals[i]
		add(option{refusal: r}, r.short, r.names(), false)
	}
	slices.Sort(o.abbreviable)
	return o
}

// resolve finds the flag that name is, or is the unique prefix of, as argparse
// does. Without one it returns the full names that name could have meant.
func (o *options) resolve(name string) (full string, candidates []string) {
	if _, ok := o.long[name]; ok {
		return name, nil
	}
	if name == "" {
		return "", nil
	}
	for _, l := range o.abbreviable {
		if !strings.HasPrefix(l, name) {
			continue
		}
		if len(candidates) == 0 || o.long[l] != o.long[candidates[0]] {
			candidates = append(candidates, l)
		}
	}
	if len(candidates) == 1 {
		return candidates[0], nil
	}
	return "", candidates
}

// parseArguments parses args with pflag, in argparse's manner. The errors are
// *UsageError and *Error.
func parseArguments(source string, args []string) (*arguments, error) {
	a := &arguments{source: source, texts: map[*setting][]string{}}
	opts := newOptions()
	args = opts.fillBare(args)
	if err := opts.checkValues(args); err != nil {
		return nil, &UsageError{Source: source, Reason: err.Error()}
	}
	fs := a.flagSet(opts)
	if err := fs.Parse(args); err != nil && !a.answered() {
		return nil, opts.translate(source, err)
	}
	a.positionals = fs.Args()
	return a, nil
}

// answered reports whether --help or --version was read: they are obeyed where
// they stand, whatever follows.
func (a *arguments) answered() bool {
	return slices.Contains(a.actions, ActionHelp) || slices.Contains(a.actions, ActionVersion)
}

// flagSet returns a set of all flags that stores what it reads in a.
func (a *arguments) flagSet(opts *options) *pflag.FlagSet {
	fs := pflag.NewFlagSet("gowsgi", pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	for i := range table {
		s := &table[i]
		if s.flag == "" {
			continue
		}
		f := fs.VarPF(&flagValue{args: a, setting: s}, s.flag, s.short, s.doc)
		if !s.takesValue() {
			f.NoOptDefVal = "true"
		}
	}
	for i := range refusals {
		r := &refusals[i]
		if r.flag == "" {
			continue
		}
		f := fs.VarPF(&refusedValue{args: a, refusal: r}, r.flag, r.short, "")
		if r.meta == "" {
			f.NoOptDefVal = "true"
		}
	}
	fs.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		full, _ := opts.resolve(name)
		switch o := opts.long[full]; {
		case o.setting != nil:
			return pflag.NormalizedName(o.setting.flag)
		case o.refusal != nil:
			return pflag.NormalizedName(o.refusal.flag)
		}
		return pflag.NormalizedName(name)
	})
	return fs
}

// translate renders an error of pflag as argparse would.
func (o *options) translate(source string, err error) error {
	var (
		bad      *Error
		usage    *UsageError
		missing  *pflag.ValueRequiredError
		notExist *pflag.NotExistError
		syntax   *pflag.InvalidSyntaxError
	)
	switch {
	case errors.As(err, &bad):
		return bad
	case errors.As(err, &usage):
		return usage
	case errors.As(err, &missing):
		return &UsageError{source, expectedOne(o.long[missing.GetFlag().Name])}
	case errors.As(err, &notExist):
		return &UsageError{source, o.unknown(notExist)}
	case errors.As(err, &syntax):
		return &UsageError{source, unrecognized(syntax.GetSpecifiedFlag())}
	}
	return &UsageError{source, quote(err.Error())}
}

// unknown says why a flag was not found.
func (o *options) unknown(err *pflag.NotExistError) string {
	if group := err.GetSpecifiedShortnames(); group != "" {
		return unrecognized("-" + group)
	}
	name := err.GetSpecifiedName()
	if _, candidates := o.resolve(name); len(candidates) > 1 {
		// What is the prefix of a flag is printable.
		return "ambiguous option: --" + name + " could match --" + strings.Join(candidates, ", --")
	}
	return unrecognized("--" + name)
}

// unrecognized quotes arg only if it would not stay on the line.
func unrecognized(arg string) string {
	if len(arg) > maxQuoted || strings.ContainsFunc(arg, notPrintable) {
		arg = quote(arg)
	}
	return "unrecognized arguments: " + arg
}

func notPrintable(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }

func expectedOne(o option) string {
	return "argument " + o.display() + ": expected one argument"
}

// fillBare gives the flags that stand without the value they may have the one
// that means. What follows such a flag is its value unless it looks like a flag,
// as with argparse: the application must not be the next word.
func (o *options) fillBare(args []string) []string {
	filled := slices.Clone(args)
	for i := 0; i < len(filled) && filled[i] != "--"; i++ {
		opt, ok := o.awaits(filled[i])
		if !ok {
			continue
		}
		i++
		if s := opt.setting; s != nil && s.bare != "" && (i == len(filled) || looksLikeFlag(filled[i])) {
			filled = slices.Insert(filled, i, s.bare)
		}
	}
	return filled
}

// checkValues refuses a flag whose value is missing because another flag stands
// in its place, which pflag would take for the value.
func (o *options) checkValues(args []string) error {
	for i := 0; i < len(args) && args[i] != "--"; i++ {
		opt, ok := o.awaits(args[i])
		if !ok {
			continue
		}
		i++
		if i < len(args) && looksLikeFlag(args[i]) {
			return errors.New(expectedOne(opt))
		}
	}
	return nil
}

// awaits returns the option whose value is the argument after arg, if any.
func (o *options) awaits(arg string) (option, bool) {
	if name, ok := strings.CutPrefix(arg, "--"); ok {
		full, _ := o.resolve(name)
		opt := o.long[full]
		return opt, opt.takesValue()
	}
	if len(arg) < 2 || arg[0] != '-' {
		return option{}, false
	}
	for i := 1; i < len(arg); i++ {
		if opt, ok := o.short[arg[i:i+1]]; !ok || opt.takesValue() {
			return opt, ok && i == len(arg)-1
		}
	}
	return option{}, false
}

// looksLikeFlag decides as argparse does whether an argument is a flag rather
// than a value: "-" and negative numbers are values, and so is what has a space.
func looksLikeFlag(arg string) bool {
	return len(arg) > 1 && arg[0] == '-' && !negativeNumber(arg) && !strings.Contains(arg, " ")
}

// negativeNumber reports whether arg is "-", digits, and perhaps a point with digits
// behind it.
func negativeNumber(arg string) bool {
	whole, fraction, point := strings.Cut(arg[1:], ".")
	return digits(whole) && (point || whole != "") && digits(fraction) && (!point || fraction != "")
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// warn keeps a warning, with the source of the arguments.
func (a *arguments) warn(line string) {
	if a.source != "" {
		line = a.source + ": " + line
	}
	a.warnings = append(a.warnings, line)
}

// flagValue is the pflag.Value of one setting in one list of arguments.
type flagValue struct {
	args    *arguments
	setting *setting
}

// Set checks text and keeps it.
func (v *flagValue) Set(text string) error {
	s := v.setting
	if s.isAction() {
		on, err := parseBool(text)
		if err != nil {
			return s.refuse(v.args.source, true, text, err)
		}
		if on {
			v.args.actions = append(v.args.actions, s.action)
		}
		return nil
	}
	if err := s.set(new(Config), []string{text}); err != nil {
		return s.refuse(v.args.source, true, text, err)
	}
	if s.off {
		on, _ := parseBool(text) // set has taken it
		text = strconv.FormatBool(!on)
	}
	if s.list {
		v.args.texts[s] = append(v.args.texts[s], text)
	} else {
		v.args.texts[s] = []string{text}
	}
	return nil
}

// String is the default shown by pflag's own usage, which is not used.
func (v *flagValue) String() string { return "" }

// Type is the name of the value.
func (v *flagValue) Type() string { return v.setting.meta }

// refusedValue is the pflag.Value of a flag gowsgi does not have.
type refusedValue struct {
	args    *arguments
	refusal *refusal
}

// Set refuses the flag, or notes that it has no effect.
func (v *refusedValue) Set(text string) error {
	r := v.refusal
	switch {
	case !r.asks(text):
		return nil
	case r.noop:
		v.args.warn(r.reason(r.display()))
		return nil
	}
	return &Error{Setting: r.name(), Reason: r.reason(r.display()), Source: v.args.source, complete: true}
}

// String is the default shown by pflag's own usage, which is not used.
func (v *refusedValue) String() string { return "" }

// Type is the name of the value.
func (v *refusedValue) Type() string { return v.refusal.meta }

// refuse makes the error for a text of s that was refused with reason. In
// arguments, a text that is not of the setting's type is a usage error.
func (s *setting) refuse(source string, inArguments bool, text string, reason error) error {
	var (
		bad    *Error
		syntax *syntaxError
	)
	switch {
	case errors.As(reason, &bad):
		bad.Setting, bad.Value, bad.Source = s.name, text, source
		return bad
	case errors.As(reason, &syntax) && inArguments:
		return &UsageError{source, "argument " + s.display() + ": invalid " + syntax.typ + " value: " + quote(text)}
	}
	return &Error{Setting: s.name, Value: text, Reason: reason.Error(), Source: source}
}
