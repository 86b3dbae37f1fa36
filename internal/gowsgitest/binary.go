package gowsgitest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// Root returns the directory of the module, from where this file was compiled.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Examples returns the directory of the example applications.
func Examples() string { return filepath.Join(Root(), "examples") }

var build = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("GOWSGI_TEST_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	dir, err := os.MkdirTemp("", "gowsgitest-")
	if err != nil {
		return "", fmt.Errorf("building gowsgi: %w", err)
	}
	path := filepath.Join(dir, "gowsgi")
	for _, args := range [][]string{
		{"-o", path, "./cmd/gowsgi"},
		{"-buildmode=c-shared", "-o", filepath.Join(dir, "libgowsgi.so"), "./cmd/libgowsgi"},
	} {
		cmd := exec.Command("go", append([]string{"build"}, args...)...)
		cmd.Dir = Root()
		if out, err := cmd.CombinedOutput(); err != nil {
			os.RemoveAll(dir)
			return "", fmt.Errorf("building gowsgi: %w\n%s", err, out)
		}
	}
	return path, nil
})

// Hosted reports whether every server is to be started in the hosted mode that does
// not say otherwise (make integration MODE=hosted).
func Hosted() bool { return os.Getenv("GOWSGI_TEST_MODE") == "hosted" }

// Binary returns the path of the gowsgi under test, beside which its library is. The
// first call builds both; the others wait for that. Main removes them.
func Binary(tb testing.TB) string {
	tb.Helper()
	path, err := build()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// Main is for TestMain of packages that call Binary: it runs the tests and
// removes what Binary built.
func Main(m *testing.M) int {
	code := m.Run()
	if os.Getenv("GOWSGI_TEST_BINARY") == "" {
		if path, err := build(); err == nil {
			os.RemoveAll(filepath.Dir(path))
		}
	}
	return code
}
