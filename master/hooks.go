package master

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"gowsgi/internal/logging"
	"gowsgi/master/spawner"
	"gowsgi/protocol/ipc"
)

// Hooks of the server (gunicorn: those that its arbiter calls) run in the spawner:
// those of a start or a reload one after the other, before what they precede;
// others when their time comes, in order, while the loop goes on.

// onExitWait is how long on_exit may take.
const onExitWait = 30 * time.Second

// runHook runs a hook of the server if there is one, outside of the loop or before
// it, and waits for it.
func runHook(ctx context.Context, log zerolog.Logger, gen *generation, name string, args ...any) error {
	if gen.spawner == nil || !gen.cfg.HasHook(name) {
		return nil
	}
	order := &ipc.Order{Order: ipc.OrderHook, Hook: name, Args: args}
	_, err := gen.spawner.Do(ctx, order, func(r ipc.Report) { logReport(&log, r) })
	if err != nil {
		return &hookError{name, err}
	}
	return nil
}

// hookError is a hook that raised.
type hookError struct {
	name string
	err  error
}

func (e *hookError) Error() string { return fmt.Sprintf("%s hook: %v", e.name, e.err) }

func (e *hookError) Unwrap() error { return e.err }

// tellListening tells hooks what the master listens at.
func tellListening(gen *generation) {
	if gen.spawner == nil || gen.file == nil {
		return
	}
	order := &ipc.Order{Order: ipc.OrderListening, First: ipc.FDListeners}
	for _, l := range gen.listeners {
		order.Listeners = append(order.Listeners, l.ipc())
	}
	_ = gen.spawner.Send(order) // if it is dead, what follows says so
}

// startHook runs a hook of the first generation.
func (m *Master) startHook(name string, args ...any) error {
	return m.interruptible(func(ctx context.Context) error {
		return runHook(ctx, m.log, m.gen, name, args...)
	})
}

// reloadHooks runs the hooks of a reload in the new spawner. when_ready is among
// them: the threads and files a file makes there are those of its spawner
// (gunicorn calls it at the start only, where its process is the same for good).
func reloadHooks(ctx context.Context, log zerolog.Logger, gen *generation, before int) error {
	tellListening(gen)
	err := runHook(ctx, log, gen, "nworkers_changed", gen.cfg.Workers, before)
	for _, name := range []string{"on_reload", "when_ready"} {
		if err == nil {
			err = runHook(ctx, log, gen, name)
		}
	}
	return err
}

// stateWait bounds the wait for what a spawner says of its state: it may be stuck.
const stateWait = 5 * time.Second

// askState asks the spawner what hooks have stored on the server object, for its
// successor. The answer comes on the channel, which is nil if there is nobody to ask.
func (m *Master) askState() <-chan map[string]string {
	p := m.gen.spawner
	if p == nil || len(m.gen.cfg.Hooks) == 0 || p.Send(&ipc.Order{Order: ipc.OrderState}) != nil {
		return nil
	}
	m.stateTo = make(chan map[string]string, 1)
	return m.stateTo
}

func waitState(ctx context.Context, state <-chan map[string]string) map[string]string {
	if state == nil {
		return nil
	}
	select {
	case s := <-state:
		return s
	case <-ctx.Done():
	case <-time.After(stateWait):
	}
	return nil
}

// tellHook has a hook run in the spawner p, which may be nil, if there is such a
// hook, and does not wait.
func (m *Master) tellHook(gen *generation, p *spawner.Process, name string, args ...any) bool {
	return gen.cfg.HasHook(name) && m.tell(gen, p, name, args...)
}

// tell is tellHook for what the spawner has to know, hook or not.
func (m *Master) tell(gen *generation, p *spawner.Process, name string, args ...any) bool {
	if p == nil || gen.file == nil {
		return false
	}
	if err := p.Send(&ipc.Order{Order: ipc.OrderHook, Hook: name, Args: args}); err != nil {
		m.log.Error().Err(err).Msgf("The %s hook could not be run", name)
		return false
	}
	return true
}

// tellWorkers is called when another number of workers is wanted (gunicorn:
// nworkers_changed).
func (m *Master) tellWorkers(before, now int) {
	if now != before {
		m.tell(m.gen, m.gen.spawner, "nworkers_changed", now, before)
	}
}

// tellExit is called when a worker is gone (gunicorn: child_exit). If its spawner
// is gone too, the one that has replaced it is told.
func (m *Master) tellExit(w *worker) {
	p := w.spawner
	if p != nil && m.spawners[p.PID] == nil {
		p = m.gen.spawner
	}
	m.tell(w.gen, p, "child_exit", w.pid, w.age)
}

// apply implements event.
func (e spawnerReport) apply(m *Master) {
	r := e.report
	switch {
	case r.Kind == ipc.ReportLog:
		logReport(&m.log, r)
	case r.Kind == ipc.ReportFailed && r.Hook != "":
		m.log.Error().Str(logging.FieldTraceback, r.Traceback).Msgf("Exception in %s hook: %s", r.Hook, r.Error)
	case r.Kind == ipc.ReportFailed:
		m.log.Error().Str(logging.FieldTraceback, r.Traceback).Msgf("Spawner: %s: %s", r.Order, r.Error)
	}
	switch {
	case r.Order == ipc.OrderHook && r.Hook == m.awaited:
		m.hookDone(r.Hook)
	case r.Order == ipc.OrderState && m.stateTo != nil:
		m.stateTo <- r.State
		m.stateTo = nil
	}
}

// hookDone goes on with what waited for a hook.
func (m *Master) hookDone(name string) {
	m.awaited = ""
	if name == "pre_exec" && m.stop == nil {
		m.startUpgrade()
	}
}

// logReport writes a line a hook logged. It is the master's: the spawner stands
// for gunicorn's arbiter.
func logReport(log *zerolog.Logger, r ipc.Report) {
	if r.Kind != ipc.ReportLog {
		return
	}
	logging.Lines(log.WithLevel(logging.ParseLevel(r.Level)), r.Message, r.Traceback)
}

// runOnExit runs on_exit, when no worker is left, and waits for it.
func (m *Master) runOnExit() {
	p := m.gen.spawner
	if p == nil || m.spawners[p.PID] == nil || !m.spawners[p.PID].followed || !m.tellHook(m.gen, p, "on_exit") {
		return
	}
	m.awaited = "on_exit"
	timeout := time.NewTimer(onExitWait)
	defer timeout.Stop()
	for m.awaited != "" && m.spawners[p.PID] != nil {
		select {
		case e := <-m.events:
			e.apply(m)
		case <-m.sigchld:
			m.reapSpawners()
		case s := <-m.signals:
			if s == unix.SIGINT || s == unix.SIGQUIT {
				return
			}
		case <-timeout.C:
			m.log.Error().Msgf("The on_exit hook takes longer than %v", onExitWait)
			return
		}
	}
}
