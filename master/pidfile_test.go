package master

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestPIDFile(t *testing.T) {
	t.Parallel()
	// A process that was and is no more.
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	const ours = 1 << 22 // not a pid that is alive: the largest possible plus one
	for _, tt := range []struct {
		name, old string
		refused   bool
	}{
		{"no file", "", false},
		{"live process", strconv.Itoa(os.Getpid()), true},
		{"process of another user", "1\n", true},
		{"dead process", strconv.Itoa(dead.Process.Pid) + "\n", false},
		{"our own, of the last container", strconv.Itoa(ours), false},
		{"garbage", "hello", false},
		{"negative", "-1", false},
		{"empty", "\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "pid")
			if tt.old != "" {
				if err := os.WriteFile(path, []byte(tt.old), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			p, err := createPIDFile(path, ours)
			if tt.refused {
				if err == nil || !strings.HasPrefix(err.Error(), "Already running on PID ") {
					t.Errorf("got %v, want Already running", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err != nil || string(b) != strconv.Itoa(ours)+"\n" {
				t.Errorf("content %q, %v", b, err)
			}
			if st, err := os.Stat(path); err != nil || st.Mode() != 0o644 {
				t.Errorf("mode %v, %v, want 0644", st.Mode(), err)
			}
			if err := p.remove(); err != nil {
				t.Error(err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
				t.Errorf("left %v, %v", left, err)
			}
		})
	}
}

func TestPIDFileOfAnotherIsKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	p, err := createPIDFile(path, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("12345\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.remove(); err != nil {
		t.Error(err)
	}
	if readPIDFile(path) != 12345 {
		t.Error("another server's pid file was removed")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := p.remove(); err != nil {
		t.Errorf("removing a file that is gone: %v", err)
	}
}

func TestPIDFileErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := createPIDFile(filepath.Join(dir, "no", "pid"), 7); err == nil ||
		err.Error() != filepath.Join(dir, "no")+" doesn't exist. Can't create pidfile." {
		t.Errorf("missing directory: %v", err)
	}
	// A directory in the file's place cannot be replaced; no temporary file stays.
	if err := os.MkdirAll(filepath.Join(dir, "pid", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := createPIDFile(filepath.Join(dir, "pid"), 7); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("directory in the way: %v", err)
	}
	// A file that cannot be read, by root either, may name a live process.
	loop := filepath.Join(dir, "pid", "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	if _, err := createPIDFile(loop, 7); err == nil || !strings.HasPrefix(err.Error(), "reading the pid file: ") {
		t.Errorf("a file that cannot be read: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
}
