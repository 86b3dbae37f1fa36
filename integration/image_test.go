//go:build image

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
)

// The tests in this file build the image and an application's image on it, on the
// bases of deploy/test/bases, and run them by podman: make image-test. They need root
// and fail if buildah or podman is not there.

// buildTime is how long a build or a command of podman may take.
const buildTime = 20 * time.Minute

// output runs a program and returns its standard output.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := try(name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// try is output without the end of the test.
func try(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// build makes an image of dir by a Dockerfile, without a network: caches are mounted.
func build(t *testing.T, tag, dockerfile, dir string, args ...string) {
	t.Helper()
	output(t, "buildah", append(append([]string{
		"--storage-driver", "vfs", "build", "--isolation", "chroot", "--format", "docker",
		"-f", dockerfile, "-t", tag,
	}, args...), dir)...)
}

// images builds the images of this tree, and an application's: on one of them, and from
// a wheel.
func images(t *testing.T) {
	t.Helper()
	root := gowsgitest.Root()
	modules := strings.TrimSpace(output(t, "go", "env", "GOMODCACHE"))
	cache := strings.TrimSpace(output(t, "go", "env", "GOCACHE"))
	for tag, target := range map[string]string{"gowsgi-test/gowsgi": "", "gowsgi-test/hosted": "hosted"} {
		args := []string{
			"--build-arg", "GO_IMAGE=localhost/gowsgi-test/go", "--build-arg", "PYTHON_IMAGE=localhost/gowsgi-test/python",
			"-v", modules + ":/modules:ro", "-v", cache + ":/root/.cache/go-build",
		}
		if target != "" {
			args = append(args, "--target", target)
		}
		build(t, tag, filepath.Join(root, "Dockerfile"), root, args...)
	}

	context, wheels := application(t)
	for tag, dockerfile := range map[string]string{"gowsgi-test/app": "app.Dockerfile", "gowsgi-test/pip": "pip.Dockerfile"} {
		build(t, tag, filepath.Join(root, "deploy/docker", dockerfile), context,
			"--build-arg", "GOWSGI_IMAGE=localhost/gowsgi-test/gowsgi", "--build-arg", "PYTHON_IMAGE=localhost/gowsgi-test/python",
			"-v", wheels+":/wheels:ro")
	}
}

// application makes an application's directory, with a wheel of this tree in it, and
// one with the wheels of what it requires.
func application(t *testing.T) (dir, wheels string) {
	t.Helper()
	dir, wheels = t.TempDir(), t.TempDir()
	for _, file := range []string{"contained.py", "probe.py", "orphans.py"} {
		write(t, dir, file, read(t, filepath.Join(apps(), file)))
	}
	write(t, dir, "flask_app.py", read(t, filepath.Join(gowsgitest.Examples(), "flask_app.py")))
	requirements := write(t, dir, "requirements.txt", "Flask==3.1.3\n")
	output(t, gowsgitest.VenvPython(t), "-m", "pip", "download", "-q", "-r", requirements, "-d", wheels,
		"--only-binary=:all:", "--python-version", "3.11")
	found, err := filepath.Glob(filepath.Join(gowsgitest.Root(), "dist", "gowsgi-*linux*_x86_64.whl"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no wheel of gowsgi in dist (make wheel): %v", err)
	}
	write(t, dir, filepath.Base(found[0]), read(t, found[0]))
	return dir, wheels
}

// podman runs a command of podman.
func podman(t *testing.T, args ...string) string {
	t.Helper()
	return output(t, filepath.Join(gowsgitest.Root(), "deploy/test/podman"), args...)
}

// container is one that runs.
type container struct {
	tb   *testing.T
	name string
	addr string
	// master is the host's process id of the container's process 1.
	master int
}

// run starts a container as locked up as it can be: nothing can be written, also not
// in /tmp, there are no capabilities, and the shell is an empty file.
func run(t *testing.T, image string, options []string, args ...string) *container {
	t.Helper()
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	c := &container{tb: t, name: fmt.Sprintf("gowsgi-test-%d-%s", os.Getpid(), port), addr: addr}
	podman(t, append(append(append([]string{
		"run", "-d", "--name", c.name, "--cgroups=disabled", "--network", "host", "-e", "PORT=" + port,
		"--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096",
		"--read-only", "--read-only-tmpfs=false", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
		"-v", "/dev/null:/usr/bin/dash:ro", "-v", "/dev/null:/usr/bin/bash:ro",
	}, options...), image), args...)...)
	t.Cleanup(func() {
		if t.Failed() {
			out, err := try(filepath.Join(gowsgitest.Root(), "deploy/test/podman"), "logs", c.name)
			t.Logf("log of the container: %s %v", out, err)
		}
		podman(t, "rm", "-f", c.name)
	})
	c.master = atoi(t, podman(t, "inspect", "--format", "{{.State.Pid}}", c.name))
	if !gowsgitest.Eventually(func() bool {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}) {
		t.Fatal("it does not listen")
	}
	return c
}

func (c *container) get(target string) *gowsgitest.Response {
	c.tb.Helper()
	conn := gowsgitest.DialConn(c.tb, "tcp", c.addr)
	defer conn.Close()
	return conn.Get(target)
}

// status returns a line of /proc/PID/status of the master, as the host sees it.
func (c *container) status(key string) []string {
	c.tb.Helper()
	for _, line := range strings.Split(read(c.tb, fmt.Sprintf("/proc/%d/status", c.master)), "\n") {
		if text, ok := strings.CutPrefix(line, key+":"); ok {
			return strings.Fields(text)
		}
	}
	c.tb.Fatalf("the kernel does not say %s", key)
	return nil
}

// TestImage: the image serves as another user than root, as process 1, reaps whom the
// application leaves behind, and finishes its requests when it is stopped.
func TestImage(t *testing.T) {
	images(t)
	for _, image := range []string{"localhost/gowsgi-test/app", "localhost/gowsgi-test/pip"} {
		t.Run(filepath.Base(image), func(t *testing.T) {
			checkConfig(t, image)
			checkBytecode(t, image)
			checkRun(t, image)
		})
	}
	t.Run("any user", func(t *testing.T) {
		c := run(t, "localhost/gowsgi-test/app", []string{"--user", "1234567:0"}, "contained")
		if r := c.get("/"); r.Status != 200 || c.status("Uid")[0] != "1234567" {
			t.Errorf("got %v as %v, want 200 as 1234567", r, c.status("Uid"))
		}
	})
	t.Run("hosted", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, dir, "function_app.py", read(t, filepath.Join(gowsgitest.Examples(), "function_app.py")))
		c := run(t, "localhost/gowsgi-test/hosted", []string{"-v", dir + ":/app:ro"}, "--python-mode", "hosted", "function_app")
		if r := c.get("/"); r.Status != 200 {
			t.Errorf("got %v, want 200", r)
		}
	})
	t.Run("help", func(t *testing.T) {
		if out := podman(t, "run", "--rm", "--cgroups=disabled", "--network", "host", "--ulimit", "nofile=1024:1024",
			"--ulimit", "nproc=4096:4096", "localhost/gowsgi-test/gowsgi"); !strings.Contains(out, "usage: gowsgi") {
			t.Errorf("got %q, want the help", out)
		}
	})
}

// checkConfig: what an orchestrator reads in the image.
func checkConfig(t *testing.T, image string) {
	var config struct {
		User, StopSignal string
		Entrypoint       []string
		Healthcheck      struct{ Test []string }
	}
	text := podman(t, "image", "inspect", "--format", "{{json .Config}}", image)
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintln(config.User, config.StopSignal, config.Entrypoint); got != "10001:10001 SIGTERM [gowsgi]\n" {
		t.Errorf("got %s", got)
	}
	health := podman(t, "image", "inspect", "--format", "{{json .HealthCheck}}", image)
	if !strings.Contains(health, `["CMD","gowsgi","status"]`) {
		t.Errorf("the health check is %s", health)
	}
}

// checkBytecode: nothing of what a worker imports has to be compiled at its start.
func checkBytecode(t *testing.T, image string) {
	const find = `
import sys
import contained
missing = [m.__file__ for m in list(sys.modules.values())
           if getattr(m, "__file__", None) and m.__file__.endswith(".py")
           and not __import__("os").path.exists(__import__("importlib.util").util.cache_from_source(m.__file__))]
print(len(sys.modules), missing)
`
	out := podman(t, "run", "--rm", "--cgroups=disabled", "--network", "host", "--ulimit", "nofile=1024:1024",
		"--ulimit", "nproc=4096:4096", "--read-only", "--entrypoint", "/venv/bin/python", image, "-c", find)
	if modules, missing, _ := strings.Cut(strings.TrimSpace(out), " "); atoi(t, modules) < 100 || missing != "[]" {
		t.Errorf("of %s modules these have no bytecode: %s", modules, missing)
	}
}

func checkRun(t *testing.T, image string) {
	shared := t.TempDir()
	if err := os.Chmod(shared, 0o777); err != nil {
		t.Fatal(err)
	}
	c := run(t, image, []string{"-v", shared + ":/gate"}, "-w", "2", "contained")
	if r := c.get("/"); r.Status != 200 || !strings.Contains(r.Body, "Hello from Flask") {
		t.Errorf("got %v, want Flask's greeting", r)
	}
	if uid, pids := c.status("Uid"), c.status("NSpid"); uid[0] != "10001" || pids[len(pids)-1] != "1" {
		t.Errorf("it is user %v and process %v, want 10001 and 1", uid, pids)
	}
	podman(t, "healthcheck", "run", c.name)

	for range 5 {
		if r := c.get("/orphan"); r.Status != 200 {
			t.Errorf("got %v, want 200", r)
		}
	}
	if !gowsgitest.Eventually(func() bool {
		return len(gowsgitest.Zombies(c.master)) == 0 && len(gowsgitest.Children(c.master)) == 2
	}) {
		t.Errorf("children %v, zombies %v, want 2 workers and no orphan",
			gowsgitest.Children(c.master), gowsgitest.Zombies(c.master))
	}

	conn := gowsgitest.DialConn(t, "tcp", c.addr)
	conn.Send("GET /wait?gate=/gate/g HTTP/1.1\r\nHost: x\r\n\r\n")
	gate{t, filepath.Join(shared, "g")}.waitStarted(1)
	stopped := make(chan error, 1)
	go func() {
		_, err := try(filepath.Join(gowsgitest.Root(), "deploy/test/podman"), "stop", "-t", "40", c.name)
		stopped <- err
	}()
	if !gowsgitest.Eventually(func() bool {
		return strings.Contains(c.logs(), "Handling signal: term")
	}) {
		t.Error("the master has not got the stop signal")
	}
	write(t, shared, "g", "")
	if r := conn.Response("GET"); r.Status != 200 || r.Err != nil {
		t.Errorf("got %v, %v, want an answer to the request that ran", r, r.Err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if code := atoi(t, podman(t, "inspect", "--format", "{{.State.ExitCode}}", c.name)); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// logs returns what the container has written so far.
func (c *container) logs() string {
	cmd := exec.Command(filepath.Join(gowsgitest.Root(), "deploy/test/podman"), "logs", c.name)
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.tb.Error(err)
	}
	return string(out)
}
