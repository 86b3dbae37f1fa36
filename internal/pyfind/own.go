package pyfind

import (
	"os"
	"path/filepath"
)

// wheelData is what the wheel installs below the prefix of an installation. The
// binary is then prefix/bin/gowsgi.
const wheelData = "lib/gowsgi"

// ownProgram returns the path of the running binary, with its links resolved: one
// in ~/.local/bin may lead to the environment it belongs to. A file that was
// replaced since keeps its path.
func ownProgram() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	return path
}

// ownPrefix returns the directory whose bin directory the binary is in, or "".
func (f *finder) ownPrefix() string {
	bin, _ := filepath.Split(f.program)
	if bin = filepath.Clean(bin); filepath.Base(bin) != "bin" || !filepath.IsAbs(bin) {
		return ""
	}
	return filepath.Dir(bin)
}

// ownEnvironment returns the environment the binary is installed in, of venv or of
// conda, or "".
func (f *finder) ownEnvironment() string {
	prefix := f.ownPrefix()
	if prefix != "" && (isVenv(prefix) || isDir(filepath.Join(prefix, "conda-meta"))) {
		return prefix
	}
	return ""
}

// pythonOfWheel returns the interpreter of the installation that a wheel was
// installed into, or "". Its bin directory need not be on PATH: a service manager's
// is short. A binary that was only copied beside an interpreter has nothing to do
// with it.
func (f *finder) pythonOfWheel() string {
	prefix := f.ownPrefix()
	if prefix == "" || !isDir(filepath.Join(prefix, wheelData)) {
		return ""
	}
	for _, name := range []string{"python3", "python"} {
		if path := filepath.Join(prefix, "bin", name); exists(path) {
			return path
		}
	}
	return ""
}
