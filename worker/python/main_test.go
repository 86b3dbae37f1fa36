package python_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
	"gowsgi/internal/pyfind"
	"gowsgi/protocol/ipc"
)

// CPython can be started once in a process, and only on its main thread. So the
// test binary runs itself once for every interpreter; there, the main thread
// takes what the tests want done from a channel.

// envPython tells the test binary, as JSON, which interpreter to host.
const envPython = "GOWSGI_TEST_EMBED"

// patience is how long one interpreter may take for everything.
const patience = 5 * time.Minute

// embedded is the interpreter in this process, nil in the one that starts the
// others.
var embedded *interp

// The main goroutine keeps the main thread, for which init is the only moment.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	text := os.Getenv(envPython)
	if text == "" {
		os.Exit(m.Run())
	}
	var p ipc.Python
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(host(p, m.Run))
}

// cases are the tests that run inside of every interpreter.
var cases = []struct {
	name string
	run  func(t *testing.T, py *interp)
}{
	{"load", testLoad},
	{"load errors", testLoadErrors},
	{"environ", testEnviron},
	{"whole environ", testWholeEnviron},
	{"environ fields", testEnvironFields},
	{"wanted keys", testWanted},
	{"wsgi.errors", testErrors},
	{"start_response", testStartResponse},
	{"start_response refuses", testStartResponseRefuses},
	{"start_response after the head", testAfterHead},
	{"exc_info", testExcInfo},
	{"start_response inside itself", testReentry},
	{"start_response after the request", testKept},
	{"early hints", testEarlyHints},
	{"iterables", testIterables},
	{"write", testWrite},
	{"close", testClose},
	{"exceptions", testExceptions},
	{"gone", testGone},
	{"input", testInput},
	{"streamed input", testStreamedInput},
	{"fork", testFork},
	{"threads", testThreads},
	{"replaced part", testReplacedPart},
	{"second writer", testSecondWriter},
	{"fresh names", testFreshNames},
	{"flat", testFlat},
}

// TestCPython runs every case in every CPython from 3.8 on that is installed
// here.
func TestCPython(t *testing.T) {
	if embedded != nil {
		t.Run(embedded.name, func(t *testing.T) {
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) { c.run(t, embedded) })
			}
		})
		return
	}
	found := false
	for _, p := range gowsgitest.Pythons() {
		if !p.Supported() {
			continue
		}
		found = true
		t.Run(name(p.Version), func(t *testing.T) {
			t.Parallel()
			runInside(t, p.Path)
		})
	}
	if !found {
		t.Fatal("no CPython 3.8 or later with a shared libpython is installed here")
	}
}

func name(version [3]int) string {
	return fmt.Sprintf("%d.%d.%d", version[0], version[1], version[2])
}

// runInside runs this test binary with the interpreter at path in it.
func runInside(t *testing.T, path string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p, err := pyfind.Find(ctx, path, "/", os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.run=^TestCPython$", "-test.v", "-test.timeout=" + patience.String()}
	if run := flag.Lookup("test.run").Value.String(); strings.HasPrefix(run, "TestCPython/") {
		args[0] = "-test.run=" + run
	}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, exe, args...)
	// In testdata, so that the applications are found as by a server.
	if cmd.Dir, err = filepath.Abs("testdata"); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), envPython+"="+string(text), "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "atexit handlers ran") {
		t.Errorf("the interpreter was not ended properly:\n%s", out)
	}
}
