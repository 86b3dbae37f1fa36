package master

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/internal/logging"
	"gowsgi/internal/outlet"
	"gowsgi/internal/sys"
	"gowsgi/master/spawner"
	"gowsgi/protocol/ipc"
)

// Options are what the master needs beside its configuration. All fields are
// required unless they say otherwise.
type Options struct {
	// Args is the command line, for the workers' sys.argv.
	Args []string
	// Environ is the environment the process was started with, Dir the directory.
	Environ []string
	Dir     string
	// Stderr gets the one-line errors that end a start, before there is a log.
	Stderr io.Writer
	// Warnings are lines for the log about the configuration. Optional.
	Warnings []string
	// Check loads the application in one worker and ends, without binding
	// anything (gunicorn: check_config). Optional.
	Check bool
	// File is the configuration file whose values are in the configuration, nil if
	// none in Python was executed. Optional.
	File *Executed
	// Reload reads the configuration anew, for SIGHUP. It may block until ctx ends;
	// it is never called twice at a time.
	Reload func(ctx context.Context) (*Loaded, error)
	// FindPython finds the interpreter workers load. It blocks until ctx ends at
	// most, may start processes, and is never called twice at a time.
	FindPython func(ctx context.Context, w ipc.Wanted, getenv func(string) string) (ipc.Python, error)
	// SpawnerImage returns what a spawner for that interpreter is started with,
	// HostImage what an interpreter that hosts a worker or a spawner is.
	SpawnerImage func(ipc.Python) []byte
	HostImage    func() []byte
	// Starter is whoever waits for the start, if somebody does. Optional.
	Starter Starter
	// Settled is called when the service runs and what the start has left is not needed
	// any more. Optional.
	Settled func()
	// SetTitle shows the process title. Optional.
	SetTitle func(title string)
}

// generation is one configuration, as workers are started with it.
type generation struct {
	n        int
	cfg      *config.Config
	settings json.RawMessage // cfg as JSON
	python   ipc.Python
	// spawns says that workers are forked by a spawner, and not executed. spawner is
	// nil while there is none because it died.
	spawns  bool
	spawner *spawner.Process
	// file is the configuration file whose spawner it is to be, nil without one.
	file *Executed
	// listeners are the sockets of cfg.Bind, in its order.
	listeners []*listener
}

// Master supervises workers. Make one with New, then call Run once.
type Master struct {
	opts    Options
	env     env
	log     zerolog.Logger
	logFile *logging.Queue
	pyLog   pyLog
	// lost are the access logs that get lines of dead workers, until they are closed.
	lost     sync.WaitGroup
	outlets  outlet.Outlets
	metrics  metrics
	clock    ipc.Clock
	notifier notifier
	manager  manager

	signals chan os.Signal
	sigchld chan os.Signal
	// early are the signals that came during the start, for the loop.
	early  []os.Signal
	events chan event
	done   chan struct{} // closed when Run returns

	name    string      // on the log: Master, or Master.2 beside an old one
	gen     *generation // what new workers are started with
	pidFile *pidFile
	// sockets are all listeners that are open; generations share them.
	sockets []*listener
	// systemd is what it passed, none if it did not.
	systemd []config.Address
	// handover is the value of envHandover, "" for a master of its own.
	handover string
	// twin is the other master during an upgrade, nil without one.
	twin *twin
	// child is the pid of a new master this one has started, until it is reaped.
	child int
	// deathR goes to the workers; deathW is never written to. The kernel closes
	// it when the master is gone, however it went.
	deathR, deathW int
	board          *board
	// watch looks for changed files, nil without the reload setting.
	watch fileWatch

	workers map[int]*worker // not gone, by age
	// spawners are those that run, by pid.
	spawners map[int]*spawnerState
	// strangers are the exit statuses of children whose worker has not said yet
	// who it is.
	strangers map[int]sys.Death
	// oom is what the kernel had killed before the deaths that are still to come.
	oom     oomCount
	target  int // wanted number of workers
	age     int // workers started so far
	backoff backoff
	// spawnerBackoff is that of the spawner, should it die young.
	spawnerBackoff backoff

	everReady     bool // a worker of this master was ready once
	announced     bool // READY=1 was sent
	starterTold   bool // Starter.Started was called
	lastTraceback string
	history       history
	// lastCheck is when workers were last looked at, nextCheck when they will be.
	lastCheck, nextCheck time.Time
	awaited              string // the hook something waits for, "" for none
	// stateTo gets what the spawner says of its state, nil if nobody asked.
	stateTo chan map[string]string

	reload    *reload // nil if none is in progress
	preparing bool    // Options.Reload runs
	scaled    int     // by TTIN and TTOU since then
	again     bool    // SIGHUP came meanwhile
	cancel    context.CancelFunc

	stop *stopping // nil while the service runs
	// leaving is the stop that drain_delay puts off until leaveAt.
	leaving *stopping
	leaveAt time.Time
}

// stopping is the end of the service.
type stopping struct {
	since  time.Time
	quick  bool
	code   int
	reason string // for the log, "" for a signal
}

// outletWait is how long syslog and statsd, each, may take for the last lines.
const outletWait = 500 * time.Millisecond

// Exit codes of Run beside 0 and ipc.ExitBoot, ipc.ExitApp.
const exitError = 1

var (
	// errLogged ends a start whose reason is on the log already.
	errLogged = errors.New("master: reason logged")
	// errStopped ends a start that was interrupted by a signal.
	errStopped = errors.New("master: stopped while starting")
)

// New returns a master for the configuration, which it keeps.
func New(cfg *config.Config, opts Options) *Master { return newMaster(cfg, opts, osEnv()) }

func newMaster(cfg *config.Config, opts Options, env env) *Master {
	handover := getenv(opts.Environ)(envHandover)
	// It is for this process alone.
	opts.Environ = slices.DeleteFunc(slices.Clone(opts.Environ), func(kv string) bool {
		return strings.HasPrefix(kv, envHandover+"=")
	})
	return &Master{
		name:     masterName,
		handover: handover,
		opts:     opts,
		env:      env,
		log:      zerolog.Nop(),
		clock:    ipc.NewClock(),
		notifier: notifier{path: getenv(opts.Environ)("NOTIFY_SOCKET")},
		manager:  manager{pingEvery: watchdogInterval(getenv(opts.Environ), env.pid, handover != "") / 2},
		// Room for every signal there is, so that none is dropped while the loop
		// is busy. SIGCHLD has its own: it comes in masses and means "look".
		signals:        make(chan os.Signal, 32),
		sigchld:        make(chan os.Signal, 1),
		events:         make(chan event),
		done:           make(chan struct{}),
		gen:            &generation{n: 1, cfg: cfg, file: opts.File, spawns: opts.File != nil || cfg.Preload || cfg.PythonLogging()},
		deathR:         -1,
		deathW:         -1,
		workers:        make(map[int]*worker),
		spawners:       make(map[int]*spawnerState),
		strangers:      make(map[int]sys.Death),
		target:         cfg.Workers,
		history:        history{fd: -1},
		backoff:        backoff{jitter: env.jitter},
		spawnerBackoff: backoff{jitter: env.jitter},
	}
}

// Run serves until a signal ends it and returns the process's exit code: 0
// after a signal, 1 if it could not start, ipc.ExitBoot or ipc.ExitApp if no
// worker ever could load the application. It may be called once per process
// start; a second Master in one process would take the first one's children.
func (m *Master) Run() int {
	defer close(m.done)
	m.env.notify(m.signals, masterSignals...)
	defer m.env.stopNotify(m.signals)
	m.env.notify(m.sigchld, unix.SIGCHLD)
	defer m.env.stopNotify(m.sigchld)

	run := m.serve
	if m.opts.Check {
		run = m.check
	}
	code, err := run()
	m.endSpawners()
	if err := m.opts.File.Discard(); err != nil {
		m.log.Warn().Err(err).Msg("ending the spawner")
	}
	switch {
	case errors.Is(err, errStopped):
		code = 0
	case errors.Is(err, errLogged):
		code = exitError
	case err != nil:
		fmt.Fprintf(m.opts.Stderr, "\nError: %v\n", err)
		code = exitError
	}
	if err := m.cleanUp(); err != nil {
		m.log.Warn().Err(err).Msg("cleaning up")
	}
	m.closeLogs()
	return code
}

// serve is Run without --check-config.
func (m *Master) serve() (int, error) {
	err := m.start()
	m.attachLog() // before that is done there may be no spawner
	var (
		failed *spawner.Failure
		hook   *hookError
	)
	switch {
	case errors.As(err, &hook):
		m.log.Error().Str(logging.FieldTraceback, tracebackOf(err)).Msgf("Exception in %s", hook)
		return 0, errLogged
	case errors.As(err, &failed):
		m.preloadFailed(failed)
	case err != nil:
		return 0, err
	}
	m.loop()
	level := zerolog.InfoLevel
	if m.stop.code != 0 {
		level = zerolog.ErrorLevel
	}
	m.log.WithLevel(level).Msgf("Shutting down: %s", m.name)
	if m.stop.reason != "" {
		m.log.WithLevel(level).Str("reason", m.stop.reason).Msgf("Reason: %s", m.stop.reason)
	}
	return m.stop.code, nil
}

// loop runs the service until it has been stopped and its last worker is gone.
func (m *Master) loop() {
	m.oom = m.env.oom()
	// Children may have died before anybody listened, also some that were
	// inherited by exec.
	m.reapAll()
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for _, s := range m.early {
		m.handleSignal(s)
	}
	m.early = nil
	for {
		now := time.Now()
		m.step(now)
		m.publish()
		if m.stop != nil && len(m.workers) == 0 {
			return
		}
		alarm.Reset(m.wake(now))
		select {
		case s := <-m.signals:
			m.handleSignal(s)
		case <-m.sigchld:
			m.reapAll()
		case e := <-m.events:
			e.apply(m)
		case <-alarm.C:
		}
	}
}

// step brings the workers nearer to what is wanted at now.
func (m *Master) step(now time.Time) {
	m.killOverdue(now)
	m.tendSpawners(now)
	m.checkWorkers(now)
	for _, w := range m.workers {
		if w.live() {
			m.backoff.lived(w.wave, now.Sub(w.spawned))
		}
	}
	m.reportMetrics(now)
	if m.leaving != nil && !now.Before(m.leaveAt) {
		m.stopAll(m.leaving, now)
	}
	if m.stop != nil {
		m.tellManager(now)
		return
	}
	m.endReload()
	m.sweepListeners()
	m.tellStarter(now)
	m.retireSurplus(now)
	for m.wantsWorker() && !now.Before(m.backoff.until) {
		m.spawn(now)
	}
	m.announce()
	m.tellTwin()
	m.tellManager(now)
}

// wake returns how long the loop may sleep after a step at now.
func (m *Master) wake(now time.Time) time.Duration {
	const long = time.Hour
	d := long
	until := func(t time.Time) {
		if !t.IsZero() {
			d = min(d, max(t.Sub(now), 0))
		}
	}
	for _, w := range m.workers {
		if !w.killed {
			until(w.killAt)
		}
		if w.state == serving && !w.recycle {
			until(w.retireAt)
		}
	}
	until(m.nextCheck)
	until(m.starterDue())
	if m.leaving != nil {
		until(m.leaveAt)
	}
	until(m.nextSpawner())
	until(m.metricsDue())
	until(m.manager.nextPing)
	if m.stop == nil && m.wantsWorker() {
		until(m.backoff.until)
	}
	return d
}

// count returns the number of live workers and how many of them serve.
func (m *Master) count() (live, ready int) {
	for _, w := range m.workers {
		if w.live() {
			live++
		}
		if w.state == serving {
			ready++
		}
	}
	return live, ready
}

// wantsWorker reports whether a worker is to be started: one that is missing,
// or one more, before an old one is retired. Only reload_surge at a time are
// started in surplus, so a reload needs the memory of one worker more, not of all.
func (m *Master) wantsWorker() bool {
	if m.gen.spawns && m.gen.spawner == nil {
		return false // it is being replaced
	}
	live, _ := m.count()
	extra := m.surging()
	return live < m.target || live == m.target+extra && extra < max(m.gen.cfg.ReloadSurge, 1) && extra < m.countReplaceable()
}

// surging returns how many workers boot in surplus.
func (m *Master) surging() int {
	n := 0
	for _, w := range m.workers {
		if w.live() && w.surge {
			n++
		}
	}
	return n
}

func (m *Master) countReplaceable() int {
	n := 0
	for _, w := range m.workers {
		if w.replaceable() {
			n++
		}
	}
	return n
}

// replaceable returns the oldest live worker that is to be replaced, or nil: first
// one whose successor serves, which the others still wait for.
func (m *Master) replaceable() *worker {
	w := m.oldest(func(w *worker) bool {
		s := m.successor(w)
		return w.replaceable() && s != nil && s.state == serving
	})
	if w != nil {
		return w
	}
	return m.oldest((*worker).replaceable)
}

// oldest returns the oldest live worker for which keep is true, or nil.
func (m *Master) oldest(keep func(*worker) bool) *worker {
	var found *worker
	for _, w := range m.workers {
		if w.live() && keep(w) && (found == nil || w.age < found.age) {
			found = w
		}
	}
	return found
}

// retireSurplus asks workers beyond the wanted number to leave: first those
// that were to be replaced, then the oldest.
func (m *Master) retireSurplus(now time.Time) {
	allowed := m.target + m.surging()
	for live, _ := m.count(); live > allowed; live-- {
		w := m.replaceable()
		if w == nil {
			w = m.oldest(func(w *worker) bool { return !w.surge })
		}
		m.commit(w)
		m.retire(w, now)
	}
}

// retire starts a worker's graceful stop.
func (m *Master) retire(w *worker, now time.Time) {
	grace := w.gen.cfg.GracefulTimeout
	m.end(w, unix.SIGTERM, now.Add(grace), fmt.Sprintf("graceful timeout (%s)", seconds(grace)))
}

// end moves a worker out of service: it gets sig now, and SIGKILL at killAt if
// it is still there. Why names that deadline on the log. For a worker that is
// on its way out already, only an earlier deadline changes anything.
func (m *Master) end(w *worker, sig unix.Signal, killAt time.Time, why string) {
	if w.state != draining {
		w.move(draining)
	}
	w.surge = false
	if w.killAt.IsZero() || killAt.Before(w.killAt) {
		w.killAt, w.killWhy = killAt, why
	}
	m.signalWorker(w, sig)
}

// signalWorker sends a signal, never to a pid that may be somebody else's. To a
// worker that has not said who it is, it is sent as soon as it does.
func (m *Master) signalWorker(w *worker, sig unix.Signal) {
	if w.reaped {
		return
	}
	if w.pid == 0 {
		w.owed = sig
		return
	}
	if err := m.env.kill(w.pid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
		m.log.Error().Err(err).Int("worker", w.pid).Str("signal", unix.SignalName(sig)).
			Msgf("Worker (pid:%d) cannot be signalled", w.pid)
	}
}

// killOverdue ends workers that outlived their deadline.
func (m *Master) killOverdue(now time.Time) {
	for _, w := range m.workers {
		if w.killAt.IsZero() || w.killed || w.reaped || now.Before(w.killAt) {
			continue
		}
		w.killed = true
		m.signalWorker(w, unix.SIGKILL)
		if w.pid == 0 {
			m.killSpawner(w.spawner, "worker %d was not forked in time", w.age)
		}
	}
}

// seconds formats a setting as gunicorn's users know it: whole seconds.
func seconds(d time.Duration) string { return fmt.Sprintf("%gs", d.Seconds()) }
