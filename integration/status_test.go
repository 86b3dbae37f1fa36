package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"gowsgi/internal/gowsgitest"
	"gowsgi/internal/status"
)

// gowsgi runs a command that ends by itself and returns what it wrote and its exit
// code.
func gowsgi(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), gowsgitest.Binary(t), args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// statusOf runs "gowsgi status --json".
func statusOf(t testing.TB, s *gowsgitest.Server, code int) *status.Report {
	t.Helper()
	out, errs, got := gowsgi(t, "status", "--json", "--pid", itoa(s.PID))
	r := new(status.Report)
	if err := json.Unmarshal([]byte(out), r); err != nil || got != code {
		t.Fatalf("exit code %d, want %d; %v\n%s%s", got, code, err, out, errs)
	}
	return r
}

// waitStatus waits until the status is as ok says.
func waitStatus(t testing.TB, s *gowsgitest.Server, what string, ok func(*status.Report) bool) *status.Report {
	t.Helper()
	var r *status.Report
	if !gowsgitest.Eventually(func() bool {
		var err error
		r, err = status.Read(s.PID)
		return err == nil && ok(r)
	}) {
		t.Fatalf("never: %s; the status is %+v", what, r)
	}
	return r
}

func TestStatus(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pidfile := filepath.Join(dir, "pid")
	path := write(t, dir, "probe.py", read(t, filepath.Join(apps(), "probe.py")))
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"-w", "2", "-p", pidfile, "-n", "shop", "probe"}})
	workers := s.WaitBooted(2)
	waitStatus(t, s, "two are ready", func(r *status.Report) bool { return r.Ready == 2 && r.State == "running" })
	for range 5 {
		s.GetOK("/pid")
	}
	g := newGate(t)
	held := ask(s, g.target())
	g.waitStarted(1)
	busy := atoi(t, read(t, g.path+".started"))
	r := statusOf(t, s, 0)
	if r.PID != s.PID || r.App != "shop" || r.Target != 2 || r.Spawned != 2 || len(r.Workers) != 2 || len(r.Listeners) != 1 {
		t.Errorf("got %+v", r)
	}
	for i, w := range r.Workers {
		if w.PID != workers[i] || w.Age != i+1 || w.State != "serving" || w.RSS < 5<<20 || w.PSS <= 0 || w.PSS > w.RSS {
			t.Errorf("worker %d: %+v", i, w)
		}
		if (w.PID == busy) != (len(w.InFlight) == 1) {
			t.Errorf("in flight in %d: %+v, %d is busy", w.PID, w.InFlight, busy)
		}
		for _, q := range w.InFlight {
			if q.Method != "GET" || !strings.HasPrefix(q.Target, "/wait?gate=") || q.Phase != "in the application" || q.Addr != "127.0.0.1" || q.Seconds < 0 {
				t.Errorf("in flight: %+v", q)
			}
		}
	}
	if r.Requests != 5 {
		t.Errorf("%d requests, want 5", r.Requests)
	}
	text, errs, code := gowsgi(t, "status", "--pidfile", pidfile)
	for _, want := range []string{"shop: gowsgi 0.1.0, master " + itoa(s.PID) + ", running", "2 of 2 workers ready", `"GET /wait?gate=`, "in the application, from 127.0.0.1"} {
		if code != 0 || !strings.Contains(text, want) {
			t.Errorf("exit code %d, no %q in\n%s%s", code, want, text, errs)
		}
	}
	g.open()
	<-held

	// A reload that fails is to be seen, also in the exit code, until one succeeds.
	good := read(t, path)
	replace(t, path, "raise ValueError('broken')\n")
	s.Signal(syscall.SIGHUP)
	s.Log.Wait(t, `Reload failed`)
	waitStatus(t, s, "failed", func(r *status.Report) bool { return r.Reload.Failed == "ValueError: broken" })
	r = statusOf(t, s, 1)
	if r.Reload.FailedAt == nil || !strings.Contains(r.Reload.Traceback, "ValueError: broken") || r.Ready != 2 {
		t.Errorf("after a reload that failed: %+v", r.Reload)
	}
	if text, _, code := gowsgi(t, "status", "--pid", itoa(s.PID)); code != 1 || !strings.Contains(text, "LAST RELOAD FAILED") {
		t.Errorf("exit code %d\n%s", code, text)
	}
	replace(t, path, good)
	s.Signal(syscall.SIGHUP)
	s.Log.Wait(t, `Reload complete`)
	r = waitStatus(t, s, "recovered", func(r *status.Report) bool { return r.Healthy() && len(r.Workers) == 2 && r.Ready == 2 })
	if r.Requests < 6 {
		t.Errorf("%d requests, want those of the old workers, too", r.Requests)
	}
	before := r.Gone.Deaths
	kill(t, r.Workers[0].PID, "KILL")
	waitStatus(t, s, "a death", func(r *status.Report) bool { return r.Gone.Deaths == before+1 && r.Ready == 2 })

	// A master that is stopped can be looked at, too.
	s.Signal(syscall.SIGSTOP)
	statusOf(t, s, 0)
	s.Signal(syscall.SIGCONT)
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if _, _, code := gowsgi(t, "status", "--pid", itoa(s.PID)); code != 2 {
		t.Errorf("exit code %d without a server, want 2", code)
	}
}

// One line says why a worker died, how it had lived and what it was doing.
func TestDeathLines(t *testing.T) {
	t.Parallel()
	const life = ` \[lived \d+\.\ds, \d+ requests, peak memory \d+\.\d MiB; in GET /crash\?how=%s for \d+\.\ds \(in the application\)\]`
	for how, want := range map[string]string{
		"segfault": `\[ERROR\] Worker \(pid:%d\) was sent SIGSEGV!`,
		"abort":    `\[ERROR\] Worker \(pid:%d\) was sent SIGABRT!`,
		"kill":     `\[ERROR\] Worker \(pid:%d\) was sent SIGKILL! (Not for want of memory: somebody sent it|Perhaps out of memory\?)`,
		"0":        `\[ERROR\] Worker \(pid:%d\) exited with code 0\.`,
		"7":        `\[ERROR\] Worker \(pid:%d\) exited with code 7\.`,
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := start(t, "probe")
			victim := pid(t, s)
			c := s.Dial()
			c.Send("GET /crash?how=" + how + " HTTP/1.1\r\nHost: a\r\n\r\n")
			c.Rest()
			s.Log.Wait(t, fmt.Sprintf(want+life, victim, how))
			if how == "segfault" {
				s.Log.Wait(t, `Fatal Python error: Segmentation fault`)
			}
		})
	}
}

// A client that takes nothing, and one that sends nothing, are told apart.
func TestPhases(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app.py", `
def application(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        environ["wsgi.input"].read()
    start_response("200 OK", [])
    return (b"x" * 65536 for _ in range(1000))
`)
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"--threads", "2", "app"}})
	phase := func(method, want string) {
		t.Helper()
		waitStatus(t, s, method+" "+want, func(r *status.Report) bool {
			for _, w := range r.Workers {
				for _, q := range w.InFlight {
					if q.Method == method && q.Phase == want {
						return true
					}
				}
			}
			return false
		})
	}
	sender := s.Dial()
	sender.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nabc")
	phase("POST", "reading content")
	taker := s.Dial()
	taker.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	phase("GET", "writing")
	kill(t, s.WaitBooted(1)[0], "KILL")
	s.Log.Wait(t, `was sent SIGKILL!.*; in (POST / for .* \(reading content\), GET / for .* \(writing\)|GET / for .* \(writing\), POST / for .* \(reading content\))\]`)
}

// A worker the kernel kills for want of memory is known from the control group.
// The test makes one, if it may.
func TestKilledForWantOfMemory(t *testing.T) {
	t.Parallel()
	group, limitFile := "", ""
	for mount, limit := range map[string]string{"/sys/fs/cgroup/memory": "memory.limit_in_bytes", "/sys/fs/cgroup": "memory.max"} {
		dir := filepath.Join(mount, fmt.Sprintf("gowsgi-test-%d", os.Getpid()))
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { os.Remove(dir) })
		if !exists(filepath.Join(dir, "cgroup.procs")) {
			continue // an ordinary file system
		}
		if os.WriteFile(filepath.Join(dir, limit), []byte("150000000"), 0o644) == nil {
			group, limitFile = dir, limit
			break
		}
	}
	if group == "" {
		t.Skip("no control group for memory can be made here")
	}
	// What swaps is not killed.
	_ = os.WriteFile(filepath.Join(group, "memory.swap.max"), []byte("0"), 0o644)
	dir := t.TempDir()
	write(t, dir, "app.py", `
def application(environ, start_response):
    held = bytearray(600 << 20) if environ["PATH_INFO"] == "/hog" else b""
    for i in range(0, len(held), 4096):
        held[i] = 1
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
`)
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"app"}})
	old := s.WaitBooted(1)[0]
	s.GetOK("/")
	// The master moves, so its next worker is in the group from the start.
	if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(itoa(s.PID)), 0o644); err != nil {
		t.Skipf("the control group takes no process: %v", err)
	}
	s.Signal(syscall.SIGHUP)
	s.Log.Wait(t, `Reload complete`)
	waitWorkers(t, s, 1, old)
	victim := s.WaitBooted(2)[1]
	c := s.Dial()
	c.Send("GET /hog HTTP/1.1\r\nHost: a\r\n\r\n")
	c.Rest()
	m := s.Log.Wait(t, fmt.Sprintf(`\[ERROR\] Worker \(pid:%d\) was sent SIGKILL.*; in GET /hog for .*`, victim))
	t.Logf("%s with %s", m[0], limitFile)
	if !strings.Contains(m[0], "by the kernel: out of memory (the limit is 143.1 MiB)") {
		t.Errorf("the log does not say that the kernel did it: %s", m[0])
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// Of several masters none is picked, and all are named.
func TestStatusOfSeveral(t *testing.T) {
	t.Parallel()
	a, b := start(t, "hello"), start(t, "hello")
	r := gowsgitest.Run(t, gowsgitest.Config{NoBind: true, Args: []string{"status"}})
	if r.Code != 2 {
		t.Errorf("exit code %d, want 2", r.Code)
	}
	for _, s := range []*gowsgitest.Server{a, b} {
		if !regexp.MustCompile(fmt.Sprintf(`\b%d\b`, s.PID)).MatchString(r.Stderr) {
			t.Errorf("got %q, want the master %d named", r.Stderr, s.PID)
		}
	}
}
