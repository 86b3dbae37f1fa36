package pyfind

import (
	"context"
	"path/filepath"
	"testing"

	"gowsgi/protocol/ipc"
)

func TestBrokenVenv(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		make func(t *testing.T, venv string)
		why  string
	}{
		{"dangling link", func(t *testing.T, venv string) {
			writeFile(t, filepath.Join(venv, "pyvenv.cfg"), "home = "+t.TempDir()+"\n")
			symlink(t, "/nowhere/bin/python3.11", filepath.Join(venv, "bin", "python"))
			symlink(t, "python", filepath.Join(venv, "bin", "python3"))
		}, "link"},
		{"home is gone", func(t *testing.T, venv string) {
			withLibrary(t, venv)
			writeFile(t, filepath.Join(venv, "pyvenv.cfg"), "include-system-site-packages = false\nHome=/nowhere/bin\nversion = 3.11.7\n")
		}, "/nowhere/bin"},
		{"no bin", func(t *testing.T, venv string) {
			writeFile(t, filepath.Join(venv, "pyvenv.cfg"), "home = /usr/bin\n")
		}, "no bin/python"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			venv := filepath.Join(root, ".venv")
			tt.make(t, venv)
			want := []string{venv, tt.why, "python3 -m venv --clear " + venv}
			_, err := testFinder(root, nil).find(context.Background(), ipc.Wanted{Python: ""})
			wantError(t, err, ErrBrokenVenv, want...)
			active := testFinder("/", map[string]string{"VIRTUAL_ENV": venv})
			_, err = active.find(context.Background(), ipc.Wanted{Python: ""})
			wantError(t, err, ErrBrokenVenv, want...)
			_, err = testFinder(root, nil).find(context.Background(), ipc.Wanted{Python: venv})
			wantError(t, err, ErrBrokenVenv, want...)
			if python := filepath.Join(venv, "bin", "python3"); exists(python) {
				_, err = testFinder(root, nil).find(context.Background(), ipc.Wanted{Python: python})
				wantError(t, err, ErrBrokenVenv, want...)
			}
		})
	}
}

func TestVenvHome(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, config, want string }{
		{"usual", "home = /usr/bin\nversion = 3.11\n", "/usr/bin"},
		{"no spaces", "version=3.11\nhome=/usr/bin", "/usr/bin"},
		{"CRLF", "home = /usr/bin\r\n", "/usr/bin"},
		{"with a blank", "HOME = /opt/my python/bin\n", "/opt/my python/bin"},
		{"none", "version = 3.11\nhomes = /x\n", ""},
		{"empty", "", ""},
	} {
		if got := venvHome(tt.config); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
