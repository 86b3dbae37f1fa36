package master

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/config"
)

// files makes a directory with files of that content.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOOMCount(t *testing.T) {
	t.Parallel()
	const events = "low 0\nhigh 3\nmax 17\noom 4\noom_kill 2\noom_group_kill 0\n"
	for _, tt := range []struct {
		name    string
		content map[string]string
		want    oomCount
	}{
		{"version 2", map[string]string{
			"cgroup": "0::/system.slice/app.service\n",
			"fs/system.slice/app.service/memory.events": events, "fs/system.slice/app.service/memory.max": "536870912\n",
		}, oomCount{2, true, 512 << 20, true}},
		{"version 2 without a limit", map[string]string{
			"cgroup": "0::/a\n", "fs/a/memory.events": events, "fs/a/memory.max": "max\n",
		}, oomCount{2, true, 0, true}},
		{"in a namespace", map[string]string{
			"cgroup": "0::/\n", "fs/memory.events": events, "fs/memory.max": "1048576\n",
		}, oomCount{2, true, 1 << 20, true}},
		{"in a container that sees the host's path", map[string]string{
			"cgroup": "0::/docker/0123\n", "fs/memory.events": events,
		}, oomCount{2, true, 0, true}},
		{"version 1", map[string]string{
			"cgroup":                            "9:name=systemd:/x\n4:cpu,memory:/x\n",
			"fs/memory/x/memory.oom_control":    "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n",
			"fs/memory/x/memory.limit_in_bytes": "1073741824\n",
		}, oomCount{5, true, 1 << 30, true}},
		{"version 1 without a limit", map[string]string{
			"cgroup":                          "4:memory:/x\n",
			"fs/memory/memory.oom_control":    "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n",
			"fs/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, oomCount{5, true, 0, true}},
		{"both, memory in version 1", map[string]string{
			"cgroup":                         "4:memory:/x\n0::/\n",
			"fs/memory/x/memory.oom_control": "oom_kill 5\n", "fs/unified/cgroup.procs": "",
		}, oomCount{5, true, 0, true}},
		{"none", map[string]string{"cgroup": "0::/\n", "vmstat": "nr_free 7\noom_kill 11\n"}, oomCount{11, false, 0, true}},
		{"an old kernel", map[string]string{"vmstat": "nr_free 7\n"}, oomCount{}},
		{"garbage", map[string]string{"cgroup": "\x00\n::\n0::/a\n", "fs/a/memory.events": "oom_kill many\n"}, oomCount{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := files(t, tt.content)
			got := oomFiles{dir + "/cgroup", dir + "/fs", dir + "/vmstat"}.read()
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// Each kill the kernel counts explains one death, and none is explained twice.
// (The name of the test lets an unexplained kill pass.)
func TestUnexplainedAndExplainedKills(t *testing.T) {
	dies := func(p *proc) {
		p.boots()
		if p.oldOne(1) {
			p.sleep(20 * time.Second)
			p.die(unix.SIGKILL)
		}
		p.serve(0)
	}
	for _, tt := range []struct {
		name          string
		before, after oomCount
		want          string
	}{
		{"by the group's limit", oomCount{2, true, 0, true}, oomCount{3, true, 512 << 20, true},
			"was sent SIGKILL by the kernel: out of memory (the limit is 512.0 MiB) [lived"},
		{"for want of memory without a limit", oomCount{2, true, 0, true}, oomCount{3, true, 0, true},
			"was sent SIGKILL by the kernel: out of memory [lived"},
		{"by somebody", oomCount{2, true, 0, true}, oomCount{2, true, 0, true},
			"was sent SIGKILL! Not for want of memory: somebody sent it [lived"},
		{"somewhere on the machine", oomCount{2, false, 0, true}, oomCount{3, false, 0, true},
			"was sent SIGKILL! Perhaps out of memory? [lived"},
		{"nowhere on the machine", oomCount{2, false, 0, true}, oomCount{2, false, 0, true},
			"was sent SIGKILL! Not for want of memory: somebody sent it [lived"},
		{"unknown", oomCount{}, oomCount{}, "was sent SIGKILL! Perhaps out of memory? [lived"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			simulateWith(t, config.Config{Workers: 1}, dies, func(s *sim) { s.oom = tt.before }, func(s *sim) {
				s.settled(1)
				s.mu.Lock()
				s.oom = tt.after
				s.mu.Unlock()
				s.until("replaced", func() bool { return s.started() == 2 })
				s.logs("[ERROR] Worker (pid:101) "+tt.want, 1)
			})
		})
	}
}

// What clients sent cannot end the line it is shown in, or begin another one.
func TestDeathLineCannotBeForged(t *testing.T) {
	script := func(p *proc) {
		p.boots()
		if p.oldOne(1) {
			p.sleep(20 * time.Second)
			p.begin("/x\n[2026-01-01 00:00:00 +0000] [1] [CRITICAL] forged \x1b[31m\r\x00\u2028end")
			p.die(unix.SIGSEGV)
		}
		p.serve(0)
	}
	simulate(t, config.Config{Workers: 1}, script, func(s *sim) {
		s.until("replaced", func() bool { return s.started() == 2 })
		s.settled(1)
		for line := range strings.Lines(s.logText()) {
			if strings.HasPrefix(line, "[2026-01-01") || strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\x1b\r\x00\u2028") {
				t.Errorf("forged: %q", line)
			}
		}
		s.logs(`was sent SIGSEGV! [lived 21.0s, 0 requests, peak memory 45.0 MiB; in GET /x\n`, 1)
	})
}

// An error is what somebody has to act on: the application broke, or a worker was
// killed. One that left because it was told to is none.
func TestLevelOfADeath(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*proc)
		want string
	}{
		{"fault", func(p *proc) { p.die(unix.SIGSEGV) }, "[ERROR] Worker (pid:101) was sent SIGSEGV!"},
		{"abort", func(p *proc) { p.die(unix.SIGABRT) }, "[ERROR] Worker (pid:101) was sent SIGABRT!"},
		{"bad address", func(p *proc) { p.die(unix.SIGBUS) }, "[ERROR] Worker (pid:101) was sent SIGBUS!"},
		{"a signal nobody handles", func(p *proc) { p.die(unix.SIGVTALRM) }, "[ERROR] Worker (pid:101) was sent SIGVTALRM!"},
		{"killed", func(p *proc) { p.die(unix.SIGKILL) }, "[ERROR] Worker (pid:101) was sent SIGKILL!"},
		{"exit code", func(p *proc) { p.exit(9) }, "[ERROR] Worker (pid:101) exited with code 9."},
		{"told to leave by somebody", func(p *proc) { p.die(unix.SIGTERM) }, "[WARNING] Worker (pid:101) was sent SIGTERM!"},
		{"left by itself", func(p *proc) { p.exit(0) }, "[WARNING] Worker (pid:101) exited with code 0."},
		{"told to leave", func(p *proc) { p.wait(time.Hour); p.die(unix.SIGTERM) }, "[INFO] Worker (pid:101) was sent SIGTERM!"},
		{"a fault while it leaves", func(p *proc) { p.wait(time.Hour); p.die(unix.SIGSEGV) }, "[ERROR] Worker (pid:101) was sent SIGSEGV!"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			script := func(p *proc) {
				p.boots()
				if p.oldOne(1) {
					p.sleep(20 * time.Second)
					tt.end(p)
				}
				p.serve(0)
			}
			known := func(s *sim) { s.oom = oomCount{known: true} }
			simulateWith(t, config.Config{Workers: 1}, script, known, func(s *sim) {
				s.settled(1)
				time.Sleep(25 * time.Second)
				if s.started() == 1 {
					s.signal(unix.SIGHUP)
				}
				s.until("replaced", func() bool { return s.started() == 2 })
				s.settled(1)
				s.logs(tt.want, 1)
			})
		})
	}
}
