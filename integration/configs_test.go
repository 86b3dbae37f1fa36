package integration

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// configured is what configs/app.py says.
type configured struct {
	PID         int
	Env         map[string]string
	Wrapped     int
	Threads     []string
	Connection  map[string]int
	Multithread bool
}

func startConfig(t *testing.T, name string, env ...string) *gowsgitest.Server {
	t.Helper()
	dir := filepath.Join(apps(), "configs")
	return gowsgitest.Start(t, gowsgitest.Config{
		Dir: dir, Env: append(env, "PYTHONPATH="+filepath.Join(dir, "stubs")), Args: []string{"-c", name, "app"},
	})
}

func askConfigured(t *testing.T, s *gowsgitest.Server) (c configured) {
	t.Helper()
	s.Get("/").JSON(t, &c)
	return c
}

// stops ends the server and checks that it went well.
func stops(t *testing.T, s *gowsgitest.Server) {
	t.Helper()
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// Configuration files as they are in use run unchanged: prometheus_client.
func TestConfigsPrometheus(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "metrics")
	mkdir(t, dir)
	write(t, dir, "left", "")
	s := startConfig(t, "prometheus.py", "PROMETHEUS_MULTIPROC_DIR="+dir)
	workers := s.WaitBooted(2)
	waitWorkers(t, s, 2)
	if exists(filepath.Join(dir, "left")) {
		t.Error("on_starting did not empty the directory")
	}
	signal(t, workers[0], syscall.SIGKILL)
	waitFile(t, filepath.Join(dir, fmt.Sprintf("dead-%d", workers[0])))
	s.WaitBooted(3)
	s.Signal(syscall.SIGHUP)
	s.Log.Wait(t, `Reload complete`)
	waitFile(t, filepath.Join(dir, fmt.Sprintf("dead-%d", workers[1])))
	stops(t, s)
	for _, pid := range s.WaitBooted(5) {
		if !exists(filepath.Join(dir, fmt.Sprintf("dead-%d", pid))) {
			t.Errorf("worker %d was not marked dead", pid)
		}
	}
}

func waitFile(t *testing.T, path string) {
	t.Helper()
	if !gowsgitest.Eventually(func() bool { return exists(path) }) {
		t.Fatalf("%s was not made", path)
	}
}

func TestConfigsFreeze(t *testing.T) {
	t.Parallel()
	s := startConfig(t, "freeze.py", "WEB_CONCURRENCY=3")
	s.WaitBooted(3)
	s.Log.Wait(t, `frozen: [1-9]\d\d\d+ objects`)
	s.Log.WaitN(t, `frozen in the worker: True`, 3)
	s.Log.Wait(t, `\[WARNING\] .*worker_tmp_dir`)
	stops(t, s)
}

func TestConfigsTelemetry(t *testing.T) {
	t.Parallel()
	s := startConfig(t, "telemetry.py")
	for _, pid := range s.WaitBooted(2) {
		s.Log.Wait(t, fmt.Sprintf(`\[%d\] \[INFO\] Worker spawned \(pid: %d\)`, pid, pid))
	}
	got := askConfigured(t, s)
	if !slices.Contains(got.Threads, "exporter") || !got.Multithread {
		t.Errorf("got %+v, want an exporter's thread", got)
	}
	s.Stdout.Wait(t, `"GET / HTTP/1.1" 200 \d+ "-" ".*" \d+$`)
	stops(t, s)
}

func TestConfigsAgent(t *testing.T) {
	t.Parallel()
	s := startConfig(t, "agent.py")
	if got := askConfigured(t, s); got.Wrapped != got.PID {
		t.Errorf("got %+v, want the application wrapped in %d", got, got.PID)
	}
	stops(t, s)
	s.Log.Wait(t, `agent of \d+ is down`)
}

// Worker ids: each of 1 to 3 once, also over reloads, recycling and deaths.
func TestConfigsWorkerID(t *testing.T) {
	t.Parallel()
	s := startConfig(t, "worker_id.py")
	ids := func() map[string]int {
		found := map[string]int{}
		if !gowsgitest.Eventually(func() bool {
			got := askConfigured(t, s)
			found[got.Env["APP_WORKER_ID"]] = got.PID
			return len(found) >= 3
		}) {
			t.Fatalf("ids found: %v, want three", found)
		}
		return found
	}
	check := func(when string) {
		t.Helper()
		for id := range ids() {
			if !slices.Contains([]string{"1", "2", "3"}, id) {
				t.Errorf("%s: there is a worker with id %q", when, id)
			}
		}
	}
	s.WaitBooted(3)
	waitWorkers(t, s, 3)
	check("at first")
	// Each five requests a worker is replaced.
	for range 60 {
		s.GetOK("/")
	}
	s.Log.Wait(t, `Autorestarting`)
	check("after recycling")
	mark := s.Log.Mark()
	s.Signal(syscall.SIGHUP)
	s.Log.WaitAfter(t, mark, `Reload complete`)
	check("after a reload")
	if workers := s.Workers(); len(workers) > 0 {
		_ = syscall.Kill(workers[0], syscall.SIGKILL) // it may be gone
	}
	check("after a death")
	stops(t, s)
	if s.Log.Count(`hook`) > 0 {
		t.Error("a hook failed")
	}
}

func TestConfigsMemoryWatcher(t *testing.T) {
	t.Parallel()
	s := startConfig(t, "memory_watcher.py")
	workers := s.WaitBooted(2)
	s.Log.Wait(t, `Server is ready. Spawning workers`)
	var grown configured
	s.Get("/grow").JSON(t, &grown)
	s.Log.Wait(t, fmt.Sprintf(`\[WARNING\] worker %d \(age \d\) uses \d+ MB`, grown.PID))
	s.Log.Wait(t, fmt.Sprintf(`Worker exiting \(pid: %d\)`, grown.PID))
	old := waitWorkers(t, s, 2, grown.PID)
	if !slices.Contains(workers, grown.PID) {
		t.Errorf("%d is none of the workers %v", grown.PID, workers)
	}
	s.Signal(syscall.SIGHUP)
	s.Log.Wait(t, `Reload complete`)
	waitWorkers(t, s, 2, old...)
	mark := s.Log.Mark()
	s.Get("/grow").JSON(t, &grown)
	s.Log.WaitAfter(t, mark, fmt.Sprintf(`\[WARNING\] worker %d \(age \d\) uses \d+ MB`, grown.PID))
	stops(t, s)
}

func TestConfigsStackDump(t *testing.T) {
	t.Parallel()
	s := startConfig(t, "stack_dump.py")
	first := s.WaitBooted(1)[0]
	_ = <-ask(s, "/stuck")
	s.Log.Wait(t, fmt.Sprintf(`\[%d\] \[INFO\] worker received SIGABRT signal`, first))
	s.Log.Wait(t, `^ .*app.py: line \d+, in application: time.sleep\(600\)$`)
	second := s.WaitBooted(2)[1]
	waitWorkers(t, s, 1, first)
	askConfigured(t, s) // it serves
	signal(t, second, syscall.SIGQUIT)
	s.Log.Wait(t, fmt.Sprintf(`\[%d\] \[INFO\] worker received INT or QUIT signal`, second))
	s.Log.Wait(t, `\[INFO\] interrupted$`)
	s.Log.WaitN(t, `^# Thread: MainThread`, 2)
	s.WaitBooted(3)
	stops(t, s)
}

func TestConfigsDatabasePool(t *testing.T) {
	t.Parallel()
	s := startConfig(t, "db_pool.py")
	s.WaitBooted(2)
	s.Log.Wait(t, fmt.Sprintf(`\[%d\] \[INFO\] connection of the master closed`, s.PID))
	if got := askConfigured(t, s); got.Connection["opened by"] != got.PID {
		t.Errorf("got %+v, want the worker's own connection", got)
	}
	stops(t, s)
}

func TestConfigsEnvironment(t *testing.T) {
	t.Parallel()
	s := startConfig(t, "environment.py", "APP_CONCURRENCY=3", "LOG_LEVEL=debug")
	s.WaitBooted(3)
	s.Stdout.Wait(t, `{"loglevel": "debug", "workers": 3, "bind": "127.0.0.1:0"`)
	got := askConfigured(t, s)
	if got.Env["APP_STARTED_BY"] != "the file" {
		t.Errorf("got %+v, want raw_env", got)
	}
	s.Log.Wait(t, `\[DEBUG\] GET /`)
	stops(t, s)
}

func TestConfigsSharedState(t *testing.T) {
	t.Parallel()
	s := startConfig(t, "shared_state.py")
	s.WaitBooted(3)
	waitWorkers(t, s, 3)
	const asked = 30
	for range asked {
		s.GetOK("/")
	}
	stops(t, s)
	s.Log.Wait(t, fmt.Sprintf(`\[INFO\] %d requests in all`, asked))
	if n := s.Log.Count(`scheduler started by`); n != 1 {
		t.Errorf("%d workers have started the scheduler, want 1", n)
	}
}

func TestConfigsBuildpack(t *testing.T) {
	t.Parallel()
	ready := filepath.Join(t.TempDir(), "app-initialized")
	s := startConfig(t, "buildpack.py", "APP_INITIALIZED="+ready)
	s.WaitBooted(1)
	waitFile(t, ready)
	s.GetOK("/health")
	s.GetOK("/page?x=1")
	s.Log.Wait(t, `\[INFO\] GET /page\?x=1 200`)
	if s.Log.Count(`\[INFO\] GET /health`) > 0 {
		t.Error("health checks are logged")
	}
	stops(t, s)
}

// JSON logs by a formatter of the file, settings from the environment, a ready file.
func TestConfigsJSONLogs(t *testing.T) {
	t.Parallel()
	ready := filepath.Join(t.TempDir(), "ready")
	s := startConfig(t, "json_logs.py", "READY_FILE="+ready, "WEB_CONCURRENCY=2")
	s.WaitBooted(2)
	s.Get("/healthz")
	s.Get("/page")
	s.Log.Wait(t, `"logger": "gunicorn.access".*GET /page `)
	if !exists(ready) {
		t.Error("when_ready has made no file")
	}
	stops(t, s)
	if exists(ready) {
		t.Error("on_exit has not removed the file")
	}
	var text []string
	for _, line := range s.Log.Lines() {
		var l struct {
			Level, Logger, Text string
			PID                 int
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.PID == 0 || l.Level == "" {
			t.Errorf("%q is not of the formatter: %v", line, err)
		}
		if l.PID == s.PID {
			text = append(text, l.Text)
		}
	}
	all := strings.Join(text, "\n")
	for _, want := range []string{"Starting gowsgi", "Listening at:", "Server is ready. Spawning 2 workers", "Booting worker", "Shutting down: Master", "Cleaned up"} {
		i := strings.Index(all, want)
		if i < 0 {
			t.Fatalf("no %q, or too early, in the master's lines:\n%s", want, strings.Join(text, "\n"))
		}
		all = all[i:]
	}
	if s.Log.Count(`/healthz`) != 0 {
		t.Error("the health check is on the access log")
	}
}
