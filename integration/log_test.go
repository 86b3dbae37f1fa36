package integration

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
)

// logLine is gunicorn's form of a line of the error log.
var logLine = regexp.MustCompile(`^\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4})\] \[(\d+)\] \[(DEBUG|INFO|WARNING|ERROR|CRITICAL)\] (.*)$`)

// The life of a server, line by line, in the order and the words that tools which
// read gunicorn's log know.
func TestLogOfALife(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "2", "probe")
	workers := s.WaitBooted(2)
	answering(t, s, 2)
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	// Workers boot and leave in any order, the rest is fixed.
	want := []string{
		`Starting gowsgi \S+`,
		fmt.Sprintf(`Listening at: http://%s \(%d\)`, s.Addr, s.PID),
		`Using worker: sync`,
		`Booting worker with pid: \d+`,
		`Booting worker with pid: \d+`,
		`Handling signal: term`,
		`Worker exiting \(pid: \d+\)`,
		`Worker exiting \(pid: \d+\)`,
		`Shutting down: Master`,
	}
	lines := s.Log.Lines()
	for i, line := range lines {
		m := logLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("line %q is not in gunicorn's form", line)
			continue
		}
		at, err := time.Parse("2006-01-02 15:04:05 -0700", m[1])
		if err != nil || time.Since(at) > time.Hour || time.Since(at) < -time.Minute {
			t.Errorf("line %q: not the present time (%v)", line, err)
		}
		if who := atoi(t, m[2]); who != s.PID && !slices.Contains(workers, who) {
			t.Errorf("line %q is by neither the master %d nor a worker of %v", line, s.PID, workers)
		}
		if m[3] != "INFO" {
			t.Errorf("line %q: level %s, want INFO", line, m[3])
		}
		if i >= len(want) || !regexp.MustCompile(`^`+want[i]+`$`).MatchString(m[4]) {
			t.Errorf("line %d is %q, want it to match %q", i, m[4], slices.Concat(want, make([]string, len(lines)))[i])
		}
	}
	if len(lines) != len(want) {
		t.Errorf("%d lines, want %d", len(lines), len(want))
	}
	if out := s.Stdout.String(); out != "" {
		t.Errorf("standard output has %q, want nothing", out)
	}
}

func TestUsingWorker(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"-k", "sync"}, "sync"},
		{[]string{"-k", "gthread"}, "gthread"},
		{[]string{"--threads", "2"}, "gthread"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			t.Parallel()
			s := start(t, append(tt.args, "hello")...)
			if got := s.Log.Wait(t, `Using worker: (\S+)`)[1]; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			s.GetOK("/")
		})
	}
}

// Every line of --log-format json is one object, whatever an application writes
// into its exceptions.
func TestJSONLog(t *testing.T) {
	t.Parallel()
	s := gowsgitest.Launch(t, gowsgitest.Config{
		Dir: apps(), Bind: "127.0.0.1:0",
		Args: []string{"-w", "2", "--log-format", "json", "probe"},
	})
	m := s.Log.Wait(t, `http://(127\.0\.0\.1:\d+)`)
	c := gowsgitest.DialConn(t, "tcp", m[1])
	c.Send("GET /raise?name=RuntimeError HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if r := c.Response("GET"); r.Status != 500 {
		t.Errorf("got %v, want 500", r)
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	booted, raised := 0, 0
	for _, line := range s.Log.Lines() {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Errorf("line %q: %v", line, err)
			continue
		}
		for _, key := range []string{"time", "level", "pid", "message"} {
			if object[key] == nil {
				t.Errorf("line %q has no %s", line, key)
			}
		}
		if strings.Contains(strings.ToLower(fmt.Sprint(object["message"])), "booting worker") {
			booted++
		}
		if strings.Contains(line, "raised by the view") {
			raised++
		}
	}
	if booted != 2 || raised != 1 {
		t.Errorf("%d boots and %d exceptions on the log, want 2 and 1", booted, raised)
	}
}

func TestLogLevel(t *testing.T) {
	t.Parallel()
	tests := []struct {
		level    string
		info     bool
		problems bool
	}{
		{"debug", true, true},
		{"info", true, true},
		{"warning", false, true},
		{"error", false, true},
		{"critical", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.level, func(t *testing.T) {
			t.Parallel()
			// Without the line that tells the port, a socket of a known name is needed.
			path := filepath.Join(t.TempDir(), "s")
			s := gowsgitest.Launch(t, gowsgitest.Config{
				Dir: apps(), Bind: "unix:" + path,
				Args: []string{"--log-level", tt.level, "probe"},
			})
			c := dialWhenReady(t, path)
			c.Send("GET /raise?name=RuntimeError HTTP/1.0\r\n\r\n")
			c.Response("GET")
			s.Stop()
			if got := s.Log.Count(`Listening at`) == 1; got != tt.info {
				t.Errorf("information shown: %v, want %v", got, tt.info)
			}
			if got := s.Log.Count(`Error handling request`) == 1; got != tt.problems {
				t.Errorf("errors shown: %v, want %v", got, tt.problems)
			}
		})
	}
}

// dialWhenReady connects to a unix socket as soon as somebody listens at it, for
// servers whose log does not say so.
func dialWhenReady(t *testing.T, path string) *gowsgitest.Conn {
	t.Helper()
	if !gowsgitest.Eventually(func() bool {
		c, err := net.Dial("unix", path)
		if err == nil {
			c.Close()
		}
		return err == nil
	}) {
		t.Fatalf("nobody listens at %s", path)
	}
	return gowsgitest.DialConn(t, "unix", path)
}

// gunicorn: errorlog. Master and workers write the same file, and SIGUSR1 makes
// all of them open it anew after a rotation.
func TestLogFilesAndRotation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	errorLog, accessLog := filepath.Join(dir, "error.log"), filepath.Join(dir, "access.log")
	sock := filepath.Join(dir, "s")
	s := gowsgitest.Launch(t, gowsgitest.Config{
		Dir: apps(), Bind: "unix:" + sock,
		Args: []string{"-w", "2", "--error-logfile", errorLog, "--access-logfile", accessLog, "probe"},
	})
	t.Cleanup(func() {
		if t.Failed() {
			for _, f := range []string{errorLog, errorLog + ".1"} {
				if data, err := os.ReadFile(f); err == nil {
					t.Logf("%s:\n%s", f, data)
				}
			}
		}
	})
	waitFile := func(path, text string, n int) {
		t.Helper()
		if !gowsgitest.Eventually(func() bool {
			data, _ := os.ReadFile(path)
			return strings.Count(string(data), text) >= n
		}) {
			t.Fatalf("%s does not hold %q %d times", path, text, n)
		}
	}
	get := func(target string) {
		t.Helper()
		c := gowsgitest.DialConn(t, "unix", sock)
		c.Send("GET " + target + " HTTP/1.0\r\n\r\n")
		c.Response("GET")
	}
	waitFile(errorLog, "Booting worker", 2)
	get("/pid?before")
	get("/raise?name=RuntimeError")
	waitFile(accessLog, "GET /pid?before HTTP/1.0", 1)
	waitFile(errorLog, "raised by the view", 1)

	for _, path := range []string{errorLog, accessLog} {
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
	}
	s.Signal(syscall.SIGUSR1)
	waitFile(errorLog, "Handling signal: usr1", 0)
	// The worker hears of it a moment after the master: ask until the new file has
	// a line of it, and see that it stays there.
	if !gowsgitest.Eventually(func() bool {
		get("/pid?after")
		data, _ := os.ReadFile(accessLog)
		return strings.Contains(string(data), "GET /pid?after")
	}) {
		t.Fatal("the access log was not opened anew")
	}
	if !gowsgitest.Eventually(func() bool {
		get("/raise?name=RuntimeError&new")
		data, _ := os.ReadFile(errorLog)
		return strings.Contains(string(data), "raised by the view")
	}) {
		t.Fatal("the worker's error log was not opened anew")
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if text := read(t, errorLog); !strings.Contains(text, "Shutting down: Master") {
		t.Error("the master did not open its error log anew")
	}
	if out := s.Log.String() + s.Stdout.String(); out != "" {
		t.Errorf("standard error and output have %q, want nothing", out)
	}
}

// What an application prints appears where the server's output goes, and
// wsgi.errors on the error log (PEP 3333: wsgi.errors).
func TestApplicationOutput(t *testing.T) {
	t.Parallel()
	s := start(t, "probe")
	s.GetOK("/output")
	s.Stdout.Wait(t, `^printed to stdout$`)
	s.Log.Wait(t, `^printed to stderr$`)
	s.GetOK("/errors")
	for _, want := range []string{`one line by write$`, `two lines by writelines$`, `and another$`, `nächste ☃$`, `and by print$`} {
		s.Log.Wait(t, want)
	}
}

// gunicorn's loggers are there for the application, with a handler that leads to
// the error log, with and without a spawner.
func TestServerLoggers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		args  []string
		level string
	}{
		{"executed", nil, "INFO"},
		{"preloaded", []string{"--preload"}, "INFO"},
		{"debug", []string{"--log-level", "debug"}, "DEBUG"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, append(tt.args, "loggers")...)
			if got := s.GetOK("/page"); got != tt.level {
				t.Errorf("the level is %q, want %q", got, tt.level)
			}
			s.Log.Wait(t, `\[WARNING\] asked for /page$`)
			s.Log.Wait(t, `\[INFO\] imported$`)
			if on := s.Log.Count(`\[DEBUG\] not at info$`) > 0; on != (tt.level == "DEBUG") {
				t.Errorf("the debug message is on the log: %v", on)
			}
		})
	}
}
