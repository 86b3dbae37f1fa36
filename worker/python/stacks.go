package python

/*
#include "bridge.h"
*/
import "C"

import (
	"bytes"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/protocol/ipc"
)

// Stacks are those of all Python threads at a time, on their way to the error log.
type Stacks struct{ written chan struct{} }

const (
	// stacksWait bounds how long anything waits for stacks: who reads the log may be
	// stuck.
	stacksWait = 2 * time.Second
	// gilPatience is how long the GIL may be kept from who wants to look at stacks. A
	// thread that runs Python code gives it away every 5 ms.
	gilPatience = 300 * time.Millisecond
)

const _ = -uint(ipc.StacksSignal ^ C.GW_STACKS_SIGNAL)

// faultFD is Options.FaultFD.
var faultFD int

// dumping is held while stacks are written.
var dumping sync.Mutex

// DumpStacks has the stacks of all Python threads written to the error log. It does not
// wait, not for the GIL either, without which that works, too, while C code has it.
func DumpStacks() *Stacks {
	s := &Stacks{make(chan struct{})}
	go func() {
		defer close(s.written)
		dumping.Lock()
		defer dumping.Unlock()
		out, err := unix.MemfdCreate("gowsgi-stacks", unix.MFD_CLOEXEC)
		if err != nil {
			C.gw_stacks(-1, 0)
			return
		}
		f := os.NewFile(uintptr(out), "stacks")
		defer f.Close()
		if C.gw_stacks(C.int(out), C.int(gilPatience/time.Millisecond)) == 0 {
			return
		}
		_, _ = f.Seek(0, io.SeekStart)
		if text, err := io.ReadAll(f); err == nil {
			writeAll(faultFD, withoutOwn(text))
		}
	}()
	return s
}

// withoutOwn drops the thread that wrote the stacks, which the fault handler calls the
// current one, and is none of the application's.
func withoutOwn(stacks []byte) []byte {
	var others [][]byte
	for _, one := range bytes.Split(stacks, []byte("\n\n")) {
		if !bytes.HasPrefix(one, []byte("Current thread ")) {
			others = append(others, bytes.TrimSuffix(one, []byte("\n")))
		}
	}
	return append(bytes.Join(others, []byte("\n\n")), '\n')
}

// writeAll writes b in one call, if fd takes it.
func writeAll(fd int, b []byte) {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		switch err {
		case nil:
			b = b[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
		default:
			return
		}
	}
}

// Written reports whether they are on the log. Of nil they are.
func (s *Stacks) Written() bool {
	if s == nil {
		return true
	}
	select {
	case <-s.written:
		return true
	default:
		return false
	}
}

// Wait returns when they are on the log, after two seconds at the latest.
func (s *Stacks) Wait() {
	if s.Written() {
		return
	}
	select {
	case <-s.written:
	case <-time.After(stacksWait):
	}
}
