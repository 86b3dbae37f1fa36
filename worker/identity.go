package worker

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"gowsgi/config"
)

// assumeIdentity makes the whole process, every thread of it, run as id for good.
// It is called before CPython is started, so that nothing of the application ever
// runs with the master's rights, and after everything was opened that may need
// them. The functions of package syscall change all threads, those of C too.
func assumeIdentity(id config.Identity) error {
	// Groups first: the user cannot change them.
	if err := syscall.Setgroups(id.Groups); err != nil {
		return fmt.Errorf("changing to groups %v: %w", id.Groups, err)
	}
	if err := syscall.Setgid(id.GID); err != nil {
		return fmt.Errorf("changing to group %d: %w", id.GID, err)
	}
	if err := syscall.Setuid(id.UID); err != nil {
		return fmt.Errorf("changing to user %d: %w", id.UID, err)
	}
	return checkIdentity(id)
}

var errRegained = errors.New("root's rights could be taken back")

// checkIdentity makes sure that the change took place in all threads and that
// there is no way back.
func checkIdentity(id config.Identity) error {
	groups, err := syscall.Getgroups()
	if err != nil {
		return os.NewSyscallError("getgroups", err)
	}
	slices.Sort(groups)
	if want := slices.Sorted(slices.Values(id.Groups)); !slices.Equal(slices.Compact(groups), want) {
		return fmt.Errorf("the groups are %v, want %v", groups, want)
	}
	threads, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		return err
	}
	for _, name := range threads {
		status, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		for _, ids := range []struct {
			key  string
			want int
		}{{"Uid:", id.UID}, {"Gid:", id.GID}} {
			if !hasIDs(status, ids.key, ids.want) {
				return fmt.Errorf("%s: %s is not %d throughout", name, ids.key, ids.want)
			}
		}
	}
	if id.UID != 0 && (syscall.Setuid(0) == nil || id.GID != 0 && syscall.Setgid(0) == nil) {
		return errRegained
	}
	return nil
}

// hasIDs reports whether the real, effective, saved and file system id in a
// /proc/PID/status are all want (proc(5)).
func hasIDs(status []byte, key string, want int) bool {
	for line := range bytes.Lines(status) {
		rest, ok := bytes.CutPrefix(line, []byte(key))
		if !ok {
			continue
		}
		fields := bytes.Fields(rest)
		return len(fields) == 4 && !slices.ContainsFunc(fields, func(f []byte) bool {
			return string(f) != strconv.Itoa(want)
		})
	}
	return false
}
