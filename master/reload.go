package master

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"gowsgi/config"
)

// reload is a new generation on its way in: workers are replaced one by one,
// each new one ready before an old one is retired.
//
//	HUP -> preparing (configuration, interpreter) -> replacing ... -> done
//	            | error                                  | a new worker fails
//	            v                                        v
//	       nothing changed                 abandoned: old configuration, and no
//	                                       further worker is retired
type reload struct {
	// prev is the generation to go back to.
	prev       *generation
	prevTarget int
	// target is the wanted number of workers once the new generation has proven
	// itself by one ready worker; until then the old number stays.
	target int
	proven bool
	// committed: the last old worker leaves, and with it the sockets only the old
	// generation had. There is no way back from here.
	committed bool
}

// preparedEvent is the result of Options.Reload and FindPython.
type preparedEvent struct {
	gen *generation
	err error
}

// hangUp begins a reload, or begins again if one is in progress.
func (m *Master) hangUp() {
	if m.stop != nil {
		return
	}
	m.log.Info().Msgf("Hang up: %s", m.name)
	m.reopenLog()
	m.beginReload()
}

// beginReload reads the settings anew and replaces all workers.
func (m *Master) beginReload() {
	m.notifyReloading()
	if m.preparing {
		m.again = true
		m.cancel()
		return
	}
	m.prepare()
}

// prepare reads the new configuration beside the loop. The goroutine ends by
// itself, soon after cancel; its result is dropped if Run has returned by then.
func (m *Master) prepare() {
	ctx, cancel := context.WithCancel(context.Background())
	m.preparing, m.again, m.cancel = true, false, cancel
	m.scaled = 0
	n, before := m.gen.n, m.target
	have := slices.Clone(m.gen.listeners)
	if m.reload != nil {
		n = max(n, m.reload.prev.n)
		have = append(have, without(m.reload.prev.listeners, have)...)
	}
	log, state := m.log, m.askState()
	go func() {
		defer cancel()
		gen, err := m.prepareGeneration(ctx, log, n+1, have)
		if err == nil && gen.spawns {
			err = m.reloadSpawner(ctx, log, gen, before, state)
		}
		if err != nil && gen != nil {
			err = errors.Join(err, gen.file.Discard(), closeListeners(without(gen.listeners, have)))
		}
		select {
		case m.events <- preparedEvent{gen, err}:
		case <-m.done:
		}
	}()
}

// prepareGeneration runs outside the loop and uses nothing of m that changes. New
// sockets are bound before anything of the old ones is given up. After an error
// the generation, if there is one, holds what has to be released.
func (m *Master) prepareGeneration(ctx context.Context, log zerolog.Logger, n int, have []*listener) (*generation, error) {
	loaded, err := m.opts.Reload(ctx)
	if err != nil {
		return nil, err
	}
	for _, line := range loaded.Warnings {
		log.Warn().Msg(line)
	}
	cfg := loaded.Config
	gen := &generation{n: n, cfg: cfg, file: loaded.File}
	gen.spawns = gen.file != nil || cfg.Preload || cfg.PythonLogging()
	if err := checkIdentity(cfg); err != nil {
		return gen, err
	}
	if err := m.findPython(ctx, gen); err != nil {
		return gen, err
	}
	binds, err := m.binds(cfg)
	if err != nil {
		return gen, err
	}
	gen.listeners, err = bindAll(ctx, log, binds, cfg, have)
	if errors.Is(err, errLogged) {
		err = errCannotBind
	}
	return gen, err
}

// errCannotBind ends a reload; the log has said what is wrong with which address.
var errCannotBind = errors.New("an address cannot be bound")

// apply implements event.
func (e preparedEvent) apply(m *Master) {
	m.preparing = false
	if e.err == nil {
		m.keep(e.gen.spawner)
		m.follow(e.gen.spawner)
		// Those that are not adopted are swept up.
		m.sockets = append(m.sockets, without(e.gen.listeners, m.sockets)...)
	}
	m.reapAll() // orphans had to wait, see there
	switch {
	case m.stop != nil:
	case m.again:
		m.prepare()
	case e.err != nil:
		m.reloadFailed(e.err.Error(), tracebackOf(e.err))
	default:
		if err := m.adopt(e.gen); err != nil {
			m.reloadFailed(err.Error(), "")
		}
	}
}

// adopt makes gen the generation new workers are started with. After an error
// the old one stays.
func (m *Master) adopt(gen *generation) error {
	old, next := m.gen.cfg, gen.cfg
	if err := m.adoptProcess(old, next); err != nil {
		return err
	}
	r := &reload{prev: m.gen, prevTarget: m.target, target: next.Workers}
	if m.scaled != 0 {
		// TTIN and TTOU that came behind the HUP count on top of what it asks for.
		r.target = max(next.Workers+m.scaled, 1)
	}
	if m.reload != nil {
		// What the interrupted reload had begun with is the last that is known good.
		r.prev, r.prevTarget = m.reload.prev, m.reload.prevTarget
	}
	was := m.gen
	m.reload, m.gen = r, gen
	m.attachLog()
	m.adoptListeners(was, gen)
	m.followFiles(old, next)
	for _, w := range m.workers {
		w.stale = w.live()
	}
	// Workers of the interrupted reload that are not ready yet are of no use.
	for _, w := range m.workers {
		if w.surge && w.live() {
			m.retire(w, time.Now())
		}
	}
	if m.target == 0 {
		m.target = r.target
	}
	// Whatever kept workers from living may be what the reload repairs.
	m.backoff.reset()
	m.lastTraceback = ""
	return nil
}

// adoptProcess changes what belongs to the master's process: directory, log,
// pid file.
func (m *Master) adoptProcess(old, next *config.Config) error {
	if err := m.env.chdir(next.Chdir); err != nil {
		return err
	}
	if err := m.openLog(next); err != nil {
		return err
	}
	if next.PIDFile != old.PIDFile {
		was := m.pidFile
		m.pidFile = nil
		if err := m.makePIDFile(next); err != nil {
			m.pidFile = was
			return err
		}
		if was != nil {
			if err := was.remove(); err != nil {
				m.log.Warn().Err(err).Msg("removing the old pid file")
			}
		}
	}
	if m.opts.SetTitle != nil {
		m.opts.SetTitle("gowsgi: master [" + next.ProcName + "]")
	}
	return nil
}

// reloadProven is called when a worker is ready: the first of the new
// generation shows that it works.
func (m *Master) reloadProven(w *worker) {
	if m.reload != nil && w.gen == m.gen && !m.reload.proven {
		m.reload.proven = true
		m.target = m.reload.target
		m.tellBoards()
	}
}

// undecided reports whether a failure of w ends a reload.
func (m *Master) undecided(w *worker) bool {
	return m.reload != nil && !m.reload.committed && w.gen == m.gen
}

// commit is called before w is retired: if it is the last old worker, sockets of
// the old generation alone are closed first, so that the worker, which accepts
// what waits on them, is the last to do so.
func (m *Master) commit(w *worker) {
	if m.reload == nil || !w.stale || m.oldest(func(o *worker) bool { return o.stale && o != w }) != nil {
		return
	}
	m.reload.committed = true
	m.sweepListeners()
}

// endReload finishes a reload when nothing is left to replace.
func (m *Master) endReload() {
	if m.reload == nil {
		return
	}
	live, ready := m.count()
	if m.oldest(func(w *worker) bool { return w.stale }) != nil || live != ready || live < m.target {
		return
	}
	m.reload = nil
	m.history.reload = failure{}
	m.log.Info().Int("workers", ready).Msgf("Reload complete: %d workers", ready)
	m.notify("READY=1")
}

// abandonReload goes back to the old generation for every further worker. Old
// workers go on, new ones that are ready stay, new ones that boot are dropped.
func (m *Master) abandonReload(reason, traceback string) {
	failed := m.gen
	r := m.reload
	m.gen, m.target, m.reload = r.prev, r.prevTarget, nil
	m.adoptListeners(failed, m.gen)
	m.followFiles(failed.cfg, m.gen.cfg)
	m.tellBoards()
	for _, w := range m.workers {
		// Of the new ones those that have the same sockets may stay.
		w.stale = w.live() && !slices.Equal(w.gen.listeners, m.gen.listeners)
		if w.gen == failed && w.state == booting && w.bootFailed == nil && !w.reaped {
			m.retire(w, time.Now())
		}
	}
	if err := m.adoptProcess(failed.cfg, m.gen.cfg); err != nil {
		m.log.Error().Err(err).Msg("going back to the old configuration")
	}
	m.attachLog()
	m.reloadFailed(reason, traceback)
}

func (m *Master) reloadFailed(reason, traceback string) {
	m.history.reload = failure{reason, traceback, time.Now()}
	e := m.log.Error().Str("reason", reason)
	if traceback != "" {
		e = e.Str("traceback", traceback)
	}
	e.Msg(fmt.Sprintf("Reload failed: %s", reason))
	m.notify("READY=1")
}
