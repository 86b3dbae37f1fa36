package master

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// pidFile is a file that names the running master (gunicorn: pidfile).
type pidFile struct {
	path string
	pid  int
}

// createPIDFile writes pid into path, mode 0644, by a temporary file and a
// rename, so that no reader sees half a number. A file that names a live
// process other than pid is an error, and so is one that cannot be read, whose
// process nobody knows; any other old content is overwritten.
func createPIDFile(path string, pid int) (*pidFile, error) {
	old, err := pidIn(path)
	if err != nil {
		return nil, fmt.Errorf("reading the pid file: %w", err)
	}
	if old > 0 && old != pid && alive(old) {
		return nil, fmt.Errorf("Already running on PID %d (or pid file '%s' is stale)", old, path)
	}
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s doesn't exist. Can't create pidfile.", dir)
	}
	tmp, err := os.CreateTemp(dir, ".gowsgi-pid-*")
	if err != nil {
		return nil, fmt.Errorf("creating the pid file: %w", err)
	}
	_, err = fmt.Fprintf(tmp, "%d\n", pid)
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("creating the pid file: %w", err), os.Remove(tmp.Name()))
	}
	return &pidFile{path: path, pid: pid}, nil
}

// remove deletes the file unless somebody else's pid is in it by now.
func (p *pidFile) remove() error {
	if readPIDFile(p.path) != p.pid {
		return nil
	}
	return os.Remove(p.path)
}

// rename moves the file to path, over the file of a process that is gone.
func (p *pidFile) rename(path string) error {
	if err := os.Rename(p.path, path); err != nil {
		return err
	}
	p.path = path
	return nil
}

// readPIDFile returns the pid in the file, 0 if there is none.
func readPIDFile(path string) int {
	pid, _ := pidIn(path)
	return pid
}

// pidIn is readPIDFile with the error of a file that is there and cannot be read.
func pidIn(path string) (int, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(b)))
	if err != nil || pid < 0 {
		return 0, nil
	}
	return pid, nil
}

// alive reports whether a process has this pid. One of another user (EPERM) is
// alive too.
func alive(pid int) bool {
	err := unix.Kill(pid, 0)
	return err == nil || errors.Is(err, unix.EPERM)
}
