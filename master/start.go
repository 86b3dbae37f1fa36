package master

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/internal/logging"
	"gowsgi/internal/sys"
	"gowsgi/internal/version"
)

// start does everything up to the first worker.
func (m *Master) start() error {
	cfg := m.gen.cfg
	if err := m.env.chdir(cfg.Chdir); err != nil {
		return err
	}
	if err := checkIdentity(cfg); err != nil {
		return err
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
	if err := m.openPipes(); err != nil {
		return err
	}
	err := m.interruptible(func(ctx context.Context) error { return m.addSpawner(ctx, m.gen) })
	if err != nil {
		return err
	}
	m.follow(m.gen.spawner)
	if cfg.PIDFile != "" {
		var err error
		if m.pidFile, err = createPIDFile(cfg.PIDFile, m.env.pid); err != nil {
			return err
		}
	}
	err = m.interruptible(func(ctx context.Context) (err error) {
		m.listeners, err = m.bindAll(ctx, cfg)
		return err
	})
	if err != nil {
		return err
	}
	var urls []string
	for _, l := range m.listeners {
		urls = append(urls, l.url())
	}
	m.log.Info().Strs("listeners", urls).Msgf("Listening at: %s (%d)", strings.Join(urls, ","), m.env.pid)
	m.log.Info().Msgf("Using worker: %s", cfg.WorkerClass)
	return nil
}

// openLog sets the logger up.
func (m *Master) openLog(cfg *config.Config) error {
	file, err := logging.Open(cfg.ErrorLog, unix.Stderr)
	if err != nil {
		return err
	}
	if err := claimLogs(cfg, file); err != nil {
		return errors.Join(err, file.Close())
	}
	old := m.logFile
	m.logFile = file
	m.log = logging.New(file, cfg.LogFormat, cfg.LogLevel, m.env.pid)
	if old != nil {
		return old.Close()
	}
	return nil
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
	if err == nil {
		err = claimLogs(m.gen.cfg, m.logFile)
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
func (m *Master) findFirstPython(ctx context.Context) error {
	cfg := m.gen.cfg
	python, err := m.opts.FindPython(ctx, cfg.Python, cfg.Chdir, getenv(m.opts.Environ))
	if err != nil {
		return err
	}
	m.gen.python = python
	m.gen.settings, err = json.Marshal(cfg)
	return err
}

// openPipes makes what workers share besides the listeners: the death pipe and
// the hand-off queue.
func (m *Master) openPipes() (err error) {
	if m.deathR, m.deathW, err = sys.Pipe(); err != nil {
		return err
	}
	m.handoff, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	// What fits bounds the queue. The kernel cuts it to net.core.wmem_max.
	_ = unix.SetsockoptInt(m.handoff[1], unix.SOL_SOCKET, unix.SO_SNDBUF, handoffBuffer)
	return nil
}

// handoffBuffer is the wanted size of the hand-off queue in bytes.
const handoffBuffer = 4 << 20

// interruptible runs a blocking step of the start, before there is a loop, and
// lets TERM, INT and QUIT end it. The step must return soon after its context
// ends.
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
			m.logSignal(s)
			// Others ask for what a start does anyway (HUP), or have nothing to
			// act on yet.
			if s == unix.SIGTERM || s == unix.SIGINT || s == unix.SIGQUIT {
				stopped = true
				cancel()
			}
		}
	}
}

// cleanUp releases what the master holds outside its memory.
func (m *Master) cleanUp() error {
	if m.cancel != nil {
		m.cancel()
	}
	errs := []error{closeListeners(m.listeners)}
	if m.pidFile != nil {
		errs = append(errs, m.pidFile.remove())
	}
	for _, fd := range []int{m.deathR, m.deathW, m.handoff[0], m.handoff[1]} {
		if fd >= 0 {
			errs = append(errs, os.NewSyscallError("close", unix.Close(fd)))
		}
	}
	if m.board != nil {
		errs = append(errs, m.board.retire())
	}
	return errors.Join(slices.DeleteFunc(errs, func(err error) bool { return err == nil })...)
}
