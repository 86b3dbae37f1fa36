// Package daemon puts a program into the background: it is started again, in a
// session of its own, for a Go program has threads from the start and cannot go on
// in a forked child as gunicorn does.
package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// envDaemon tells a process that it is the daemon: the numbers of two descriptors,
// of a pipe to whoever started it and of that one's standard error.
const envDaemon = "GOWSGI_DAEMON"

// daemonFD is the least number of those descriptors, out of the way of what systemd
// or a shell passes.
const daemonFD = 100

// daemonUmask is gunicorn's.
const daemonUmask = 0o022

// Start starts this program again, in a session of its own and, unless keepStdio,
// with standard streams that lead nowhere, and blocks until it is known how the start
// went: it returns 0 after the other process has called Started, else its exit code.
// The other process bounds the wait. gunicorn: daemon, enable_stdio_inheritance.
func Start(keepStdio bool, stderr io.Writer) (int, error) {
	if os.Getenv("NOTIFY_SOCKET") != "" {
		fmt.Fprintln(stderr, "Warning: you shouldn't specify `daemon = True` when launching by systemd with `Type = notify`")
	}
	if os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) {
		return 0, errors.New("--daemon cannot be used with sockets passed by systemd")
	}
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	defer w.Close()
	var numbers []string
	for _, fd := range []int{int(w.Fd()), unix.Stderr} {
		// Inherited as they are: exec.Cmd.ExtraFiles would begin at 3.
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD, daemonFD)
		if err != nil {
			return 0, os.NewSyscallError("fcntl", err)
		}
		defer unix.Close(dup)
		numbers = append(numbers, strconv.Itoa(dup))
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = os.Args
	cmd.Env = append(os.Environ(), envDaemon+"="+strings.Join(numbers, ","))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if keepStdio {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	} // else exec.Cmd opens the null device
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("starting the daemon: %w", err)
	}
	_ = unix.Close(atoi(numbers[0]))
	_ = w.Close()
	if n, _ := r.Read(make([]byte, 1)); n == 1 {
		return 0, nil
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil // told to stop while starting
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		fmt.Fprintf(stderr, "gowsgi: the daemon could not start (exit code %d)\n", exit.ExitCode())
		return exit.ExitCode(), nil
	}
	return 0, fmt.Errorf("starting the daemon: %w", err)
}

// Daemon is this process as one that Start has started.
type Daemon struct {
	// Stderr is the standard error of whoever did, until Started.
	Stderr *os.File
	pipe   *os.File

	mu sync.Mutex
	// stderr is Stderr's descriptor, -1 when nothing more is to be written to it.
	// Guarded by mu.
	stderr int
}

// showWait bounds how long an error waits for a standard error nobody reads; what
// comes after it is not shown.
const showWait = time.Second

// Event implements logging.Sink: whoever waits for the daemon sees its errors until
// it has started. It may block for showWait, once.
func (d *Daemon) Event(level string, text []byte, _ bool) {
	if level != "error" && level != "critical" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	line := append(slices.Clone(text), '\n')
	for len(line) > 0 && d.stderr >= 0 {
		n, err := 0, error(unix.EAGAIN)
		if writable(d.stderr, showWait) {
			// A pipe that can be written to has room for so many.
			n, err = unix.Write(d.stderr, line[:min(len(line), pipeBuf)])
		}
		if err != nil && err != unix.EINTR {
			d.stderr = -1
			return
		}
		line = line[max(n, 0):]
	}
}

// pipeBuf is PIPE_BUF of Linux.
const pipeBuf = 4096

// writable waits until the descriptor can be written to.
func writable(fd int, wait time.Duration) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	for {
		n, err := unix.Poll(fds, int(wait/time.Millisecond))
		if err != unix.EINTR {
			return err == nil && n == 1
		}
	}
}

// Become takes what Start left, nil if this process is no daemon. The variable is
// removed from the environment.
func Become() *Daemon {
	text := os.Getenv(envDaemon)
	if text == "" {
		return nil
	}
	_ = os.Unsetenv(envDaemon)
	pipe, errs, _ := strings.Cut(text, ",")
	d := new(Daemon)
	for _, f := range []struct {
		file **os.File
		fd   int
		name string
	}{{&d.pipe, atoi(pipe), "starter"}, {&d.Stderr, atoi(errs), "starter's standard error"}} {
		if f.fd < daemonFD {
			return nil // somebody else's variable
		}
		unix.CloseOnExec(f.fd)
		*f.file = os.NewFile(uintptr(f.fd), f.name)
	}
	d.stderr = atoi(errs)
	unix.Umask(daemonUmask)
	return d
}

// Started lets whoever waits for the daemon go. It is called once.
func (d *Daemon) Started() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stderr = -1
	_ = d.Stderr.Close()
	_, _ = d.pipe.Write([]byte{1})
	_ = d.pipe.Close()
}

// Environ returns the environment without what was for this process alone; after
// os.Unsetenv the block the process was started with still has it.
func Environ() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, envDaemon+"=") })
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}
