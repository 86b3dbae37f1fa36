package master

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/internal/logging"
	"gowsgi/master/spawner"
	"gowsgi/protocol/ipc"
)

// check is Run with Options.Check: one worker loads the application and leaves.
// Nothing is bound, no pid file is written; the log goes where it would go.
func (m *Master) check() (int, error) {
	cfg := m.gen.cfg
	if err := m.env.chdir(cfg.Chdir); err != nil {
		return 0, err
	}
	m.log = logging.New(m.opts.Stderr, cfg.LogFormat, "error", m.env.pid)
	for _, line := range m.opts.Warnings {
		fmt.Fprintf(m.opts.Stderr, "Warning: %s\n", line)
	}
	if err := m.interruptible(m.findFirstPython); err != nil {
		return 0, err
	}
	if m.gen.file != nil || m.gen.cfg.PythonLogging() {
		return m.checkInSpawner()
	}
	if err := m.openDeathPipe(); err != nil {
		return 0, err
	}
	w, err := m.startWorker(time.Now())
	if err != nil {
		return 0, err
	}
	for !w.reaped || !w.pipeDone {
		select {
		case s := <-m.signals:
			switch s {
			case unix.SIGTERM, unix.SIGINT, unix.SIGQUIT:
				w.killed, w.killWhy = true, "signal "+unix.SignalName(s.(unix.Signal))
				m.signalWorker(w, unix.SIGKILL)
			}
		case <-m.sigchld:
			if d, err := m.env.reap(w.pid); err == nil && d.PID == w.pid {
				w.reaped, w.exit = true, d.Status
				w.status.Finish()
			}
		case e := <-m.events:
			switch e := e.(type) {
			case messageEvent:
				if e.msg.Kind == ipc.KindBootFailed {
					w.bootFailed = &e.msg
				}
			case pipeDoneEvent:
				w.pipeDone = true
			}
		}
	}
	return m.checkResult(w), nil
}

// checkInSpawner is check with a configuration file in Python, or with a log that
// Python writes: the process that has made them loads the application, too.
func (m *Master) checkInSpawner() (int, error) {
	err := m.interruptible(func(ctx context.Context) error { return m.addSpawner(ctx, m.log, m.gen, nil) })
	m.keep(m.gen.spawner)
	var failed *spawner.Failure
	switch {
	case errors.As(err, &failed):
		m.reportCheck(cmp.Or(failed.Traceback, failed.Report.Error))
		return exitError, nil
	case err != nil && !errors.Is(err, errStopped):
		m.reportCheck(err.Error())
		return exitError, nil
	}
	return 0, err
}

func (m *Master) reportCheck(text string) {
	fmt.Fprintf(m.opts.Stderr, "\nError while loading the application:\n\n%s\n", strings.TrimRight(text, "\n"))
}

// checkResult reports on standard error what the worker found, as gunicorn does.
func (m *Master) checkResult(w *worker) int {
	switch {
	case w.bootFailed != nil:
		m.reportCheck(cmp.Or(w.bootFailed.Traceback, w.bootFailed.Error))
		return exitError
	case w.exit.Exited() && w.exit.ExitStatus() == 0:
		return 0
	}
	_, text := deathText(w)
	m.reportCheck(text)
	return exitError
}
