package python_test

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"gowsgi/protocol/ipc"
)

// TestHostNumbers: host.py has no other way to know what package ipc says.
func TestHostNumbers(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("host.py")
	if err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string]int{
		`FIRST, RESERVED = (\d+), \d+`: ipc.FDDeath,
		`FIRST, RESERVED = \d+, (\d+)`: ipc.MaxSpawned,
		`STATUS = (\d+)`:               ipc.FDStatus,
	} {
		m := regexp.MustCompile("(?m)^" + pattern + "$").FindSubmatch(text)
		if m == nil {
			t.Errorf("no %s in host.py", pattern)
		} else if got, _ := strconv.Atoi(string(m[1])); got != want {
			t.Errorf("%s is %d, want %d", pattern, got, want)
		}
	}
	var want, got []string
	for _, s := range ipc.HeldSignals() {
		want = append(want, unix.SignalName(s))
	}
	held := regexp.MustCompile(`(?s)\nHELD = tuple\((.*?)\n\)`).Find(text)
	for _, name := range regexp.MustCompile(`"(SIG\w+)"`).FindAllSubmatch(held, -1) {
		got = append(got, string(name[1]))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("host.py holds %v, want %v", got, want)
	}
}

// TestHostFunctions: what spawner.py gets from spawn.c it gets from host.py, too.
func TestHostFunctions(t *testing.T) {
	t.Parallel()
	c, err := os.ReadFile("spawn.c")
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.ReadFile("host.py")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`(?m)^    \{"(\w+)", \w+, METH_`).FindAllSubmatch(c, -1)
	if len(names) < 3 {
		t.Fatalf("found %d functions in spawn.c", len(names))
	}
	for _, name := range names {
		if !regexp.MustCompile(`\b` + string(name[1]) + `=host\.` + string(name[1]) + `\b`).Match(host) {
			t.Errorf("host.py has no %s", name[1])
		}
	}
}
