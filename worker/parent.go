package worker

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/protocol/ipc"
)

// parent is the master as a worker sees it.
type parent struct {
	status *os.File
	death  *os.File
	boot   ipc.Boot
	cfg    config.Config
	board  *ipc.Scoreboard
}

// meet takes what the master left in the inherited descriptors, if the mark is that
// of a master of this version. It removes it from the environment, so that what the
// application starts is no worker.
func meet(mark string) (*parent, error) {
	if mark != ipc.Version {
		return nil, fmt.Errorf("%s is %q, want %q: workers are started by a master only", ipc.EnvWorker, mark, ipc.Version)
	}
	if err := os.Unsetenv(ipc.EnvWorker); err != nil {
		return nil, err
	}
	p := new(parent)
	if err := p.readBoot(); err != nil {
		return nil, err
	}
	last := ipc.FDListeners + len(p.boot.Listeners) - 1
	for fd := ipc.FDDeath; fd <= last; fd++ {
		if fd == ipc.FDBoot {
			continue // read and closed
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
			return nil, fmt.Errorf("inherited descriptor %d: %w", fd, err)
		}
	}
	board, err := ipc.MapScoreboard(ipc.FDScoreboard, p.boot.Slots, p.cfg.Threads)
	if err != nil {
		return nil, err
	}
	p.board = board
	_ = unix.Close(ipc.FDScoreboard)
	p.status = os.NewFile(ipc.FDStatus, "status")
	// Non-blocking, so that waiting for it takes no thread.
	if err := unix.SetNonblock(ipc.FDDeath, true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	p.death = os.NewFile(ipc.FDDeath, "death")
	return p, nil
}

func (p *parent) readBoot() error {
	f := os.NewFile(ipc.FDBoot, "boot")
	defer f.Close()
	text, err := io.ReadAll(f)
	if err == nil {
		err = json.Unmarshal(text, &p.boot)
	}
	if err == nil {
		err = json.Unmarshal(p.boot.Settings, &p.cfg)
	}
	if err != nil {
		return fmt.Errorf("reading what the master sent: %w", err)
	}
	return nil
}

// tell sends one message, a line. A master that is gone is noticed elsewhere.
func (p *parent) tell(m ipc.Message) {
	line, err := json.Marshal(m)
	if err == nil {
		_, _ = p.status.Write(append(line, '\n'))
	}
}

// orphaned blocks until the master is gone.
func (p *parent) orphaned() {
	var b [1]byte
	for {
		if _, err := p.death.Read(b[:]); err != nil {
			return
		}
	}
}

// listeners returns the inherited sockets.
func (p *parent) listeners() []listener {
	var ls []listener
	for i, l := range p.boot.Listeners {
		ls = append(ls, listener{fd: ipc.FDListeners + i, unix: l.Network == "unix"})
	}
	return ls
}

// inherited returns every descriptor that must not outlive the server in a child
// the application forks.
func (p *parent) inherited() []int {
	fds := []int{ipc.FDDeath, ipc.FDStatus, ipc.FDHandoffRead, ipc.FDHandoffWrite}
	for i := range p.boot.Listeners {
		fds = append(fds, ipc.FDListeners+i)
	}
	return fds
}
