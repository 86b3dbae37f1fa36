package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// FileKind is the language of a configuration file.
type FileKind int

// Kinds of configuration files.
const (
	// FileNone is no file at all.
	FileNone FileKind = iota
	// FilePython is a file to execute as Python.
	FilePython
	// FileModule is a Python module to import.
	FileModule
	// FileTOML is data, which File.Read reads.
	FileTOML
)

// String returns the kind's name.
func (k FileKind) String() string { return [...]string{"none", "python", "module", "toml"}[k] }

// File is the configuration file to be read.
type File struct {
	Kind FileKind
	// Text names the file in messages: what -c says, or the file's name.
	Text string
	// Path is the absolute path of a file that existed, "" for a module.
	Path string
	// Module is the dotted name of a module.
	Module string

	// Python, PythonMode and Chdir are what arguments say of those settings, for who
	// has to find an interpreter to run the file: as Config.Python, the word, and an
	// absolute path. The file itself may say something else, which comes too late.
	Python     string
	PythonMode string
	Chdir      string
}

// Files that are read without -c, from the start directory.
const (
	gunicornFile = "gunicorn.conf.py"
	tomlFile     = "gowsgi.toml"
)

// File returns the one configuration file to read: what -c names (PATH,
// file:PATH or python:MODULE, as in gunicorn; a PATH that ends in .toml is TOML),
// else gunicorn.conf.py or gowsgi.toml in the start directory. It is an *Error if
// the file that is named does not exist, or if both of those do: nobody could say
// which of them was meant. -c /dev/null reads none.
func (s *Sources) File() (*File, error) {
	f := &File{Chdir: s.dir}
	if texts, _ := s.given(settingNamed("chdir")); texts != nil {
		f.Chdir = absolute(s.dir, texts[0])
	}
	if texts, _ := s.given(settingNamed("python")); texts != nil {
		f.Python = pythonFrom(s.dir, texts[0])
	}
	mode := settingNamed("python_mode")
	texts, _ := s.given(mode)
	if texts == nil {
		texts, _ = s.defaultOf(mode)
	}
	f.PythonMode = texts[0] // Load refuses what is no mode
	// An empty -c is none, as in gunicorn, and so lets a weaker one count.
	for i := len(s.lists) - 1; i >= 0; i-- {
		list := s.lists[i]
		if texts := list.texts[settingNamed("config")]; texts != nil && texts[0] != "" {
			return f, f.name(s.dir, texts[0], list.source)
		}
	}
	return f, f.search(s.dir)
}

// name fills f in for what -c says.
func (f *File) name(dir, text, source string) error {
	f.Text = text
	if module, ok := strings.CutPrefix(text, "python:"); ok {
		f.Kind, f.Module = FileModule, module
		return nil
	}
	text = strings.TrimPrefix(text, "file:")
	f.Path = absolute(dir, text)
	if f.Path == os.DevNull {
		return nil
	}
	if _, err := os.Stat(f.Path); err != nil || text == "" {
		return &Error{Setting: "config", Value: f.Text, Reason: quote(text) + " doesn't exist", Source: source, complete: true}
	}
	f.Kind = FilePython
	if strings.EqualFold(filepath.Ext(text), ".toml") {
		f.Kind = FileTOML
	}
	return nil
}

// search fills f in for a start without -c.
func (f *File) search(dir string) error {
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	python, toml := exists(gunicornFile), exists(tomlFile)
	switch {
	case python && toml:
		return &Error{Setting: "config", complete: true,
			Reason: "there is a " + gunicornFile + " and a " + tomlFile + ": say by -c which to read"}
	case python:
		f.Kind, f.Text = FilePython, gunicornFile
	case toml:
		f.Kind, f.Text = FileTOML, tomlFile
	default:
		return nil
	}
	f.Path = filepath.Join(dir, f.Text)
	return nil
}

// Read reads a TOML file. Other kinds are Python's to read.
func (f *File) Read() (*Values, error) {
	text, err := os.ReadFile(f.Path)
	if err != nil {
		return nil, &Error{Setting: "config", Value: f.Text, Reason: readReason(err), Source: f.Text, complete: true}
	}
	return parseTOML(f.Text, text)
}

// readReason is the error without the path, which is named before it.
func readReason(err error) string {
	if pe, ok := err.(*fs.PathError); ok {
		err = pe.Err
	}
	return err.Error()
}
