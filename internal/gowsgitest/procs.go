package gowsgitest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Process is a process that may have ended: the start time tells it from a later
// one with the same pid.
type Process struct {
	PID   int
	start string
}

// NewProcess notes the process with the given pid. One that is already gone is
// never Alive.
func NewProcess(pid int) Process {
	fields := statFields(pid)
	if fields == nil {
		return Process{PID: pid}
	}
	return Process{PID: pid, start: fields[statStart]}
}

// Indexes into what statFields returns: proc(5) counts from 1 and from the pid.
const (
	statState  = 3 - 3
	statParent = 4 - 3
	statStart  = 22 - 3
)

// statFields returns the fields of /proc/PID/stat after the command name, or nil.
func statFields(pid int) []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	// The name is in parentheses and may hold any byte, so look for the last one.
	_, after, ok := strings.Cut(string(data[bytes.LastIndexByte(data, ')'):]), " ")
	if !ok {
		return nil
	}
	return strings.Fields(after)
}

// Alive reports whether the process runs. A zombie does not: it has ended, and
// whose task it is to reap it depends on where the test runs.
func (p Process) Alive() bool {
	fields := statFields(p.PID)
	return fields != nil && p.start != "" && fields[statStart] == p.start && !strings.Contains("ZX", fields[statState])
}

// Children returns the pids of the running children of pid.
func Children(pid int) []int {
	var pids []int
	eachProcess(func(child int) {
		f := statFields(child)
		if f != nil && f[statParent] == strconv.Itoa(pid) && f[statState] != "Z" {
			pids = append(pids, child)
		}
	})
	return pids
}

// Zombies returns the pids of the children of pid that wait to be reaped.
func Zombies(pid int) []int {
	var pids []int
	eachProcess(func(child int) {
		f := statFields(child)
		if f != nil && f[statParent] == strconv.Itoa(pid) && f[statState] == "Z" {
			pids = append(pids, child)
		}
	})
	return pids
}

func eachProcess(visit func(pid int)) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			visit(pid)
		}
	}
}

// marked returns the running processes whose environment at their start held
// the entry mark, NAME=VALUE.
func marked(mark string) []Process {
	var found []Process
	eachProcess(func(pid int) {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil || !bytes.Contains(append([]byte{0}, env...), []byte("\x00"+mark+"\x00")) {
			return
		}
		if p := NewProcess(pid); p.Alive() {
			found = append(found, p)
		}
	})
	return found
}

// RSS returns the resident memory of a process in bytes, 0 if it is gone.
func RSS(pid int) int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return pages * os.Getpagesize()
}

// CommandLine returns the command line of a process, its words joined by spaces.
func CommandLine(pid int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.TrimSpace(strings.ReplaceAll(string(data), "\x00", " "))
}

// Descriptors returns what the open descriptors of a process refer to, as
// /proc/PID/fd names it.
func Descriptors(pid int) map[int]string {
	found := map[int]string{}
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, link := range links {
		fd, _ := strconv.Atoi(filepath.Base(link))
		if target, err := os.Readlink(link); err == nil {
			found[fd] = target
		}
	}
	return found
}

// listeningInodes returns the inodes of the TCP sockets that listen on port.
func listeningInodes(port int) []string {
	var inodes []string
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, _ := os.ReadFile(file)
		for _, line := range strings.Split(string(data), "\n") {
			// sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode
			f := strings.Fields(line)
			const listen = "0A"
			if len(f) > 9 && f[3] == listen && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				inodes = append(inodes, f[9])
			}
		}
	}
	return inodes
}
