package integration

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
)

// core are tests of what Python and the server do together. make integration
// MODE=hosted runs all there are.
var core = []string{
	"TestApplicationSignalHandlers", "TestAtexit", "TestBootTimeout", "TestBusyWorkerHandsOver",
	"TestCaptureOutputOfTheSpawner", "TestCheckConfig", "TestChildrenOfAView", "TestConfigFile",
	"TestConfigFileSpawnerDies", "TestCrashInAView", "TestDeathLines", "TestDescriptorsOfAProgram",
	"TestEnviron", "TestExceptionInAView", "TestFileWrapper", "TestFlaskExample",
	"TestFourWorkersAnswer", "TestGracefulStop", "TestHooks", "TestHooksTimeout",
	"TestHooksTimeoutInC", "TestIdentity", "TestInput", "TestKilledWorkerIsReplaced",
	"TestLogOfALife", "TestLoggerClass", "TestMasterKilled", "TestMaxRequests",
	"TestOneThreadIsTheMainThread", "TestOutput", "TestPreload", "TestPreloadBootTimeout",
	"TestPreloadFails", "TestPreloadIdentity", "TestPreloadMasterKilledEarly", "TestPreloadMemory",
	"TestPreloadReload", "TestProcessOfTheApplication", "TestPythonVariables", "TestQuickStop",
	"TestReloadOfBrokenCode", "TestReloadUnderLoad", "TestServerLoggers", "TestSignalHandlersRunAtOnce",
	"TestSignalsEndChildren", "TestSpawnerDies", "TestStacks", "TestStatus",
	"TestThreadsAreThreads", "TestThreadsRunConcurrently", "TestTimeout", "TestTimeoutRaises",
	"TestUpgradeUnderLoad", "TestWorkersInheritNothingElse",
}

// TestHostedCore runs these tests of this binary once more with workers that the
// interpreter hosts.
func TestHostedCore(t *testing.T) {
	t.Parallel()
	if gowsgitest.Hosted() {
		return // as all are
	}
	const deadline = 10 * time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.v", "-test.count=1", "-test.parallel=4",
		"-test.timeout="+deadline.String(), "-test.run=^("+strings.Join(core, "|")+")$")
	cmd.Env = append(os.Environ(), "GOWSGI_TEST_MODE=hosted", "GOWSGI_TEST_BINARY="+gowsgitest.Binary(t))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, name := range core {
		if !regexp.MustCompile(`(?m)^--- (PASS|FAIL): ` + name + ` `).Match(out) {
			t.Errorf("%s did not run", name)
		}
	}
}

// TestBothModesLookAlike: an application cannot tell from what it finds whether the
// interpreter was loaded or hosts the server.
func TestBothModesLookAlike(t *testing.T) {
	t.Parallel()
	if gowsgitest.Hosted() {
		return
	}
	pythons := gowsgitest.Loadable(t)
	dir := t.TempDir()
	for _, python := range slices.Compact([]gowsgitest.Interpreter{pythons[0], pythons[len(pythons)-1]}) {
		for name, env := range map[string][]string{
			"plain":     nil,
			"no locale": {"LC_ALL=C", "PYTHONPATH=:" + dir, "PYTHONUNBUFFERED=1", "PYTHONINSPECT=1"},
			"UTF-8 off": {"LANG=C", "PYTHONUTF8=0", "PYTHONSAFEPATH=1", "PYTHONWARNINGS=error"},
			"preloaded": {"GOWSGI_CMD_ARGS=--preload", "PYTHONFAULTHANDLER=1"},
		} {
			t.Run(python.String()+" "+name, func(t *testing.T) {
				t.Parallel()
				seen := func(mode string) (both map[string]map[string]any) {
					s := gowsgitest.Start(t, gowsgitest.Config{Dir: apps(), NoVenv: true, Args: []string{"--python", python.Path, "parity"},
						Env: append([]string{"GOWSGI_PYTHON_MODE=" + mode}, env...)})
					s.Get("/").JSON(t, &both)
					return both
				}
				loaded, hosted := seen("dlopen"), seen("hosted")
				for when := range loaded {
					for what, want := range loaded[when] {
						if got := hosted[when][what]; fmt.Sprint(got) != fmt.Sprint(want) {
							t.Errorf("%s, at the %s:\nhosted %v\nloaded %v", what, when, got, want)
						}
					}
				}
			})
		}
	}
}

// copyFile copies a program.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	// No process may be forked while it is open for writing (ETXTBSY).
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(to, data, 0o755); err != nil {
		t.Fatal(err)
	}
}

// installed copies the binary, and with it its library, as a wheel installs them.
func installed(t *testing.T, withLibrary bool) (program, library string) {
	t.Helper()
	dir := t.TempDir()
	mkdir(t, filepath.Join(dir, "bin"))
	mkdir(t, filepath.Join(dir, "lib/gowsgi"))
	program, library = filepath.Join(dir, "bin/gowsgi"), filepath.Join(dir, "lib/gowsgi/libgowsgi.so")
	copyFile(t, gowsgitest.Binary(t), program)
	if withLibrary {
		copyFile(t, filepath.Join(filepath.Dir(gowsgitest.Binary(t)), "libgowsgi.so"), library)
	}
	return program, library
}

// A hosted worker without its library, or with that of another build, ends the start
// with what to do.
func TestHostedLibraryRefused(t *testing.T) {
	t.Parallel()
	alone, _ := installed(t, false)
	old, library := installed(t, true)
	data := read(t, library)
	changed := regexp.MustCompile(`gowsgi library version [0-9.]+;`).ReplaceAllStringFunc(data, func(s string) string {
		return s[:len(s)-2] + "9;"
	})
	if changed == data {
		t.Fatal("the library has no version")
	}
	if err := os.WriteFile(library, []byte(changed), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, program string
		want          []string
	}{
		{"missing", alone, []string{"there is no libgowsgi.so in " + filepath.Dir(alone), "pip install gowsgi"}},
		{"another version", old, []string{library + " is of gowsgi ", "this is gowsgi ", "from one build"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := gowsgitest.Run(t, gowsgitest.Config{Program: tt.program, Dir: apps(), Args: []string{"--python-mode", "hosted", "hello"}})
			if r.Code != 1 {
				t.Errorf("exit code %d, want 1", r.Code)
			}
			for _, want := range tt.want {
				if !strings.Contains(r.Stderr, want) {
					t.Errorf("got %q, want %q in it", r.Stderr, want)
				}
			}
		})
	}
}

// A master keeps starting workers it understands, whatever became of the files.
func TestHostedLibraryRemoved(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--preload"}} {
		t.Run(fmt.Sprint(args), func(t *testing.T) {
			t.Parallel()
			program, library := installed(t, true)
			s := gowsgitest.Start(t, gowsgitest.Config{Program: program, Dir: apps(), Args: append(args, "--python-mode", "hosted", "probe")})
			first := pid(t, s)
			if err := errors.Join(os.Remove(program), os.Remove(library)); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if workers := s.WaitBooted(2); pid(t, s) != workers[1] {
				t.Error("another than the second worker answers")
			}
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}

// Signals that come while the interpreter starts, with nothing of the server in it
// yet, are kept until there is.
func TestHostedSignalsAtStart(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) (s *gowsgitest.Server, worker int, open func()) {
		dir := t.TempDir()
		write(t, dir, "sitecustomize.py", `
import os, time
if "worker" in open("/proc/self/cmdline").read().split("\0"):
    here = os.path.dirname(__file__)
    open(os.path.join(here, "started"), "w").close()
    while not os.path.exists(os.path.join(here, "gate")):
        time.sleep(0.01)
`)
		s = gowsgitest.Start(t, gowsgitest.Config{Dir: apps(), Args: []string{"--python-mode", "hosted", "probe"}, Env: []string{"PYTHONPATH=" + dir}})
		worker = s.WaitBooted(1)[0]
		if !gowsgitest.Eventually(func() bool { return exists(filepath.Join(dir, "started")) }) {
			t.Fatal("the interpreter does not start")
		}
		return s, worker, func() { write(t, dir, "gate", "") }
	}
	t.Run("of no consequence", func(t *testing.T) {
		t.Parallel()
		s, worker, open := begin(t)
		for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH} {
			if err := syscall.Kill(worker, sig); err != nil {
				t.Fatal(err)
			}
		}
		open()
		if got := pid(t, s); got != worker {
			t.Errorf("process %d answers, want %d", got, worker)
		}
	})
	t.Run("SIGTERM", func(t *testing.T) {
		t.Parallel()
		s, worker, open := begin(t)
		if err := syscall.Kill(worker, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		open()
		if second := s.WaitBooted(2)[1]; pid(t, s) != second {
			t.Error("another than the second worker answers")
		}
		if n := s.Log.Count(`SIGTERM`); n > 0 {
			t.Error("the first one died of the signal")
		}
	})
}

// Go's signal handlers need a stack until the process is gone, and Python, when it
// ends, takes away the one it had set before Go came.
func TestHostedSignalsAtTheEnd(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--preload"}} {
		t.Run(fmt.Sprint(args), func(t *testing.T) {
			t.Parallel()
			s := gowsgitest.Start(t, gowsgitest.Config{Dir: apps(), Env: []string{"PYTHONFAULTHANDLER=1"},
				Args: append(args, "-w", "8", "--python-mode", "hosted", "--access-logfile", os.DevNull, "probe")})
			workers := s.WaitBooted(8)
			answering(t, s, 8)
			var wg sync.WaitGroup
			for _, pid := range workers {
				p, err := os.FindProcess(pid)
				if err != nil {
					t.Fatal(err)
				}
				wg.Go(func() {
					for p.Signal(syscall.SIGURG) == nil { // by which Go preempts goroutines
					}
				})
			}
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			wg.Wait()
			if n := s.Log.Count(`^fatal error|SIGABRT`); n > 0 {
				t.Error("workers died when they ended")
			}
		})
	}
}

// A library that cannot be loaded is a worker that cannot start, with the reason.
func TestHostedLibraryBroken(t *testing.T) {
	t.Parallel()
	program, library := installed(t, true)
	data := []byte(read(t, library))
	// The version is found in the file, but it is no library: e_type is at 16.
	data[16] = 4 // ET_CORE
	if err := os.WriteFile(library, data, 0o755); err != nil {
		t.Fatal(err)
	}
	r := gowsgitest.Run(t, gowsgitest.Config{Program: program, Dir: apps(), Args: []string{"--python-mode", "hosted", "hello"}})
	if r.Code != 3 || !strings.Contains(r.Stderr, "loading "+library+": ") {
		t.Errorf("exit code %d, %q, want 3 and the reason", r.Code, r.Stderr)
	}
}

// A fault in the library itself is Go's to explain, at once; the worker is replaced.
func TestHostedFaultInTheLibrary(t *testing.T) {
	t.Parallel()
	library := filepath.Join(filepath.Dir(gowsgitest.Binary(t)), "libgowsgi.so")
	f, err := elf.Open(library)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	// What calls C's freeaddrinfo takes a pointer to its arguments.
	i := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return strings.HasSuffix(s.Name, "_Cfunc_freeaddrinfo") })
	if i < 0 {
		t.Fatal("the library has no function to call")
	}
	dir := t.TempDir()
	write(t, dir, "app.py", fmt.Sprintf(`
import ctypes, os

def application(environ, start_response):
    if environ["PATH_INFO"] == "/fault":
        ctypes.CDLL(%q, mode=os.RTLD_NOLOAD | os.RTLD_NOW)[%q](None)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
`, library, symbols[i].Name))
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"--python-mode", "hosted", "app"}})
	s.WaitBooted(1)
	<-ask(s, "/fault")
	s.Log.Wait(t, `^SIGSEGV: segmentation violation$`)
	s.Log.Wait(t, `gowsgi/worker/python\._Cfunc_gw_call`)
	s.Log.Wait(t, `File ".*app\.py", line \d+ in application`)
	s.Log.Wait(t, `Worker \(pid:\d+\) was sent SIGABRT! \[.*in GET /fault`)
	if got := s.GetOK("/"); got != "ok" {
		t.Errorf("got %q", got)
	}
}

// What was chosen, and why, is said where somebody looks for it.
func TestModeIsSaid(t *testing.T) {
	t.Parallel()
	python := filepath.Join(gowsgitest.Venv(t), "bin/python")
	auto := "hosted: it has no shared libpython"
	if out, err := exec.Command(python, "-c", "import sysconfig as s, os; v = s.get_config_var; print(os.path.exists(v('LIBDIR') + '/' + v('INSTSONAME')))").Output(); err != nil {
		t.Fatal(err)
	} else if strings.TrimSpace(string(out)) == "True" {
		auto = "dlopen: it has a shared libpython"
	}
	for mode, why := range map[string]string{"auto": auto, "hosted": "hosted: python_mode is hosted"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			want := regexp.QuoteMeta("("+python+") is "+why) + "$"
			s := gowsgitest.Start(t, gowsgitest.Config{Dir: apps(), Args: []string{"--python-mode", mode, "--log-level", "debug", "hello"}})
			s.Log.Wait(t, `\[DEBUG\] Python 3\.\d+\.\d+ `+want)
			r := gowsgitest.Run(t, gowsgitest.Config{Dir: apps(), NoBind: true, Args: []string{"--python-mode", mode, "--print-config", "hello"}})
			if r.Code != 0 || !regexp.MustCompile(`(?m)^# Python 3\.\d+\.\d+ `+want).MatchString(r.Stdout) {
				t.Errorf("exit code %d, %q", r.Code, r.Stdout)
			}
		})
	}
}
