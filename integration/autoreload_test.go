package integration

import (
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// gunicorn: reload, reload_engine, reload_extra_files. A changed module replaces
// the workers without a failed request; one that does not load leaves them, and
// the traceback is on the log.
func TestAutoReload(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"inotify", "poll"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := write(t, dir, "app.py", "import helper\n"+version(1)+"version = helper.version\n")
			helper := write(t, dir, "helper.py", "version = 1\n")
			page := write(t, dir, "page.html", "<p>")
			s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"-w", "2", "--reload", "--reload-engine", engine, "--reload-extra-file", "*.html", "app"}})
			workers := s.WaitBooted(2)
			s.Log.Wait(t, `\[WARNING\] Reloader is on`)
			s.GetOK("/")
			l := startLoad(s, "/", 1, 2)
			l.waitMore(t, 50)
			// Also if it changes before the master has heard of the file.
			mark := s.Log.Mark()
			replace(t, helper, "version = 2\n")
			s.Log.WaitAfter(t, mark, `Worker reloading: .*/helper\.py modified`)
			s.Log.WaitAfter(t, mark, `Reload complete: 2 workers`)
			workers = waitWorkers(t, s, 2, workers...)

			mark = s.Log.Mark()
			replace(t, page, "<p>changed")
			s.Log.WaitAfter(t, mark, `Worker reloading: .*/page\.html modified`)
			s.Log.WaitAfter(t, mark, `Reload complete: 2 workers`)
			workers = waitWorkers(t, s, 2, workers...)

			// Broken, by a file that no running worker has.
			mark = s.Log.Mark()
			write(t, dir, "fresh.py", "def broken(:\n")
			replace(t, path, "import fresh\n"+version(2))
			s.Log.WaitAfter(t, mark, `SyntaxError`)
			s.Log.WaitAfter(t, mark, `Reload failed`)
			l.waitMore(t, 50)
			if got := waitWorkers(t, s, 2); !slices.Equal(got, workers) {
				t.Errorf("workers are %v, want %v as before", got, workers)
			}
			mark = s.Log.Mark()
			replace(t, filepath.Join(dir, "fresh.py"), "")
			s.Log.WaitAfter(t, mark, `Worker reloading: .*/fresh\.py modified`)
			s.Log.WaitAfter(t, mark, `Reload complete: 2 workers`)
			waitWorkers(t, s, 2, workers...) // an old one may still answer
			if got := s.GetOK("/"); got != "version 2" {
				t.Errorf("got %q", got)
			}
			l.end(t)
			if code := s.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}

// With the reloader a first start that fails waits for somebody to repair it.
func TestAutoReloadOfABrokenStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := write(t, dir, "app.py", "def broken(:\n")
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: dir, Args: []string{"--reload", "app"}})
	s.Log.Wait(t, `SyntaxError`)
	replace(t, path, version(1))
	s.Log.Wait(t, `Worker reloading: .*/app\.py modified`)
	if got := s.GetOK("/"); got != "version 1" {
		t.Errorf("got %q", got)
	}
	s.Signal(syscall.SIGTERM)
	if code := s.Wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}
