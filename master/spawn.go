package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/internal/sys"
	"gowsgi/internal/version"
	"gowsgi/master/spawner"
	"gowsgi/protocol/ipc"
)

// selfExe is this binary's inode, also after the file was replaced by another
// version or unlinked: a running master keeps starting workers it understands.
const selfExe = "/proc/self/exe"

// startSpec is everything a worker process is started with.
type startSpec struct {
	title string   // argv[0], what ps shows
	dir   string   // working directory
	env   []string // whole environment
	boot  []byte   // JSON of an ipc.Boot
	age   int
	// leaving are the pids of the workers that leave, or that this one is to replace.
	leaving []int
	// spawner forks the worker; nil: it is executed.
	spawner *spawner.Process
	// python is the worker's; image is what it executes to host the worker, nil if the
	// worker is this binary.
	python ipc.Python
	image  []byte
	// Descriptors, owned by the caller.
	death, scoreboard int
	handoff           [2]int // reading and writing end
	listeners         []int
}

func workerTitle(cfg *config.Config) string { return "gowsgi: worker [" + cfg.ProcName + "]" }

// startProcess starts a worker: by executing the binary, or the interpreter that is
// to host it, with the descriptors in exec.Cmd.ExtraFiles, or by an order to the
// spawner. Then its pid is 0: it says who it is by ipc.KindStarted.
//
// exec.Cmd calls Fd() on each file, and File.Fd takes a descriptor that the os
// package itself made non-blocking back into blocking mode. O_NONBLOCK belongs to
// the open file description, which all workers share, so that would let every
// running worker hang in accept4. The files are therefore made by os.NewFile
// around descriptors that are non-blocking already: those the package leaves as
// they are (a test looks at the flags after each start).
//
// Nobody waits for the os.Process: the master's one reaper collects the child.
func startProcess(s *startSpec) (pid int, status statusPipe, err error) {
	boot, err := sys.SealedFile("gowsgi-boot", s.boot)
	if err != nil {
		return 0, nil, err
	}
	defer unix.Close(boot)
	r, w, err := sys.Pipe()
	if err != nil {
		return 0, nil, err
	}
	defer unix.Close(w)
	// Only the master's end: the worker's must block, or a message could be lost.
	if err := unix.SetNonblock(r, true); err != nil {
		unix.Close(r)
		return 0, nil, os.NewSyscallError("fcntl", err)
	}
	fds := make([]int, ipc.FDListeners-firstExtra, ipc.FDListeners-firstExtra+len(s.listeners))
	fds[ipc.FDDeath-firstExtra] = s.death
	fds[ipc.FDStatus-firstExtra] = w
	fds[ipc.FDBoot-firstExtra] = boot
	fds[ipc.FDScoreboard-firstExtra] = s.scoreboard
	fds[ipc.FDHandoffRead-firstExtra] = s.handoff[0]
	fds[ipc.FDHandoffWrite-firstExtra] = s.handoff[1]
	fds = append(fds, s.listeners...)
	if s.spawner != nil {
		err = s.spawner.Fork(s.age, s.leaving, fds)
	} else {
		pid, err = execute(s, fds)
	}
	if err != nil {
		unix.Close(r)
		return 0, nil, err
	}
	return pid, &osStatus{file: os.NewFile(uintptr(r), "status")}, nil
}

// execute starts a worker with these descriptors, which stay the caller's.
func execute(s *startSpec, fds []int) (pid int, err error) {
	stdin, err := devNull()
	if err != nil {
		return 0, err
	}
	files, err := extraFiles(fds)
	defer closeFiles(files)
	if err != nil {
		return 0, err
	}
	cmd := &exec.Cmd{
		Path: selfExe, Args: []string{s.title}, Dir: s.dir, Env: append(s.env[:len(s.env):len(s.env)], ipc.EnvWorker+"="+ipc.Version),
		Stdin: stdin, Stdout: os.Stdout, Stderr: os.Stderr, ExtraFiles: files,
	}
	start := cmd.Start
	if s.python.Host != nil {
		image, err := host(cmd, s)
		if err != nil {
			return 0, err
		}
		defer image.Close()
		start = func() error { return sys.WithBlocked(ipc.HeldSignals(), cmd.Start) }
	}
	if err := start(); err != nil {
		return 0, fmt.Errorf("%s: %w", cmd.Path, err)
	}
	pid = cmd.Process.Pid // Release forgets it
	return pid, cmd.Process.Release()
}

// host makes the worker a process of the interpreter, with two more descriptors. The
// file is to be closed when the process was started.
func host(cmd *exec.Cmd, s *startSpec) (*os.File, error) {
	fd, err := sys.SealedFile("gowsgi-image", s.image)
	if err != nil {
		return nil, err
	}
	image := os.NewFile(uintptr(fd), "image")
	first := firstExtra + len(cmd.ExtraFiles)
	cmd.ExtraFiles = append(cmd.ExtraFiles, image, s.python.Host)
	cmd.Path, cmd.Args = s.python.Executable, ipc.HostArgs(s.python, first, first+1, s.title)
	cmd.Env = s.env
	return image, nil
}

// firstExtra is the descriptor ExtraFiles begin at.
const firstExtra = 3

// extraFiles wraps copies of the descriptors, which the caller keeps: a File
// closes its own when it is collected.
func extraFiles(fds []int) ([]*os.File, error) {
	var files []*os.File
	for _, fd := range fds {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return files, os.NewSyscallError("fcntl", err)
		}
		files = append(files, os.NewFile(uintptr(dup), "inherited"))
	}
	return files, nil
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		// Copies, and nothing was written through them.
		_ = f.Close()
	}
}

// devNull returns the workers' standard input. The descriptor stays open for
// the life of the process.
var devNull = sync.OnceValues(func() (*os.File, error) { return os.Open(os.DevNull) })

// osStatus is a statusPipe on a real pipe.
type osStatus struct{ file *os.File }

// Read implements io.Reader. After Finish the poller refuses to read at all,
// so what is left is read past it.
func (p *osStatus) Read(b []byte) (int, error) {
	n, err := p.file.Read(b)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	conn, err := p.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var readErr error
	err = conn.Control(func(fd uintptr) {
		n, readErr = sys.IgnoringEINTR(func() (int, error) { return unix.Read(int(fd), b) })
	})
	switch {
	case err != nil:
		return 0, err
	case errors.Is(readErr, unix.EAGAIN), readErr == nil && n == 0:
		// EAGAIN: the worker's own descriptor is closed, the pipe is empty; that
		// it is still open means a forked process has it.
		return 0, io.EOF
	case readErr != nil:
		return 0, os.NewSyscallError("read", readErr)
	}
	return n, nil
}

// Finish implements statusPipe.
func (p *osStatus) Finish() { _ = p.file.SetReadDeadline(time.Unix(1, 0)) }

// Close implements io.Closer.
func (p *osStatus) Close() error { return p.file.Close() }

// masterVars are for the master alone: they name descriptors that a worker does not
// have.
var masterVars = []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", envHandover}

// workerEnviron returns the environment of a worker: the one the master was
// started with, without what was meant for the master alone; SERVER_SOFTWARE,
// which applications test for; and the raw_env setting, which wins over both.
func workerEnviron(start, rawEnv []string) []string {
	var env []string
	set := func(kv string) { env = setVariable(env, kv) }
	for _, kv := range start {
		if name, _, _ := strings.Cut(kv, "="); !slices.Contains(masterVars, name) {
			set(kv)
		}
	}
	set("SERVER_SOFTWARE=gowsgi/" + version.Number)
	for _, kv := range rawEnv {
		set(kv)
	}
	return slices.DeleteFunc(env, func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return name == ipc.EnvWorker || name == ipc.EnvSpawner // for whoever starts the process to say
	})
}

// getenv looks a variable up in an environment block, "" if it is not set.
func getenv(environ []string) func(string) string {
	return func(name string) string {
		for _, kv := range slices.Backward(environ) {
			if k, v, ok := strings.Cut(kv, "="); ok && k == name {
				return v
			}
		}
		return ""
	}
}

// spawn starts a worker of the current generation.
func (m *Master) spawn(now time.Time) {
	live, _ := m.count()
	w, err := m.startWorker(now)
	if err != nil {
		m.log.Error().Err(err).Msg("Worker could not be started")
		m.bootBroken(err.Error(), "")
		// As if it had died at once.
		m.backoff.died(m.backoff.wave, 0, now)
		if m.reload != nil && !m.reload.committed {
			m.abandonReload("worker could not be started", "")
		}
		return
	}
	if w.pid != 0 {
		m.logBooting(w)
	}
	if live >= m.target {
		w.surge = true
	}
}

// replacing returns the age of the worker that the next one is to replace, 0 if
// there is none.
func (m *Master) replacing() int {
	if live, _ := m.count(); live < m.target {
		return 0
	}
	if w := m.oldest(func(w *worker) bool { return w.replaceable() && m.successor(w) == nil }); w != nil {
		return w.age
	}
	return 0
}

// outgoing returns the pids of the workers that are on their way out, and of those
// that one that boots, or next, is to replace.
func (m *Master) outgoing(next *worker) []int {
	var pids []int
	for _, w := range m.workers {
		if w.pid != 0 && (!w.live() || w.age == next.replaces || m.successor(w) != nil) {
			pids = append(pids, w.pid)
		}
	}
	return pids
}

// successor returns the live worker that is to replace w, or nil.
func (m *Master) successor(w *worker) *worker {
	for _, s := range m.workers {
		if s.live() && s.replaces == w.age {
			return s
		}
	}
	return nil
}

func (m *Master) logBooting(w *worker) {
	m.log.Info().Int("worker", w.pid).Int("age", w.age).Msgf("Booting worker with pid: %d", w.pid)
}

func (m *Master) startWorker(now time.Time) (*worker, error) {
	gen := m.gen
	b, slot, err := m.slot(gen)
	if err != nil {
		return nil, err
	}
	w := &worker{age: m.age + 1, gen: gen, spawner: gen.spawner, board: b, slot: slot, spawned: now, wave: m.backoff.wave}
	w.replaces = m.replacing()
	spec, err := m.startSpec(w)
	if err == nil {
		w.pid, w.status, err = m.env.start(spec)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting worker %d: %w", w.age, err), b.release(slot))
	}
	m.age++
	if life := gen.cfg.MaxWorkerLifetime; life > 0 {
		w.retireAt = now.Add(life + m.env.jitter(gen.cfg.MaxWorkerLifetimeJitter))
	}
	m.workers[w.age] = w
	m.nextCheck = now // its limits may be nearer
	go readStatus(w, w.status, m.events, m.done)
	return w, nil
}

func (m *Master) startSpec(w *worker) (*startSpec, error) {
	boot := ipc.Boot{
		Slot:     w.slot,
		Age:      w.age,
		Argv:     m.opts.Args,
		Check:    m.opts.Check,
		Python:   w.gen.python,
		Slots:    w.board.sb.Slots(),
		Settings: w.gen.settings,
		// Never null: a worker may rely on a list.
		Listeners: []ipc.Listener{},
	}
	spec := &startSpec{
		title:      workerTitle(w.gen.cfg),
		age:        w.age,
		leaving:    m.outgoing(w),
		spawner:    w.spawner,
		dir:        w.gen.cfg.Chdir,
		env:        workerEnviron(m.opts.Environ, w.gen.cfg.Env),
		python:     w.gen.python,
		death:      m.deathR,
		scoreboard: int(w.board.file.Fd()),
		handoff:    [2]int{w.board.queue.read, w.board.queue.write},
	}
	for _, l := range w.gen.listeners {
		boot.Listeners = append(boot.Listeners, l.ipc())
		spec.listeners = append(spec.listeners, l.fd)
	}
	if spec.python.Host != nil {
		spec.image = m.opts.HostImage()
	}
	var err error
	spec.boot, err = json.Marshal(boot)
	return spec, err
}
