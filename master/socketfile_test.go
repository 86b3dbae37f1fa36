package master

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"gowsgi/config"
)

func TestFileOf(t *testing.T) {
	t.Parallel()
	asWorkers := &config.Config{User: config.User{Text: "x", UID: 4711, GID: 4712}, Umask: 0o027}
	for _, tt := range []struct {
		name  string
		cfg   *config.Config
		mode  int
		owner config.Owner
		want  socketFile
	}{
		{"default", &config.Config{}, 0, config.Owner{}, socketFile{0o777, -1, -1}},
		{"umask", &config.Config{Umask: 0o077}, 0, config.Owner{}, socketFile{0o700, -1, -1}},
		{"mode over umask", &config.Config{Umask: 0o077}, 0o660, config.Owner{}, socketFile{0o660, -1, -1}},
		{"the workers'", asWorkers, 0, config.Owner{}, socketFile{0o750, 4711, 4712}},
		{"group of its own", asWorkers, 0o660, config.Owner{Text: ":33", UID: -1, GID: 33}, socketFile{0o660, 4711, 33}},
		{"user of its own", asWorkers, 0, config.Owner{Text: "34", UID: 34, GID: -1}, socketFile{0o750, 34, 4712}},
		{"owner alone", &config.Config{}, 0, config.Owner{Text: "34:33", UID: 34, GID: 33}, socketFile{0o777, 34, 33}},
	} {
		cfg := *tt.cfg
		cfg.UnixSocketMode, cfg.UnixSocketOwner = tt.mode, tt.owner
		if got := fileOf(&cfg); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// TestSocketModeIsExact: the file has the mode asked for, whatever the umask of the
// process is, and has never had a permission more. It is not parallel: a process
// that another test forks just then holds the socket for a moment.
func TestSocketModeIsExact(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	seen, done := make(chan os.FileMode, 1), make(chan struct{})
	go func() {
		defer close(seen)
		for {
			select {
			case <-done:
				return
			default:
			}
			if info, err := os.Lstat(path); err == nil && info.Mode().Perm()&^0o620 != 0 {
				seen <- info.Mode()
				return
			}
		}
	}()
	for range 200 {
		l, err := bindUnix(path, &config.Config{UnixSocketMode: 0o620, Backlog: 1})
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != os.ModeSocket|0o620 {
			t.Fatalf("got mode %v, %v, want 0620", info.Mode(), err)
		}
		if err := errors.Join(l.close(), l.unlink()); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	if mode, ok := <-seen; ok {
		t.Errorf("the file had mode %v for a moment, want nothing beyond 0620", mode)
	}
}
