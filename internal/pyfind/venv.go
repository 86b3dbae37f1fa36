package pyfind

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// venvConfig is the file that makes a directory a virtual environment (PEP 405).
const venvConfig = "pyvenv.cfg"

func isVenv(dir string) bool { return exists(filepath.Join(dir, venvConfig)) }

// venvPython returns the interpreter of the virtual environment dir, which was
// named by origin.
func venvPython(dir, origin string) (string, error) {
	for _, name := range []string{"python", "python3"} {
		if path := filepath.Join(dir, "bin", name); exists(path) {
			return path, nil
		}
	}
	if isVenv(dir) {
		return "", brokenVenv(dir, "it has no bin/python")
	}
	return "", &Error{Kind: ErrNotFound, Path: dir,
		Text: fmt.Sprintf("%s names %s, which has no bin/python and is no virtual environment; make one with: python3 -m venv %s", origin, dir, dir)}
}

// checkVenv refuses a virtual environment that has lost the Python it was made
// with. Without it, CPython would say only that it cannot import "encodings". A
// directory that is no environment passes.
func checkVenv(dir string) error {
	config, err := os.ReadFile(filepath.Join(dir, venvConfig))
	if err != nil {
		return nil
	}
	for _, name := range []string{"python", "python3"} {
		path := filepath.Join(dir, "bin", name)
		if _, err := os.Stat(path); err != nil && exists(path) {
			return brokenVenv(dir, "bin/"+name+" is a link to a file that does not exist")
		}
	}
	if home := venvHome(string(config)); home != "" && !isDir(home) {
		return brokenVenv(dir, "it was made with the Python in "+home+", which does not exist")
	}
	return nil
}

// venvHome returns the value of home in a pyvenv.cfg, or "".
func venvHome(config string) string {
	for line := range strings.Lines(config) {
		key, value, ok := strings.Cut(line, "=")
		if ok && strings.EqualFold(strings.TrimSpace(key), "home") {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func brokenVenv(dir, why string) error {
	return &Error{Kind: ErrBrokenVenv, Path: dir,
		Text: fmt.Sprintf("the virtual environment %s is broken: %s; recreate it with: python3 -m venv --clear %s", dir, why, dir)}
}
