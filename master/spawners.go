package master

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/internal/sys"
	"gowsgi/master/spawner"
	"gowsgi/protocol/ipc"
)

// A spawner belongs to a generation: a reload starts a new one beside the old one,
// which ends when none of its workers is left and nobody may go back to it. One
// that dies is replaced; its workers live on, for they are the master's children.
//
//	                     a worker is wanted      worker: "started", pid
//	addSpawner --> follow ---> Fork ...............................> booting
//	                 |
//	                 | superseded and no workers left, or the server stops
//	                 v
//	           Close --spawnerEndWait--> SIGKILL

const (
	// forkWait is how long a spawner may take to fork a worker, with what hooks do
	// meanwhile, before it counts as stuck.
	forkWait = 60 * time.Second
	// spawnerEndWait is how long its exit handlers and threads may take.
	spawnerEndWait = 2 * time.Second
)

// spawnerState is a spawner that runs. Only the loop touches it.
type spawnerState struct {
	*spawner.Process
	started time.Time
	wave    int // see backoff
	// followed: its reports are events.
	followed bool
	closed   bool
	killAt   time.Time // zero: never
	killed   string    // why the master killed it
}

// spawnerReport is a report of a spawner.
type spawnerReport struct{ report ipc.Report }

// respawnedEvent is the result of replacing a spawner that died.
type respawnedEvent struct {
	gen *generation
	err error
}

// errBootTimeout: the boot_timeout setting holds for a preloaded application, too.
var errBootTimeout = errors.New("the application is not loaded within boot_timeout")

// startSpawner starts a spawner in dir.
func startSpawner(o *Options, python ipc.Python, dir string) (*spawner.Process, error) {
	// Workers lose their parent while they are forked; they become the master's.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("becoming the parent of forked workers: %w", err)
	}
	stdin, err := devNull()
	if err != nil {
		return nil, err
	}
	image := o.HostImage
	if python.Host == nil {
		image = func() []byte { return o.SpawnerImage(python) }
	}
	return spawner.Start(spawner.Options{
		Program: selfExe,
		Python:  python,
		Title:   "gowsgi: spawner",
		Image:   image(),
		Dir:     dir,
		Env:     workerEnviron(o.Environ, nil),
		Stdin:   stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
	})
}

// addSpawner prepares the spawner of a generation that wants one: that of its
// configuration file, or else, to preload the application, a new one. state is
// that of the spawner before it. It runs outside of the loop: importing an
// application takes its time. After an error there is none.
func (m *Master) addSpawner(ctx context.Context, log zerolog.Logger, gen *generation, state map[string]string) (err error) {
	if !gen.spawns {
		return nil
	}
	cfg := gen.cfg
	p := gen.file.take()
	if p == nil {
		if p, err = startSpawner(&m.opts, gen.python, cfg.Chdir); err != nil {
			return err
		}
	}
	if !m.opts.Check {
		// Before anything of the application can print.
		if err := capture(p, cfg); err != nil {
			return discard(p, err)
		}
	}
	if cfg.BootTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, cfg.BootTimeout, errBootTimeout)
		defer cancel()
	}
	other := func(r ipc.Report) { logReport(&log, r) }
	_, err = p.Do(ctx, m.prepareOrder(gen), other)
	if err == nil && gen.n == 1 && cfg.PythonLogging() && !m.opts.Check {
		m.pyLog.attach(p) // the first; loading the application may take its time
	}
	if err == nil {
		_, err = p.Do(ctx, m.loadOrder(gen, state), other)
	}
	switch {
	case err == nil:
		gen.spawner = p
		return nil
	case context.Cause(ctx) == errBootTimeout:
		err = fmt.Errorf("preloading: %w (%s)", errBootTimeout, seconds(cfg.BootTimeout))
	}
	return discard(p, err)
}

func (m *Master) prepareOrder(gen *generation) *ipc.Order {
	cfg := gen.cfg
	order := &ipc.Order{
		Order: ipc.OrderPrepare, Argv: m.opts.Args, Chdir: cfg.Chdir, StartDir: cfg.StartDir,
		PythonPath: cfg.PythonPath, Env: cfg.Env,
		Logging: cfg.PythonLogging(), LogLevel: cfg.LogLevel,
		Title: "gowsgi: spawner [" + cfg.ProcName + "]", WorkerTitle: workerTitle(cfg),
	}
	if cfg.PythonLogging() {
		order.Settings = cfg.Settings()
	}
	return order
}

func (m *Master) loadOrder(gen *generation, state map[string]string) *ipc.Order {
	cfg := gen.cfg
	order := &ipc.Order{
		Order: ipc.OrderLoad, State: state,
		Preload: cfg.Preload || m.opts.Check, Module: cfg.App.Module, Attr: cfg.App.Attr,
	}
	if gen.file != nil {
		order.Settings = cfg.Settings()
	}
	if id, ok := cfg.Identity(); ok && cfg.Preload && id.Differs() {
		order.Identity = &ipc.Identity{UID: id.UID, GID: id.GID, Groups: id.Groups}
	}
	return order
}

// capture makes the output of a spawner that of the error log, if that is wanted,
// and does so anew after the log was moved away (gunicorn: capture_output).
func capture(p *spawner.Process, cfg *config.Config) error {
	if !cfg.CaptureOutput || cfg.ErrorLog == "-" {
		return nil
	}
	path := cfg.ErrorLog
	if !filepath.IsAbs(path) {
		path = filepath.Join(cfg.Chdir, path)
	}
	return p.Send(&ipc.Order{Order: ipc.OrderCapture, Path: path})
}

// discard ends a spawner the loop does not know yet, and says how it ended if err
// is that it did.
func discard(p *spawner.Process, err error) error {
	_ = p.Discard()
	gone := errors.Is(err, spawner.ErrGone)
	switch {
	case gone:
	case errors.Is(err, errBootTimeout):
		// The fault handler says what it is doing, before it dies of that.
		_ = kill(p.PID, unix.SIGABRT)
		deaf := time.AfterFunc(abortWait, func() { _ = kill(p.PID, unix.SIGKILL) })
		defer deaf.Stop()
	default:
		_ = kill(p.PID, unix.SIGKILL)
	}
	status, waitErr := sys.Wait(p.PID)
	if gone && waitErr == nil {
		return fmt.Errorf("the spawner %s", endText(status))
	}
	return errors.Join(err, waitErr)
}

// endText says how a process ended.
func endText(status unix.WaitStatus) string {
	if status.Signaled() {
		return "was sent " + unix.SignalName(status.Signal())
	}
	return fmt.Sprintf("exited with code %d", status.ExitStatus())
}

// reloadSpawner makes the spawner of a reload, with what hooks stored in the one
// before it, and runs its hooks.
func (m *Master) reloadSpawner(ctx context.Context, log zerolog.Logger, gen *generation, before int, state <-chan map[string]string) error {
	if err := m.addSpawner(ctx, log, gen, waitState(ctx, state)); err != nil {
		return err
	}
	if err := reloadHooks(ctx, log, gen, before); err != nil {
		return discard(gen.spawner, err)
	}
	return nil
}

// keep takes a spawner into the master's care; p may be nil.
func (m *Master) keep(p *spawner.Process) {
	if p == nil {
		return
	}
	m.spawners[p.PID] = &spawnerState{Process: p, started: time.Now(), wave: m.spawnerBackoff.wave}
	m.log.Info().Int("spawner", p.PID).Msgf("Spawner running with pid: %d", p.PID)
	if threads := p.Threads; len(threads) > 0 {
		m.log.Warn().Strs("threads", threads).Msgf("Threads started before the fork do not run in workers: %s", strings.Join(threads, ", "))
	}
}

// follow has what a spawner says from now on come as events; p may be nil.
func (m *Master) follow(p *spawner.Process) {
	if p == nil {
		return
	}
	m.spawners[p.PID].followed = true
	go func() {
		for r := range p.Reports() {
			select {
			case m.events <- spawnerReport{r}:
			case <-m.done:
				return
			}
		}
	}()
}

// workerStarted is called when a forked worker has said who it is.
func (m *Master) workerStarted(w *worker, pid int) {
	if w.pid != 0 || pid <= 1 {
		return
	}
	w.pid = pid
	m.logBooting(w)
	if d, dead := m.strangers[pid]; dead {
		delete(m.strangers, pid)
		m.reapedWorker(w, d)
	} else if w.owed != 0 {
		m.signalWorker(w, w.owed)
	}
	m.forgetStrangers()
	m.reapAll() // it was unknown when somebody looked
}

// forgetStrangers drops exit statuses that nobody will ask for any more: process
// ids come again.
func (m *Master) forgetStrangers() {
	for _, w := range m.workers {
		if w.pid == 0 {
			return
		}
	}
	clear(m.strangers)
}

// stillborn ends the record of a worker that was never forked.
func (m *Master) stillborn(w *worker) {
	w.reaped = true
	asked := w.state == draining
	m.forget(w)
	m.forgetStrangers()
	if asked || m.stop != nil {
		return
	}
	m.log.Error().Int("age", w.age).Msg("Worker could not be forked")
	m.backoff.died(w.wave, 0, time.Now())
	if m.reload != nil && w.gen == m.gen {
		m.abandonReload("worker could not be forked", "")
	}
}

// inUse reports whether workers are forked by p, or may be, or on_exit is still to
// run there.
func (m *Master) inUse(p *spawner.Process) bool {
	if m.gen.spawner == p || m.reload != nil && m.reload.prev.spawner == p {
		return true
	}
	for _, w := range m.workers {
		if w.spawner == p {
			return true
		}
	}
	return false
}

// tendSpawners ends spawners nobody needs, kills those that are stuck, and
// replaces the one that died.
func (m *Master) tendSpawners(now time.Time) {
	for _, w := range m.workers {
		if w.pid == 0 && now.Sub(w.spawned) >= forkWait {
			m.killSpawner(w.spawner, "worker %d was not forked within %v", w.age, forkWait)
		}
	}
	for _, s := range m.spawners {
		m.spawnerBackoff.lived(s.wave, now.Sub(s.started))
		if !s.closed && !m.inUse(s.Process) {
			m.closeSpawner(s, now)
		}
		if !s.killAt.IsZero() && !now.Before(s.killAt) {
			m.killSpawner(s.Process, "its exit handlers took longer than %v", spawnerEndWait)
		}
	}
	gen := m.gen
	if m.stop == nil && m.reload == nil && !m.preparing && gen.spawns && gen.spawner == nil && !now.Before(m.spawnerBackoff.until) {
		m.respawn(gen)
	}
}

// nextSpawner returns when tendSpawners has something to do, zero for never.
func (m *Master) nextSpawner() time.Time {
	var next time.Time
	until := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for _, w := range m.workers {
		if w.pid == 0 && !m.killing(w.spawner) {
			until(w.spawned.Add(forkWait))
		}
	}
	for _, s := range m.spawners {
		if !s.killAt.IsZero() && s.killed == "" {
			until(s.killAt)
		}
	}
	if m.stop == nil && !m.preparing && m.gen.spawns && m.gen.spawner == nil {
		until(m.spawnerBackoff.until)
	}
	return next
}

func (m *Master) closeSpawner(s *spawnerState, now time.Time) {
	s.closed, s.killAt = true, now.Add(spawnerEndWait)
	if s.followed {
		s.Close()
	} else {
		_ = s.Discard()
	}
}

func (m *Master) killing(p *spawner.Process) bool {
	if p == nil {
		return true
	}
	s := m.spawners[p.PID]
	return s == nil || s.killed != ""
}

// killSpawner kills a spawner, once, for a reason the log will name.
func (m *Master) killSpawner(p *spawner.Process, reason string, args ...any) {
	if m.killing(p) {
		return
	}
	m.spawners[p.PID].killed = fmt.Sprintf(reason, args...)
	_ = m.env.kill(p.PID, unix.SIGKILL)
}

// reapSpawners collects dead spawners only.
func (m *Master) reapSpawners() {
	for _, s := range m.spawners {
		if d, err := m.env.reap(s.PID); err == nil && d.PID == s.PID {
			m.spawnerDied(s, d.Status)
		}
	}
}

// spawnerDied is called when a spawner has been reaped.
func (m *Master) spawnerDied(s *spawnerState, status unix.WaitStatus) {
	delete(m.spawners, s.PID)
	s.Ended()
	switch {
	case s.killed != "":
		m.log.Error().Int("spawner", s.PID).Msgf("Spawner (pid:%d) was killed: %s", s.PID, s.killed)
	case s.closed:
		m.log.Debug().Int("spawner", s.PID).Msgf("Spawner (pid:%d) %s", s.PID, endText(status))
		return
	default:
		m.log.Error().Int("spawner", s.PID).Msgf("Spawner (pid:%d) %s", s.PID, endText(status))
	}
	if m.awaited != "" {
		m.hookDone(m.awaited)
	}
	if m.gen.spawner != s.Process || m.stop != nil {
		return
	}
	now := time.Now()
	m.spawnerBackoff.died(s.wave, now.Sub(s.started), now)
	m.gen.spawner = nil
	if m.reload != nil {
		m.abandonReload("the spawner died", "")
	}
}

// respawn replaces the spawner of gen beside the loop.
func (m *Master) respawn(gen *generation) {
	ctx, cancel := context.WithCancel(context.Background())
	m.preparing, m.again, m.cancel = true, false, cancel
	log := m.log
	go func() {
		defer cancel()
		fresh := &generation{cfg: gen.cfg, python: gen.python, spawns: true, listeners: gen.listeners}
		err := m.replaceSpawner(ctx, log, fresh)
		select {
		case m.events <- respawnedEvent{fresh, err}:
		case <-m.done:
		}
	}()
}

// replaceSpawner makes another spawner for gen: the configuration file is executed
// again, for what it makes there; its settings wait for a reload. The hooks are
// those of a start: nothing of what they did is left.
func (m *Master) replaceSpawner(ctx context.Context, log zerolog.Logger, gen *generation) error {
	loaded, err := m.opts.Reload(ctx)
	if err != nil {
		return err
	}
	if loaded.File == nil && !gen.cfg.Preload {
		return errors.New("the configuration file is gone")
	}
	gen.file = loaded.File
	if err := m.addSpawner(ctx, log, gen, nil); err != nil {
		return err
	}
	tellListening(gen)
	err = runHook(ctx, log, gen, "nworkers_changed", gen.cfg.Workers, nil)
	for _, name := range []string{"on_starting", "when_ready"} {
		if err == nil {
			err = runHook(ctx, log, gen, name)
		}
	}
	if err != nil {
		return discard(gen.spawner, err)
	}
	return nil
}

// apply implements event.
func (e respawnedEvent) apply(m *Master) {
	m.preparing = false
	if e.err == nil {
		if m.stop == nil {
			m.gen.spawner = e.gen.spawner
			m.attachLog()
		}
		m.keep(e.gen.spawner)
		m.follow(e.gen.spawner)
	}
	m.reapAll()
	switch now := time.Now(); {
	case m.stop != nil:
	case e.err != nil && !m.again:
		m.spawnerBackoff.died(m.spawnerBackoff.wave, 0, now)
		m.log.Error().Str("traceback", tracebackOf(e.err)).Dur("delay_ms", m.spawnerBackoff.until.Sub(now)).
			Msgf("Spawner could not be started: %v", e.err)
		m.bootBroken(e.err.Error(), tracebackOf(e.err))
	}
	if m.again && m.stop == nil {
		m.prepare()
	}
}

// endSpawners ends all spawners and waits for them, when the loop has ended.
func (m *Master) endSpawners() {
	m.runOnExit()
	for _, s := range m.spawners {
		if !s.closed {
			m.closeSpawner(s, time.Now())
		}
	}
	for m.reapSpawners(); len(m.spawners) > 0; m.reapSpawners() {
		now := time.Now()
		m.tendSpawners(now)
		wait := time.Hour
		if next := m.nextSpawner(); !next.IsZero() {
			wait = next.Sub(now)
		}
		select {
		case <-m.sigchld:
		case <-m.signals: // it is stopping
		case e := <-m.events:
			e.apply(m)
		case <-time.After(wait):
		}
	}
}

// preloadFailed ends a start whose application cannot be loaded, as one whose
// workers cannot load it.
func (m *Master) preloadFailed(failed *spawner.Failure) {
	if failed.Traceback != "" {
		m.log.Error().Str("traceback", failed.Traceback).Msg("Exception in the spawner")
	}
	m.log.Error().Msg(failed.Report.Error)
	m.stopAtBoot(failed.Code)
}

// tracebackOf returns the Python traceback of an error, "" if it has none.
func tracebackOf(err error) string {
	var failed *spawner.Failure
	if errors.As(err, &failed) {
		return failed.Traceback
	}
	return ""
}
