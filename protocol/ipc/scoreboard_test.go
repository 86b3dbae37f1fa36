package ipc

import (
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// newBoard returns a scoreboard and a second mapping of it, as a worker has.
func newBoard(t *testing.T, slots, threads int) (master, worker *Scoreboard) {
	t.Helper()
	master, file, err := NewScoreboard(slots, threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	worker, err = MapScoreboard(int(file.Fd()), slots, threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { worker.Close() })
	// Mappings outlive the descriptor.
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return master, worker
}

// TestLayout pins the sizes: slots of different workers share no page, threads
// no cache line's worth of each other's hot fields.
func TestLayout(t *testing.T) {
	t.Parallel()
	if got := unsafe.Sizeof(Slot{}); got%64 != 0 {
		t.Errorf("Slot is %d bytes, want whole cache lines", got)
	}
	if got := unsafe.Sizeof(Thread{}); got%64 != 0 {
		t.Errorf("Thread is %d bytes, want whole cache lines", got)
	}
	for _, threads := range []int{1, 2, 8, 11, 12, 13, 100} {
		size := slotSize(threads)
		if size%4096 != 0 {
			t.Errorf("slot with %d threads is %d bytes, want whole pages", threads, size)
		}
		if need := slotHeader + threads*threadRecord; size < need || size >= need+4096 {
			t.Errorf("slot with %d threads is %d bytes, needs %d", threads, size, need)
		}
	}
}

func TestTwoMappingsShareEverySlot(t *testing.T) {
	t.Parallel()
	const slots, threads = 5, 13
	master, worker := newBoard(t, slots, threads)
	if worker.Slots() != slots || worker.Threads() != threads {
		t.Fatalf("shape %d x %d, want %d x %d", worker.Slots(), worker.Threads(), slots, threads)
	}
	for i := range slots {
		s := worker.Slot(i)
		s.SetState(StateServing)
		s.Requests.Store(uint64(100 + i))
		s.Errors.Store(uint64(200 + i))
		s.Connections.Store(int64(-300 - i))
		s.BytesOut.Store(uint64(400 + i))
		for j := range threads {
			worker.Thread(i, j).Begin(int64(1000*i+j+1), []byte("192.0.2.1"), []byte("GET"), []byte{'/', byte('a' + i), byte('a' + j)})
		}
	}
	for i := range slots {
		s := master.Slot(i)
		if s.State() != StateServing || s.Requests.Load() != uint64(100+i) || s.Errors.Load() != uint64(200+i) ||
			s.Connections.Load() != int64(-300-i) || s.BytesOut.Load() != uint64(400+i) {
			t.Errorf("slot %d is not what its worker wrote", i)
		}
		for j := range threads {
			r, ok := master.Thread(i, j).InFlight(int64(1000*i + j + 1 + 7))
			want := InFlight{Addr: "192.0.2.1", Method: "GET", Target: string([]byte{'/', byte('a' + i), byte('a' + j)}), Since: 7}
			if !ok || r != want {
				t.Errorf("slot %d thread %d: %+v, %v, want %+v", i, j, r, ok, want)
			}
		}
	}
}

func TestClearTouchesOneSlot(t *testing.T) {
	t.Parallel()
	master, worker := newBoard(t, 3, 2)
	for i := range 3 {
		worker.Slot(i).SetState(StateDraining)
		worker.Slot(i).Requests.Store(9)
		worker.Thread(i, 1).Begin(5, []byte("192.0.2.1"), []byte("POST"), []byte("/x"))
	}
	master.Clear(1)
	for i := range 3 {
		_, busy := worker.Thread(i, 1).InFlight(6)
		cleared := worker.Slot(i).State() == StateEmpty && worker.Slot(i).Requests.Load() == 0 && !busy
		if cleared != (i == 1) {
			t.Errorf("slot %d cleared: %v", i, cleared)
		}
	}
}

func TestThreadRecord(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1000)
	for _, tt := range []struct {
		name           string
		method, target string
		want           InFlight
	}{
		{"plain", "GET", "/report?id=7", InFlight{"192.0.2.1", "GET", "/report?id=7", time.Second, InApplication, false, false}},
		{"empty", "", "", InFlight{"192.0.2.1", "", "", time.Second, InApplication, false, false}},
		{"target at the limit", "GET", long[:MaxTarget], InFlight{"192.0.2.1", "GET", long[:MaxTarget], time.Second, InApplication, false, false}},
		{"both cut", long, long, InFlight{"192.0.2.1", long[:maxMethod], long[:MaxTarget], time.Second, InApplication, false, false}},
		{"any bytes", "GET", "/\x00\xff\n", InFlight{"192.0.2.1", "GET", "/\x00\xff\n", time.Second, InApplication, false, false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			master, worker := newBoard(t, 1, 1)
			w, m := worker.Thread(0, 0), master.Thread(0, 0)
			if r, ok := m.InFlight(1); ok {
				t.Errorf("a new record runs %+v", r)
			}
			const start = 5
			w.Begin(start, []byte("192.0.2.1"), []byte(tt.method), []byte(tt.target))
			if m.Started() != start {
				t.Errorf("Started = %d, want %d", m.Started(), start)
			}
			if r, ok := m.InFlight(start + int64(time.Second)); !ok || r != tt.want {
				t.Errorf("got %+v, %v, want %+v", r, ok, tt.want)
			}
			for _, phase := range []Phase{Reading, Writing, InApplication} {
				w.SetPhase(phase)
				if r, _ := m.InFlight(start + 1); r.Phase != phase {
					t.Errorf("phase %v, want %v", r.Phase, phase)
				}
			}
			w.Take()
			if r, _ := m.InFlight(start); !r.Taken {
				t.Error("a connection that was taken over does not show")
			}
			w.Begin(start+1, nil, nil, nil)
			if r, _ := m.InFlight(start + 1); r.Taken {
				t.Error("the next request shows as taken over")
			}
			w.End()
			if r, ok := m.InFlight(start + 1); ok || m.Started() != 0 {
				t.Errorf("an ended record runs %+v since %d", r, m.Started())
			}
		})
	}
}

// TestShorterTextLeavesNoTail: a record is reused for every request.
func TestShorterTextLeavesNoTail(t *testing.T) {
	t.Parallel()
	master, worker := newBoard(t, 1, 1)
	w := worker.Thread(0, 0)
	w.Begin(1, []byte("192.0.2.1"), []byte("DELETE"), []byte("/long/target"))
	w.End()
	w.Begin(2, []byte("192.0.2.1"), []byte("GET"), []byte("/"))
	if r, _ := master.Thread(0, 0).InFlight(3); r.Method != "GET" || r.Target != "/" {
		t.Errorf("got %+v, want GET /", r)
	}
}

// TestDeadWriter: a worker killed inside Begin leaves an odd sequence; its
// request is then known by its age alone.
func TestDeadWriter(t *testing.T) {
	t.Parallel()
	master, worker := newBoard(t, 1, 1)
	w := worker.Thread(0, 0)
	w.Begin(10, []byte("192.0.2.1"), []byte("GET"), []byte("/half"))
	w.seq.Add(1)
	if r, ok := master.Thread(0, 0).InFlight(30); !ok || r != (InFlight{Since: 20}) {
		t.Errorf("got %+v, %v, want only Since 20", r, ok)
	}
}

// TestLengthsOutOfRange: the lengths are in memory a broken worker can write.
func TestLengthsOutOfRange(t *testing.T) {
	t.Parallel()
	master, worker := newBoard(t, 1, 1)
	w := worker.Thread(0, 0)
	w.Begin(1, []byte("192.0.2.1"), []byte("GET"), []byte("/"))
	w.methodLen, w.targetLen = 65535, 65535
	r, ok := master.Thread(0, 0).InFlight(2)
	if !ok || len(r.Method) != maxMethod || len(r.Target) != MaxTarget {
		t.Errorf("got %d and %d bytes, %v", len(r.Method), len(r.Target), ok)
	}
}

func TestNoSuchRecord(t *testing.T) {
	t.Parallel()
	master, _ := newBoard(t, 2, 3)
	for name, f := range map[string]func(){
		"thread beyond the last": func() { master.Thread(0, 3) },
		"negative thread":        func() { master.Thread(0, -1) },
		"slot beyond the last":   func() { master.Slot(2) },
		"slot of a thread":       func() { master.Thread(2, 0) },
		"clear beyond the last":  func() { master.Clear(2) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

// TestMapRefusesASmallFile: beyond the end of the file a mapping is SIGBUS.
func TestMapRefusesASmallFile(t *testing.T) {
	t.Parallel()
	master, file, err := NewScoreboard(2, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer file.Close()
	if sb, err := MapScoreboard(int(file.Fd()), 3, 1); err == nil {
		sb.Close()
		t.Error("mapped three slots of a file of two")
	}
	if _, err := MapScoreboard(-1, 2, 1); err == nil {
		t.Error("mapped a closed descriptor")
	}
}

// TestFileIsCloseOnExec: only workers are given the scoreboard.
func TestFileIsCloseOnExec(t *testing.T) {
	t.Parallel()
	sb, file, err := NewScoreboard(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Close()
	defer file.Close()
	flags, err := unix.FcntlInt(file.Fd(), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("F_GETFD = %#x, %v: want FD_CLOEXEC", flags, err)
	}
}

// TestTornReads: a reader sees one request's text or none, never a mix. The
// two mappings are different addresses, so the race detector, which knows
// addresses only, does not object to a protocol that is meant to race.
func TestTornReads(t *testing.T) {
	t.Parallel()
	master, worker := newBoard(t, 1, 1)
	w, m := worker.Thread(0, 0), master.Thread(0, 0)
	var texts [8]string
	for i := range texts {
		texts[i] = strings.Repeat(string(rune('a'+i)), 16+i*30)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := int64(1); ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			s := texts[n%int64(len(texts))]
			w.Begin(n, []byte("192.0.2.1"), []byte(s[:16]), []byte(s))
			w.End()
		}
	})
	whole := 0
	deadline := time.Now().Add(20 * time.Second)
	for n := 0; (n < 200_000 || whole < 100) && time.Now().Before(deadline); n++ {
		r, ok := m.InFlight(1 << 40)
		if !ok || r.Target == "" {
			continue
		}
		whole++
		if want := texts[r.Target[0]-'a']; r.Target != want || r.Method != want[:16] {
			t.Errorf("torn record %+v", r)
			break
		}
	}
	close(stop)
	wg.Wait()
	if whole == 0 {
		t.Error("never saw a whole record")
	}
}

func TestStateNames(t *testing.T) {
	t.Parallel()
	for st, want := range map[State]string{
		StateEmpty: "empty", StateBooting: "booting", StateServing: "serving", StateDraining: "draining", State(9): "State(9)",
	} {
		if got := st.String(); got != want {
			t.Errorf("State %d is %q, want %q", uint32(st), got, want)
		}
	}
}

// TestClockIsTheKernels: times of two processes must be comparable.
func TestClockIsTheKernels(t *testing.T) {
	t.Parallel()
	c := NewClock()
	for range 3 {
		before := kernelNow(t)
		got := c.Now()
		after := kernelNow(t)
		// NewClock reads two clocks one after the other.
		const slack = int64(50 * time.Millisecond)
		if got < before-slack || got > after+slack {
			t.Errorf("Now = %d, want within [%d, %d]", got, before, after)
		}
	}
}

func kernelNow(t *testing.T) int64 {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	return ts.Nano()
}

// TestGlobal: the master's part is seen by workers and touches no slot.
func TestGlobal(t *testing.T) {
	t.Parallel()
	master, worker := newBoard(t, 2, 1)
	worker.Slot(0).SetState(StateServing)
	if worker.Global().Stopping() {
		t.Error("a new scoreboard says that the server stops")
	}
	master.Global().SetStopping(true)
	master.Clear(1)
	if !worker.Global().Stopping() || worker.Slot(0).State() != StateServing || worker.Slot(1).State() != StateEmpty {
		t.Errorf("stopping %v, states %v, %v", worker.Global().Stopping(), worker.Slot(0).State(), worker.Slot(1).State())
	}
}
