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
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/internal/logging"
	"gowsgi/internal/outlet"
	"gowsgi/internal/sys"
	"gowsgi/internal/version"
	"gowsgi/protocol/ipc"
)

// start does everything up to the first worker.
func (m *Master) start() error {
	cfg := m.gen.cfg
	// Before any child could inherit the descriptors, too.
	have, err := m.inherit()
	if err != nil {
		return err
	}
	if err := m.env.chdir(cfg.Chdir); err != nil {
		return err
	}
	if err := checkIdentity(cfg); err != nil {
		return err
	}
	if cfg.PythonLogging() {
		m.pyLog.hold()
	}
	if err := m.openLog(cfg); err != nil {
		return err
	}
	if m.opts.SetTitle != nil {
		m.opts.SetTitle("gowsgi: master [" + cfg.ProcName + "]")
	}
	starting := m.log.Info().Str("version", version.Number)
	if commit := version.Commit(); commit != "" {
		starting = starting.Str("commit", commit)
	}
	starting.Msgf("Starting gowsgi %s", version.Number)
	for _, line := range m.opts.Warnings {
		m.log.Warn().Msg(line)
	}
	if err := m.interruptible(m.findFirstPython); err != nil {
		return err
	}
	python := m.gen.python
	m.log.Debug().Msgf("Python %s (%s) is %s: %s", python.Version, python.Executable, python.Mode(), python.Why)
	if err := m.openDeathPipe(); err != nil {
		return err
	}
	err = m.interruptible(func(ctx context.Context) error { return m.addSpawner(ctx, m.log, m.gen, nil) })
	m.keep(m.gen.spawner)
	if err == nil {
		err = m.startHook("nworkers_changed", cfg.Workers, nil)
	}
	if err != nil {
		return err
	}
	if err := m.makePIDFile(cfg); err != nil {
		return err
	}
	if err := m.startHook("on_starting"); err != nil {
		return err
	}
	if err := m.bindFirst(cfg, have); err != nil {
		return err
	}
	m.history.started = time.Now()
	m.publish() // who has seen the line finds the master
	m.logListening()
	tellListening(m.gen)
	m.followFiles(nil, cfg)
	m.log.Info().Msgf("Using worker: %s", cfg.WorkerClass)
	if err := m.startHook("when_ready"); err != nil {
		return err
	}
	m.follow(m.gen.spawner)
	if m.twin != nil {
		go watchTwin(m.twin, m.events, m.done)
	}
	return nil
}

// makePIDFile writes the pid file; a new master beside an old one adds ".2" to its
// name until it is promoted.
func (m *Master) makePIDFile(cfg *config.Config) (err error) {
	if cfg.PIDFile == "" {
		return nil
	}
	path := cfg.PIDFile
	if m.twin != nil && m.twin.parent {
		path += ".2"
	}
	m.pidFile, err = createPIDFile(path, m.env.pid)
	return err
}

// bindFirst makes the listeners of the first generation. What was inherited and
// is not wanted is closed.
func (m *Master) bindFirst(cfg *config.Config, have []*listener) error {
	m.sockets = have
	err := m.interruptible(func(ctx context.Context) error {
		binds, err := m.binds(cfg)
		if err == nil {
			m.gen.listeners, err = bindAll(ctx, m.log, binds, cfg, have)
		}
		return err
	})
	if err != nil {
		return err
	}
	m.sockets = append(m.sockets, without(m.gen.listeners, have)...)
	if m.twin != nil && !slices.Equal(m.gen.listeners, have) && m.twin.queue != nil {
		// Numbers of listeners would mean something else to the old workers.
		err = m.twin.queue.releaseUnused()
		m.twin.queue = nil
	}
	m.sweepListeners()
	return err
}

// logListening writes gunicorn's line.
func (m *Master) logListening() {
	var urls []string
	for _, l := range m.gen.listeners {
		urls = append(urls, l.url())
	}
	m.log.Info().Strs("listeners", urls).Msgf("Listening at: %s (%d)", strings.Join(urls, ","), m.env.pid)
}

// openLog sets the logger up, and where else lines and metrics go.
func (m *Master) openLog(cfg *config.Config) error {
	old := m.logFile
	file, err := m.openErrorLog(cfg)
	if err != nil {
		return err
	}
	err = claimLogs(cfg, file.Reopenable)
	if err == nil {
		if cfg.CaptureOutput {
			err = file.Also(unix.Stdout, unix.Stderr) // workers inherit both
		} else {
			err = file.Also()
		}
	}
	if err != nil {
		if file != old {
			err = errors.Join(err, file.Close())
		}
		return err
	}
	m.logFile = file
	go m.outlets.Close(outletWait) // which ends by itself, and must not hold the loop up
	m.outlets, m.metrics = outlet.Open(cfg.Outlets(m.env.pid)), metrics{}
	m.pyLog.open(file, logging.New(file, cfg.LogFormat, cfg.LogLevel, m.env.pid))
	var w io.Writer = file
	if cfg.PythonLogging() {
		w = &m.pyLog
	}
	m.log = logging.New(w, cfg.LogFormat, cfg.LogLevel, m.env.pid, m.sinks(cfg)...)
	if old != nil && old != file {
		go func() { // as above
			old.Flush(outletWait)
			_ = old.Close()
		}()
	}
	return nil
}

// openErrorLog opens the error log. One that keeps its name keeps the lines that wait
// for its reader.
func (m *Master) openErrorLog(cfg *config.Config) (*logging.Queue, error) {
	if old := m.logFile; old != nil && old.Path() == cfg.ErrorLog {
		return old, old.Reopen()
	}
	return logging.OpenQueue(cfg.ErrorLog, unix.Stderr)
}

// closeLogs sees to it that the last lines get where they are to go, if that takes no
// longer than outletWait each.
func (m *Master) closeLogs() {
	lost := make(chan struct{})
	go func() { m.lost.Wait(); close(lost) }() // ends with the process
	select {
	case <-lost:
	case <-time.After(outletWait):
	}
	if m.logFile != nil {
		m.logFile.Flush(outletWait)
	}
	m.outlets.Close(outletWait)
}

// claimLogs makes the log files belong to whom the workers run as, who open them
// again at SIGUSR1 (gunicorn does the same). The access log, which only workers
// write, is made here too: an unwritable one should end the start with one line
// and not with one from every worker, and the directory may be root's.
func claimLogs(cfg *config.Config, errorLog *logging.Reopenable) error {
	id, ok := cfg.Identity()
	ok = ok && id.Differs()
	claim := func(l *logging.Reopenable) {
		var st unix.Stat_t
		// Devices and pipes are not ours to give away. That a file system knows
		// no owners shows when a worker cannot open the file, not before.
		if ok && l.Path() != "-" && unix.Fstat(l.Fd(), &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
			_ = unix.Fchown(l.Fd(), id.UID, id.GID)
		}
	}
	claim(errorLog)
	if cfg.AccessLog == "" {
		return nil
	}
	access, err := logging.Open(cfg.AccessLog, unix.Stdout)
	if err != nil {
		return err
	}
	claim(access)
	return access.Close()
}

// reopenLog follows log files that were moved away.
func (m *Master) reopenLog() {
	err := m.logFile.Reopen()
	m.pyLog.Reopen()
	if err == nil {
		err = claimLogs(m.gen.cfg, m.logFile.Reopenable)
	}
	if err != nil {
		m.log.Error().Err(err).Msg("Log could not be reopened")
	}
}

// checkIdentity refuses a user or group workers could not become, before one
// of them finds out.
func checkIdentity(cfg *config.Config) error {
	id, ok := cfg.Identity()
	if !ok || !id.Differs() || os.Geteuid() == 0 {
		return nil
	}
	return fmt.Errorf("workers cannot run as user %d, group %d: the master must be root for that and is user %d, group %d",
		id.UID, id.GID, os.Geteuid(), os.Getegid())
}

// findFirstPython completes the first generation.
func (m *Master) findFirstPython(ctx context.Context) error { return m.findPython(ctx, m.gen) }

// findPython finds the interpreter of a generation, which is the one that has
// executed its configuration file, and completes what its workers are told.
func (m *Master) findPython(ctx context.Context, gen *generation) (err error) {
	cfg := gen.cfg
	if gen.settings, err = json.Marshal(cfg); err != nil {
		return err
	}
	if gen.file != nil {
		gen.python = gen.file.python
		return nil
	}
	w := ipc.Wanted{Python: cfg.Python, Mode: cfg.PythonMode, Dir: cfg.Chdir}
	gen.python, err = m.opts.FindPython(ctx, w, getenv(m.opts.Environ))
	return err
}

func (m *Master) openDeathPipe() (err error) {
	m.deathR, m.deathW, err = sys.Pipe()
	return err
}

// interruptible runs a blocking step of the start, before there is a loop, and
// lets TERM, INT and QUIT end it. Other signals are kept for the loop: what a HUP
// wants read anew may have been read before it came. The step must return soon
// after its context ends.
func (m *Master) interruptible(step func(context.Context) error) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- step(ctx) }()
	stopped := false
	for {
		select {
		case err := <-result:
			if stopped {
				m.log.Info().Msg("Shutting down: Master")
				return errors.Join(errStopped, err)
			}
			return err
		case s := <-m.signals:
			if s == unix.SIGTERM || s == unix.SIGINT || s == unix.SIGQUIT {
				m.logSignal(s)
				stopped = true
				cancel()
			} else if len(m.early) < cap(m.signals) {
				m.early = append(m.early, s)
			}
		}
	}
}

// cleanUp releases what the master holds outside its memory.
func (m *Master) cleanUp() error {
	if m.cancel != nil {
		m.cancel()
	}
	if m.watch != nil {
		m.watch.Close()
	}
	var errs []error
	if m.twin != nil && m.twin.link.Gone() {
		m.twin = nil
	}
	for _, l := range m.sockets {
		if m.twin == nil {
			errs = append(errs, l.unlink())
		}
		errs = append(errs, l.close())
	}
	if m.pidFile != nil {
		errs = append(errs, m.pidFile.remove())
	}
	for _, fd := range []int{m.deathR, m.deathW, m.history.fd} {
		if fd >= 0 {
			errs = append(errs, os.NewSyscallError("close", unix.Close(fd)))
		}
	}
	if m.board != nil {
		errs = append(errs, m.board.retire())
	}
	if m.twin != nil {
		// Last: it makes the other one the only master.
		errs = append(errs, m.twin.link.Close())
	}
	return errors.Join(slices.DeleteFunc(errs, func(err error) bool { return err == nil })...)
}
