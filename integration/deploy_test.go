package integration

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// The tests in this file read the files of deploy/ and the commands of the docs as
// they are, and have gowsgi check what it would be started with there.

// grace is how much longer than drain_delay and graceful_timeout a service manager
// must wait, in seconds: workers that are killed then are still to be reaped, and
// CPython ended.
const grace = 5

// deployed is the directory of an application by the name that deploy/ and the docs
// use.
func deployed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "myapp.py", read(t, filepath.Join(apps(), "hello.py"))+
		"\napp = application\n\n\ndef create_app(*args, **kwargs):\n    return application\n")
	return dir
}

// checked has gowsgi check a command line and returns the settings it comes to.
func checked(t *testing.T, dir string, env []string, args ...string) map[string]string {
	t.Helper()
	r := gowsgitest.Run(t, gowsgitest.Config{Dir: dir, NoBind: true, Env: env, Args: append([]string{"--print-config"}, args...)})
	if r.Code != 0 || strings.Contains(r.Stderr, "[WARNING]") {
		t.Fatalf("%q: exit code %d\n%s", args, r.Code, r.Stderr)
	}
	settings := map[string]string{}
	for _, line := range strings.Split(r.Stdout, "\n") {
		name, rest, ok := strings.Cut(line, "=")
		value, _, commented := strings.Cut(rest, "  #")
		if ok && commented {
			settings[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return settings
}

// checkGrace fails the test if whoever waits that many seconds for the end of a server
// with these settings may cut a request off.
func checkGrace(t *testing.T, settings map[string]string, seconds string) {
	t.Helper()
	if least := atoi(t, settings["drain_delay"]) + atoi(t, settings["graceful_timeout"]) + grace; atoi(t, seconds) < least {
		t.Errorf("%s s are waited for a stop that may take %d", seconds, least)
	}
}

// deployFile returns a file of deploy/.
func deployFile(t *testing.T, name string) string {
	t.Helper()
	return read(t, filepath.Join(gowsgitest.Root(), "deploy", name))
}

// one returns what the group of a pattern finds in a file of deploy/, which has it once.
func one(t *testing.T, text, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)`+pattern).FindAllStringSubmatch(text, -1)
	if len(found) != 1 {
		t.Fatalf("%s is found %d times, want once", pattern, len(found))
	}
	return found[0][1]
}

// list is one for a list in brackets, as JSON has it too.
func list(t *testing.T, text, pattern string) (words []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(one(t, text, pattern)), &words); err != nil {
		t.Fatal(err)
	}
	return words
}

func TestDeploySystemd(t *testing.T) {
	t.Parallel()
	unit := deployFile(t, "systemd/myapp.service")
	program, args, _ := strings.Cut(one(t, unit, `^ExecStart=(.*)$`), " ")
	if filepath.Base(program) != "gowsgi" {
		t.Errorf("it starts %s", program)
	}
	settings := checked(t, deployed(t), nil, strings.Fields(args)...)
	checkGrace(t, settings, one(t, unit, `^TimeoutStopSec=(\d+)$`))
	for key, want := range map[string]string{
		"Type": "notify", "NotifyAccess": "main", "KillMode": "mixed", "OOMPolicy": "continue",
		"ExecReload": "/bin/kill -HUP $MAINPID", "WorkingDirectory": "/srv/myapp",
	} {
		if got := one(t, unit, `^`+key+`=(.*)$`); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	socket := deployFile(t, "systemd/myapp.socket")
	if got := one(t, socket, `^Backlog=(\d+)$`); got != settings["backlog"] {
		t.Errorf("the socket's backlog is %s, the service's %s", got, settings["backlog"])
	}
}

func TestDeployKubernetes(t *testing.T) {
	t.Parallel()
	text := deployFile(t, "kubernetes.yaml")
	trusted := one(t, text, `\{name: FORWARDED_ALLOW_IPS, value: "(.*)"\}`)
	settings := checked(t, deployed(t), []string{"PORT=8000", "FORWARDED_ALLOW_IPS=" + trusted}, list(t, text, `^ +args: (\[.*\])$`)...)
	checkGrace(t, settings, one(t, text, `terminationGracePeriodSeconds: (\d+)$`))
	if settings["drain_delay"] == "0" {
		t.Error("requests come after SIGTERM, and nothing waits for them")
	}
	if port := one(t, text, `containerPort: (\d+)`); settings["bind"] != "[':"+port+"']" {
		t.Errorf("it listens at %s, and the container's port is %s", settings["bind"], port)
	}
	uid := one(t, text, `runAsUser: (\d+)$`)
	if image := one(t, read(t, filepath.Join(gowsgitest.Root(), "Dockerfile")), `^ARG UID=(\d+)$`); uid != image {
		t.Errorf("the pod runs as %s, the image as %s", uid, image)
	}
}

func TestDeployCompose(t *testing.T) {
	t.Parallel()
	text := deployFile(t, "compose.yaml")
	settings := checked(t, deployed(t), []string{"PORT=8000"}, list(t, text, `^ +command: (\[.*\])$`)...)
	checkGrace(t, settings, one(t, text, `stop_grace_period: (\d+)s$`))
	if settings["bind"] != "['0.0.0.0:8000']" || !strings.Contains(text, `:8000"]`) {
		t.Errorf("it listens at %s", settings["bind"])
	}
	checked(t, deployed(t), []string{"PORT=8000"}, list(t, deployFile(t, "docker/app.Dockerfile"), `^CMD (\[.*\])$`)...)
}

// The platform gives a port and a number of workers by the environment, runs the
// command by a shell, and waits 30 s for its end.
func TestDeployProcfile(t *testing.T) {
	t.Parallel()
	args := words(t, one(t, deployFile(t, "Procfile"), `^web: gowsgi (.*)$`))
	settings := checked(t, deployed(t), []string{"PORT=5006", "WEB_CONCURRENCY=3"}, args...)
	checkGrace(t, settings, "30")
	if got := settings["bind"] + settings["workers"]; got != "['0.0.0.0:5006']3" {
		t.Errorf("got %s, want the port and the workers of the environment", got)
	}
}

// words splits a command line as a shell does.
func words(t *testing.T, line string) []string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `eval "set -- $1"; printf '%s\n' "$@"`, "sh", line).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// Every command of the docs that starts myapp is one that gowsgi accepts.
func TestDocsCommands(t *testing.T) {
	t.Parallel()
	dir := deployed(t)
	write(t, dir, "gunicorn.conf.py", "workers = 2\n")
	for _, page := range []string{"README.md", "docs/deploy.md", "docs/gunicorn.md", "docs/proxies.md", "docs/signals.md"} {
		text := strings.ReplaceAll(read(t, filepath.Join(gowsgitest.Root(), page)), "\\\n", " ")
		commands := docsCommand.FindAllStringSubmatch(text, -1)
		if len(commands) == 0 && page != "README.md" && page != "docs/signals.md" {
			t.Errorf("%s has no command: they are not written as this test reads them", page)
		}
		for _, m := range commands {
			t.Run(page+": "+m[1], func(t *testing.T) {
				t.Parallel()
				checked(t, dir, []string{"PORT=8000"}, words(t, m[1])...)
			})
		}
	}
}

// docsCommand is a line of a block of code that starts a server for myapp.
var docsCommand = regexp.MustCompile(`(?m)^ *(?:\$ )?gowsgi (.*\bmyapp\b.*)$`)
