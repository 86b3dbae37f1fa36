package integration

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// ownerOf returns the mode and the owner of a file.
func ownerOf(t testing.TB, path string) (mode os.FileMode, uid, gid uint32) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	return info.Mode(), st.Uid, st.Gid
}

// TestUnixSocketModeAndOwner: with workers that give root's rights up, and a proxy
// of another group.
func TestUnixSocketModeAndOwner(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	args := []string{"--unix-socket-mode", "660", "probe"}
	wantUID, wantGID := uint32(os.Getuid()), uint32(os.Getgid())
	if os.Getuid() == 0 {
		args = append([]string{"--unix-socket-owner", ":33"}, args...)
		wantGID = 33
	}
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: apps(), Bind: "unix:" + path, Args: args})
	mode, uid, gid := ownerOf(t, path)
	if mode != os.ModeSocket|0o660 || uid != wantUID || gid != wantGID {
		t.Errorf("got %v of %d:%d, want a socket with 0660 of %d:%d", mode, uid, gid, wantUID, wantGID)
	}
	pid(t, s)
}

// TestUnixSocketSettingsFollowReload: a HUP changes the file of a socket that stays.
func TestUnixSocketSettingsFollowReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	conf := write(t, dir, "gowsgi.toml", "unix_socket_mode = \"600\"\n")
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: apps(), Bind: "unix:" + path, Args: []string{"-c", conf, "probe"}})
	if mode, _, _ := ownerOf(t, path); mode.Perm() != 0o600 {
		t.Errorf("got %v, want 0600", mode)
	}
	replace(t, conf, "unix_socket_mode = 0o666\n")
	s.Signal(syscall.SIGHUP)
	s.Log.Wait(t, "Reload complete")
	if mode, _, _ := ownerOf(t, path); mode.Perm() != 0o666 {
		t.Errorf("got %v after the reload, want 0666", mode)
	}
	pid(t, s)
}

// TestUnixSocketOwnerRefused: who may not give a file away is told so, at once.
func TestUnixSocketOwnerRefused(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		r := gowsgitest.Run(t, gowsgitest.Config{Dir: apps(), Bind: "unix:" + filepath.Join(t.TempDir(), "s"),
			Args: []string{"--unix-socket-owner", "no such user", "probe"}})
		if r.Code != 1 || !strings.Contains(r.Stderr, "No such user: 'no such user'") {
			t.Errorf("got %d and %q, want 1 and the reason", r.Code, r.Stderr)
		}
		return
	}
	path := filepath.Join(t.TempDir(), "s")
	r := gowsgitest.Run(t, gowsgitest.Config{Dir: apps(), Bind: "unix:" + path, Args: []string{"--unix-socket-owner", "0", "probe"}})
	if r.Code != 1 || !strings.Contains(r.Stderr, "cannot be given to user 0") || exists(path) {
		t.Errorf("got %d and %q, want 1 and the reason", r.Code, r.Stderr)
	}
}
