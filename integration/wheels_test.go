//go:build wheels

package integration

import (
	"archive/zip"
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// The tests in this file try what make wheels has put into dist/: make wheel-test.
// pip gets the applications' packages from its index.

// dist is where the built files are.
func dist(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("GOWSGI_TEST_DIST")
	if dir == "" {
		t.Fatal("GOWSGI_TEST_DIST does not say where the wheels are")
	}
	return dir
}

func distFiles(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dist(t), pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no %s in %s, %v", pattern, dist(t), err)
	}
	return files
}

var (
	wheelTag = regexp.MustCompile(`-py3-none-manylinux_(\d+)_(\d+)_(\w+)\.manylinux`)
	// policy lists what manylinux wheels may need of the system (PEP 599).
	policy = []string{"libc.so.6", "libdl.so.2", "libpthread.so.0", "libresolv.so.2", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
)

// TestWheelsKeepTheirPromise: every program and library in a wheel is for the
// processor of its tag, and needs no newer glibc.
func TestWheelsKeepTheirPromise(t *testing.T) {
	machines := map[string]elf.Machine{"x86_64": elf.EM_X86_64, "aarch64": elf.EM_AARCH64}
	for _, path := range distFiles(t, "*manylinux*.whl") {
		m := wheelTag.FindStringSubmatch(filepath.Base(path))
		if m == nil {
			t.Errorf("%s has no tag that is known", path)
			continue
		}
		z, err := zip.OpenReader(path)
		if err != nil {
			t.Fatal(err)
		}
		checked := 0
		for _, f := range z.File {
			if !strings.Contains(f.Name, ".data/") {
				continue
			}
			checked++
			checkELF(t, f, machines[m[3]], [2]int{atoi(t, m[1]), atoi(t, m[2])})
		}
		if checked != 2 {
			t.Errorf("%s has %d programs and libraries, want 2", path, checked)
		}
		z.Close()
	}
}

func checkELF(t *testing.T, f *zip.File, machine elf.Machine, glibc [2]int) {
	t.Helper()
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	e, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Errorf("%s: %v", f.Name, err)
		return
	}
	if e.Machine != machine {
		t.Errorf("%s is for %v, want %v", f.Name, e.Machine, machine)
	}
	needed, err := e.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range needed {
		if !slices.Contains(policy, name) {
			t.Errorf("%s needs %s", f.Name, name)
		}
	}
	symbols, err := e.ImportedSymbols()
	if err != nil || len(symbols) == 0 {
		t.Fatalf("%s: %d symbols, %v", f.Name, len(symbols), err)
	}
	for _, s := range symbols {
		var v [2]int
		if n, _ := fmt.Sscanf(s.Version, "GLIBC_%d.%d", &v[0], &v[1]); n == 2 && slices.Compare(v[:], glibc[:]) > 0 {
			t.Errorf("%s needs %s of %s", f.Name, s.Name, s.Version)
		}
	}
}

// TestWheelsServe installs the wheel with every CPython of this machine into a fresh
// environment, and serves the Flask and the Django example in every mode. It prints
// the rows of the table in docs/install.md as they come.
func TestWheelsServe(t *testing.T) {
	fmt.Print("| interpreter | mode | Flask | Django |\n|---|---|---|---|\n")
	for _, python := range gowsgitest.Pythons() {
		modes := python.Modes()
		if len(modes) == 0 {
			continue
		}
		t.Run(python.Name(), func(t *testing.T) {
			e := newEnvironment(t, python.Path)
			e.pip(t, "install", "--quiet", "--no-index", "--find-links", dist(t), "gowsgi")
			e.pip(t, "install", "--quiet", "--only-binary=:all:", "-r", filepath.Join(gowsgitest.Examples(), "requirements.txt"))
			for _, mode := range modes {
				row := []string{python.String(), mode}
				for _, spec := range []string{"flask_app:flask_app", "django_app.wsgi:application"} {
					result := "failed"
					t.Run(mode+"/"+spec, func(t *testing.T) {
						memory := serveMode(t, e, mode, spec)
						if !t.Failed() {
							result = memory
						}
					})
					row = append(row, result)
				}
				fmt.Printf("| %s |\n", strings.Join(row, " | "))
			}
		})
	}
}

// serveMode serves an example in one mode, reloads and stops it, and returns what a
// worker needed in memory.
func serveMode(t *testing.T, e fresh, mode, spec string) (memory string) {
	t.Helper()
	env := []string{"DJANGO_DB=" + djangoDB(t)}
	s := gowsgitest.Start(t, gowsgitest.Config{
		Program: e.bin("gowsgi"), Dir: gowsgitest.Examples(), NoVenv: true, Env: env,
		Args: []string{"-w", "2", "--python-mode", mode, "--log-level", "debug", spec},
	})
	if s.Log.Count(`is `+mode+`: python_mode is `+mode) != 1 {
		t.Errorf("the log does not say that the mode is %s", mode)
	}
	memory = exampleMemory(t, s)
	reloadAndStop(t, s)
	return memory
}

// exampleMemory makes both workers serve, and returns the memory of one.
func exampleMemory(t *testing.T, s *gowsgitest.Server) string {
	t.Helper()
	pids := s.WaitBooted(2)
	for range 20 {
		s.GetOK("/")
	}
	text := read(t, fmt.Sprintf("/proc/%d/smaps_rollup", pids[0]))
	mib := func(field string) string {
		m := regexp.MustCompile(`(?m)^` + field + `:\s+(\d+) kB`).FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("no %s in %q", field, text)
		}
		kib, _ := strconv.Atoi(m[1])
		return strconv.Itoa(kib / 1024)
	}
	return "works; " + mib("Rss") + ", " + mib("Pss") + " MiB"
}

// TestWheelsSdist: where Go is, pip builds the sdist, and the result knows its commit.
func TestWheelsSdist(t *testing.T) {
	e := newEnvironment(t, gowsgitest.VenvPython(t))
	e.pip(t, "install", "--quiet", distFiles(t, "*.tar.gz")[0])
	e.borrow(t)
	if out := command(t, "/", nil, e.bin("gowsgi"), "--version"); !regexp.MustCompile(`\ncommit [0-9a-f]{12}`).MatchString(out) {
		t.Errorf("got %q, want it to name a commit", out)
	}
	serveReloadStop(t, e, "flask_app:flask_app")
}
