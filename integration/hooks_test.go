package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// seen is what a hook of hooked.conf.py wrote.
type seen map[string]any

func (s seen) hook() string { return s["hook"].(string) }

func (s seen) number(key string) int {
	n, _ := s[key].(float64)
	return int(n)
}

// hooked is a server with hooked.conf.py.
type hooked struct {
	*gowsgitest.Server
	t   *testing.T
	log string
}

func startHooked(t *testing.T, args ...string) *hooked {
	t.Helper()
	log := filepath.Join(t.TempDir(), "hooks")
	s := gowsgitest.Start(t, gowsgitest.Config{
		Dir: apps(), Env: []string{"HOOKED_LOG=" + log}, Args: append([]string{"-c", "hooked.conf.py"}, args...),
	})
	return &hooked{s, t, log}
}

// calls returns the calls so far, of one hook if it is named.
func (h *hooked) calls(hook string) (all []seen) {
	data, _ := os.ReadFile(h.log)
	for line := range strings.Lines(string(data)) {
		var s seen
		if err := json.Unmarshal([]byte(line), &s); err == nil && (hook == "" || s.hook() == hook) {
			all = append(all, s)
		}
	}
	return all
}

// wait waits until the hook has been called n times and returns the last of them.
func (h *hooked) wait(hook string, n int) seen {
	h.t.Helper()
	var calls []seen
	if !gowsgitest.Eventually(func() bool { calls = h.calls(hook); return len(calls) >= n }) {
		h.t.Fatalf("%s was called %d times, want %d; all: %v", hook, len(calls), n, h.calls(""))
	}
	return calls[n-1]
}

// check compares what a hook saw with pairs of a key and a value.
func (h *hooked) check(s seen, pairs ...any) {
	h.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		want, err := json.Marshal(pairs[i+1])
		if err != nil {
			h.t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(want, &v); err != nil {
			h.t.Fatal(err)
		}
		if got := s[pairs[i].(string)]; !reflect.DeepEqual(got, v) {
			h.t.Errorf("%s: %s is %v, want %v", s.hook(), pairs[i], got, v)
		}
	}
}

// gunicorn: Server Hooks. Each is called in the process and at the moment it is
// called by gunicorn, with objects that have what configuration files use.
func TestHooks(t *testing.T) {
	t.Parallel()
	h := startHooked(t)
	workers := h.WaitBooted(2)
	waitWorkers(t, h.Server, 2)
	spawner := spawnerPID(t, h.Server, 1)
	h.wait("post_worker_init", 2)

	var order []string
	for _, s := range h.calls("") {
		if s.number("pid") == spawner {
			order = append(order, s.hook())
		}
	}
	if want := []string{"nworkers_changed", "on_starting", "when_ready", "pre_fork", "pre_fork"}; !slices.Equal(order, want) {
		t.Errorf("called in the spawner: %v, want %v", order, want)
	}
	h.check(h.wait("nworkers_changed", 1), "new", 2, "old", nil)
	h.check(h.wait("on_starting", 1), "server", h.PID, "workers", 2, "threads", 1, "thread", true)
	h.check(h.wait("pre_fork", 2), "age", 2, "worker", "[booting]", "raw", "from the file")
	for _, s := range h.calls("post_fork") {
		if !slices.Contains(workers, s.number("pid")) {
			t.Errorf("post_fork ran in %d, want one of %v", s.number("pid"), workers)
		}
		h.check(s, "number", s["age"], "worker", s["pid"], "server", h.PID, "ppid", h.PID, "thread", true)
	}
	for _, s := range h.calls("post_fork") {
		workers[s.number("age")-1] = s.number("pid") // by age: their lines come in any order
	}
	h.check(h.wait("post_worker_init", 1), "app", true, "uri", "hooked:application")
	h.Log.Wait(t, fmt.Sprintf(`\[%d\] \[INFO\] starting with 2 workers`, h.PID))
	h.Log.Wait(t, fmt.Sprintf(`\[%d\] \[WARNING\] forked <Worker %d>`, workers[0], workers[0]))

	// Requests.
	req := h.NewRequest("GET", "/a%20b?x=1", nil)
	req.Header.Set("X-Test", "value")
	r := h.Do(req)
	pid, number, _ := strings.Cut(r.Body, " ")
	if r.Status != 200 || r.Header.Get("X-Raw") != "from the file" || !slices.Contains(workers, atoi(t, pid)) || number == "" {
		t.Errorf("got %v", r)
	}
	h.check(h.wait("pre_request", 1), "method", "GET", "path", "/a%20b", "uri", "/a%20b?x=1", "query", "x=1",
		"version", []int{1, 1}, "test", []string{"value"}, "pid", atoi(t, pid))
	h.check(h.wait("post_request", 1), "uri", "/a%20b?x=1", "status", "200 OK", "code", 200, "sent", len(r.Body),
		"headers", [][]string{{"Content-Type", "text/plain"}, {"X-Raw", "from the file"}}, "wrapped", "yes", "nr", 1)
	if r := h.Get("/raises"); r.Status != 500 {
		t.Errorf("got %v, want 500", r)
	}
	h.check(h.wait("post_request", 2), "code", 500, "headers", []any{})
	if r := h.Get("/refused"); r.Status != 500 {
		t.Errorf("got %v, want 500", r)
	}
	h.Log.Wait(t, `ValueError: refused by the hook`)
	if r := h.Get("/late"); r.Status != 200 {
		t.Errorf("got %v, want 200", r)
	}
	h.Log.Wait(t, `Exception in post_request hook`)
	h.Log.Wait(t, `KeyError: 'after the response'`)

	// Workers come and go.
	h.Signal(syscall.SIGTTIN)
	h.check(h.wait("nworkers_changed", 2), "new", 3, "old", 2)
	h.wait("post_worker_init", 3)
	h.Signal(syscall.SIGTTOU)
	h.check(h.wait("nworkers_changed", 3), "new", 2, "old", 3)
	h.check(h.wait("worker_exit", 1), "age", 1, "started", true, "pid", workers[0])
	h.check(h.wait("child_exit", 1), "worker", workers[0], "number", 1, "left", 2, "pid", spawner)

	signal(t, workers[1], syscall.SIGQUIT)
	h.check(h.wait("worker_int", 1), "age", 2, "thread", true)
	h.check(h.wait("child_exit", 2), "worker", workers[1])
	fourth := h.WaitBooted(4)[3]
	h.wait("post_worker_init", 4)
	signal(t, fourth, syscall.SIGABRT)
	h.check(h.wait("worker_abort", 1), "age", 4, "thread", true)
	h.Log.Wait(t, fmt.Sprintf(`Worker \(pid:%d\) was sent SIGABRT`, fourth))
	h.wait("post_worker_init", 5)

	if code := h.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	all := h.calls("")
	last := all[len(all)-1]
	h.check(last, "hook", "on_exit", "pid", spawner, "calls", len(all)-1)
	h.Log.Wait(t, fmt.Sprintf(`\[%d\] \[ERROR\] leaving`, h.PID))
	if n := len(h.calls("child_exit")); n != 5 {
		t.Errorf("child_exit was called %d times, want 5", n)
	}
}

// A reload executes the file anew. What hooks stored on the server object is there
// again, as under gunicorn, where it is the same object.
func TestHooksReload(t *testing.T) {
	t.Parallel()
	h := startHooked(t)
	h.WaitBooted(2)
	waitWorkers(t, h.Server, 2)
	h.Signal(syscall.SIGHUP)
	h.Log.Wait(t, `Reload complete: 2 workers`)
	next := spawnerPID(t, h.Server, 2)
	h.check(h.wait("on_reload", 1), "begun", []string{"list"}, "lost", true, "pid", next)
	h.check(h.wait("nworkers_changed", 2), "new", 2, "old", 2, "pid", next)
	h.check(h.wait("when_ready", 2), "pid", next)
	h.wait("child_exit", 2)
	if n := len(h.calls("on_starting")); n != 1 {
		t.Errorf("on_starting was called %d times, want once", n)
	}
	h.Stop()
	if all := h.calls("on_exit"); len(all) != 1 || all[0].number("pid") != next {
		t.Errorf("on_exit: %v, want it once, in %d", all, next)
	}
}

// gunicorn: pre_exec, before a new master is started.
func TestHooksUpgrade(t *testing.T) {
	t.Parallel()
	h := startHooked(t)
	h.WaitBooted(2)
	waitWorkers(t, h.Server, 2)
	next := upgrade(t, h.Server, h.PID, 2)
	h.check(h.wait("pre_exec", 1), "server", h.PID)
	if n := len(h.calls("on_starting")); n != 2 {
		t.Errorf("on_starting was called %d times, want once by each master", n)
	}
	h.Signal(syscall.SIGTERM)
	leaves(t, h.PID)
	h.GetOK("/")
	stopsLast(t, h.Server, next)
}

// A request that takes too long: worker_abort sees it, where the main thread is.
func TestHooksTimeout(t *testing.T) {
	t.Parallel()
	h := startHooked(t, "-w", "1", "-t", "1")
	h.WaitBooted(1)
	_ = <-ask(h.Server, "/sleep")
	h.check(h.wait("worker_abort", 1), "age", 1, "thread", true)
	h.Log.Wait(t, `Worker \(pid:\d+\) was ended after request timeout`)
	if n := h.Log.Count(`File ".*hooked.py", line \d+ in application`); n != 1 {
		t.Errorf("the stack is %d times on the log, want once", n)
	}
	h.WaitBooted(2)
}

// A thread that holds the GIL in C code runs no hook. Its stack is shown all the same.
func TestHooksTimeoutInC(t *testing.T) {
	t.Parallel()
	h := startHooked(t, "-w", "1", "-t", "1")
	first := h.WaitBooted(1)[0]
	_ = <-ask(h.Server, "/held")
	h.Log.Wait(t, `File ".*hooked.py", line \d+ in application`)
	h.Log.Wait(t, fmt.Sprintf(`Worker \(pid:%d\) was ended after request timeout`, first))
	if n := h.Log.Count(`File ".*hooked.py", line \d+ in application`); n != 1 {
		t.Errorf("the stack is %d times on the log, want once", n)
	}
	h.WaitBooted(2)
	if calls := h.calls("worker_abort"); len(calls) > 0 {
		t.Errorf("worker_abort was called: %v", calls)
	}
}

// Hooks that raise: those of a start end it, with gunicorn's exit code 1; one in a
// worker is a worker that cannot start; later ones are named on the log.
func TestHooksRaise(t *testing.T) {
	t.Parallel()
	const app = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'served']\n"
	for _, tt := range []struct {
		name, source string
		code         int
		want         string
	}{
		{"on_starting", "def on_starting(server): 1/0", 1, `Exception in on_starting hook: ZeroDivisionError`},
		{"when_ready", "def when_ready(server): 1/0", 1, `Exception in when_ready hook: ZeroDivisionError`},
		{"nworkers_changed", "def nworkers_changed(server, a, b): 1/0", 1, `Exception in nworkers_changed hook: ZeroDivisionError`},
		{"post_fork", "def post_fork(server, worker): 1/0", 3, `Worker failed to boot`},
		{"post_worker_init", "def post_worker_init(worker): 1/0", 3, `Worker failed to boot`},
		{"exits", "def on_starting(server): raise SystemExit(7)", 1, `Exception in on_starting hook: SystemExit: 7`},
		{"kills", "import os\ndef on_starting(server): os._exit(7)", 1, `on_starting hook: the spawner has ended`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "app.py", app)
			write(t, dir, "gunicorn.conf.py", tt.source)
			s := gowsgitest.Launch(t, gowsgitest.Config{Dir: dir, Args: []string{"-p", "pid", "app"}})
			if code := s.Wait(); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if s.Log.Count(tt.want) != 1 || exists(filepath.Join(dir, "pid")) {
				t.Errorf("log has no %q once, or a pid file is left", tt.want)
			}
		})
	}
	t.Run("later", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		write(t, dir, "app.py", app)
		write(t, dir, "gunicorn.conf.py", `
import os
def pre_fork(server, worker):
    if worker.age == 2:
        raise ValueError("no second")
def child_exit(server, worker): raise KeyError("child_exit")
def worker_exit(server, worker): raise KeyError("worker_exit")
def on_exit(server): raise KeyError("on_exit")
`)
		s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"app"}})
		first := s.WaitBooted(1)[0]
		if got := s.GetOK("/"); got != "served" {
			t.Errorf("got %q", got)
		}
		s.Signal(syscall.SIGTTIN)
		s.Log.Wait(t, `Exception in pre_fork hook: ValueError: no second`)
		s.Log.Wait(t, `Worker could not be forked`)
		s.WaitBooted(2) // the third
		signal(t, first, syscall.SIGKILL)
		s.Log.Wait(t, `Exception in child_exit hook: KeyError: 'child_exit'`)
		// A worker that has not come up yet has nothing to leave.
		if got := s.GetOK("/"); got != "served" {
			t.Errorf("after the first was killed: got %q", got)
		}
		if code := s.Stop(); code != 0 {
			t.Errorf("exit code %d, want 0", code)
		}
		for _, want := range []string{`Exception during worker exit`, `Exception in on_exit hook: KeyError: 'on_exit'`} {
			if s.Log.Count(want) == 0 {
				t.Errorf("log has no %q", want)
			}
		}
	})
}

// The objects of hooks have what gunicorn's have; what cannot be says so.
func TestHookObjects(t *testing.T) {
	t.Parallel()
	log, pidfile := filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "pid")
	s := gowsgitest.Start(t, gowsgitest.Config{
		Dir: apps(), Env: []string{"OBJECTS_LOG=" + log, "OBJECTS_PID=" + pidfile}, Args: []string{"-c", "objects.conf.py"},
	})
	s.WaitBooted(2) // num_workers was raised
	r := s.NewRequest("GET", "/close", nil)
	r.Close = true
	s.Do(r)
	s.GetOK("/page")
	s.GetOK("/reload")
	s.Log.Wait(t, `Reload complete: 2 workers`)
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	want := map[string]bool{
		"cfg": true, "when_ready": true, "post_fork": true, "post_worker_init": true, "child_exit": true,
		"post_request /close": true, "post_request /page": true, "post_request /reload": true,
		"nworkers_changed 2 1": true, "nworkers_changed 1 None": true, "nworkers_changed 1 2": true, "on_reload": true,
	}
	for line := range strings.Lines(read(t, log)) {
		if line = strings.TrimSuffix(line, "\n"); strings.HasPrefix(line, "nworkers_changed") || want[line] {
			delete(want, line)
		}
	}
	for line := range want {
		t.Errorf("no hook wrote %q", line)
	}
	if t.Failed() {
		t.Log(read(t, log))
	}
}
