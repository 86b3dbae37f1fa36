package integration

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// As process 1 of a container the master is the parent of every orphan: it reaps
// them, and ends the container on SIGTERM. Neither kernel defaults nor a shell
// help it there.
func TestAsProcessOne(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(gowsgitest.Binary(t), "-b", "127.0.0.1:0", "-w", "2", "orphans")
	cmd.Dir = apps()
	cmd.Env = append(os.Environ(), "VIRTUAL_ENV="+gowsgitest.Venv(t), "PYTHONDONTWRITEBYTECODE=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		t.Skipf("no pid namespaces here: %v", err) // a matter of the kernel's settings
	} else if err != nil {
		t.Fatal(err)
	}
	// The end of process 1 is the end of all others in its namespace.
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		for sc := bufio.NewScanner(stderr); sc.Scan(); {
			lines <- sc.Text()
		}
	}()
	addr := ""
	for line := range lines {
		if _, rest, ok := strings.Cut(line, "Listening at: http://"); ok {
			addr, _, _ = strings.Cut(rest, " ")
			if want := "(1)"; !strings.HasSuffix(line, want) {
				t.Errorf("got %q, want the pid 1", line)
			}
			break
		}
	}
	if addr == "" {
		t.Fatal("it does not listen")
	}
	c := gowsgitest.DialConn(t, "tcp", addr)
	for range 5 {
		if r := c.Get("/"); r.Status != 200 {
			t.Fatalf("got %v, want 200", r)
		}
	}
	if !gowsgitest.Eventually(func() bool {
		return len(gowsgitest.Zombies(cmd.Process.Pid)) == 0 && len(gowsgitest.Children(cmd.Process.Pid)) == 2
	}) {
		t.Errorf("children %v, zombies %v, want 2 workers and no orphan",
			gowsgitest.Children(cmd.Process.Pid), gowsgitest.Zombies(cmd.Process.Pid))
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	log := ""
	for line := range lines {
		log += line + "\n"
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v after SIGTERM, want exit code 0\n%s", err, log)
	}
	// The death of a stranger is no business of the log's.
	if got := fmt.Sprint(strings.Count(log, "exited with code"), strings.Count(log, "[ERROR]")); got != "0 0" {
		t.Errorf("the log speaks of strangers:\n%s", log)
	}
}
