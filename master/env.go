package master

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/internal/sys"
)

// env is what the master asks of the operating system, as functions that tests
// replace. Time is not among them: tests run the master in a testing/synctest
// bubble.
type env struct {
	pid int
	// start starts a worker. It returns when the worker's program runs.
	start func(*startSpec) (pid int, status statusPipe, err error)
	// startMaster starts a new master, for an upgrade.
	startMaster func(*upgradeSpec) (pid int, link twinLink, err error)
	// watch is watchFiles.
	watch func(engine string, changed func(fileWatch, string)) fileWatch
	// kill is kill(2).
	kill func(pid int, sig unix.Signal) error
	// reap is sys.Reap.
	reap func(pid int) (sys.Death, error)
	// oom is oomFiles.read.
	oom func() oomCount
	// notify is signal.Notify; stopNotify undoes it.
	notify     func(c chan<- os.Signal, sigs ...os.Signal)
	stopNotify func(c chan<- os.Signal)
	chdir      func(dir string) error
	// stopped reports whether a process is stopped by a signal or a debugger.
	stopped func(pid int) bool
	// terminal reports whether the process belongs to a terminal.
	terminal func() bool
	// jitter returns a random duration in [0, d).
	jitter func(d time.Duration) time.Duration
}

// statusPipe is the master's end of a worker's status pipe.
type statusPipe interface {
	io.ReadCloser
	// Finish says that the worker is dead: reads return what it had written and
	// then io.EOF, even if a process the worker forked still holds the other end.
	// It may be called while a read blocks.
	Finish()
}

// kill is kill(2) for one process: 0, 1 and negative numbers stand for groups, all
// processes, or init, and no mistake here shall reach those.
func kill(pid int, sig unix.Signal) error {
	if pid <= 1 {
		return fmt.Errorf("no process has the id %d", pid)
	}
	return unix.Kill(pid, sig)
}

// statField returns field number n (proc(5) counts from 1, and the pid is the
// first) of /proc/PID/stat, "" if it cannot be read.
func statField(pid string, n int) string {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return ""
	}
	// The name is in parentheses and may hold any byte.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if n -= 3; n >= len(fields) {
		return ""
	}
	return string(fields[n])
}

// hasTerminal reports whether the process has a controlling terminal (tty_nr).
func hasTerminal() bool { return statField("self", 7) != "0" }

// isStopped reports whether a process is in state T or t (proc(5)).
func isStopped(pid int) bool {
	state := statField(strconv.Itoa(pid), 3)
	return state == "T" || state == "t"
}

func osEnv() env {
	return env{
		pid:         os.Getpid(),
		start:       startProcess,
		startMaster: startMaster,
		watch:       watchFiles,
		terminal:    hasTerminal,
		stopped:     isStopped,
		kill:        kill,
		reap:        sys.Reap,
		oom:         kernelOOM.read,
		notify:      signal.Notify,
		stopNotify:  signal.Stop,
		chdir:       os.Chdir,
		jitter:      func(d time.Duration) time.Duration { return rand.N(max(d, 1)) },
	}
}
