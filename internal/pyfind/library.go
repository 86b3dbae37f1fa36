package pyfind

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// systemDirs are the directories dynamic loaders search by default; those of a
// multiarch tuple are added to them.
func systemDirs() []string {
	return []string{"/usr/lib", "/lib", "/usr/lib64", "/lib64", "/usr/local/lib"}
}

// library returns the absolute path of the interpreter's shared libpython. What
// sysconfig says is only where to look: Debian's interpreter says there is a
// library although it is a package of its own, conda's that there is none
// although one lies beside it, and a copied installation names the directory it
// was built for.
func (f *finder) library(v *facts) (string, error) {
	names := libraryNames(v)
	own := withMultiarch(v.Multiarch, v.LibDir, filepath.Join(v.BasePrefix, "lib"), filepath.Join(v.BasePrefix, "lib64"))
	if path := firstFile(own, names, nil); path != "" {
		return path, nil
	}
	// A library elsewhere may be that of another installation of the same minor
	// version: only the very same version will do.
	system := append(filepath.SplitList(f.getenv("LD_LIBRARY_PATH")), withMultiarch(v.Multiarch, f.system...)...)
	same := func(path string) bool { return holdsVersion(path, v.Version) }
	if path := firstFile(system, names, same); path != "" {
		return path, nil
	}
	return "", &Error{Kind: ErrNoLibrary, Path: v.Executable,
		Text: fmt.Sprintf("%s (Python %s) has no shared libpython (%s): %s",
			v.Executable, v.Version, names[0], f.libraryHint(v))}
}

// libraryNames lists the file names the library may have, best first. The name
// with the full version comes first: the plain .so is a link that only
// development packages bring.
func libraryNames(v *facts) []string {
	stem := fmt.Sprintf("libpython%d.%d%s", v.VersionInfo[0], v.VersionInfo[1], v.ABIFlags)
	var names []string
	for _, name := range []string{v.InstSOName, v.LDLibrary, stem + ".so.1.0", stem + ".so"} {
		name = filepath.Base(name)
		if strings.Contains(name, ".so") && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// withMultiarch returns dirs, each with its multiarch directory behind it.
func withMultiarch(tuple string, dirs ...string) []string {
	var all []string
	for _, dir := range dirs {
		all = append(all, dir)
		if tuple != "" {
			all = append(all, filepath.Join(dir, tuple))
		}
	}
	return all
}

// firstFile returns the first file in dirs with one of names that ok accepts;
// nil accepts all. Directories that are not absolute are passed over.
func firstFile(dirs, names []string, ok func(string) bool) string {
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) {
			continue
		}
		for _, name := range names {
			path := filepath.Join(dir, name)
			if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() && (ok == nil || ok(path)) {
				return path
			}
		}
	}
	return ""
}

// holdsVersion reports whether the library at path was built as version: the
// macro PY_VERSION is a C string in it.
func holdsVersion(path, version string) bool {
	data, err := os.ReadFile(path)
	return err == nil && bytes.Contains(data, []byte("\x00"+version+"\x00"))
}

// libraryHint says how to get the library of the interpreter v describes.
func (f *finder) libraryHint(v *facts) string {
	minor := fmt.Sprintf("%d.%d", v.VersionInfo[0], v.VersionInfo[1])
	if v.BasePrefix == "/usr" {
		return fmt.Sprintf("install it (Debian, Ubuntu: apt-get install libpython%s) or pass another interpreter with --python", minor)
	}
	if name := f.pyenvName(v.BasePrefix); name != "" {
		return fmt.Sprintf("rebuild it with: PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install --force %s", name)
	}
	if isDir(filepath.Join(v.BasePrefix, "conda-meta")) {
		return fmt.Sprintf("reinstall it with: conda install --force-reinstall python=%s, or pass another interpreter with --python", minor)
	}
	return "build Python with ./configure --enable-shared, or pass another interpreter with --python"
}

// pyenvName returns the name pyenv knows the installation by, "" if it is none
// of pyenv's.
func (f *finder) pyenvName(prefix string) string {
	dir, name := filepath.Split(filepath.Clean(prefix))
	dir = filepath.Clean(dir)
	if root := f.getenv("PYENV_ROOT"); root != "" && dir == filepath.Join(root, "versions") {
		return name
	}
	if strings.HasSuffix(dir, "/.pyenv/versions") {
		return name
	}
	return ""
}
