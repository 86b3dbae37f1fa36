package integration

import (
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// gunicorn: sources, weakest first: defaults and their variables,
// GUNICORN_CMD_ARGS, the command line.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		env  []string
		args []string
		want string // a line of --print-config
	}{
		{"default", nil, nil, `workers\s*= 1`},
		{"WEB_CONCURRENCY", []string{"WEB_CONCURRENCY=3"}, nil, `workers\s*= 3`},
		{"GUNICORN_CMD_ARGS over WEB_CONCURRENCY", []string{"WEB_CONCURRENCY=3", "GUNICORN_CMD_ARGS=-w 5"}, nil, `workers\s*= 5`},
		{"GOWSGI_CMD_ARGS over GUNICORN_CMD_ARGS", []string{"GUNICORN_CMD_ARGS=-w 5", "GOWSGI_CMD_ARGS=--workers=6"}, nil, `workers\s*= 6`},
		{"command line over all", []string{"WEB_CONCURRENCY=3", "GUNICORN_CMD_ARGS=-w 5", "GOWSGI_CMD_ARGS=-w 6"}, []string{"-w", "7"}, `workers\s*= 7`},
		{"quotes in GUNICORN_CMD_ARGS", []string{`GUNICORN_CMD_ARGS=--name "a b" -w 2`}, nil, `proc_name\s*= '?"?a b`},
		{"lists are replaced, not merged", []string{"GUNICORN_CMD_ARGS=-e A=1 -e B=2"}, []string{"-e", "C=3"}, `raw_env\s*= \[['"]C=3['"]\]`},
		{"default bind", nil, nil, `bind\s*= .*127\.0\.0\.1:8000`},
		{"PORT", []string{"PORT=8123"}, nil, `bind\s*= .*0\.0\.0\.0:8123`},
		{"bind over PORT", []string{"PORT=8123"}, []string{"-b", "127.0.0.1:8124"}, `bind\s*= .*127\.0\.0\.1:8124`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := gowsgitest.Run(t, gowsgitest.Config{
				Dir: apps(), Env: tt.env, NoBind: true,
				Args: append(tt.args, "--print-config", "hello"),
			})
			if r.Code != 0 {
				t.Errorf("exit code %d, want 0", r.Code)
			}
			if !regexp.MustCompile(`(?m)^` + tt.want).MatchString(r.Stdout) {
				t.Errorf("no line of the printed settings matches %q:\n%s", tt.want, r.Stdout)
			}
		})
	}
}

// The variables count at a real start too, not only when printed.
func TestPortAndWebConcurrency(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	s := gowsgitest.Start(t, gowsgitest.Config{
		Dir: apps(), NoBind: true, Args: []string{"probe"},
		Env: []string{"PORT=" + port, "WEB_CONCURRENCY=2"},
	})
	if want := "http://0.0.0.0:" + port; s.All[0] != want {
		t.Errorf("listens at %s, want %s", s.All[0], want)
	}
	if n := len(answering(t, s, 2)); n != 2 {
		t.Errorf("%d workers, want 2", n)
	}
}

// A mistake ends the start with one line that names the setting and the value,
// and gunicorn's exit code: 2 for what the command line's grammar refuses, 1 for
// the rest.
func TestBadSettings(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "nosuch")
	tests := []struct {
		name string
		env  []string
		args []string
		code int
		want []string
	}{
		{"no application", nil, []string{"-w", "1"}, 1, []string{"No application module specified"}},
		{"unknown flag", nil, []string{"--nosuch", "hello"}, 2, []string{"--nosuch"}},
		{"unknown short flag", nil, []string{"-z", "hello"}, 2, []string{"-z"}},
		{"not a number", nil, []string{"-w", "abc", "hello"}, 2, []string{"workers", "abc"}},
		{"value missing", nil, []string{"hello", "-w"}, 2, []string{"-w"}},
		{"negative workers", nil, []string{"--workers=-1", "hello"}, 1, []string{"workers", "-1"}},
		{"negative timeout", nil, []string{"--timeout=-1", "hello"}, 1, []string{"timeout", "-1"}},
		{"worker class", nil, []string{"-k", "gevent", "hello"}, 1, []string{"gevent", "gthread"}},
		{"ASGI worker class", nil, []string{"-k", "uvicorn.workers.UvicornWorker", "hello"}, 1, []string{"UvicornWorker"}},
		{"port", nil, []string{"-b", "127.0.0.1:http", "hello"}, 1, []string{"127.0.0.1:http"}},
		{"port too big", nil, []string{"-b", "127.0.0.1:65536", "hello"}, 1, []string{"65536"}},
		{"descriptor", nil, []string{"-b", "fd://x", "hello"}, 1, []string{"fd://x"}},
		{"address of somebody else", nil, []string{"-b", "192.0.2.1:0", "hello"}, 1, []string{"192.0.2.1"}},
		{"chdir", nil, []string{"--chdir", missing, "hello"}, 1, []string{missing}},
		{"env", nil, []string{"-e", "FOO", "hello"}, 1, []string{"FOO"}},
		{"error log", nil, []string{"--error-logfile", missing + "/log", "hello"}, 1, []string{missing}},
		{"access log", nil, []string{"--access-logfile", missing + "/log", "hello"}, 1, []string{missing}},
		{"WEB_CONCURRENCY", []string{"WEB_CONCURRENCY=abc"}, []string{"hello"}, 1, []string{"WEB_CONCURRENCY", "abc"}},
		{"PORT", []string{"PORT=abc"}, []string{"hello"}, 1, []string{"abc"}},
		{"GUNICORN_CMD_ARGS", []string{"GUNICORN_CMD_ARGS=--nosuch"}, []string{"hello"}, 2, []string{"--nosuch"}},
		{"python", nil, []string{"--python", missing, "hello"}, 1, []string{missing}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := gowsgitest.Run(t, gowsgitest.Config{Dir: apps(), NoBind: true, Env: tt.env, Args: tt.args})
			if r.Code != tt.code {
				t.Errorf("exit code %d, want %d", r.Code, tt.code)
			}
			for _, want := range tt.want {
				if !strings.Contains(r.Stderr, want) {
					t.Errorf("got %q, want %q in it", r.Stderr, want)
				}
			}
			for _, noise := range []string{"Traceback", "goroutine", "panic", "Booting worker"} {
				if strings.Contains(r.Stderr, noise) {
					t.Errorf("got %q, want one line", r.Stderr)
				}
			}
			if r.Stdout != "" {
				t.Errorf("standard output has %q, want nothing", r.Stdout)
			}
		})
	}
}

func TestVersionAndHelp(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--version", "-v"} {
		r := gowsgitest.Run(t, gowsgitest.Config{NoBind: true, Args: []string{flag}})
		if r.Code != 0 || !regexp.MustCompile(`^gowsgi \(version \S+`).MatchString(r.Stdout) || r.Stderr != "" {
			t.Errorf("%s: got %d, %q, %q", flag, r.Code, r.Stdout, r.Stderr)
		}
	}
	flags := strings.Fields(`-b --bind -w --workers --threads -k --worker-class -t --timeout --graceful-timeout
		--keep-alive --backlog --max-requests --max-requests-jitter --chdir --pythonpath -e --env -p --pid -n --name
		--log-level --error-logfile --access-logfile --access-logformat --log-format --reuse-port --python
		--check-config --print-config --version --help --limit-request-line --limit-request-fields
		--limit-request-field_size`)
	for _, flag := range []string{"--help", "-h"} {
		r := gowsgitest.Run(t, gowsgitest.Config{NoBind: true, Args: []string{flag}})
		if r.Code != 0 || r.Stderr != "" {
			t.Errorf("%s: exit code %d and %q, want 0", flag, r.Code, r.Stderr)
		}
		for _, f := range flags {
			if !regexp.MustCompile(`(^|[\s,])` + f + `\b`).MatchString(r.Stdout) {
				t.Errorf("%s does not name %s", flag, f)
			}
		}
	}
}

// Habits of argparse that start scripts rely on.
func TestCommandLineForms(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"joined short flag", []string{"-w4", "hello"}, `workers\s*= 4`},
		{"equals sign", []string{"--workers=4", "hello"}, `workers\s*= 4`},
		{"options after the application", []string{"hello", "-w", "4"}, `workers\s*= 4`},
		{"last one wins", []string{"-w", "3", "hello", "-w", "4"}, `workers\s*= 4`},
		{"repeatable", []string{"-b", ":1", "-b", "[::1]:2", "hello"}, `bind\s*= \[['"]:1['"], ['"]\[::1\]:2['"]\]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := gowsgitest.Run(t, gowsgitest.Config{Dir: apps(), NoBind: true, Args: append(tt.args, "--print-config")})
			if r.Code != 0 || !regexp.MustCompile(`(?m)^`+tt.want).MatchString(r.Stdout) {
				t.Errorf("exit code %d, and no line matches %q in\n%s\n%s", r.Code, tt.want, r.Stdout, r.Stderr)
			}
		})
	}
}
