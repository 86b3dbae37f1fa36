package gowsgitest

import (
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestProcess(t *testing.T) {
	t.Parallel()
	if !NewProcess(os.Getpid()).Alive() {
		t.Error("the test itself is not alive")
	}
	cmd := exec.Command("sleep", "300")
	cmd.Env = append(os.Environ(), "GOWSGITEST_MARK=test of marks")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := NewProcess(cmd.Process.Pid)
	if !p.Alive() || !slices.Contains(Children(os.Getpid()), p.PID) {
		t.Error("a child that sleeps is not alive, or nobody's child")
	}
	// Its environment is the parent's until exec has come.
	if !Eventually(func() bool { return slices.Contains(marked("GOWSGITEST_MARK=test of marks"), p) }) {
		t.Error("a marked process is not found")
	}
	if RSS(p.PID) <= 0 || !strings.HasPrefix(CommandLine(p.PID), "sleep") {
		t.Errorf("RSS %d and command line %q", RSS(p.PID), CommandLine(p.PID))
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if !Eventually(func() bool { return !p.Alive() }) {
		t.Error("a zombie counts as alive")
	}
	if !slices.Contains(Zombies(os.Getpid()), p.PID) {
		t.Error("a zombie is not found")
	}
	cmd.Wait()
	if p.Alive() || NewProcess(p.PID).Alive() {
		t.Error("a process that is gone counts as alive")
	}
}

func TestListeningInodes(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ := net.SplitHostPort(l.Addr().String())
		port, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		inodes := listeningInodes(port)
		mine := slices.ContainsFunc(inodes, func(inode string) bool {
			for _, target := range Descriptors(os.Getpid()) {
				if target == "socket:["+inode+"]" {
					return true
				}
			}
			return false
		})
		if !mine {
			t.Errorf("%s: the listener is not among %v", addr, inodes)
		}
		l.Close()
		// A process that another test starts just now has a copy until it executes.
		if !Eventually(func() bool {
			return !slices.ContainsFunc(listeningInodes(port), func(inode string) bool { return slices.Contains(inodes, inode) })
		}) {
			t.Errorf("%s: the listener is found after it was closed", addr)
		}
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	l := Collect(r)
	go func() {
		w.WriteString("first 1\nsec")
		w.WriteString("ond 2\nlast 3")
		w.Close()
	}()
	if got := l.Wait(t, `^second (\d)$`); got[1] != "2" {
		t.Errorf("got %q, want 2", got)
	}
	if got := l.WaitN(t, `(\d)$`, 3); got[2][1] != "3" {
		t.Errorf("got %q, want a line without its newline too", got)
	}
	if got := l.Count(`t`); got != 2 {
		t.Errorf("%d lines, want 2", got)
	}
	if got := l.WaitAfter(t, 2, `.`); got[0] != "l" {
		t.Errorf("got %q, want the line after the mark", got)
	}
}

func TestPythons(t *testing.T) {
	t.Parallel()
	found := Pythons()
	if len(found) == 0 {
		t.Error("no interpreter found")
	}
	seen := map[string]bool{}
	for _, p := range found {
		if seen[p.Real] || p.Version[0] < 3 {
			t.Errorf("%v is found twice or is no Python 3", p)
		}
		seen[p.Real] = true
	}
}
