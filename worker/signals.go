package worker

import (
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/internal/sys"
	"gowsgi/protocol/ipc"
	"gowsgi/worker/python"
)

// catchSignals has nothing end the process that is meant for the server.
func (p *process) catchSignals() error {
	p.quit = make(chan os.Signal, 16)
	signal.Notify(p.quit, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT)
	// A HUP meant for the master often reaches all processes of that name. These
	// are caught and dropped, not ignored: what is ignored stays so in programs
	// the application starts. There are no logs to reopen yet.
	signal.Notify(make(chan os.Signal, 1), unix.SIGHUP, unix.SIGPIPE, unix.SIGWINCH, unix.SIGUSR1, unix.SIGUSR2)
	if !python.Running() {
		return nil
	}
	if err := sys.Unblock(ipc.HeldSignals()); err != nil {
		return err
	}
	// What came before there was anything to handle it comes again.
	for _, sig := range ipc.HeldSignals() {
		if python.Held(int(sig)) {
			if err := unix.Kill(os.Getpid(), sig); err != nil {
				return os.NewSyscallError("kill", err)
			}
		}
	}
	return nil
}

// handleSignals acts on signals while the worker serves. It lives as long as the
// process.
func (p *process) handleSignals(reopen chan os.Signal) {
	for {
		select {
		case sig := <-p.quit:
			p.loops.drain()
			wait := p.cfg.GracefulTimeout + masterFirst
			if sig != unix.SIGTERM {
				p.loops.stop()
				wait = quickExit
			}
			// The master ends a worker that takes longer than it should; this is
			// for one whose master is gone, and for the quick way out.
			time.AfterFunc(wait, p.giveUp)
		case <-reopen:
			p.reopenLogs()
		}
	}
}

// watchParent drains when the master is gone: nobody would replace this worker,
// or end it.
func (p *process) watchParent(gone chan struct{}) {
	<-gone
	p.log.Info().Msgf("Parent changed, shutting down: <Worker %d>", os.Getpid())
	p.loops.drain()
	time.AfterFunc(p.cfg.GracefulTimeout, p.giveUp)
}

// giveUp ends the process although calls still run, unless it is ending already.
func (p *process) giveUp() {
	if p.leaving.CompareAndSwap(false, true) {
		p.log.Info().Msgf("Worker exiting (pid: %d)", os.Getpid())
		p.exit(0)
	}
}

func (p *process) reopenLogs() {
	if err := p.errorLog.Reopen(); err != nil {
		p.log.Error().Err(err).Msg("Cannot reopen the error log")
	}
	if p.pyLog != nil {
		p.pyLog.Reopen()
	}
	if p.access == nil {
		return
	}
	if err := p.access.Reopen(); err != nil {
		p.log.Error().Err(err).Msg("Cannot reopen the access log")
	}
}
