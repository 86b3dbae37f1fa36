package master

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gowsgi/config"
	"gowsgi/protocol/ipc"
)

func TestReloadOnChange(t *testing.T) {
	broken := false
	script := func(p *proc) {
		if broken {
			p.bootFails("Traceback (most recent call last):\n  File \"/srv/new.py\", line 1\n    def (:\nSyntaxError: invalid syntax\n")
		}
		p.boots()
		p.say(ipc.Message{Kind: ipc.KindFiles, Files: []string{"/srv/app.py"}})
		p.serve(time.Second)
	}
	simulate(t, config.Config{Workers: 2, Reload: true, ReloadEngine: "poll", ReloadExtraFiles: []string{"/srv/x.html"}}, script, func(s *sim) {
		s.settled(2)
		s.logs("[WARNING] Reloader is on. Use in development only!", 1)
		synctest.Wait()
		if w := s.watch; w.engine != "poll" || !slices.Equal(w.files, []string{"/srv/x.html", "/srv/app.py", "/srv/app.py"}) {
			t.Errorf("watched: %+v", w)
		}
		s.watch.changed(s.watch, "/srv/app.py")
		s.until("reloaded", func() bool { return strings.Contains(s.logText(), "Reload complete: 2 workers") })
		s.settled(2)
		s.logs("Worker reloading: /srv/app.py modified", 1)
		s.wantNoGap(2)
		// What is broken changes nothing, and its files are watched, too.
		broken = true
		s.watch.changed(s.watch, "/srv/app.py")
		s.until("failed", func() bool { return strings.Contains(s.logText(), "Reload failed: ValueError: no") })
		s.settled(2)
		if !slices.Contains(s.watch.files, "/srv/new.py") {
			t.Errorf("watched: %q", s.watch.files)
		}
		broken = false
		s.watch.changed(s.watch, "/srv/new.py")
		s.until("reloaded again", func() bool { return strings.Count(s.logText(), "Reload complete: 2 workers") == 2 })
		s.settled(2)
	})
}

// TestFirstBootFailsWithReload: the server stays, for somebody is editing.
func TestFirstBootFailsWithReload(t *testing.T) {
	broken := true
	script := func(p *proc) {
		if broken {
			p.bootFails("Traceback\n  File \"/srv/app.py\", line 1, in <module>\nValueError: no\n")
		}
		p.boots()
		p.serve(time.Second)
	}
	simulate(t, config.Config{Workers: 1, Reload: true}, script, func(s *sim) {
		s.until("failed", func() bool { return strings.Contains(s.logText(), "ValueError: no") })
		synctest.Wait()
		if !slices.Contains(s.watch.files, "/srv/app.py") {
			t.Errorf("watched: %q", s.watch.files)
		}
		broken = false
		begin := time.Now()
		s.watch.changed(s.watch, "/srv/app.py")
		s.settled(1)
		if d := time.Since(begin); d > 2*time.Second {
			t.Errorf("serves %v after the change, want no backoff", d)
		}
	})
}

func TestWatchFiles(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"inotify", "poll"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path, other, extra := filepath.Join(dir, "a.py"), filepath.Join(dir, "other"), filepath.Join(dir, "templates")
			put := func(path, text string) {
				t.Helper()
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			put(path, "1")
			if err := os.Mkdir(extra, 0o755); err != nil {
				t.Fatal(err)
			}
			told := make(chan string, 100)
			w := watchFiles(engine, func(_ fileWatch, path string) { told <- path })
			defer w.Close()
			w.Add([]string{path, extra, filepath.Join(dir, "missing", "b.py")}, time.Now().Add(time.Hour))
			w.Add(nil, time.Time{})
			expect := func(what, want string) {
				t.Helper()
				select {
				case got := <-told:
					if got != want {
						t.Errorf("%s: told of %s, want %s", what, got, want)
					}
				case <-time.After(testDeadline):
					t.Fatalf("%s: not told", what)
				}
			}
			// It is not said when the watch has begun; until it has, nothing is told.
			for stop := time.Now().Add(testDeadline); len(told) == 0 && time.Now().Before(stop); {
				put(path, time.Now().String())
				time.Sleep(300 * time.Millisecond)
			}
			expect("written", path)
			for len(told) > 0 {
				<-told
			}
			put(other, "not watched")
			put(path+".new", "replaced")
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
			expect("replaced", path)
			put(filepath.Join(extra, "new.html"), "x")
			expect("made in a directory", extra)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
			put(path, "again")
			expect("removed and made again", path)
			w.Add([]string{other}, time.Now().Add(-time.Hour))
			expect("changed before it was added", other)
		})
	}
}
