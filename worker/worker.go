package worker

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/internal/accesslog"
	"gowsgi/internal/logging"
	"gowsgi/internal/outlet"
	"gowsgi/internal/version"
	"gowsgi/protocol/ipc"
	"gowsgi/worker/python"
)

// How long the process goes on after it was told to leave, beyond what settings
// say.
const (
	// masterFirst is what the master gets to end a worker at graceful_timeout: it
	// names the requests that are cut. The worker ends itself if it does not.
	masterFirst = 2 * time.Second
	// quickExit is how long a call may go on after SIGQUIT or SIGINT.
	quickExit = 200 * time.Millisecond
	// finalizeWait is how long atexit handlers and threads of the application
	// may take at least.
	finalizeWait = 1500 * time.Millisecond
	// outletWait is how long the access log, syslog and statsd, each, may take for
	// the last lines.
	outletWait = 500 * time.Millisecond
)

// process is the worker process.
type process struct {
	parent   *parent
	cfg      *config.Config
	log      zerolog.Logger
	errorLog *logging.Queue
	access   *accesslog.Log // nil without one
	pyLog    *pyLog         // nil unless Python writes the log
	outlets  outlet.Outlets
	stacks   *stacksLog
	loops    loops
	main     *thread
	// processors is GOMAXPROCS while the worker serves: two more than application
	// threads, for the watcher and for what goes on beside. A thread that is in a
	// call gives its own away only after a while, however many the machine has. No
	// more, for each has caches.
	processors int
	// quit gets the signals that end the process.
	quit chan os.Signal
	// leaving is set by whoever ends the process.
	leaving atomic.Bool
}

// Run is the whole life of a worker; it returns the exit code. The mark is what the
// process knows by that it is one, see ipc.EnvWorker. Run must be called
// on the process's main OS thread with the goroutine locked to it.
func Run(mark string) int {
	// Each processor has caches of its own, which are memory, and nothing runs at the
	// same time until the worker serves.
	runtime.GOMAXPROCS(1)
	par, err := meet(mark)
	if err != nil {
		fmt.Fprintf(os.Stderr, "gowsgi: %v\n", err)
		return 1
	}
	if python.Running() {
		if err := python.AdoptEnviron(); err != nil {
			fmt.Fprintf(os.Stderr, "gowsgi: %v\n", err)
			return 1
		}
	}
	p := &process{parent: par, cfg: &par.cfg}
	p.processors = p.cfg.Threads + 2
	if par.boot.Check {
		// A check leaves no file behind, least of all one that only its user,
		// perhaps root, may write.
		p.cfg.ErrorLog = "-"
	}
	if p.errorLog, err = logging.OpenQueue(p.cfg.ErrorLog, 2); err != nil {
		fmt.Fprintf(os.Stderr, "gowsgi: %v\n", err)
		return 1
	}
	defer p.errorLog.Flush(outletWait)
	if p.cfg.CaptureOutput {
		// The master's are the same file, but a Reopen is of this process alone.
		if err := p.errorLog.Also(1, 2); err != nil {
			fmt.Fprintf(os.Stderr, "gowsgi: %v\n", err)
			return 1
		}
	}
	p.outlets = outlet.Open(p.cfg.Outlets(os.Getpid()))
	defer p.outlets.Close(outletWait)
	p.openLog()
	defer p.closePyLog(0)
	par.board.Slot(par.boot.Slot).SetState(ipc.StateBooting)
	if err := p.catchSignals(); err != nil {
		return p.bootFailed(err)
	}
	if err := p.privileged(); err != nil {
		return p.bootFailed(err)
	}
	booted := make(chan struct{})
	go p.leaveWhileBooting(booted)
	if code, ok := p.boot(); !ok {
		return code
	}
	close(booted)
	return p.serve()
}

// leaveWhileBooting ends the process when it is told to, or left alone, before it
// serves: there is nothing to finish. It returns when booted is closed.
func (p *process) leaveWhileBooting(booted chan struct{}) {
	gone := make(chan struct{})
	go func() {
		p.parent.orphaned()
		close(gone)
	}()
	select {
	case <-booted:
	case <-gone:
	case sig := <-p.quit:
		p.quit <- sig // there is room; whoever handles signals while serving gets it
	}
	// When both were ready it is not said which was taken.
	select {
	case <-booted:
		p.watchParent(gone)
	default:
		if p.parent.boot.Check {
			p.exit(0) // nothing is to be read but what is wrong
		}
		p.giveUp()
	}
}

// exit ends the process from whatever goroutine, while the main thread is in a
// call that nothing can interrupt.
func (p *process) exit(code int) {
	if p.access != nil {
		p.access.FlushWithin(outletWait)
	}
	p.closePyLog(outletWait)
	p.errorLog.Flush(outletWait)
	p.outlets.Close(outletWait)
	os.Exit(code)
}

// privileged does what may need the master's rights, with the interpreter of a
// spawner if there is one already, and then gives them up if
// the workers are to run as somebody else. Who only checks an application and is
// not root checks it as who he is.
func (p *process) privileged() (err error) {
	if python.Spawned() {
		// Python runs already, and what is to run as the master is now due
		// (gunicorn: post_fork).
		if err := p.startPython(); err != nil {
			return err
		}
		if err := python.Hook("post_fork"); err != nil {
			return err
		}
	}
	check := p.parent.boot.Check
	if !check {
		if err := p.openAccess(); err != nil {
			return err
		}
	}
	id, ok := p.cfg.Identity()
	if !ok || !id.Differs() || check && os.Geteuid() != 0 {
		return nil
	}
	return assumeIdentity(id)
}

// boot starts CPython and loads the application. Without it, ok is false and
// code the exit code; the master has been told.
func (p *process) boot() (code int, ok bool) {
	var err error
	if !python.Spawned() {
		err = p.startPython()
	}
	if err == nil && !python.Preloaded() {
		err = python.Load(p.cfg.App.Module, p.cfg.App.Attr)
	}
	if err == nil && !p.parent.boot.Check {
		if err = p.prepare(); err == nil {
			err = python.Hook("post_worker_init")
		}
		if err == nil && p.cfg.Reload {
			err = p.reportModules()
		}
	}
	if err != nil {
		return p.bootFailed(err), false
	}
	return 0, !p.parent.boot.Check
}

func (p *process) startPython() error {
	err := python.Start(python.Options{
		Library:    p.parent.boot.Python.Library,
		Executable: p.parent.boot.Python.Executable,
		Argv:       p.parent.boot.Argv,
		Path:       append([]string{p.cfg.StartDir, p.cfg.Chdir}, p.cfg.PythonPath...),
		FaultFD:    p.errorLog.Fd(),
		ForkClose:  p.parent.inherited(),
		LogLevel:   p.cfg.LogLevel,
		Log:        p.logHook,
		Signalled: func(number int) {
			select {
			case p.quit <- unix.Signal(number):
			default: // there are enough already
			}
		},
	})
	if err == nil {
		p.stacks = &stacksLog{fd: p.errorLog.Fd()}
		p.stacks.onSignal()
	}
	return err
}

// logHook writes what a hook logs.
func (p *process) logHook(level, message, traceback string) {
	logging.Lines(p.log.WithLevel(logging.ParseLevel(level)), message, traceback)
}

// bootFailed tells the master why, and returns the exit code.
func (p *process) bootFailed(err error) int {
	m := ipc.Message{Kind: ipc.KindBootFailed, Code: ipc.ExitBoot, Error: err.Error()}
	var pe *python.Error
	if errors.As(err, &pe) {
		m.Code, m.Traceback = pe.Code, pe.Traceback
	}
	p.parent.tell(m)
	return m.Code
}

// prepare makes everything that serving needs.
func (p *process) prepare() error {
	boot := &p.parent.boot
	group := &group{loops: 1, workers: p.cfg.Workers, quota: quota(p.cfg)}
	if python.Parallel() {
		group.loops = p.cfg.Threads
		p.processors = max(p.processors, group.loops+2)
		p.log.Info().Int("loops", group.loops).Msg("Python has no GIL: every thread has a loop of its own")
	}
	group.recycle = func(served uint64) {
		p.parent.tell(ipc.Message{Kind: ipc.KindRecycle, Requests: served})
	}
	group.timedOut = func(took time.Duration) {
		if p.cfg.HasHook("worker_abort") {
			p.flushLogs() // the master ends the process at once
		}
		p.parent.tell(ipc.Message{Kind: ipc.KindTimeout, Took: took})
	}
	group.onlyStuckLeft = func() {
		p.flushLogs()
		p.parent.tell(ipc.Message{Kind: ipc.KindStuck})
	}
	for range group.loops {
		if err := p.addLoop(group); err != nil {
			return err
		}
	}
	if err := p.bases(); err != nil {
		return err
	}
	if err := python.SetWanted(p.access.Keys()); err != nil {
		return err
	}
	if p.cfg.Sendfile {
		if err := python.UseSendfile(); err != nil {
			return err
		}
	}
	for i := range p.cfg.Threads {
		e := p.loops[i%len(p.loops)]
		e.threads = append(e.threads, newThread(e, p.parent.board.Thread(boot.Slot, i)))
	}
	if p.cfg.Threads == 1 {
		p.main = p.loops[0].threads[0]
		p.main.main = true
	} else {
		p.main = mainOnly(p.loops[0])
	}
	return p.wakeForSignals()
}

// addLoop makes an event loop over the listeners.
func (p *process) addLoop(group *group) error {
	boot := &p.parent.boot
	e, err := newEngine(p.cfg, p.log, p.parent.board.Slot(boot.Slot))
	if err != nil {
		return err
	}
	e.group = group
	e.most = max(1, e.most/group.loops)
	e.forks = python.Forks()
	e.listeners = p.parent.listeners()
	for i, l := range e.listeners {
		e.unixListener = append(e.unixListener, l.unix)
		e.serverNames = append(e.serverNames, nameOf(boot.Listeners[i]))
	}
	e.siblings.init(ipc.FDHandoffRead, ipc.FDHandoffWrite, p.parent.board, boot.Slot)
	e.script = os.Getenv("SCRIPT_NAME")
	e.pyLog, e.stacksLog = p.pyLog, p.stacks
	e.logTo(p.access, p.outlets.Statsd)
	p.loops = append(p.loops, e)
	return nil
}

// wakeForSignals sees to it that the main thread, wherever it waits, learns of
// signals Python has a handler for.
func (p *process) wakeForSignals() error {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	if err := python.WakeupFD(fds[1]); err != nil {
		return err
	}
	e := p.loops[0]
	e.signalFD = fds[0]
	if p.main.main {
		return e.top.add(fds[0], 0, unix.EPOLLIN)
	}
	return nil
}

// bases gives the bridge what the environs of each listener have in common.
func (p *process) bases() error {
	var bases []python.Base
	for _, l := range p.parent.boot.Listeners {
		vars := map[string]string{
			"SERVER_SOFTWARE": "gowsgi/" + version.Number,
			"SCRIPT_NAME":     os.Getenv("SCRIPT_NAME"),
			"SERVER_NAME":     nameOf(l).host, "SERVER_PORT": nameOf(l).port,
		}
		bases = append(bases, python.Base{
			Vars:         vars,
			Multithread:  p.cfg.Threads > 1,
			Multiprocess: p.cfg.Workers > 1,
			ErrorFD:      p.errorLog.Fd(),
		})
	}
	return python.SetBases(bases)
}

// serve accepts until the worker is told to leave, then drains and ends CPython.
func (p *process) serve() int {
	reopen := make(chan os.Signal, 1)
	signal.Notify(reopen, unix.SIGUSR1)
	go p.handleSignals(reopen)
	if err := p.loops.watch(); err != nil {
		return p.bootFailed(err)
	}
	if err := p.loops.listen(); err != nil {
		return p.bootFailed(err)
	}
	p.loops[0].slot.SetState(ipc.StateServing)
	if p.main.main {
		p.main.py.DetachMain()
		p.ready()
		p.loops[0].run(p.main)
	} else {
		if err := python.RunThreads(p.cfg.Threads); err != nil {
			return p.bootFailed(err)
		}
		p.main.py.DetachMain()
		p.ready()
		p.tend()
	}
	return p.leave()
}

// ready tells the master that the worker serves.
func (p *process) ready() {
	runtime.GOMAXPROCS(p.processors)
	python.ForgetFilePages()
	p.parent.tell(ipc.Message{Kind: ipc.KindReady})
	if p.pyLog != nil {
		go p.pyLog.run() // closePyLog ends it
	}
	if p.cfg.MaxWorkerMemory > 0 {
		go p.watchMemory()
	}
}

// leave ends CPython, with a deadline: an exit handler or a thread of the
// application that never returns does not keep the process.
func (p *process) leave() int {
	if !p.leaving.CompareAndSwap(false, true) {
		select {} // giveUp ends the process
	}
	p.log.Info().Msgf("Worker exiting (pid: %d)", os.Getpid())
	wait := max(finalizeWait, p.cfg.GracefulTimeout)
	if p.loops[0].quick.Load() {
		wait = finalizeWait
	}
	time.AfterFunc(wait, func() { p.exit(0) })
	p.loops.settleAll()
	if p.access != nil {
		p.access.Drain(finalizeWait)
	}
	if python.Spawned() {
		p.main.py.AttachMain()
		if err := python.Hook("worker_exit"); err != nil {
			p.log.Error().Err(err).Msg("Exception during worker exit")
		}
		p.main.py.DetachMain()
	}
	// If this takes longer the process ends first: no thread may be in Python
	// when that is finalized.
	p.closePyLog(2 * wait)
	p.main.py.Finalize()
	return 0
}
