package master

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/config"
)

// fileWatch tells when one of a set of files changes (gunicorn: reload).
type fileWatch interface {
	// Add adds files by their absolute paths; what changed after since counts as
	// changed. It does not block.
	Add(paths []string, since time.Time)
	// Close ends the watch; nothing is told afterwards.
	Close()
}

// fileChanged says that a file is not what it was.
type fileChanged struct {
	watch fileWatch
	path  string
}

// apply implements event.
func (e fileChanged) apply(m *Master) {
	if m.watch != e.watch || m.stop != nil {
		return
	}
	m.log.Info().Str("file", e.path).Msgf("Worker reloading: %s modified", e.path)
	m.beginReload()
}

// followFiles begins or ends watching as the settings say.
func (m *Master) followFiles(old, next *config.Config) {
	same := old != nil && old.Reload == next.Reload && old.ReloadEngine == next.ReloadEngine
	if !same && m.watch != nil {
		m.watch.Close()
		m.watch = nil
	}
	if next.Reload && m.watch == nil {
		m.log.Warn().Msg("Reloader is on. Use in development only!")
		m.watch = m.env.watch(next.ReloadEngine, func(w fileWatch, path string) {
			select {
			case m.events <- fileChanged{w, path}:
			case <-m.done:
			}
		})
	}
	if m.watch != nil {
		m.watch.Add(next.ReloadExtraFiles, time.Now())
	}
}

// tracebackFile returns the file that a line of a Python traceback names, "" if it names
// none.
func tracebackFile(line string) string {
	rest, ok := strings.CutPrefix(strings.TrimLeft(line, " "), `File "`)
	path, rest, found := strings.Cut(rest, `"`)
	if !ok || !found || !strings.HasPrefix(rest, ", line ") {
		return ""
	}
	return path
}

// followTraceback watches the files of an application that could not be loaded:
// what repairs it may be a file no running worker has imported.
func (m *Master) followTraceback(w *worker, traceback string) {
	if m.watch == nil {
		return
	}
	var paths []string
	for line := range strings.SplitSeq(traceback, "\n") {
		if path := tracebackFile(line); filepath.IsAbs(path) {
			paths = append(paths, path)
		}
	}
	m.watch.Add(paths, w.spawned)
}

const (
	// pollEvery is how often files are looked at, as under gunicorn.
	pollEvery = time.Second
	// settleWait is how long nothing must have changed before a change counts:
	// editors and checkouts write several files.
	settleWait = 100 * time.Millisecond
)

// stamp is what tells a file from what it was before.
type stamp struct {
	mtime unix.Timespec
	size  int64
	ino   uint64
}

// stampOf returns the stamp of a file, false if there is none now: an editor may
// be about to put another one in its place.
func stampOf(path string) (stamp, bool) {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return stamp{}, false
	}
	return stamp{st.Mtim, st.Size, st.Ino}, true
}

// addition is what Add was called with.
type addition struct {
	paths []string
	since time.Time
}

// osWatch is a fileWatch. Its goroutine owns the files and ends after Close.
type osWatch struct {
	changed func(fileWatch, string)
	added   chan addition
	closed  chan struct{}
	files   map[string]stamp
	// notify is an inotify descriptor whose events only mean "look", nil if files
	// are looked at every pollEvery.
	notify *os.File
	dirs   map[string]bool
}

// watchFiles starts a watch. Engine is auto, inotify or poll; without inotify, or
// when the kernel has no more watches to give, it polls.
func watchFiles(engine string, changed func(fileWatch, string)) fileWatch {
	w := &osWatch{changed: changed, added: make(chan addition, 16), closed: make(chan struct{}),
		files: map[string]stamp{}, dirs: map[string]bool{}}
	if engine != "poll" {
		if fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err == nil {
			w.notify = os.NewFile(uintptr(fd), "inotify")
		}
	}
	go w.run()
	return w
}

// Add implements fileWatch.
func (w *osWatch) Add(paths []string, since time.Time) {
	if len(paths) == 0 {
		return
	}
	a := addition{paths, since}
	select {
	case w.added <- a:
	default:
		// Not in the master's loop: it must not wait.
		go func() {
			select {
			case w.added <- a:
			case <-w.closed:
			}
		}()
	}
}

// Close implements fileWatch.
func (w *osWatch) Close() { close(w.closed) }

func (w *osWatch) run() {
	look := make(chan struct{}, 1)
	if w.notify != nil {
		defer w.notify.Close()
		go readNotify(w.notify, look)
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		var poll <-chan time.Time
		if w.notify == nil {
			poll = tick.C
		}
		select {
		case <-w.closed:
			return
		case a := <-w.added:
			if !w.add(a) {
				continue
			}
		case <-look:
		case <-poll:
		}
		if path := w.settled(look); path != "" {
			w.changed(w, path)
		}
	}
}

// readNotify turns events into "look" until the descriptor is closed.
func readNotify(f *os.File, look chan<- struct{}) {
	buf := make([]byte, 64*(unix.SizeofInotifyEvent+unix.NAME_MAX+1))
	for {
		if _, err := f.Read(buf); err != nil {
			return
		}
		select {
		case look <- struct{}{}:
		default:
		}
	}
}

// add reports whether one of the files has changed already.
func (w *osWatch) add(a addition) (changed bool) {
	for _, path := range a.paths {
		if _, known := w.files[path]; known {
			continue
		}
		now, ok := stampOf(path)
		if ok && now.mtime.Nano() > a.since.UnixNano() {
			now, changed = stamp{}, true
		}
		w.files[path] = now
		if dir := filepath.Dir(path); w.notify != nil && !w.dirs[dir] {
			w.dirs[dir] = true
			w.watchDir(dir)
		}
		if info, err := os.Stat(path); err == nil && info.IsDir() && w.notify != nil && !w.dirs[path] {
			w.dirs[path] = true
			w.watchDir(path)
		}
	}
	return changed
}

// watchDir watches the directory and not the files: those are replaced.
func (w *osWatch) watchDir(dir string) {
	const events = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_CREATE | unix.IN_DELETE | unix.IN_ONLYDIR
	conn, err := w.notify.SyscallConn()
	if err == nil {
		var addErr error
		err = conn.Control(func(fd uintptr) { _, addErr = unix.InotifyAddWatch(int(fd), dir, events) })
		err = errors.Join(err, addErr)
	}
	if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) {
		w.notify.Close()
		w.notify = nil // poll from here
	}
}

// settled looks at all files and, if one has changed, again until nothing changes
// any more. It returns one that has, "" if none.
func (w *osWatch) settled(look <-chan struct{}) string {
	first := ""
	for {
		path := w.lookAll()
		if path == "" {
			return first
		}
		first = path
		select {
		case <-w.closed:
			return ""
		case <-time.After(settleWait):
		}
	}
}

// lookAll returns a file that has changed, "" if none, and remembers all.
func (w *osWatch) lookAll() (changed string) {
	for path, was := range w.files {
		if now, ok := stampOf(path); ok && now != was {
			w.files[path] = now
			changed = path
		}
	}
	return changed
}
