package master

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/internal/sys"
	"gowsgi/internal/version"
	"gowsgi/protocol/ipc"
)

// selfExe is this binary's inode, also after the file was replaced by another
// version or unlinked: a running master keeps starting workers it understands.
const selfExe = "/proc/self/exe"

// startSpec is everything a worker process is started with.
type startSpec struct {
	title string   // argv[0], what ps shows
	dir   string   // working directory
	env   []string // whole environment
	boot  []byte   // JSON of an ipc.Boot
	// Descriptors, owned by the caller.
	death, scoreboard int
	listeners         []int
}

// startProcess starts a worker.
//
// It uses syscall.ForkExec and plain descriptor numbers rather than os/exec:
// exec.Cmd calls Fd() on each of its ExtraFiles, which for many ways to make
// such a File puts the descriptor into blocking mode. O_NONBLOCK belongs to the
// open file description, which all workers share, so starting one worker would
// let every other one hang in accept4. Numbers have no mode to lose. The second
// gain: no os.Process exists that could wait for the child behind the back of
// the master's one reaper.
func startProcess(s *startSpec) (pid int, status statusPipe, err error) {
	stdin, err := devNull()
	if err != nil {
		return 0, nil, err
	}
	boot, err := sys.SealedFile("gowsgi-boot", s.boot)
	if err != nil {
		return 0, nil, err
	}
	defer unix.Close(boot)
	r, w, err := sys.Pipe()
	if err != nil {
		return 0, nil, err
	}
	defer unix.Close(w)
	// Only the master's end: the worker's must block, or a message could be lost.
	if err := unix.SetNonblock(r, true); err != nil {
		unix.Close(r)
		return 0, nil, os.NewSyscallError("fcntl", err)
	}
	files := make([]uintptr, ipc.FDListeners, ipc.FDListeners+len(s.listeners))
	files[0], files[1], files[2] = uintptr(stdin), 1, 2
	files[ipc.FDDeath] = uintptr(s.death)
	files[ipc.FDStatus] = uintptr(w)
	files[ipc.FDBoot] = uintptr(boot)
	files[ipc.FDScoreboard] = uintptr(s.scoreboard)
	for _, fd := range s.listeners {
		files = append(files, uintptr(fd))
	}
	pid, err = syscall.ForkExec(selfExe, []string{s.title}, &syscall.ProcAttr{Dir: s.dir, Env: s.env, Files: files})
	if err != nil {
		unix.Close(r)
		return 0, nil, fmt.Errorf("%s: %w", selfExe, err)
	}
	return pid, &osStatus{file: os.NewFile(uintptr(r), "status")}, nil
}

// devNull returns the workers' standard input. The descriptor stays open for
// the life of the process.
var devNull = sync.OnceValues(func() (int, error) {
	fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: os.DevNull, Err: err}
	}
	return fd, nil
})

// osStatus is a statusPipe on a real pipe.
type osStatus struct{ file *os.File }

// Read implements io.Reader. After Finish the poller refuses to read at all,
// so what is left is read past it.
func (p *osStatus) Read(b []byte) (int, error) {
	n, err := p.file.Read(b)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	conn, err := p.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var readErr error
	err = conn.Control(func(fd uintptr) {
		n, readErr = sys.IgnoringEINTR(func() (int, error) { return unix.Read(int(fd), b) })
	})
	switch {
	case err != nil:
		return 0, err
	case errors.Is(readErr, unix.EAGAIN), readErr == nil && n == 0:
		// EAGAIN: the worker's own descriptor is closed, the pipe is empty; that
		// it is still open means a forked process has it.
		return 0, io.EOF
	case readErr != nil:
		return 0, os.NewSyscallError("read", readErr)
	}
	return n, nil
}

// Finish implements statusPipe.
func (p *osStatus) Finish() { _ = p.file.SetReadDeadline(time.Unix(1, 0)) }

// Close implements io.Closer.
func (p *osStatus) Close() error { return p.file.Close() }

// systemdListenVars name descriptors by number that a worker does not have.
var systemdListenVars = []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}

// workerEnviron returns the environment of a worker: the one the master was
// started with, without what was meant for the master alone; SERVER_SOFTWARE,
// which applications test for; and the raw_env setting, which wins over both.
func workerEnviron(start, rawEnv []string) []string {
	var env []string
	set := func(kv string) {
		name, _, _ := strings.Cut(kv, "=")
		env = slices.DeleteFunc(env, func(old string) bool {
			return strings.HasPrefix(old, name) && strings.HasPrefix(old[len(name):], "=")
		})
		env = append(env, kv)
	}
	for _, kv := range start {
		if name, _, _ := strings.Cut(kv, "="); !slices.Contains(systemdListenVars, name) {
			set(kv)
		}
	}
	set("SERVER_SOFTWARE=gowsgi/" + version.Number)
	for _, kv := range rawEnv {
		set(kv)
	}
	set(ipc.EnvWorker + "=" + ipc.Version)
	return env
}

// getenv looks a variable up in an environment block, "" if it is not set.
func getenv(environ []string) func(string) string {
	return func(name string) string {
		for _, kv := range slices.Backward(environ) {
			if k, v, ok := strings.Cut(kv, "="); ok && k == name {
				return v
			}
		}
		return ""
	}
}
