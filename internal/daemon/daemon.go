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
	"syscall"

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
// with standard streams that lead nowhere, and blocks until it has started: it
// returns 0 after the other process has called Started, else its exit code.
// gunicorn: daemon, enable_stdio_inheritance.
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
		fmt.Fprintln(stderr, "gowsgi: the daemon could not start; its error log may say more")
		return exit.ExitCode(), nil
	}
	return 0, fmt.Errorf("starting the daemon: %w", err)
}

// Daemon is this process as one that Start has started.
type Daemon struct {
	// Stderr is the standard error of whoever did, until Started.
	Stderr *os.File
	pipe   *os.File
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
	unix.Umask(daemonUmask)
	return d
}

// Started lets whoever waits for the daemon go.
func (d *Daemon) Started() {
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
