package integration

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// daemon runs gowsgi --daemon and returns what it wrote and its exit code.
func daemon(t *testing.T, dir string, args ...string) (output string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), gowsgitest.Binary(t), append([]string{"-D"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "VIRTUAL_ENV="+gowsgitest.Venv(t))
	// A file: a pipe would be held open by the daemon if it kept it.
	out, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return read(t, out.Name()), cmd.ProcessState.ExitCode()
}

// stopDaemon stops the daemon at the end of the test, if it still runs.
func stopDaemon(t *testing.T, pid int) {
	p := gowsgitest.NewProcess(pid)
	t.Cleanup(func() {
		if p.Alive() {
			signal(t, pid, syscall.SIGINT)
			gowsgitest.Eventually(func() bool { return !p.Alive() })
		}
	})
}

// gunicorn: daemon. The command returns when the server listens; the server has a
// session of its own and no standard streams.
func TestDaemon(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app.py", version(1))
	log, pidfile := filepath.Join(dir, "log"), filepath.Join(dir, "pid")
	output, code := daemon(t, dir, "-b", "127.0.0.1:0", "-p", pidfile, "--error-logfile", log, "app")
	if code != 0 || output != "" {
		t.Fatalf("exit code %d, %q", code, output)
	}
	pid := atoi(t, read(t, pidfile))
	stopDaemon(t, pid)
	m := regexp.MustCompile(`Listening at: http://(\S+) \((\d+)\)`).FindStringSubmatch(read(t, log))
	if m == nil || atoi(t, m[2]) != pid {
		t.Fatalf("the log does not say where %d listens:\n%s", pid, read(t, log))
	}
	// The pid, the name, the state, the parent, the group, the session, the terminal.
	stat := strings.Fields(read(t, fmt.Sprintf("/proc/%d/stat", pid)))
	if stat[3] == itoa(os.Getpid()) || stat[5] != itoa(pid) || stat[6] != "0" {
		t.Errorf("parent %s, session %s, terminal %s", stat[3], stat[5], stat[6])
	}
	fds := gowsgitest.Descriptors(pid)
	for fd := range 3 {
		if fds[fd] != os.DevNull {
			t.Errorf("descriptor %d is %s", fd, fds[fd])
		}
	}
	// Those by which the start was told are closed a moment later.
	if !gowsgitest.Eventually(func() bool {
		now := gowsgitest.Descriptors(pid)
		return now[100] == "" && now[101] == ""
	}) {
		t.Errorf("descriptors are left: %v", gowsgitest.Descriptors(pid))
	}
	get := func() {
		t.Helper()
		client := http.Client{Timeout: gowsgitest.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
		r, err := client.Get("http://" + m[1] + "/")
		if err != nil || r.StatusCode != 200 {
			t.Fatalf("got %v, %v", r, err)
		}
		r.Body.Close()
	}
	get()
	env := read(t, fmt.Sprintf("/proc/%d/environ", gowsgitest.Children(pid)[0]))
	if strings.Contains(env, "GOWSGI_DAEMON") {
		t.Error("workers get what was meant for the daemon")
	}

	// A second one finds the first.
	output, code = daemon(t, dir, "-b", "127.0.0.1:0", "-p", pidfile, "--error-logfile", log, "app")
	if code != 1 || !strings.Contains(output, fmt.Sprintf("Already running on PID %d", pid)) {
		t.Errorf("a second one: exit code %d, %q", code, output)
	}

	// An upgrade goes on in the same session.
	signal(t, pid, syscall.SIGUSR2)
	ready := regexp.MustCompile(`New master \(pid:(\d+)\) is ready`)
	if !gowsgitest.Eventually(func() bool { return ready.MatchString(read(t, log)) }) {
		t.Fatalf("no new master:\n%s", read(t, log))
	}
	next := atoi(t, ready.FindStringSubmatch(read(t, log))[1])
	stopDaemon(t, next)
	signal(t, pid, syscall.SIGTERM)
	leaves(t, pid)
	get()
	if !gowsgitest.Eventually(func() bool { return exists(pidfile) && atoi(t, read(t, pidfile)) == next }) {
		t.Errorf("the pid file says %s, want %d", read(t, pidfile), next)
	}
	signal(t, next, syscall.SIGTERM)
	leaves(t, next)
	if exists(pidfile) {
		t.Error("the pid file is left")
	}
}

// What ends a start ends the command, with the code.
func TestDaemonThatCannotStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app.py", version(1))
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	log := filepath.Join(dir, "log")
	output, code := daemon(t, dir, "-b", busy.Addr().String(), "--error-logfile", log, "app")
	if code != 1 || !strings.Contains(output, "Connection in use") || !strings.Contains(output, "the daemon could not start") ||
		!strings.Contains(read(t, log), "Connection in use") {
		t.Errorf("exit code %d, %q, the log says\n%s", code, output, read(t, log))
	}
	output, code = daemon(t, dir, "-u", "no-such-user", "app")
	if code != 1 || !strings.Contains(output, "No such user") {
		t.Errorf("exit code %d, %q", code, output)
	}
}

// The command waits until the application is loaded, and ends as the start does, with
// the traceback on its standard error. Nothing is left behind.
func TestDaemonWhoseApplicationDoesNotLoad(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, source string
		args         []string
		code         int
		want         string
	}{
		{"the import raises", "raise ValueError('broken')\n", nil, 3, "raise ValueError('broken')"},
		{"no application", "x = 1\n", nil, 4, "Failed to find attribute 'application' in 'app'"},
		{"preloaded", "raise ValueError('broken')\n", []string{"--preload"}, 3, "raise ValueError('broken')"},
		{"several workers", "raise ValueError('broken')\n", []string{"-w", "4"}, 3, "raise ValueError('broken')"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "app.py", tt.source)
			log, pidfile := filepath.Join(dir, "log"), filepath.Join(dir, "pid")
			args := append(tt.args, "-b", "127.0.0.1:0", "-p", pidfile, "--error-logfile", log, "app")
			output, code := daemon(t, dir, args...)
			if code != tt.code || strings.Count(output, tt.want) != 1 || !strings.Contains(output, "the daemon could not start") {
				t.Errorf("exit code %d, want %d, %q, want once %q", code, tt.code, output, tt.want)
			}
			if strings.Count(read(t, log), tt.want) != 1 {
				t.Errorf("the log says\n%s", read(t, log))
			}
			if exists(pidfile) {
				t.Error("the pid file is left")
			}
		})
	}
}

// With --reload a start that fails waits for a file to change: the daemon is there, and
// the command says what is wrong.
func TestDaemonThatWaitsForAChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app.py", "raise ValueError('broken')\n")
	log, pidfile := filepath.Join(dir, "log"), filepath.Join(dir, "pid")
	output, code := daemon(t, dir, "--reload", "-b", "127.0.0.1:0", "-p", pidfile, "--error-logfile", log, "app")
	if code != 0 || !strings.Contains(output, "ValueError: broken") {
		t.Errorf("exit code %d, %q", code, output)
	}
	pid := atoi(t, read(t, pidfile))
	stopDaemon(t, pid)
	signal(t, pid, syscall.SIGTERM)
	leaves(t, pid)
}
