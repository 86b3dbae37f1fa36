package worker

import (
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/internal/accesslog"
	"gowsgi/internal/statsd"
	"gowsgi/protocol/http1"
	"gowsgi/protocol/ipc"
	"gowsgi/protocol/proxy"
	"gowsgi/protocol/wsgi"
)

// Times and sizes that are not settings.
const (
	// streamBuffer is the least room chunks of a streamed content are read into.
	streamBuffer = 64 << 10
	// lingerWait and lingerMax bound how long a connection that was shut down is
	// read: without anything coming, and in all.
	lingerWait = 2 * time.Second
	lingerMax  = 10 * time.Second
	// shortCall is how long a call may keep the loop from turning.
	shortCall = time.Millisecond
	// topEvery is how long listeners may go without a look while there is always
	// something else to do.
	topEvery = time.Millisecond
	// maxPipelined is how many requests of one connection are served in a row.
	maxPipelined = 16
	// takeInMax bounds how many connections are accepted at a time while
	// requests wait.
	takeInMax = 64
	// takeInShared is the same for a worker that has siblings.
	takeInShared = 8
	// lastAccept is how long a worker of a service that stops goes on accepting:
	// handshakes that were begun take a round trip to end.
	lastAccept = 100 * time.Millisecond
)

// listener is an inherited listening socket.
type listener struct {
	fd   int
	unix bool
}

// engine is the event loop and what it serves. One thread leads at a time; see
// the package comment.
type engine struct {
	cfg   *config.Config
	rules http1.Rules
	log   zerolog.Logger
	debug bool // the debug level is on
	clock ipc.Clock
	slot  *ipc.Slot
	// access is nil without an access log that Go writes, pyLog without one that Python
	// does.
	access    *accesslog.Log
	pyLog     *pyLog
	stacksLog *stacksLog
	// stats is nil without a statsd daemon.
	stats     *statsd.Client
	headerMap wsgi.HeaderMap
	// script is the SCRIPT_NAME of the process's environment.
	script string
	// forwarder has the fields that mean something from a trusted peer; forwardAll:
	// all names with an underscore are its to set.
	forwarder  proxy.Fields
	forwardAll bool
	versions   proxy.Versions // of the PROXY headers that are read
	realIP     realIP
	// group is what the loops of the worker have in common.
	group *group
	// dropped is what tellDropped has told, a wsgi.HopByHop.
	dropped atomic.Uint32

	// conns has the connections, top the listeners, the wake descriptor and
	// conns itself: a leader that has nothing to do waits on top; the watcher,
	// leading for busy threads, on conns only, because a busy worker accepts
	// nothing.
	conns, top poller
	wakeFD     int
	overFD     int // readable when all is over
	// signalFD is readable when Python has to run a signal handler.
	signalFD int
	// forks is python.Forks.
	forks *uint32
	// unixListener says of each listener, by number, whether it is a unix socket.
	unixListener []bool
	serverNames  []serverName // of each listener
	threads      []*thread
	watcher      watcher
	siblings     handoff

	// draining is set from outside (drain, stop), and read by everybody.
	draining atomic.Bool
	quick    atomic.Bool

	mu sync.Mutex
	// Below: guarded by mu.
	leader  *thread // who waits for events; nil: nobody
	epoch   uint64  // changes when the lead is taken from a thread in a call
	idle    []*thread
	ready   []*conn // complete requests without a thread, in order
	leaving int     // how many of them have left set
	table   []*conn // by descriptor
	free    []*conn
	// gen is the last generation given to a connection. It is the engine's, not
	// the conn's, for a descriptor goes from one conn to another.
	gen  int32
	open int
	// full: there are as many as there may be, and the listeners and the queue are
	// out of the set until there is room.
	full    bool
	bufs    buffers
	over    bool // all threads leave
	drained bool // draining has been begun
	// listeners are those that accept; none while draining.
	listeners []listener
	// acceptAt is when accepting is tried again after it failed for want of
	// descriptors; 0: it is on.
	acceptAt int64
	// beatAt is when the next sign of life is due on the scoreboard.
	beatAt int64
	// deaf: it drains and accepts nothing, for others do.
	deaf bool
	// listenEnd is until when a worker that drains keeps its listeners at least,
	// drainEnd when it lets idle clients go; 0: that is not due.
	listenEnd, drainEnd int64
	// callsAt is when running calls are looked at for their timeout next.
	callsAt int64
	// unwound is when the last call that was timed out has had its time to end.
	unwound int64
	// stacks are those of the timeout before, nil without one.
	stacks *stacks
	// onlyStuck: nothing is left to drain but calls that were timed out.
	onlyStuck bool
	// trimAt is when the buffers are trimmed; 0: they need not be.
	trimAt int64
	// topAt is when the listeners were looked at last.
	topAt   int64
	holding holding
	// refused counts requests answered 503 since refusedLog's last line; the next
	// may come at refusedLog.
	refused    int
	refusedLog int64
	// scribe records what no thread does.
	scribe scribe

	head, body, idling, flush, linger, waiting deadlines
	lists                                      [6]*deadlines
	// most is how many connections there may be, the loop's share of the worker's.
	// It does not change.
	most int
	// bodyPace and sendPace are what is asked of clients. They do not change.
	bodyPace, sendPace pace
}

func newEngine(cfg *config.Config, log zerolog.Logger, slot *ipc.Slot) (*engine, error) {
	e := &engine{
		cfg:        cfg,
		log:        log,
		debug:      log.GetLevel() <= zerolog.DebugLevel,
		clock:      ipc.NewClock(),
		slot:       slot,
		group:      &group{loops: 1, workers: cfg.Workers},
		forks:      new(uint32),
		rules:      rulesOf(cfg),
		headerMap:  wsgi.ParseHeaderMap(cfg.HeaderMap),
		forwarder:  forwarderFields(cfg),
		forwardAll: slices.Contains(cfg.ForwarderHeaders, "*"),
		versions:   versionsOf(cfg),
		realIP:     realIPOf(cfg),
	}
	e.most = cfg.WorkerConnections
	if e.most == 0 {
		e.most = math.MaxInt
	}
	e.bodyPace = newPace(cfg.BodyTimeout, cfg.BodyMinRate)
	e.sendPace = newPace(cfg.SendTimeout, cfg.SendMinRate)
	e.head.wait, e.body.wait = limit(cfg.HeaderTimeout), e.bodyPace.wait
	e.idling.wait = int64(max(cfg.KeepAlive, 0))
	e.flush.wait, e.linger.wait = e.sendPace.wait, int64(lingerWait)
	e.waiting.wait = limit(cfg.QueueTimeout)
	e.lists = [...]*deadlines{&e.head, &e.body, &e.idling, &e.flush, &e.linger, &e.waiting}
	e.stacksLog = &stacksLog{fd: 2}
	e.watcher.init(e.rules.Fields)
	e.logTo(nil, nil)
	var err error
	if e.conns, err = newPoller(); err != nil {
		return nil, err
	}
	if e.top, err = newPoller(); err != nil {
		return nil, err
	}
	for _, fd := range []*int{&e.wakeFD, &e.overFD} {
		if *fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
			return nil, os.NewSyscallError("eventfd", err)
		}
	}
	if err := e.top.add(e.wakeFD, 0, unix.EPOLLIN); err != nil {
		return nil, err
	}
	return e, e.top.add(e.conns.fd, 0, unix.EPOLLIN)
}

// logTo says where requests are recorded, nil for nowhere, before the engine has
// threads.
func (e *engine) logTo(access *accesslog.Log, stats *statsd.Client) {
	e.access, e.stats = access, stats
	e.scribe.init(e, &http1.Request{Fields: make([]http1.Field, 0, e.rules.Fields)}, nil)
}

// listen starts accepting from l. Of several workers that wait, the kernel wakes
// one (EPOLLEXCLUSIVE).
func (e *engine) listen(l listener) error {
	return e.top.add(l.fd, 0, unix.EPOLLIN|unix.EPOLLEXCLUSIVE)
}

// listenHandoff starts taking connections out of the hand-off queue.
func (e *engine) listenHandoff() error {
	return e.top.add(e.siblings.read, 0, unix.EPOLLIN|unix.EPOLLEXCLUSIVE)
}

// wake makes the leader look at draining and quick.
func (e *engine) wake() { signalFD(e.wakeFD) }

// signalFD makes an eventfd readable.
func signalFD(fd int) {
	one := [8]byte{1}
	rawWrite(fd, one[:])
}

// drain makes the engine finish: no new connections, the last responses say
// "Connection: close", idle clients are let go. It may be called from anywhere.
func (e *engine) drain() {
	e.draining.Store(true)
	e.wake()
}

// stop makes the threads leave as soon as their calls return.
func (e *engine) stop() {
	e.quick.Store(true)
	e.drain()
}

// run is the life of an application thread: it leads, serves, or waits.
func (e *engine) run(t *thread) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for !e.over {
		switch {
		case e.leader != t && e.mayLead(t):
			// Before anything else: the watcher leads through long calls only. If
			// it went on for as long as requests wait, every one of them would cost
			// a switch between two threads.
			e.takeLead(t)
		case len(e.ready) > 0:
			e.takeIn()
			e.serveReady(t)
		case e.leader == t:
			// A turn whose calls are long never gets to the listeners itself.
			e.takeIn()
			e.turn(t)
		default:
			e.park(t)
		}
	}
	if e.leader == t {
		e.leader = nil
	}
	e.releaseIdle()
	e.wake()
	signalFD(e.overFD)
}

// takeIn accepts what has come in, behind the requests that wait already, unless
// that was looked at just now. Idle siblings have had the time to take it.
func (e *engine) takeIn() {
	now := e.clock.Now()
	if now-e.topAt < int64(topEvery) || e.full || e.acceptAt != 0 {
		return
	}
	e.topAt = now
	if e.deaf {
		return
	}
	most := takeInMax
	if !e.group.alone() {
		most = takeInShared
	}
	for i := range e.listeners {
		// accept(2) makes a socket before it looks whether it needs one.
		for n := 0; n < most && i < len(e.listeners) && pollNow(e.listeners[i].fd, unix.POLLIN) != 0 &&
			e.accept(e.watcher.lead, i); n++ {
		}
	}
}

// mayLead reports whether t, back from a call, shall take the lead. If the leader
// is in a call itself and t's was long, calls block here, and t takes over rather
// than wait for the watcher to notice. After a short call it parks: two threads
// that take turns at short calls would do nothing but fight for the GIL.
func (e *engine) mayLead(t *thread) bool {
	return e.leader == nil || e.leader == e.watcher.lead ||
		e.leader.record.Started() != 0 && e.clock.Now()-t.start >= int64(shortCall) && t.start != 0
}

// takeLead makes t the leader in the place of one that is in a call, or nobody.
func (e *engine) takeLead(t *thread) {
	e.sendAllHeld()
	if e.leader != nil {
		e.leader.sendKept()
	}
	if e.leader == e.watcher.lead {
		// It goes on waiting for up to leadWait, and hears of no long call meanwhile.
		e.holding.from = e.clock.Now() + int64(holdAgain)
	}
	e.epoch++
	e.leader = t
}

// park waits until the watcher makes t the leader, or all is over.
func (e *engine) park(t *thread) {
	t.start = 0
	e.idle = append(e.idle, t)
	e.mu.Unlock()
	<-t.wake
	e.mu.Lock()
}

// releaseIdle lets parked threads see that all is over.
func (e *engine) releaseIdle() {
	for _, t := range e.idle {
		t.wake <- struct{}{}
	}
	e.idle = nil
}

// turn is one turn of the loop of the leader t: what is ready now, or, when
// nothing is, whatever comes next.
func (e *engine) turn(t *thread) {
	now := e.tick()
	if e.over {
		return
	}
	t.pace.reset()
	n := e.conns.poll(t.events[:t.pace.batch()])
	if n > 0 {
		e.dispatch(t, t.events[:n])
		e.sendAllHeld()
		if e.leader != t || now-e.topAt < int64(topEvery) {
			return
		}
	}
	e.topAt = now
	ms := 0
	if n == 0 && len(e.ready) == 0 {
		ms = e.patience(now)
	}
	m, interrupted := 0, false
	if ms == 0 {
		m = e.top.poll(t.events[:])
	} else {
		e.mu.Unlock()
		m, interrupted = e.top.wait(t.events[:], ms)
		e.mu.Lock()
		e.topAt = e.clock.Now()
	}
	for i := range m {
		e.topEvent(t, int(t.events[i].Fd))
		if e.leader != t {
			return
		}
	}
	if interrupted && t.main {
		e.runHandlers(t)
	}
}

// runHandlers runs Python's signal handlers, on the main thread.
func (e *engine) runHandlers(t *thread) {
	e.mu.Unlock()
	drainFD(e.signalFD)
	t.py.CheckSignals()
	e.mu.Lock()
}

// drainFD reads what is there to read.
func drainFD(fd int) {
	var b [64]byte
	for {
		if n, errno := rawRead(fd, b[:]); errno != 0 || n < len(b) {
			return
		}
	}
}

// patience returns how many milliseconds the leader may sleep: to the next
// deadline, negative if there is none.
func (e *engine) patience(now int64) int {
	due := never
	if e.cfg.LivenessTimeout > 0 {
		due = now + max(int64(e.cfg.LivenessTimeout/4), int64(ipc.BeatEvery))
	}
	for _, l := range e.lists {
		if l.first != nil {
			due = min(due, l.first.due)
		}
	}
	for _, at := range [...]int64{e.acceptAt, e.listenEnd, e.drainEnd, e.trimAt} {
		if at != 0 {
			due = min(due, at)
		}
	}
	if len(e.threads) > 1 && e.cfg.Timeout > 0 && e.anyCall() {
		due = min(due, e.callsAt)
	}
	if due == never && (len(e.threads) == 1 || e.open == 0) {
		return -1
	}
	ms := 1000 // other threads may add earlier deadlines meanwhile
	if due != never && (len(e.threads) == 1 || e.open == 0 || due < now+int64(time.Second)) {
		ms = int((due - now + int64(time.Millisecond) - 1) / int64(time.Millisecond))
	}
	return max(ms, 1)
}

// tick does what time alone brings, and what draining asks for. It returns the
// time.
func (e *engine) tick() int64 {
	now := e.clock.Now()
	if now >= e.beatAt {
		e.beatAt = now + int64(ipc.BeatEvery)
		e.slot.Beat.Store(now)
	}
	e.expire(now)
	if now >= e.callsAt {
		e.checkCalls(now)
	}
	if e.acceptAt != 0 && now >= e.acceptAt && !e.drained {
		e.acceptAt = 0
		e.listenAgain()
	}
	if e.bufs.over {
		e.trimBuffers(now)
	}
	if e.draining.Load() {
		e.continueDrain(now)
	}
	return now
}

// trimBuffers trims the buffers every trimEvery, for as long as there are too many.
func (e *engine) trimBuffers(now int64) {
	switch {
	case e.trimAt == 0:
		e.trimAt = now + int64(trimEvery)
	case now >= e.trimAt:
		e.trimAt = 0
		if e.bufs.trim(); e.bufs.over {
			e.trimAt = now + int64(trimEvery)
		}
	}
}

// continueDrain gives the listeners up, and ends the engine when nothing is left
// to do, or idle clients have been waited for long enough.
func (e *engine) continueDrain(now int64) {
	if !e.drained {
		e.drained = true
		e.slot.SetState(ipc.StateDraining)
		_ = e.top.del(e.siblings.read)
		e.listenEnd = now + int64(lastAccept)
		if !e.siblings.last() {
			// Others go on accepting. Whether they do is looked at for as long as
			// there is something to do: a SIGTERM to all processes at once may come
			// here long before the master says that the service stops.
			e.deaf = true
			for _, l := range e.listeners {
				_ = e.top.del(l.fd)
			}
		}
		// A client may be sending its request right now; it is answered.
		e.drainEnd = e.listenEnd + int64(min(max(e.cfg.KeepAlive, lastAccept), e.cfg.GracefulTimeout/2))
	}
	if e.listenEnd != 0 && (now >= e.listenEnd || e.quick.Load()) {
		e.listenEnd, e.acceptAt = 0, 0
	}
	if e.siblings.serving() {
		e.handOffAll()
	}
	if e.drainEnd != 0 && now >= e.drainEnd {
		e.drainEnd = 0
		e.idling.wait = 0
		e.closeSilent(&e.idling)
		e.closeSilent(&e.head)
	}
	if e.listenEnd == 0 && e.listeners != nil && (e.open == 0 || e.quick.Load() || e.siblings.last()) {
		e.closeListeners() // which may find something to do after all
	}
	if e.quick.Load() || e.open == 0 && e.listenEnd == 0 {
		e.over = true
		return
	}
	if n := e.stuckCalls(); n > 0 && n == e.open && e.listenEnd == 0 && e.stuckForGood(now) && !e.onlyStuck && e.group.loops == 1 {
		e.onlyStuck = true
		e.group.onlyStuckLeft()
	}
}

// closeListeners ends accepting. If the service stops, everything that waits is
// taken first, on the sockets and in the hand-off queue: the master has seen to it
// that nothing more comes, and what is in either when its last descriptor is closed
// is reset.
func (e *engine) closeListeners() {
	if !e.quick.Load() && e.siblings.last() {
		for i := range e.listeners {
			for n := 0; n < e.cfg.Backlog && e.accept(e.watcher.lead, i); n++ {
			}
		}
		for e.receive(e.watcher.lead) {
		}
	}
	last := int(e.group.drained.Add(1)) == e.group.loops
	for _, l := range e.listeners {
		// Closing the last descriptor of this process for the socket would
		// take it out of the set, but the master's may stay.
		_ = e.top.del(l.fd)
		if last {
			_ = unix.Close(l.fd)
		}
	}
	e.listeners = nil
}

// topEvent handles a wake-up or an incoming connection.
func (e *engine) topEvent(t *thread, fd int) {
	switch fd {
	case e.conns.fd:
	case e.siblings.read:
		e.receive(t)
	case e.signalFD:
		if t.main {
			e.runHandlers(t)
		}
	case e.wakeFD:
		if !e.over { // else all threads shall see it
			var b [8]byte
			rawRead(fd, b[:])
		}
	default:
		for i, l := range e.listeners {
			if l.fd == fd {
				e.accept(t, i)
				return
			}
		}
	}
}
