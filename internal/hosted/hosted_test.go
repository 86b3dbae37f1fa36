package hosted

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gowsgi/internal/version"
)

// build makes a small program with text in it.
func build(t *testing.T, text string) []byte {
	t.Helper()
	dir := t.TempDir()
	program := "package main\n\nfunc main() { println(`" + text + "`) }\n"
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", "out", "main.go")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestOpen(t *testing.T) {
	t.Parallel()
	// The binary of a test has no commit, and neither have these.
	same := build(t, version.LibraryStamp)
	other := build(t, version.StampBegin+"0.0.9"+version.StampEnd)
	for _, tt := range []struct {
		name  string
		files map[string][]byte
		want  string // of the files, or of the error
		kind  error
	}{
		{"beside", map[string][]byte{"bin": same, "lib": other}, "bin", nil},
		{"of a wheel", map[string][]byte{"lib/gowsgi": same, "lib": other}, "lib/gowsgi", nil},
		{"lib", map[string][]byte{"lib": same}, "lib", nil},
		{"none", nil, "make build", ErrMissing},
		{"another version", map[string][]byte{"bin": other, "lib": same}, "is of gowsgi 0.0.9, this is gowsgi " + version.Number, ErrMismatch},
		{"another program", map[string][]byte{"bin": build(t, "hello")}, "it has no version", ErrMismatch},
		{"no program", map[string][]byte{"bin": []byte("text")}, "is no library of gowsgi", ErrMismatch},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			for dir, data := range tt.files {
				if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(root, dir, Name), data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			f, err := Open(filepath.Join(root, "bin", "gowsgi"))
			if tt.kind != nil {
				if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("got %v, want %v with %q", err, tt.kind, tt.want)
				}
				if tt.kind == ErrMismatch && !strings.Contains(err.Error(), filepath.Join(root, "bin", Name)) {
					t.Errorf("got %v, want it to name the file", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if want := filepath.Join(root, tt.want, Name); f.Name() != want {
				t.Errorf("got %s, want %s", f.Name(), want)
			}
		})
	}
}

// TestLibrary: one that is missing may come, one that is there stays.
func TestLibrary(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	exe, path := filepath.Join(dir, "gowsgi"), filepath.Join(dir, Name)
	var l Library
	if _, err := l.Open(exe); !errors.Is(err, ErrMissing) {
		t.Errorf("got %v, want %v", err, ErrMissing)
	}
	if err := os.WriteFile(path, build(t, version.LibraryStamp), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := l.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if again, err := l.Open(exe); err != nil || again != f {
		t.Errorf("got %v, %v, want the file that was open", again, err)
	}
}
