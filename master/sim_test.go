package master

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/internal/sys"
	"gowsgi/protocol/ipc"
)

// sim is an operating system for one master: processes are goroutines that run
// a script, signals are channel sends, time is that of a synctest bubble.
type sim struct {
	t     *testing.T
	clock ipc.Clock
	// script is what a worker does. It ends by exit, die or by returning, which
	// is exit(0).
	script func(p *proc)
	cfg    *config.Config
	next   *config.Config // what Options.Reload returns, with
	reload error
	find   func(ctx context.Context) (ipc.Python, error)
	// forked: workers say themselves who they are.
	forked bool

	environ []string
	// watch is the last one that was begun.
	watch *simWatch
	// oom is what the kernel says, guarded by mu.
	oom oomCount
	// noTerminal: the master belongs to no terminal.
	noTerminal bool
	// starter waits for the start, nil: nobody does.
	starter *simStarter
	// upgrades are the new masters that were started, startErr why none can be.
	upgrades []*simTwin
	startErr error

	master  *Master
	code    chan int
	mu      sync.Mutex
	procs   []*proc // all that were ever started, in order
	zombies []zombie
	sigs    chan<- os.Signal
	chld    chan<- os.Signal
	// waited counts the calls of wait4(-1), which nobody may make while a
	// reload is prepared.
	waited int
	log    string
}

type zombie struct {
	pid    int
	status unix.WaitStatus
}

// proc is one simulated worker.
type proc struct {
	sim     *sim
	pid     int
	boot    ipc.Boot
	cfg     config.Config
	leaving []int // of its start
	board   *ipc.Scoreboard
	out     *io.PipeWriter
	started time.Time
	signals chan unix.Signal
	killed  chan struct{} // closed by SIGKILL

	// Guarded by sim.mu.
	ended    time.Time
	ready    bool
	draining bool // got TERM, QUIT or ABRT
	received []unix.Signal
	dead     bool
	stopped  bool
}

// simStatus is the master's end of a simulated status pipe.
type simStatus struct {
	*io.PipeReader
	w *io.PipeWriter
}

func (s simStatus) Finish() { s.w.Close() }

const firstPID = 101

// simulate runs a master with the configuration and workers that behave like
// script, and body beside them, in a bubble. At the end the master is stopped
// if it still runs. The log is checked by the body, through s.
//
// Tests that use it are not parallel: they map scoreboards, and the race
// detector takes memory that one test unmaps and another maps at the same
// address for memory they share.
func simulate(t *testing.T, cfg config.Config, script func(*proc), body func(s *sim)) {
	t.Helper()
	simulateWith(t, cfg, script, func(*sim) {}, body)
}

// simulateWith is simulate with a chance to change the simulation before it begins.
func simulateWith(t *testing.T, cfg config.Config, script func(*proc), change, body func(s *sim)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &sim{t: t, clock: ipc.NewClock(), script: script, code: make(chan int, 1), log: filepath.Join(dir, "error.log")}
		s.cfg = simConfig(cfg, s.log)
		s.next = simConfig(cfg, s.log)
		s.find = func(context.Context) (ipc.Python, error) { return ipc.Python{Version: "3.99.0"}, nil }
		change(s)
		s.master = newMaster(s.cfg, Options{
			Args:       []string{"gowsgi", "app"},
			Environ:    s.environ,
			Dir:        "/",
			Stderr:     io.Discard,
			Reload:     func(context.Context) (*Loaded, error) { return &Loaded{Config: s.next}, s.reload },
			FindPython: func(ctx context.Context, _ ipc.Wanted, _ func(string) string) (ipc.Python, error) { return s.find(ctx) },
		}, s.env())
		if s.starter != nil {
			s.master.opts.Starter = s.starter
		}
		s.forked = strings.Contains(t.Name(), "Forked")
		go func() { s.code <- s.master.Run() }()
		body(s)
		s.finish()
	})
}

func simConfig(cfg config.Config, log string) *config.Config {
	cfg.ErrorLog, cfg.LogFormat, cfg.LogLevel = log, "text", "debug"
	cfg.WorkerClass, cfg.ProcName = "sync", "app"
	cfg.Threads, cfg.ReloadSurge = max(cfg.Threads, 1), max(cfg.ReloadSurge, 1)
	if cfg.GracefulTimeout == 0 {
		cfg.GracefulTimeout = 30 * time.Second
	}
	return &cfg
}

func (s *sim) env() env {
	return env{
		pid:         7,
		start:       s.start,
		startMaster: s.startMaster,
		stopped:     s.stopped,
		watch: func(engine string, changed func(fileWatch, string)) fileWatch {
			s.watch = &simWatch{engine: engine, changed: changed}
			return s.watch
		},
		oom:      func() oomCount { s.mu.Lock(); defer s.mu.Unlock(); return s.oom },
		terminal: func() bool { return !s.noTerminal },
		kill:     s.kill,
		reap:     s.reap,
		notify: func(c chan<- os.Signal, sigs ...os.Signal) {
			if sigs[0] == unix.SIGCHLD {
				s.chld = c
			} else {
				s.sigs = c
			}
		},
		stopNotify: func(chan<- os.Signal) {},
		chdir:      func(string) error { return nil },
		jitter:     func(time.Duration) time.Duration { return 0 },
	}
}

func (s *sim) start(spec *startSpec) (int, statusPipe, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &proc{
		sim: s, pid: firstPID + len(s.procs), started: time.Now(), leaving: spec.leaving,
		signals: make(chan unix.Signal, 100), killed: make(chan struct{}),
	}
	if err := errors.Join(json.Unmarshal(spec.boot, &p.boot), json.Unmarshal(p.boot.Settings, &p.cfg)); err != nil {
		return 0, nil, err
	}
	var err error
	if p.board, err = ipc.MapScoreboard(spec.scoreboard, p.boot.Slots, p.cfg.Threads); err != nil {
		return 0, nil, err
	}
	var r *io.PipeReader
	r, p.out = io.Pipe()
	s.procs = append(s.procs, p)
	go func() {
		status := unix.WaitStatus(unix.SIGKILL)
		defer func() { p.end(status) }()
		func() {
			defer func() {
				// exit and die panic with the status; SIGKILL is Goexit.
				if v := recover(); v != nil {
					status = v.(unix.WaitStatus)
				}
			}()
			s.script(p)
			status = 0
		}()
	}()
	if s.forked {
		return 0, simStatus{r, p.out}, nil
	}
	return p.pid, simStatus{r, p.out}, nil
}

// end makes the process a zombie.
func (p *proc) end(status unix.WaitStatus) {
	s := p.sim
	s.mu.Lock()
	p.dead, p.ended = true, time.Now()
	s.zombies = append(s.zombies, zombie{p.pid, status})
	s.mu.Unlock()
	p.board.Close()
	s.raiseCHLD()
}

// raiseCHLD does as os/signal does: a full channel means it is known already.
func (s *sim) raiseCHLD() {
	select {
	case s.chld <- unix.SIGCHLD:
	default:
	}
}

func (s *sim) kill(pid int, sig unix.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.procs[pid-firstPID]
	p.received = append(p.received, sig)
	switch sig {
	case unix.SIGTERM, unix.SIGQUIT, unix.SIGABRT:
		p.draining = true
	}
	if p.dead || sig == 0 {
		return nil
	}
	if sig == unix.SIGKILL {
		close(p.killed)
	} else {
		p.signals <- sig
	}
	return nil
}

// stopped reports whether the process is one that a test has stopped.
func (s *sim) stopped(pid int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.procs[pid-firstPID].stopped
}

func (s *sim) reap(pid int) (sys.Death, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if pid == -1 {
		s.waited++
	}
	for i, z := range s.zombies {
		if pid == -1 || z.pid == pid {
			s.zombies = append(s.zombies[:i], s.zombies[i+1:]...)
			return sys.Death{PID: z.pid, Status: z.status, MaxRSS: 45 << 20}, nil
		}
	}
	return sys.Death{}, nil
}

// What scripts are made of.

func (p *proc) say(msg ipc.Message) {
	if msg.Kind == ipc.KindReady {
		p.sim.mu.Lock()
		p.ready = true
		p.sim.mu.Unlock()
	}
	if err := json.NewEncoder(p.out).Encode(msg); err != nil {
		p.sim.t.Errorf("worker %d: %v", p.pid, err)
	}
}

func (p *proc) starts()             { p.say(ipc.Message{Kind: ipc.KindStarted, PID: p.pid}) }
func (p *proc) exit(code int)       { panic(unix.WaitStatus(code << 8)) }
func (p *proc) die(sig unix.Signal) { panic(unix.WaitStatus(sig)) }
func (p *proc) boots()              { p.sleep(time.Second); p.say(ipc.Message{Kind: ipc.KindReady}) }
func (p *proc) bootFails(tb string) { p.fails(ipc.ExitBoot, "ValueError: no", tb) }
func (p *proc) thread() *ipc.Thread { return p.board.Thread(p.boot.Slot, 0) }
func (p *proc) begin(target string) {
	p.thread().Begin(p.sim.clock.Now(), []byte("192.0.2.1"), []byte("GET"), []byte(target))
}
func (p *proc) oldOne(n int) bool { return p.boot.Age <= n }

func (p *proc) fails(code int, text, tb string) {
	p.say(ipc.Message{Kind: ipc.KindBootFailed, Code: code, Error: text, Traceback: tb})
	p.exit(code)
}

// wait waits for a signal, or ends the process if it is SIGKILL.
func (p *proc) wait(d time.Duration) (unix.Signal, bool) {
	select {
	case sig := <-p.signals:
		return sig, true
	case <-p.killed:
		runtime.Goexit()
	case <-time.After(d):
	}
	return 0, false
}

// sleep passes time; of signals only SIGKILL ends it.
func (p *proc) sleep(d time.Duration) {
	select {
	case <-p.killed:
		runtime.Goexit()
	case <-time.After(d):
	}
}

// serve serves until a signal asks to leave, then takes that long to do so.
func (p *proc) serve(drain time.Duration) {
	for {
		switch sig, ok := p.wait(1000 * time.Hour); {
		case !ok:
		case sig == unix.SIGTERM:
			p.sleep(drain)
			return
		case sig == unix.SIGQUIT:
			return
		case sig == unix.SIGABRT:
			p.die(sig)
		}
	}
}

// good is an ordinary worker.
func good(p *proc) { p.boots(); p.serve(time.Second) }

// What tests are made of.

// signal sends the master a signal.
func (s *sim) signal(sig unix.Signal) {
	synctest.Wait()
	s.sigs <- sig
	synctest.Wait()
}

// until waits for a condition, in steps of 10 ms of the bubble's time.
func (s *sim) until(what string, cond func() bool) {
	s.t.Helper()
	for range 100_000 {
		synctest.Wait()
		if cond() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatalf("never: %s\n%s", what, s.logText())
}

// settled waits until exactly n workers serve and no other process lives.
func (s *sim) settled(n int) {
	s.t.Helper()
	s.until("settled", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		alive := 0
		for _, p := range s.procs {
			if p.dead {
				continue
			}
			if alive++; !p.ready || p.draining {
				return false
			}
		}
		return alive == n
	})
}

// life is what is known of a worker at some time.
type life struct {
	started, ended time.Time
	ready          bool
	boot           ipc.Boot
}

// life returns the life of the nth worker, from 1.
func (s *sim) life(n int) life {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.procs[n-1]
	return life{p.started, p.ended, p.ready, p.boot}
}

func (s *sim) alive() []*proc {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ps []*proc
	for _, p := range s.procs {
		if !p.dead {
			ps = append(ps, p)
		}
	}
	return ps
}

func (s *sim) started() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.procs)
}

func (s *sim) ages() []int {
	var ages []int
	for _, p := range s.alive() {
		ages = append(ages, p.boot.Age)
	}
	return ages
}

// got reports whether the nth worker (from 1) received the signal.
func (s *sim) got(n int, sig unix.Signal) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.procs[n-1].received {
		if r == sig {
			return true
		}
	}
	return false
}

func (s *sim) logText() string {
	b, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

// logs checks how often a text is on the log.
func (s *sim) logs(text string, times int) {
	s.t.Helper()
	if n := strings.Count(s.logText(), text); n != times {
		s.t.Errorf("%q is %d times on the log, want %d:\n%s", text, n, times, s.logText())
	}
}

// ends waits until Run returns.
func (s *sim) ends(code int) {
	s.t.Helper()
	select {
	case got := <-s.code:
		if got != code {
			s.t.Errorf("exit code %d, want %d\n%s", got, code, s.logText())
		}
		s.code <- got
	case <-time.After(time.Hour):
		s.t.Fatalf("the master did not end\n%s", s.logText())
	}
}

// finish stops the master and sees to it that it left nothing.
func (s *sim) finish() {
	s.t.Helper()
	select {
	case s.sigs <- unix.SIGINT:
	default:
	}
	select {
	case <-s.code:
	case <-time.After(time.Hour):
		s.t.Fatalf("the master did not end\n%s", s.logText())
	}
	if alive := s.alive(); len(alive) > 0 {
		s.t.Errorf("the master left %d workers", len(alive))
	}
	if b := s.master.board; b != nil && b.inUse > 0 {
		s.t.Errorf("%d slots are still in use", b.inUse)
	}
	if t := s.logText(); strings.Contains(t, "out of memory") && !strings.Contains(s.t.Name(), "Unexplained") {
		s.t.Errorf("a kill was guessed at:\n%s", t)
	}
}

// simWatch is a fileWatch that a test makes tell.
type simWatch struct {
	engine  string
	changed func(fileWatch, string)
	files   []string
	closed  bool
}

func (w *simWatch) Add(paths []string, _ time.Time) { w.files = append(w.files, paths...) }
func (w *simWatch) Close()                          { w.closed = true }
