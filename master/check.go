package master

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/internal/logging"
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
	if err := m.interruptible(m.findFirstPython); err != nil {
		return 0, err
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
			if pid, status, err := m.env.reap(w.pid); err == nil && pid == w.pid {
				w.reaped, w.exit = true, status
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

// checkResult reports on standard error what the worker found, as gunicorn does.
func (m *Master) checkResult(w *worker) int {
	switch {
	case w.bootFailed != nil:
		text := w.bootFailed.Traceback
		if text == "" {
			text = w.bootFailed.Error
		}
		fmt.Fprintf(m.opts.Stderr, "\nError while loading the application:\n\n%s\n", strings.TrimRight(text, "\n"))
		return exitError
	case w.exit.Exited() && w.exit.ExitStatus() == 0:
		return 0
	}
	_, text := deathText(w)
	fmt.Fprintf(m.opts.Stderr, "\nError while loading the application:\n\n%s\n", text)
	return exitError
}
