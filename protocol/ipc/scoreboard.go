package ipc

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxTarget is how many bytes of a request-target the scoreboard keeps.
const MaxTarget = 256

// maxAddr is how many bytes of an address the scoreboard keeps: all (
// INET6_ADDRSTRLEN).
const maxAddr = 46

// maxMethod is how many bytes of a method the scoreboard keeps.
const maxMethod = 24

// State is what a worker is doing, as its slot says.
type State uint32

// States of a worker. Only the worker writes its own, in this order; the
// master clears a slot (StateEmpty) before it gives it to a new worker.
const (
	StateEmpty State = iota
	StateBooting
	StateServing
	StateDraining
)

// String returns the state's name, as logs and status pages show it.
func (s State) String() string {
	switch s {
	case StateEmpty:
		return "empty"
	case StateBooting:
		return "booting"
	case StateServing:
		return "serving"
	case StateDraining:
		return "draining"
	}
	return fmt.Sprintf("State(%d)", uint32(s))
}

// BeatEvery is how often at most a worker records that it is alive.
const BeatEvery = 250 * time.Millisecond

// Slot is one worker's place on the scoreboard. Every field has one writer,
// the worker (the master only clears a slot nobody uses), so plain atomic
// stores suffice and a reader never blocks a writer.
type Slot struct {
	state       atomic.Uint32
	_           uint32
	Requests    atomic.Uint64 // requests answered
	Errors      atomic.Uint64 // of those, with a 5xx status
	Connections atomic.Int64  // open client connections
	BytesOut    atomic.Uint64 // bytes written to clients
	// Beat is the Clock time at which the worker's event loop turned, right to
	// BeatEvery; it turns at least every quarter of liveness_timeout, or BeatEvery.
	Beat atomic.Int64
	_    [80]byte
}

// State returns what the worker last said it does.
func (s *Slot) State() State { return State(s.state.Load()) }

// SetState is called by the worker only.
func (s *Slot) SetState(st State) { s.state.Store(uint32(st)) }

// Thread is the record of one application thread: the request it runs, if any.
// The owner writes it twice a request, so it is kept to one short copy and
// three atomic stores.
type Thread struct {
	// seq is odd while the owner changes the text fields, so that a reader can
	// tell a torn copy. A worker killed inside Begin leaves it odd for ever;
	// the reader then still has start.
	seq       atomic.Uint32
	methodLen uint16
	targetLen uint16
	start     atomic.Int64 // Monotonic of the call's start; 0 when idle
	taken     atomic.Int64 // start of the last call that took its connection over
	answered  atomic.Int64 // start of the call that was answered before it ended
	phase     atomic.Uint32
	addrLen   uint16
	addr      [maxAddr]byte
	method    [maxMethod]byte
	target    [MaxTarget]byte
	_         [20]byte // to a multiple of a cache line
}

// Phase is what a thread waits for in a call.
type Phase uint32

// Phases. A call is in the application unless it waits for its client.
const (
	InApplication Phase = iota
	Reading
	Writing
)

// String returns the phase as logs and status pages show it.
func (p Phase) String() string {
	switch p {
	case Reading:
		return "reading content"
	case Writing:
		return "writing"
	}
	return "in the application"
}

// SetPhase is called by the thread when it waits for its client, and again with
// InApplication when it goes on.
func (t *Thread) SetPhase(p Phase) { t.phase.Store(uint32(p)) }

// Begin records that the thread runs a request since now, a Monotonic time. Addr is
// the client's address as text. Method and target are cut to what the record holds.
func (t *Thread) Begin(now int64, addr, method, target []byte) {
	t.seq.Add(1)
	t.addrLen = uint16(copy(t.addr[:], addr))
	t.methodLen = uint16(copy(t.method[:], method))
	t.targetLen = uint16(copy(t.target[:], target))
	t.seq.Add(1)
	t.start.Store(now)
}

// SetAnswered says that the server has answered the request, and recorded it,
// although the thread still runs it.
func (t *Thread) SetAnswered() { t.answered.Store(t.start.Load()) }

// End records that the thread is idle.
func (t *Thread) End() { t.start.Store(0) }

// Take records that the application has taken the connection of the running request
// over.
func (t *Thread) Take() { t.taken.Store(t.start.Load()) }

// Started returns the Monotonic time the running request started, 0 when idle.
func (t *Thread) Started() int64 { return t.start.Load() }

// StartWord returns where Started is kept, for code that is not Go. It does not
// move while the scoreboard is mapped.
func (t *Thread) StartWord() unsafe.Pointer { return unsafe.Pointer(&t.start) }

// InFlight is a request a thread is running.
type InFlight struct {
	// Addr is the client's address, empty for a unix socket.
	Addr, Method, Target string
	// Since is how long it has been running.
	Since time.Duration
	Phase Phase
	// Taken says that the application took the connection over, for a WebSocket,
	// say, and that nobody expects it to end soon.
	Taken bool
	// Answered: the client has had its answer, and the access log its line.
	Answered bool
}

// InFlight returns the request the thread is running at the Monotonic time now.
// Of a record that was being written (or whose writer died doing so) only Since
// is returned.
func (t *Thread) InFlight(now int64) (InFlight, bool) {
	start := t.start.Load()
	if start == 0 {
		return InFlight{}, false
	}
	r := InFlight{Since: time.Duration(now - start), Phase: Phase(t.phase.Load()),
		Taken: t.taken.Load() == start, Answered: t.answered.Load() == start}
	seq := t.seq.Load()
	addr := string(t.addr[:min(int(t.addrLen), maxAddr)])
	method := string(t.method[:min(int(t.methodLen), maxMethod)])
	target := string(t.target[:min(int(t.targetLen), MaxTarget)])
	if seq&1 == 0 && t.seq.Load() == seq && t.start.Load() == start {
		r.Addr, r.Method, r.Target = addr, method, target
	}
	return r, true
}

// Global is the part of the scoreboard that belongs to no worker.
type Global struct {
	stopping atomic.Uint32
	heirs    atomic.Uint32
	// Queued counts the requests in the hand-off queue. Workers add one before
	// they put a request in and take one off when they have taken it out, so it
	// is the one field here they write. One that dies in between leaves it wrong
	// by one until the queue is seen empty.
	Queued atomic.Int64
}

// SetStopping says whether the service these workers are part of stops: nobody
// will listen on their sockets after them, and workers that drain keep their
// connections, for no sibling is left to take them.
func (g *Global) SetStopping(v bool) { g.stopping.Store(flag(v)) }

// Stopping returns what SetStopping said last, false at first.
func (g *Global) Stopping() bool { return g.stopping.Load() != 0 }

// SetHeirs says whether workers of another master, which are not on this
// scoreboard, take connections out of the hand-off queue.
func (g *Global) SetHeirs(v bool) { g.heirs.Store(flag(v)) }

// Heirs returns what SetHeirs said last, false at first.
func (g *Global) Heirs() bool { return g.heirs.Load() != 0 }

func flag(v bool) uint32 {
	if v {
		return 1
	}
	return 0
}

const (
	// page keeps the global part, and the slots of different workers, apart.
	page         = 4096
	slotHeader   = int(unsafe.Sizeof(Slot{}))
	threadRecord = int(unsafe.Sizeof(Thread{}))
)

// Scoreboard is a table in shared memory: the master makes it and maps it, every
// worker maps it too. It outlives the workers, so what one did last can be read
// after its death.
type Scoreboard struct {
	mem     []byte
	slots   int
	threads int
}

// scoreboardSize returns the bytes a scoreboard takes.
func scoreboardSize(slots, threads int) int { return page + slots*slotSize(threads) }

// slotSize keeps slots of different workers on different pages.
func slotSize(threads int) int {
	return (slotHeader + threads*threadRecord + page - 1) / page * page
}

// NewScoreboard makes an empty scoreboard in an anonymous memory file. Pages are
// allocated when touched, so unused slots cost nothing. The caller closes the
// file when no more workers will be given it.
func NewScoreboard(slots, threads int) (*Scoreboard, *os.File, error) {
	fd, err := unix.MemfdCreate("gowsgi-scoreboard", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("creating the scoreboard: %w", os.NewSyscallError("memfd_create", err))
	}
	f := os.NewFile(uintptr(fd), "scoreboard")
	if err := f.Truncate(int64(scoreboardSize(slots, threads))); err != nil {
		return nil, nil, fmt.Errorf("creating the scoreboard: %w", err)
	}
	sb, err := MapScoreboard(fd, slots, threads)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return sb, f, nil
}

// MapScoreboard maps the scoreboard behind fd, which may be closed afterwards.
func MapScoreboard(fd, slots, threads int) (*Scoreboard, error) {
	return mapScoreboard(fd, slots, threads, unix.PROT_READ|unix.PROT_WRITE)
}

// ReadScoreboard is MapScoreboard for who only looks: writing is a fault.
func ReadScoreboard(fd, slots, threads int) (*Scoreboard, error) {
	return mapScoreboard(fd, slots, threads, unix.PROT_READ)
}

func mapScoreboard(fd, slots, threads, prot int) (*Scoreboard, error) {
	size := scoreboardSize(slots, threads)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("mapping the scoreboard: %w", os.NewSyscallError("fstat", err))
	}
	if st.Size < int64(size) {
		return nil, fmt.Errorf("mapping the scoreboard: %d bytes, want %d", st.Size, size)
	}
	mem, err := unix.Mmap(fd, 0, size, prot, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping the scoreboard: %w", os.NewSyscallError("mmap", err))
	}
	return &Scoreboard{mem: mem, slots: slots, threads: threads}, nil
}

// Close unmaps the scoreboard. No Slot or Thread of it may be used afterwards.
func (s *Scoreboard) Close() error {
	mem := s.mem
	s.mem = nil
	return unix.Munmap(mem)
}

// Slots returns the number of slots.
func (s *Scoreboard) Slots() int { return s.slots }

// Threads returns the number of thread records a slot has.
func (s *Scoreboard) Threads() int { return s.threads }

// Global returns the master's part.
func (s *Scoreboard) Global() *Global { return (*Global)(unsafe.Pointer(&s.mem[0])) }

// slotAt returns where slot i begins.
func (s *Scoreboard) slotAt(i int) int { return page + i*slotSize(s.threads) }

// Slot returns slot i, 0 <= i < Slots.
func (s *Scoreboard) Slot(i int) *Slot {
	return (*Slot)(unsafe.Pointer(&s.mem[s.slotAt(i)]))
}

// Thread returns the record of thread j of slot i.
func (s *Scoreboard) Thread(i, j int) *Thread {
	if j < 0 || j >= s.threads {
		panic("ipc: no such thread")
	}
	return (*Thread)(unsafe.Pointer(&s.mem[s.slotAt(i)+slotHeader+j*threadRecord]))
}

// Clear empties slot i for a new worker. Only the master calls it, while no
// process uses the slot.
func (s *Scoreboard) Clear(i int) {
	clear(s.mem[s.slotAt(i):s.slotAt(i+1)])
}
