package integration

import (
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"gowsgi/internal/gowsgitest"
)

// kill sends a signal by name.
func kill(t testing.TB, pid int, name string) {
	t.Helper()
	if err := syscall.Kill(pid, unix.SignalNum("SIG"+name)); err != nil {
		t.Fatal(err)
	}
}

// A view may start processes in any way Python offers; the child does its work
// and ends, and does not go on as a second server.
func TestChildrenOfAView(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, want string }{
		{"fork", "true"},
		{"fork_exit", `[1-9]\d*`}, // it ends, and not as if all were well
		{"fork_raise", "true"},
		{"fork_term", "100"},
		{"run", `"42"`},
		{"shell", `"from a shell"`},
		{"multi_fork", `\[1, 4, 9\]`},
		{"multi_spawn", `\[1, 4, 9\]`},
	}
	for _, threads := range []string{"1", "2"} {
		for _, tt := range tests {
			t.Run(tt.name+" "+threads+" threads", func(t *testing.T) {
				t.Parallel()
				s := start(t, "--threads", threads, "children")
				c := s.Dial()
				for range 3 {
					if r := c.Get("/" + tt.name); r.Status != 200 || !regexp.MustCompile(`^(?:`+tt.want+`)$`).MatchString(r.Body) {
						t.Errorf("got %v, want %s", r, tt.want)
					}
				}
				if n := s.Log.Count(`Booting worker`); n != 1 {
					t.Errorf("%d workers were started, want 1", n)
				}
				if code := s.Stop(); code != 0 {
					t.Errorf("exit code %d, want 0", code)
				}
			})
		}
	}
}

// A program a view leaves behind keeps neither the port nor a connection open.
func TestLeftBehindProgramHoldsNothing(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"background", "background_fork"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := start(t, "children")
			c := s.Dial()
			r := c.Get("/" + how)
			child := atoi(t, r.Body)
			process := gowsgitest.NewProcess(child)
			t.Cleanup(func() {
				if process.Alive() {
					_ = syscall.Kill(child, syscall.SIGKILL)
				}
			})
			if !gowsgitest.Eventually(func() bool { return strings.HasPrefix(gowsgitest.CommandLine(child), "sleep") }) {
				t.Fatalf("%d is %q, want sleep", child, gowsgitest.CommandLine(child))
			}
			own := gowsgitest.Descriptors(os.Getpid())
			for fd, target := range gowsgitest.Descriptors(child) {
				if own[fd] == target {
					continue // the test's own caller left it to everybody
				}
				for _, kind := range []string{"socket:", "anon_inode:", "/memfd:"} {
					if strings.HasPrefix(target, kind) {
						t.Errorf("the program has %s as descriptor %d", target, fd)
					}
				}
				if strings.HasPrefix(target, "pipe:") && fd > 2 {
					t.Errorf("the program has a pipe as descriptor %d", fd)
				}
			}
			s.Signal(syscall.SIGTERM)
			<-s.Exited()
			c.WaitClosed()
			again := gowsgitest.Start(t, gowsgitest.Config{Dir: apps(), Bind: s.Addr, Args: []string{"hello"}})
			again.GetOK("/")
			if again.Log.Count(`in use`) != 0 {
				t.Error("the port was not free")
			}
			if !process.Alive() {
				t.Error("the program is gone, so this shows nothing")
			}
			if err := syscall.Kill(child, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Standard input, output and error are all that a program gets.
func TestDescriptorsOfAProgram(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "2", "children")
	var got []int
	s.Get("/descriptors").JSON(t, &got)
	// What the test's own caller left open to everybody is not the server's.
	own := gowsgitest.Descriptors(s.PID)
	worker := gowsgitest.Descriptors(s.WaitBooted(1)[0])
	for _, fd := range got {
		if fd > 2 && worker[fd] != "" && worker[fd] != own[fd] {
			t.Errorf("descriptor %d, %s, is left to programs", fd, worker[fd])
		}
	}
}
