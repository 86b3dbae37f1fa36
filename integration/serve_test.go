package integration

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gowsgi/internal/gowsgitest"
)

func TestFourWorkersAnswer(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "4", "probe")
	workers := s.WaitBooted(4)
	got := answering(t, s, 4)
	if len(got) != 4 {
		t.Errorf("%d workers answered, want 4", len(got))
	}
	for pid := range got {
		if !slices.Contains(workers, pid) {
			t.Errorf("%d answered, but the workers are %v", pid, workers)
		}
		if pid == s.PID {
			t.Error("the master answered")
		}
	}
}

// Nothing is shared: what each worker counts is its own 1, 2, 3 ...
func TestIsolation(t *testing.T) {
	t.Parallel()
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: gowsgitest.Examples(), Args: []string{"-w", "4", "isolation_app"}})
	s.WaitBooted(4)
	counts := map[int][]int{}
	if !gowsgitest.Eventually(func() bool {
		var waiting []<-chan answer
		for range 8 {
			waiting = append(waiting, ask(s, "/"))
		}
		for _, c := range waiting {
			var got struct{ Pid, Count int }
			(<-c).decode(t, &got)
			counts[got.Pid] = append(counts[got.Pid], got.Count)
		}
		return len(counts) == 4
	}) {
		t.Errorf("%d workers answered, want 4", len(counts))
	}
	for pid, seen := range counts {
		slices.Sort(seen) // answers may overtake each other on their way
		for i, n := range seen {
			if n != i+1 {
				t.Fatalf("worker %d counted %v, want 1, 2, 3 ...", pid, seen)
			}
		}
	}
}

// gunicorn: pidfile.
func TestPidfile(t *testing.T) {
	t.Parallel()
	t.Run("written and removed", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "pid")
		s := start(t, "-p", path, "hello")
		if got := atoi(t, read(t, path)); got != s.PID {
			t.Errorf("got %d, want %d", got, s.PID)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("got mode %v, %v, want 0644", info.Mode(), err)
		}
		s.Stop()
		if exists(path) {
			t.Error("the pidfile is left")
		}
	})
	t.Run("of a running process", func(t *testing.T) {
		t.Parallel()
		path := write(t, t.TempDir(), "pid", strconv.Itoa(os.Getpid())+"\n")
		r := gowsgitest.Run(t, gowsgitest.Config{Dir: apps(), Args: []string{"-p", path, "hello"}})
		if r.Code != 1 || !strings.Contains(r.Stderr, "Already running on PID "+strconv.Itoa(os.Getpid())) {
			t.Errorf("got %d and %q, want 1 and the reason", r.Code, r.Stderr)
		}
		if got := atoi(t, read(t, path)); got != os.Getpid() {
			t.Errorf("the file says %d now, want it untouched", got)
		}
	})
	stale := []struct{ name, text string }{
		{"of a dead process", "4194304\n"},
		{"empty", ""},
		{"with something else", "none\n"},
	}
	for _, tt := range stale {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := write(t, t.TempDir(), "pid", tt.text)
			s := start(t, "-p", path, "hello")
			if got := atoi(t, read(t, path)); got != s.PID {
				t.Errorf("got %d, want %d", got, s.PID)
			}
		})
	}
	t.Run("no such directory", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "nosuch", "pid")
		r := gowsgitest.Run(t, gowsgitest.Config{Dir: apps(), Args: []string{"-p", path, "hello"}})
		if r.Code != 1 || !strings.Contains(r.Stderr, filepath.Dir(path)) {
			t.Errorf("got %d and %q, want 1 and the directory", r.Code, r.Stderr)
		}
	})
}

// Ctrl-C in a terminal, and what a container's shell does, leave nothing: the
// names of the processes tell master from worker.
func TestProcessesAreTheMastersChildren(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "2", "hello")
	workers := s.WaitBooted(2)
	for _, w := range workers {
		status, err := os.Open("/proc/" + strconv.Itoa(w) + "/status")
		if err != nil {
			t.Fatal(err)
		}
		for sc := bufio.NewScanner(status); sc.Scan(); {
			if rest, ok := strings.CutPrefix(sc.Text(), "PPid:"); ok && atoi(t, rest) != s.PID {
				t.Errorf("the parent of %d is %s, want %d", w, rest, s.PID)
			}
		}
		status.Close()
	}
}

// Workers keep no descriptor they do not need, and the master none per worker
// that is gone (see also TestNoDescriptorIsLeaked).
func TestWorkersInheritNothingElse(t *testing.T) {
	t.Parallel()
	extra, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer extra.Close()
	path := write(t, t.TempDir(), "marker", "")
	marker, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer marker.Close()
	s := gowsgitest.Start(t, gowsgitest.Config{
		Dir: apps(), Args: []string{"probe"}, ExtraFiles: []*os.File{extra, marker},
	})
	worker := pid(t, s)
	for fd, target := range gowsgitest.Descriptors(worker) {
		if target == path {
			t.Errorf("the worker has %s as descriptor %d", target, fd)
		}
	}
}

func TestServesEverywhereAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sock := filepath.Join(dir, "s")
	s := gowsgitest.Start(t, gowsgitest.Config{
		Dir: apps(), Args: []string{"-b", "unix:" + sock, "-b", "[::1]:0", "-w", "2", "probe"},
	})
	if len(s.All) != 3 {
		t.Fatalf("listens at %v, want 3 addresses", s.All)
	}
	for _, at := range s.All {
		network, addr := "tcp", strings.TrimPrefix(at, "http://")
		if path, ok := strings.CutPrefix(at, "unix:"); ok {
			network, addr = "unix", path
		}
		r := gowsgitest.DialConn(t, network, addr).Get("/environ")
		var environ map[string][]any
		if err := json.Unmarshal([]byte(r.Body), &environ); err != nil || r.Status != 200 {
			t.Errorf("%s: got %v (%v), want 200", at, r, err)
		}
	}
}
