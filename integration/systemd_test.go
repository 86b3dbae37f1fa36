//go:build systemd

package integration

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
)

// The test in this file runs the units of deploy/ under a systemd of its own, which is
// process 1 of a container of namespaces: make systemd-test. It needs root.

// machine is a container with systemd and the service myapp in it.
type machine struct {
	tb   *testing.T
	init int // systemd, as the host numbers it
	addr string
}

// boot starts a machine, where Python and the server come together in that mode, and
// ends it with the test.
func boot(t *testing.T, mode string) *machine {
	t.Helper()
	tree := os.Getenv("GOWSGI_TEST_SYSTEMD")
	if tree == "" {
		t.Fatal("GOWSGI_TEST_SYSTEMD is not set: make systemd-test does it")
	}
	work := t.TempDir()
	cmd := exec.Command(filepath.Join(gowsgitest.Root(), "deploy/test/boot"), tree, work)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m := &machine{tb: t, addr: freeAddr(t)}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if _, err := fmt.Sscanf(line, "init %d", &m.init); err != nil {
		t.Fatalf("it does not boot: %q", line)
	}
	t.Cleanup(func() {
		if t.Failed() {
			log, err := m.try("journalctl", "-u", "myapp", "--no-pager", "-o", "short-precise")
			t.Logf("%v\n%s\nconsole:\n%s", err, log, read(t, filepath.Join(work, "console")))
		}
		// The end of process 1 is that of all others in its namespace.
		signal(t, m.init, syscall.SIGKILL)
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	m.eventually("booted", func() bool { return exists(m.path("/run/systemd/private")) })
	m.install(mode)
	return m
}

// path is where the host sees a file of the machine.
func (m *machine) path(name string) string { return fmt.Sprintf("/proc/%d/root%s", m.init, name) }

// install does what docs/deploy.md says, but for the ports.
func (m *machine) install(mode string) {
	m.tb.Helper()
	mkdir(m.tb, m.path("/srv/myapp"))
	m.deploy("")
	mkdir(m.tb, m.path("/usr/local/lib/gowsgi"))
	from := filepath.Dir(gowsgitest.Binary(m.tb))
	for name, to := range map[string]string{"gowsgi": "/usr/local/bin", "libgowsgi.so": "/usr/local/lib/gowsgi"} {
		write(m.tb, m.path(to), name, read(m.tb, filepath.Join(from, name)))
	}
	if err := os.Chmod(m.path("/usr/local/bin/gowsgi"), 0o755); err != nil {
		m.tb.Fatal(err)
	}
	write(m.tb, m.path("/etc/default"), "myapp", "GOWSGI_PYTHON_MODE="+mode+"\n")
	unit := strings.ReplaceAll(deployFile(m.tb, "systemd/myapp.service"), "127.0.0.1:8000", m.addr)
	socket := strings.ReplaceAll(deployFile(m.tb, "systemd/myapp.socket"), "0.0.0.0:80", m.addr)
	write(m.tb, m.path("/etc/systemd/system"), "myapp.service", unit)
	write(m.tb, m.path("/etc/systemd/system"), "myapp.socket", socket)
	m.do("useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "myapp")
	m.do("systemctl", "daemon-reload")
}

// deploy replaces the application, by probe.py with a prefix.
func (m *machine) deploy(prefix string) {
	m.tb.Helper()
	write(m.tb, m.path("/srv/myapp"), "myapp.py", prefix+read(m.tb, filepath.Join(apps(), "probe.py")))
}

// do runs a command in the machine.
func (m *machine) do(args ...string) string {
	m.tb.Helper()
	out, err := m.try(args...)
	if err != nil {
		m.tb.Fatal(err)
	}
	return out
}

func (m *machine) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*gowsgitest.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{
		"--target", strconv.Itoa(m.init), "--all", "env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%v: %w\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out)), err
}

// show returns a property of the service.
func (m *machine) show(property string) string {
	m.tb.Helper()
	return m.do("systemctl", "show", "--value", "-p", property, "myapp")
}

// log reports whether the journal of the service has n lines of that pattern.
func (m *machine) log(pattern string, n int) bool {
	m.tb.Helper()
	text := m.do("journalctl", "-u", "myapp", "--no-pager", "-o", "cat")
	return len(regexp.MustCompile(pattern).FindAllString(text, -1)) >= n
}

func (m *machine) eventually(what string, done func() bool) {
	m.tb.Helper()
	if !gowsgitest.Eventually(done) {
		m.tb.Fatalf("not %s", what)
	}
}

// serves asks the application for something.
func (m *machine) serves() {
	m.tb.Helper()
	conn := gowsgitest.DialConn(m.tb, "tcp", m.addr)
	defer conn.Close()
	if r := conn.Get("/pid"); r.Status != 200 {
		m.tb.Errorf("got %v, want 200", r)
	}
}

// TestSystemd: the units of deploy/ do what docs/deploy.md says.
func TestSystemd(t *testing.T) {
	for _, mode := range []string{"dlopen", "hosted"} {
		t.Run(mode, func(t *testing.T) { checkUnits(t, boot(t, mode)) })
	}
}

func checkUnits(t *testing.T, m *machine) {
	if out := m.do("systemd-analyze", "verify", "/etc/systemd/system/myapp.service", "/etc/systemd/system/myapp.socket"); out != "" {
		t.Errorf("systemd complains of the units: %s", out)
	}
	m.do("systemd-analyze", "security", "--threshold=20", "--no-pager", "myapp") // tenths; fails above
	m.do("systemctl", "start", "myapp")
	m.serves()
	if got := m.show("StatusText"); got != "4 of 4 workers ready" {
		t.Errorf("the status after the start is %q", got)
	}
	if status := read(t, m.path("/proc/"+m.show("MainPID")+"/status")); !regexp.MustCompile(`(?m)^CapBnd:\s+0+$`).MatchString(status) ||
		regexp.MustCompile(`(?m)^Uid:\s+0`).MatchString(status) {
		t.Errorf("the master has more rights than it needs:\n%s", status)
	}

	m.deploy("raise ValueError('broken')\n")
	m.do("systemctl", "reload", "myapp")
	m.eventually("told of the reload", func() bool { return strings.HasSuffix(m.show("StatusText"), "the last reload failed") })
	m.serves()
	m.deploy("")
	m.do("systemctl", "reload", "myapp")
	m.eventually("told of the reload", func() bool { return m.show("StatusText") == "4 of 4 workers ready" })

	m.upgrade(1)
	m.serves()
	m.stop(1)
	m.watchdog()
	m.socket()
}

// upgrade replaces the master for the nth time.
func (m *machine) upgrade(n int) {
	m.tb.Helper()
	old := m.show("MainPID")
	m.do("systemctl", "kill", "--kill-whom=main", "--signal=USR2", "myapp")
	m.eventually("ready", func() bool { return m.log(`New master \(pid:\d+\) is ready`, n) })
	m.do("systemctl", "kill", "--kill-whom=main", "--signal=TERM", "myapp")
	m.eventually("promoted", func() bool { return m.log(`Master has been promoted`, n) })
	m.eventually("followed", func() bool { pid := m.show("MainPID"); return pid != old && pid != "0" })
}

// stop stops the service while a request runs, which is finished. systemd has
// followed to a main process that is not its child: without the unit's ExecStop it
// would kill it at once.
func (m *machine) stop(terms int) {
	m.tb.Helper()
	conn := gowsgitest.DialConn(m.tb, "tcp", m.addr)
	defer conn.Close()
	conn.Send("GET /wait?gate=/var/lib/myapp/gate HTTP/1.1\r\nHost: x\r\n\r\n")
	gate{m.tb, m.path("/var/lib/myapp/gate")}.waitStarted(1)
	m.do("systemctl", "stop", "--no-block", "myapp")
	m.eventually("stopping", func() bool { return m.log(`Handling signal: term`, terms+1) })
	write(m.tb, m.path("/var/lib/myapp"), "gate", "")
	if r := conn.Response("GET"); r.Status != 200 || r.Err != nil {
		m.tb.Errorf("got %v, %v, want an answer to the request that ran", r, r.Err)
	}
	m.eventually("stopped", func() bool { return m.show("ActiveState") == "inactive" })
	if got := m.show("Result"); got != "success" {
		m.tb.Errorf("the result is %s, want success", got)
	}
}

// watchdog stops the master's loop: systemd starts another.
func (m *machine) watchdog() {
	m.tb.Helper()
	mkdir(m.tb, m.path("/run/systemd/system/myapp.service.d"))
	write(m.tb, m.path("/run/systemd/system/myapp.service.d"), "watchdog.conf", "[Service]\nWatchdogSec=5\n")
	m.do("systemctl", "daemon-reload")
	m.do("systemctl", "start", "myapp")
	old := m.show("MainPID")
	m.do("systemctl", "kill", "--kill-whom=main", "--signal=STOP", "myapp")
	m.eventually("restarted", func() bool { return m.show("MainPID") != old && m.show("ActiveState") == "active" })
	m.serves()
	m.do("systemctl", "stop", "myapp")
}

// socket has systemd open the port: clients wait for the service, also while it
// restarts.
func (m *machine) socket() {
	m.tb.Helper()
	m.do("systemctl", "start", "myapp.socket")
	m.serves() // starts it
	restarted := make(chan error, 1)
	go func() {
		_, err := m.try("systemctl", "restart", "myapp")
		restarted <- err
	}()
	for asked := 0; ; asked++ {
		m.serves()
		select {
		case err := <-restarted:
			if err != nil {
				m.tb.Error(err)
			}
			m.serves()
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}
