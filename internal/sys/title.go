package sys

import (
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Title overwrites the process's command line, as ps and /proc/PID/cmdline
// show it. It is for the process's first goroutine and not for concurrent use.
type Title struct {
	// block is the memory of the command line on the initial stack, from the
	// first byte of argv[0] to the last terminating zero.
	block []byte
}

// OwnTitle takes the command line's memory over. os.Args, whose strings the Go
// runtime points straight into that memory, get copies first; it must therefore
// be called before anybody keeps a string from os.Args.
func OwnTitle() *Title {
	args := os.Args
	os.Args = make([]string, len(args))
	for i, a := range args {
		os.Args[i] = strings.Clone(a)
	}
	return &Title{block: argBlock(args)}
}

// argBlock returns the memory the strings stand in, as far as they follow each
// other with one zero byte between them, as execve(2) lays them out.
func argBlock(args []string) []byte {
	if len(args) == 0 || len(args[0]) == 0 {
		return nil
	}
	start := unsafe.StringData(args[0])
	end := uintptr(unsafe.Pointer(start)) + uintptr(len(args[0])) + 1
	for _, a := range args[1:] {
		// An empty one has its place too: the runtime keeps the pointer.
		if uintptr(unsafe.Pointer(unsafe.StringData(a))) != end {
			break
		}
		end += uintptr(len(a)) + 1
	}
	return unsafe.Slice(start, int(end-uintptr(unsafe.Pointer(start))))
}

// Set shows title, cut to the room the original command line had. The last
// byte stays zero: without it the kernel reads on into the environment.
func (t *Title) Set(title string) {
	if len(t.block) == 0 {
		return
	}
	n := copy(t.block[:len(t.block)-1], title)
	clear(t.block[n:])
}

// SetThreadName names the calling OS thread, in 15 bytes at most, as ps -L and
// top show it. That of the first thread is the name of the process.
func SetThreadName(name string) {
	buf := [16]byte{}
	copy(buf[:15], name)
	// PR_SET_NAME fails only for a bad address.
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&buf[0])), 0, 0, 0)
}
