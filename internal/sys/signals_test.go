package sys

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// blocked returns the mask of a process that is started now.
func blocked(t *testing.T, start func(*exec.Cmd) error) uint64 {
	t.Helper()
	cmd := exec.Command("cat", "/proc/self/status")
	var out strings.Builder
	cmd.Stdout = &out
	if err := start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(out.String(), "SigBlk:\t")
	text, _, _ := strings.Cut(rest, "\n")
	mask, err := strconv.ParseUint(text, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return mask
}

func TestWithBlocked(t *testing.T) {
	t.Parallel()
	bit := func(s unix.Signal) uint64 { return 1 << (s - 1) }
	before := blocked(t, (*exec.Cmd).Start)
	got := blocked(t, func(cmd *exec.Cmd) error {
		return WithBlocked([]unix.Signal{unix.SIGHUP, unix.SIGTERM, 63}, cmd.Start)
	})
	if want := before | bit(unix.SIGHUP) | bit(unix.SIGTERM) | bit(63); got != want {
		t.Errorf("got the mask %#x, want %#x", got, want)
	}
	if after := blocked(t, (*exec.Cmd).Start); after != before {
		t.Errorf("got the mask %#x afterwards, want %#x", after, before)
	}
}
