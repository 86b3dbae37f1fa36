package integration

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// pyLogApp raises at /boom and logs to the server's logger.
const pyLogApp = `
import logging
def application(environ, start_response):
    if environ["PATH_INFO"] == "/boom":
        raise ValueError("boom")
    if environ["PATH_INFO"] == "/log":
        logging.getLogger("gunicorn.error").warning("from the application")
    start_response("200 OK", [("X-Answer", "42"), ("Content-Length", "2")])
    return [b"ok"]
`

// pyLogINI has both loggers write files, with formats of their own.
const pyLogINI = `
[loggers]
keys=root, gunicorn.error, gunicorn.access
[handlers]
keys=error_file, access_file, console
[formatters]
keys=plain, access, console
[logger_root]
level=INFO
handlers=error_file
[logger_gunicorn.error]
level=INFO
handlers=error_file, console
propagate=0
qualname=gunicorn.error
[logger_gunicorn.access]
level=INFO
handlers=access_file
propagate=0
qualname=gunicorn.access
[handler_error_file]
class=logging.FileHandler
formatter=plain
args=('error.txt',)
[handler_console]
class=StreamHandler
formatter=console
args=(sys.stderr,)
[handler_access_file]
class=logging.FileHandler
formatter=access
args=('%(here)s/access.txt',)
[formatter_console]
format=console %(process)d %(levelname)s %(message)s
[formatter_plain]
format=%(levelname)s|%(name)s|%(message)s
[formatter_access]
format=access|%(message)s
`

// eventually waits until the file has the text, and returns all of it.
func eventually(t *testing.T, path, text string) (all string) {
	t.Helper()
	if !gowsgitest.Eventually(func() bool {
		if exists(path) {
			all = read(t, path)
		}
		return strings.Contains(all, text)
	}) {
		t.Fatalf("%s has not %q but\n%s", filepath.Base(path), text, all)
	}
	return all
}

// gunicorn: logconfig. Lines of the server and of requests go through Python's
// loggers, none is lost at the end, and USR1 opens their files anew.
func TestLogConfigFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app.py", pyLogApp)
	write(t, dir, "log.ini", pyLogINI)
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{
		"--log-config", "log.ini", "--access-logformat", "%(m)s %(U)s %(s)s %({x-answer}o)s %({X-Ask}i)s %(nosuch)s", "app"}})
	errors, access := filepath.Join(dir, "error.txt"), filepath.Join(dir, "access.txt")
	s.WaitBooted(1)
	s.GetOK("/page")
	s.GetOK("/log")
	s.Get("/boom")
	eventually(t, access, "access|GET /page 200 42 - -\n")
	eventually(t, access, "access|GET /boom 500 - - -\n")
	eventually(t, errors, "WARNING|gunicorn.error|from the application\n")
	if all := eventually(t, errors, "ERROR|gunicorn.error|Error handling request GET /boom\n"); !strings.Contains(all, "ValueError: boom") {
		t.Errorf("no traceback in\n%s", all)
	}
	for _, path := range []string{errors, access} {
		replace(t, path+".1", read(t, path))
	}
	if err := syscall.Rename(errors, errors+".2"); err != nil {
		t.Fatal(err)
	}
	s.Signal(syscall.SIGUSR1)
	if !gowsgitest.Eventually(func() bool { return exists(errors) }) {
		t.Fatal("the file was not opened anew")
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	eventually(t, errors, "INFO|gunicorn.error|Worker exiting (pid: ")
	eventually(t, errors, "INFO|gunicorn.error|Shutting down: Master\n")
	// The master's lines are all there, in order, and are its own.
	want := []string{"Starting gowsgi", "Listening at:", "Using worker:", "Booting worker", "Handling signal: usr1", "Handling signal: term", "Shutting down: Master"}
	var got []string
	for _, line := range s.Log.Lines() {
		text, ok := strings.CutPrefix(line, fmt.Sprintf("console %d INFO ", s.PID))
		if ok && len(got) < len(want) && strings.HasPrefix(text, want[len(got)]) {
			got = append(got, want[len(got)])
		}
		if strings.HasPrefix(line, "[") {
			t.Errorf("%q did not go through Python's logging", line)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q of %q on the console", got, want)
	}
}

// The master's lines are on the error log when the spawner is dead or one of its
// handlers is stuck, none is lost, and the server does what it is told meanwhile.
func TestMastersLinesWithoutSpawner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app.py", pyLogApp)
	write(t, dir, "gunicorn.conf.py", `
import logging, os, time
class Stuck(logging.StreamHandler):
    def emit(self, record):
        if "ttou" in record.getMessage(): time.sleep(300)
        super().emit(record)
logconfig_dict = {
    "formatters": {"generic": {"format": "python %(levelname)s %(message)s"}},
    "handlers": {"error_console": {"()": Stuck, "formatter": "generic"}, "console": {"class": "logging.StreamHandler"}},
    "loggers": {"gunicorn.error": {"level": "INFO", "handlers": ["error_console"], "propagate": False}},
    "root": {"level": "INFO", "handlers": []},
}
`)
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"-w", "2", "app"}})
	s.WaitBooted(2)
	spawner := atoi(t, s.Log.Wait(t, `python INFO Spawner running with pid: (\d+)$`)[1])
	if err := syscall.Kill(spawner, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.Log.Wait(t, `\[ERROR\] Spawner \(pid:\d+\) was sent SIGKILL`)
	s.Log.WaitN(t, `python INFO Spawner running with pid: (\d+)$`, 2)
	s.Signal(syscall.SIGTTIN)
	s.Log.Wait(t, `^python INFO Handling signal: ttin$`)
	s.WaitBooted(3)
	s.Signal(syscall.SIGTTOU)
	s.Log.Wait(t, `Worker exiting`) // the master did not wait
	s.Signal(syscall.SIGUSR1)
	s.Log.Wait(t, `\[INFO\] Handling signal: usr1$`)
	s.GetOK("/")
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, line := range []string{`Handling signal: ttou$`, `Handling signal: term$`, `Shutting down: Master$`} {
		if n := s.Log.Count(`\[INFO\] ` + line); n != 1 {
			t.Errorf("%d times %q on the error log, want it once", n, line)
		}
	}
}

// gunicorn: logger_class and logconfig_dict of a configuration file in Python, with
// objects that only Python has.
func TestLoggerClass(t *testing.T) {
	t.Parallel()
	for name, preload := range map[string]string{"plain": "False", "preloaded": "True"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "app.py", pyLogApp)
			write(t, dir, "gunicorn.conf.py", `
import json, logging
from gunicorn.glogging import Logger
preload_app = `+preload+`
accesslog = "-"
access_log_format = "%(m)s %(U)s"
class JSON(logging.Formatter):
    def format(self, record):
        a = record.args
        return json.dumps({"path": a["U"], "status": a["s"], "agent": a["{user-agent}i"], "us": a["D"] >= 0})
class Quiet(Logger):
    def setup(self, cfg):
        super().setup(cfg)
        self.error("set up by %s", type(self).__name__)
    def access(self, resp, req, environ, request_time):
        if req.path != "/health":
            assert resp.status_code in (200, 500) and request_time.total_seconds() < 60
            super().access(resp, req, environ, request_time)
logger_class = Quiet
logconfig_dict = {
    "formatters": {"generic": {"format": "%(levelname)s: %(message)s"}, "json": {"()": JSON}},
    "handlers": {
        "error_console": {"class": "logging.StreamHandler", "formatter": "generic", "stream": "ext://sys.stderr"},
        "console": {"class": "logging.FileHandler", "formatter": "json", "filename": "access.txt"},
    },
    "root": {"level": "INFO", "handlers": []},
}
def post_fork(server, worker):
    server.log.info("forked %s", worker.age)
def post_request(worker, req, environ, resp):
    worker.log.warning("after %s", req.path)
`)
			s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"app"}})
			s.WaitBooted(1)
			s.Log.Wait(t, `set up by Quiet`)
			s.Log.Wait(t, `INFO: forked 1$`)
			s.GetOK("/health")
			s.GetOK("/page")
			s.Log.Wait(t, `WARNING: after /page$`)
			all := eventually(t, filepath.Join(dir, "access.txt"), `{"path": "/page", "status": "200", "agent": `)
			if strings.Contains(all, "/health") {
				t.Errorf("the logger class was not asked: %s", all)
			}
			s.Get("/boom")
			s.Log.Wait(t, `ERROR: Error handling request GET /boom$`)
			s.Log.Wait(t, `^ValueError: boom$`)
		})
	}
}

// Without gunicorn there is a gunicorn.glogging for logger classes; gowsgi.toml and
// a JSON file do, too; and what is wrong is said at once.
func TestLogSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app.py", pyLogApp)
	write(t, dir, "mylog.py", "from gunicorn.glogging import Logger\nclass Mine(Logger):\n    def now(self):\n        return 'NOW'\n")
	write(t, dir, "log.json", `{"handlers": {"console": {"class": "logging.FileHandler", "filename": "json.txt"},
		"error_console": {"class": "logging.StreamHandler"}}, "formatters": {}}`)
	write(t, dir, "dict.toml", "access_log_format = \"%(t)s %(U)s\"\nlogger_class = \"mylog.Mine\"\n[logconfig_dict.formatters.generic]\nformat = \"toml %(message)s\"\n")
	for _, tt := range []struct {
		name string
		args []string
		want string // on standard output; or in json.txt
	}{
		{"TOML", []string{"-c", "dict.toml", "app"}, `^toml NOW /page$`},
		{"JSON", []string{"--log-config-json", "log.json", "--access-logformat", "%(U)s", "app"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: tt.args})
			s.GetOK("/page")
			if tt.want == "" {
				eventually(t, filepath.Join(dir, "json.txt"), "/page\n")
				return
			}
			s.Stdout.Wait(t, tt.want)
		})
	}
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"missing file", []string{"--log-config", "nosuch.ini", "app"}, "Error: log config 'nosuch.ini' not found"},
		{"missing JSON file", []string{"--log-config-json", "nosuch.json", "app"}, "Error: log config 'nosuch.json' not found"},
		{"no class", []string{"--logger-class", "Mine", "app"}, "invalid value for logger_class: 'Mine': must be package.module.Class"},
		{"no such class", []string{"--check-config", "--logger-class", "mylog.Other", "app"}, "AttributeError"},
		{"no such class at a start", []string{"--logger-class", "mylog.Other", "app"}, "AttributeError"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := gowsgitest.Run(t, gowsgitest.Config{Dir: dir, Args: tt.args})
			if r.Code == 0 || !strings.Contains(r.Stderr, tt.want) {
				t.Errorf("got exit %d, %q, want %q", r.Code, r.Stderr, tt.want)
			}
		})
	}
}

// A filter for an access log that Python does not write would be ignored silently.
func TestUnusedAccessFilter(t *testing.T) {
	t.Parallel()
	const warning = `\[WARNING\] The handlers and filters of the logger gunicorn.access are not used`
	filtered := pyLogApp + "logging.getLogger('gunicorn.access').addFilter(lambda record: '/health' not in record.getMessage())\n"
	for _, tt := range []struct {
		name, app string
		args      []string
		want      int
	}{
		{"filter", filtered, nil, 1},
		{"no filter", pyLogApp, nil, 0},
		{"used", filtered, []string{"-c", "conf.toml", "--access-logformat", "line of %(U)s", "--access-log-exclude", "/quiet*"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "app.py", tt.app)
			write(t, dir, "conf.toml", "accesslog = \"access.txt\"\n[logconfig_dict]\nloggers = {}\nroot = {level = \"INFO\", handlers = []}\n")
			s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: append(tt.args, "app")})
			s.GetOK("/health")
			s.GetOK("/quiet?1")
			s.GetOK("/page")
			if tt.args != nil {
				if all := eventually(t, filepath.Join(dir, "access.txt"), "line of /page\n"); strings.Contains(all, "health") || strings.Contains(all, "quiet") {
					t.Errorf("the filter was not asked: %s", all)
				}
			}
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if got := s.Log.Count(warning); got != tt.want {
				t.Errorf("%d warnings, want %d", got, tt.want)
			}
		})
	}
}

// A logger class has the status the client got, whoever gave it, once for each request,
// and of a request that no Python code ran to its end all that is known of it.
func TestLoggerClassGetsEveryRequest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app.py", `
import re, time
def application(environ, start_response):
    kind = environ["PATH_INFO"]
    if kind == "/read": environ["wsgi.input"].read()
    if kind == "/sleep": time.sleep(300)
    if kind == "/gil": re.match("(a+)+$", "a" * 60 + "b")
    start_response("201 Made", [("X-Answer", "42")])
    return [b"ok"]
`)
	write(t, dir, "gunicorn.conf.py", `
from gunicorn.glogging import Logger
accesslog = "-"
class logger_class(Logger):
    def access(self, resp, req, environ, request_time):
        assert resp.req is req and request_time.total_seconds() < 300 and environ["REMOTE_ADDR"] == "127.0.0.1"
        assert req.remote_addr == ("127.0.0.1", int(environ["REMOTE_PORT"])) and int(environ["SERVER_PORT"])
        assert dict(environ) and req.version == (1, 1) and req.query == "q"
        fields, answer = dict(req.headers), dict(resp.headers).get("X-Answer")
        self.access_log.info(" ".join(map(str, [req.method, req.uri, resp.status, resp.status_code, resp.sent > 0,
            fields.get("X-ASK"), environ.get("HTTP_X_ASK"), fields.get("X-REAL"), environ["wsgi.url_scheme"], answer])))
def post_request(worker, req, environ, resp):
    worker.log.info("post_request %s %s", req.path, resp.status)
`)
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"-t", "1", "--limit-request-body", "2m", "--request-buffer", "4k", "app"}})
	const host = "Host: x\r\nX-Ask: yes\r\nX_Real: no\r\nX-Forwarded-Proto: https\r\n"
	const chunked = host + "Transfer-Encoding: chunked\r\n\r\n100000\r\n"
	body := strings.Repeat("x", 1<<20)
	for _, tt := range []struct{ request, want string }{
		{"GET /page?q HTTP/1.1\r\n" + host + "\r\n", "GET /page?q 201 Made 201 True yes yes None https 42"},
		{"POST /read?q HTTP/1.1\r\n" + chunked + body + "\r\nzz\r\n", "POST /read?q 400 Bad Request 400 True yes yes None https None"},
		{"POST /read?q HTTP/1.1\r\n" + chunked + body + "\r\n100001\r\n", "POST /read?q 413 Content Too Large 413 True yes yes None https None"},
		{"POST /page?q HTTP/1.1\r\n" + host + "Content-Length: 3000000\r\n\r\n", "POST /page?q 413 Content Too Large 413 True None None None http None"},
		{"GET /sleep?q HTTP/1.1\r\n" + host + "\r\n", "GET /sleep?q 504 Gateway Timeout 504 True yes yes None https None"},
	} {
		mark := s.Stdout.Mark()
		c := s.Dial()
		go func() { _, _ = c.Conn.Write([]byte(tt.request)) }()
		if got := s.Stdout.WaitAfter(t, mark, `.*`)[0]; got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
		c.Close()
	}
	if s.Log.Count(`AssertionError`) != 0 {
		t.Errorf("an object is incomplete:\n%s", s.Log.String())
	}
	s.Log.Wait(t, `post_request /page 201 Made$`)
	s.Log.Wait(t, `post_request /read 400 Bad Request$`)
	// Where Python cannot be told any more the error log is.
	a := ask(s, "/gil?q")
	s.Log.Wait(t, `\[WARNING\] Request that Python has not logged: 127.0.0.1 "GET /gil\?q HTTP/1.1" 504 \d+ \(timeout\)$`)
	<-a
	if n := len(s.Stdout.Lines()); n != 5 {
		t.Errorf("%d lines for 5 requests: %q", n, s.Stdout.Lines())
	}
}
