package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// systemPython is an interpreter everybody may read: the one of the tests'
// environment may lie in root's home.
const systemPython = "/usr/bin/python3"

// privileged skips the test unless the master can change its workers' identity,
// and returns a directory that everybody can read, with identity.py in it.
func privileged(t *testing.T) (dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can change to another user")
	}
	if err := exec.Command(systemPython, "-c", "import sysconfig as s,sys; sys.exit(not s.get_config_var('Py_ENABLE_SHARED'))").Run(); err != nil {
		t.Skipf("%s has no shared library: %v", systemPython, err)
	}
	dir, err := os.MkdirTemp("", "gowsgi-identity-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "identity.py", read(t, filepath.Join(apps(), "identity.py")))
	return dir
}

func startAs(t *testing.T, dir string, args ...string) *gowsgitest.Server {
	t.Helper()
	return gowsgitest.Start(t, gowsgitest.Config{Dir: dir, NoVenv: true, Args: append(args, "--python", systemPython, "identity")})
}

// ids is what identity.py says of a process.
type ids struct {
	UID, GID [3]int
	Groups   []int
	Threads  [][2][]string
	Cwd      string
}

func (i ids) check(t *testing.T, when string, uid, gid int, groups []int) {
	t.Helper()
	if i.UID != [3]int{uid, uid, uid} || i.GID != [3]int{gid, gid, gid} || !slices.Equal(i.Groups, groups) {
		t.Errorf("%s: user %v, group %v, groups %v, want %d, %d, %v", when, i.UID, i.GID, i.Groups, uid, gid, groups)
	}
	for _, thread := range i.Threads {
		for n, want := range []int{uid, gid} {
			for _, id := range thread[n] {
				if id != itoa(want) {
					t.Errorf("%s: a thread has %v", when, thread)
				}
			}
		}
	}
}

type identityAnswer struct {
	Import, Now                       ids
	Setuid, Setgid, Setgroups, Secret string
}

// gunicorn: user, group, initgroups. Workers are somebody else before the
// application is imported, in all threads, and cannot come back.
func TestIdentity(t *testing.T) {
	t.Parallel()
	dir := privileged(t)
	for _, tt := range []struct {
		args     string
		uid, gid int
	}{
		{"-u nobody -g daemon", 65534, 1},
		{"--user 65534 --group 1 --initgroups --threads 3", 65534, 1},
		{"-u daemon", 1, 1}, // its own group, not root's
		{"-u 4242 -g 4243", 4242, 4243},
	} {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			s := startAs(t, dir, strings.Fields(tt.args)...)
			var got identityAnswer
			answer{s.Get("/"), nil}.decode(t, &got)
			groups := []int{tt.gid}
			if strings.Contains(tt.args, "initgroups") {
				groups = append(groups, 65534)
			}
			got.Import.check(t, "import", tt.uid, tt.gid, groups)
			got.Now.check(t, "request", tt.uid, tt.gid, groups)
			for what, result := range map[string]string{"setuid": got.Setuid, "setgid": got.Setgid, "setgroups": got.Setgroups, "/etc/shadow": got.Secret} {
				if result != "PermissionError" {
					t.Errorf("%s: %s, want PermissionError", what, result)
				}
			}
			if got.Now.Cwd != dir {
				t.Errorf("directory %q, want %q", got.Now.Cwd, dir)
			}
			// The master has kept its own.
			status := read(t, fmt.Sprintf("/proc/%d/status", s.PID))
			if !strings.Contains(status, "\nUid:\t0\t0\t0\t0\n") {
				t.Errorf("the master is not root any more:\n%s", status)
			}
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}

// Files the workers have to open again, and the socket, are theirs; rotated logs
// too, in a directory that is root's.
func TestIdentityOwnsFiles(t *testing.T) {
	t.Parallel()
	dir := privileged(t)
	errorLog, access, sock := filepath.Join(dir, "error.log"), filepath.Join(dir, "access.log"), filepath.Join(dir, "s")
	s := gowsgitest.Launch(t, gowsgitest.Config{Dir: dir, NoVenv: true, Bind: "unix:" + sock, Args: []string{
		"-u", "nobody", "-g", "daemon", "-m", "0007", "--error-logfile", errorLog, "--access-logfile", access,
		"--python", systemPython, "identity"}})
	owned := func(path string) bool {
		var st syscall.Stat_t
		return syscall.Stat(path, &st) == nil && st.Uid == 65534 && st.Gid == 1
	}
	request := func() {
		t.Helper()
		c := gowsgitest.DialConn(t, "unix", sock)
		if r := c.Get("/"); r.Status != 200 {
			t.Errorf("got %v", r)
		}
	}
	if !gowsgitest.Eventually(func() bool { return exists(sock) && strings.Contains(read(t, errorLog), "Booting worker") }) {
		t.Fatal("the server does not start")
	}
	request()
	for _, path := range []string{errorLog, access, sock} {
		if !owned(path) {
			t.Errorf("%s does not belong to the workers", path)
		}
	}
	if info, err := os.Stat(sock); err != nil || info.Mode().Perm() != 0o770 {
		t.Errorf("mode of the socket: %v, %v, want 0770", info.Mode(), err)
	}
	for _, path := range []string{errorLog, access} {
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
	}
	s.Signal(syscall.SIGUSR1)
	if !gowsgitest.Eventually(func() bool { return owned(errorLog) && owned(access) }) {
		t.Error("the new logs do not belong to the workers")
	}
	if !gowsgitest.Eventually(func() bool {
		request()
		return strings.Contains(read(t, access), `"GET / HTTP/1.1" 200`)
	}) {
		t.Error("nothing is logged into the new file")
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// Who cannot change the identity says so at once and in one line.
func TestIdentityNeedsRoot(t *testing.T) {
	t.Parallel()
	dir := privileged(t)
	binary := filepath.Join(dir, "gowsgi")
	data, err := os.ReadFile(gowsgitest.Binary(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, data, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-u", "daemon", "-b", "127.0.0.1:0", "--python", systemPython, "identity")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 1 ||
		!strings.Contains(string(out), "Error: workers cannot run as user 1, group 1: the master must be root") {
		t.Errorf("%v: %s", err, out)
	}
}

// A reload with another user: new workers are somebody else, old ones finish as
// they are, and the socket changes hands.
func TestReloadChangesUser(t *testing.T) {
	t.Parallel()
	dir := privileged(t)
	sock := filepath.Join(dir, "s")
	conf := func(user string) string {
		return fmt.Sprintf("wsgi_app = 'identity'\nuser = '%s'\nbind = ['unix:%s']\npython = '%s'\n", user, sock, systemPython)
	}
	file := write(t, dir, "gowsgi.toml", conf("nobody"))
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, NoVenv: true, NoBind: true})
	who := func() (now ids) {
		var got identityAnswer
		answer{s.Get("/"), nil}.decode(t, &got)
		return got.Now
	}
	if now := who(); now.UID[0] != 65534 {
		t.Errorf("user %v, want nobody", now.UID)
	}
	replace(t, file, conf("daemon"))
	s.Signal(syscall.SIGHUP)
	s.Log.Wait(t, `Reload complete`)
	if !gowsgitest.Eventually(func() bool { return who().UID[0] == 1 }) {
		t.Error("the new workers are not daemon")
	}
	var st syscall.Stat_t
	if err := syscall.Stat(sock, &st); err != nil || st.Uid != 1 {
		t.Errorf("the socket belongs to %d, %v, want 1", st.Uid, err)
	}
	replace(t, file, conf("no-such-user"))
	s.Signal(syscall.SIGHUP)
	s.Log.Wait(t, `Reload failed: .*No such user: 'no-such-user'`)
	if now := who(); now.UID[0] != 1 {
		t.Errorf("user %v, want daemon as before", now.UID)
	}
	if code := s.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}
