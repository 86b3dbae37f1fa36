package logging

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReopenFollowsARenamedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "error.log")
	if err := os.WriteFile(path, []byte("kept\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path, unix.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fd := r.Fd()
	write(t, r, "one\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, r, "two\n")
	if err := r.Reopen(); err != nil {
		t.Fatal(err)
	}
	write(t, r, "three\n")
	// Somebody who holds the number only.
	if _, err := unix.Write(fd, []byte("four\n")); err != nil {
		t.Fatal(err)
	}
	wantContent(t, path+".1", "kept\none\ntwo\n")
	wantContent(t, path, "three\nfour\n")
	if r.Fd() != fd {
		t.Errorf("Fd = %d, want %d", r.Fd(), fd)
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("F_GETFD = %#x, %v: want FD_CLOEXEC", flags, err)
	}
	flags, err = unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_APPEND == 0 {
		t.Errorf("F_GETFL = %#x, %v: want O_APPEND", flags, err)
	}
}

// TestAlso: other descriptors follow the log, and programs inherit them.
func TestAlso(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "error.log")
	r, err := Open(path, unix.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	if err := r.Also(fds[0], fds[1]); err != nil {
		t.Fatal(err)
	}
	for round, name := range []string{path + ".1", path} {
		write(t, r, "log\n")
		for _, fd := range fds {
			if _, err := unix.Write(fd, fmt.Appendln(nil, "also")); err != nil {
				t.Fatal(err)
			}
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
				t.Errorf("F_GETFD = %#x, %v: want it inherited", flags, err)
			}
		}
		if round == 0 {
			if err := os.Rename(path, name); err != nil {
				t.Fatal(err)
			}
			if err := r.Reopen(); err != nil {
				t.Fatal(err)
			}
		}
		wantContent(t, name, "log\nalso\nalso\n")
	}
}

func TestReopenFailureKeepsTheOldFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "error.log")
	r, err := Open(path, unix.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.Rename(dir, dir+".1"); err != nil {
		t.Fatal(err)
	}
	if err := r.Reopen(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Reopen: %v, want ErrNotExist", err)
	}
	write(t, r, "still\n")
	wantContent(t, filepath.Join(dir+".1", "error.log"), "still\n")
}

func TestOpenErrorNamesTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "no", "error.log")
	_, err := Open(path, unix.Stderr)
	if want := "'" + path + "' isn't writable [no such file or directory]"; err == nil || err.Error() != want {
		t.Errorf("Open: %v, want %s", err, want)
	}
}

func TestStandardStreamIsLeftAlone(t *testing.T) {
	t.Parallel()
	r, err := Open("-", unix.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if r.Fd() != unix.Stderr {
		t.Errorf("Fd = %d, want 2", r.Fd())
	}
	if err := errors.Join(r.Reopen(), r.Close()); err != nil {
		t.Error(err)
	}
	if _, err := unix.FcntlInt(uintptr(unix.Stderr), unix.F_GETFD, 0); err != nil {
		t.Errorf("standard error: %v", err)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	r, err := Open(filepath.Join(t.TempDir(), "error.log"), unix.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write: %v, want ErrClosed", err)
	}
	if err := r.Reopen(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Reopen: %v, want ErrClosed", err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// TestNonBlockingPipe: a standard error that is a pipe somebody made
// non-blocking loses nothing while its reader is slow.
func TestNonBlockingPipe(t *testing.T) {
	t.Parallel()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(p[1], true); err != nil {
		t.Fatal(err)
	}
	r := &Reopenable{path: "-", fd: p[1], dest: destinationOf(p[1])}
	text := strings.Repeat("x", 1<<20)
	var got int
	done := make(chan error, 1)
	go func() {
		buf := make([]byte, 1<<14)
		for got < len(text) {
			n, err := unix.Read(p[0], buf)
			if err != nil || n == 0 {
				done <- fmt.Errorf("read %d bytes: %w", got, err)
				return
			}
			got += n
		}
		done <- nil
	}()
	if n, err := r.Write([]byte(text)); err != nil || n != len(text) {
		t.Errorf("Write = %d, %v", n, err)
	}
	unix.Close(p[1])
	if err := <-done; err != nil {
		t.Error(err)
	}
	unix.Close(p[0])
}

// TestConcurrentReopen: no line is lost or mixed while the file is reopened.
func TestConcurrentReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "error.log")
	r, err := Open(path, unix.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const writers, lines = 4, 200
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for j := range lines {
				fmt.Fprintf(r, "writer %d line %d\n", i, j)
			}
		})
	}
	wg.Go(func() {
		for range 50 {
			if err := r.Reopen(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "\n"); n != writers*lines {
		t.Errorf("%d lines, want %d", n, writers*lines)
	}
}

func write(t *testing.T, r *Reopenable, s string) {
	t.Helper()
	if n, err := r.Write([]byte(s)); err != nil || n != len(s) {
		t.Fatalf("Write = %d, %v", n, err)
	}
}

func wantContent(t *testing.T, path, want string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != want {
		t.Errorf("%s has %q, want %q", filepath.Base(path), b, want)
	}
}
