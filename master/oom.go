package master

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// oomCount is how often the kernel has killed for want of memory.
type oomCount struct {
	// kills counts killed processes: of the master's control group if group is set,
	// else of the whole machine.
	kills uint64
	group bool
	// limit is the memory limit of the control group in bytes, 0 if it has none or
	// it is not known.
	limit int64
	known bool
}

// oomFiles is where the kernel tells.
type oomFiles struct {
	// cgroup is /proc/self/cgroup, mount where control groups are mounted, vmstat
	// is /proc/vmstat.
	cgroup, mount, vmstat string
}

var kernelOOM = oomFiles{"/proc/self/cgroup", "/sys/fs/cgroup", "/proc/vmstat"}

// read returns the count as it is now. Workers are in the master's control group;
// memory.events counts those of its processes that any OOM killer has killed.
func (f oomFiles) read() oomCount {
	text, err := os.ReadFile(f.cgroup)
	if err != nil {
		return f.machine()
	}
	for line := range strings.Lines(string(text)) {
		// hierarchy-ID:controller-list:cgroup-path, see cgroups(7).
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 {
			continue
		}
		switch {
		case fields[1] == "": // version 2; below "unified" if it is not alone
			for _, root := range []string{f.mount, filepath.Join(f.mount, "unified")} {
				dir := groupDir(root, fields[2], "memory.events")
				if n, ok := keyed(filepath.Join(dir, "memory.events"), "oom_kill"); ok {
					return oomCount{n, true, limit(filepath.Join(dir, "memory.max")), true}
				}
			}
		case strings.Contains(","+fields[1]+",", ",memory,"):
			dir := groupDir(filepath.Join(f.mount, "memory"), fields[2], "memory.oom_control")
			if n, ok := keyed(filepath.Join(dir, "memory.oom_control"), "oom_kill"); ok {
				return oomCount{n, true, limit(filepath.Join(dir, "memory.limit_in_bytes")), true}
			}
		}
	}
	return f.machine()
}

// groupDir returns the directory of a control group. In a container that has no
// namespace of its own for them the path is the host's, and the group itself is
// what is mounted.
func groupDir(root, path, file string) string {
	dir := filepath.Join(root, path)
	if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
		return root
	}
	return dir
}

// machine is read for a system without control groups for memory (proc(5)).
func (f oomFiles) machine() oomCount {
	n, ok := keyed(f.vmstat, "oom_kill")
	return oomCount{kills: n, known: ok}
}

// keyed returns the number behind a key in a file of lines "key number".
func keyed(path, key string) (n uint64, ok bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	for line := range bytes.Lines(text) {
		if f := bytes.Fields(line); len(f) == 2 && string(f[0]) == key {
			n, err = strconv.ParseUint(string(f[1]), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// limit returns the number of bytes in a file, 0 for none or one that no machine
// has, by which version 1 says "none".
func limit(path string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil || n >= 1<<60 {
		return 0
	}
	return n
}

// verdict is what is known about a SIGKILL the master did not send.
type verdict uint8

const (
	// unknownKill: it may have been for want of memory.
	unknownKill verdict = iota
	// oomKill: it was.
	oomKill
	// otherKill: it was not.
	otherKill
)

// judge looks for who sent a SIGKILL that was none of the master's. The kernel
// counts before it kills, so what it has killed is in the count by now; each
// count explains one death.
func (m *Master) judge() verdict {
	now := m.env.oom()
	if !now.known || !m.oom.known || now.group != m.oom.group {
		return unknownKill
	}
	m.oom.limit = now.limit
	switch {
	case now.kills == m.oom.kills:
		return otherKill
	case now.group:
		m.oom.kills++
		return oomKill
	}
	// Of the whole machine: it may have been another process.
	m.oom.kills = now.kills
	return unknownKill
}
