// Package hosted finds the library that hosted workers load (cmd/libgowsgi), for the
// master, and makes sure that it is of the same build.
package hosted

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"gowsgi/internal/version"
)

// Name is the name of the library's file.
const Name = "libgowsgi.so"

// Kinds of an Error, for errors.Is.
var (
	// ErrMissing: there is no library where one is looked for.
	ErrMissing = errors.New("hosted: no library")
	// ErrMismatch: the file is of another build, or something else.
	ErrMismatch = errors.New("hosted: library of another build")
)

// Error says why there is no library to load.
type Error struct {
	// Kind is one of the Err values of this package.
	Kind error
	// Text is one line that names the file, both versions, and what to do.
	Text string
}

// Error returns Text.
func (e *Error) Error() string { return e.Text }

// Unwrap returns Kind.
func (e *Error) Unwrap() error { return e.Kind }

// Library is a library that was opened once and stays open: all that a master ever
// starts are to be of its own build, whatever is installed meanwhile. The zero value is
// not open yet. It may be used by several goroutines.
type Library struct {
	mu   sync.Mutex
	file *os.File
}

// Open returns the file of the first call that succeeded, or what Open does. It is not
// the caller's to close.
func (l *Library) Open(exe string) (*os.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		return l.file, nil
	}
	f, err := Open(exe)
	if err == nil {
		l.file = f
	}
	return f, err
}

// Open finds the library of the program at exe, an absolute path without links:
// beside it, in ../lib/gowsgi (where a wheel puts it) or in ../lib. The file is the
// caller's to close. Errors are *Error, and those of opening a file.
func Open(exe string) (*os.File, error) {
	dir := filepath.Dir(exe)
	places := []string{dir, filepath.Join(dir, "../lib/gowsgi"), filepath.Join(dir, "../lib")}
	for _, place := range places {
		f, err := os.Open(filepath.Join(place, Name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := check(f); err != nil {
			f.Close()
			return nil, err
		}
		return f, nil
	}
	return nil, &Error{ErrMissing, fmt.Sprintf("there is no %s in %s; make build makes it, and pip install gowsgi brings it",
		Name, strings.Join(places, ", "))}
}

// check refuses a library that is not of this program's build: the two change
// together, and what one tells the other has no version of its own.
func check(f *os.File) error {
	const remedy = "install the program and its library from one build"
	found, err := versionOf(f)
	if err != nil {
		return &Error{ErrMismatch, fmt.Sprintf("%s is no library of gowsgi (%v); %s", f.Name(), err, remedy)}
	}
	if own := version.Full(); found != own {
		return &Error{ErrMismatch, fmt.Sprintf("%s is of gowsgi %s, this is gowsgi %s; %s", f.Name(), found, own, remedy)}
	}
	return nil
}

var (
	errNoStamp = errors.New("it has no version")
	errNotGo   = errors.New("it is no program of Go")
)

// Begin and end of what go build writes into a program about itself, as
// runtime/debug.ReadBuildInfo knows it. debug/buildinfo reads it out of a file, but
// brings readers of every format of programs along, which each process would have in
// its memory.
const (
	infoBegin = "\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6"
	infoEnd   = "\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2"
)

// versionOf reads the version out of the library's file.
func versionOf(f *os.File) (string, error) {
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	// Not read: a master would keep that much memory.
	data, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return "", os.NewSyscallError("mmap", err)
	}
	defer func() {
		_ = unix.Munmap(data) // it fails for bad arguments only
	}()
	text, ok := between(data, infoBegin, infoEnd)
	if !ok {
		return "", errNotGo
	}
	info, err := debug.ParseBuildInfo(text)
	if err != nil {
		return "", err
	}
	number, ok := between(data, version.StampBegin, version.StampEnd)
	const longest = 40
	if !ok || len(number) > longest {
		return "", errNoStamp
	}
	return version.FullOf(number, info), nil
}

// between returns what stands between the first begin and the next end.
func between(data []byte, begin, end string) (string, bool) {
	_, rest, ok := bytes.Cut(data, []byte(begin))
	text, _, ended := bytes.Cut(rest, []byte(end))
	return string(text), ok && ended
}
