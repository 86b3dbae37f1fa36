package worker

import (
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"
)

func TestBufferSizes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ n, size int }{
		{0, 8 << 10},
		{1, 8 << 10},
		{8 << 10, 8 << 10},
		{8<<10 + 1, 32 << 10},
		{32 << 10, 32 << 10},
		{32<<10 + 1, 128 << 10},
		{maxPooled, maxPooled},
		{maxPooled + 1, maxPooled + 4096},
		{maxPooled + 4096, maxPooled + 4096},
		{3 * maxPooled, 3 * maxPooled},
	} {
		var p buffers
		b := p.get(tt.n)
		if len(b) != tt.size || cap(b) != tt.size {
			t.Errorf("get(%d): got %d bytes, capacity %d, want %d", tt.n, len(b), cap(b), tt.size)
		}
		b[0], b[len(b)-1] = 1, 1 // it is memory
		p.put(b)
	}
}

func TestBufferReuse(t *testing.T) {
	t.Parallel()
	for _, size := range []int{minBuffer, 32 << 10, maxPooled} {
		var p buffers
		a := p.get(size)
		p.put(a)
		if b := p.get(size); unsafe.SliceData(a) != unsafe.SliceData(b) {
			t.Errorf("%d bytes: got other memory, want what was given back", size)
		}
	}
}

// TestBuffersKept: what is kept of a size is bounded, and one burst of large requests
// is not remembered for ever: what was in use between two trims stays.
func TestBuffersKept(t *testing.T) {
	t.Parallel()
	for _, size := range []int{512 << 10, maxPooled} {
		var p buffers
		use := func(n int) {
			var held [][]byte
			for range n {
				held = append(held, p.get(size))
			}
			for _, b := range held {
				p.put(b)
			}
		}
		check := func(when string, want int, over bool) {
			t.Helper()
			if got := len(p.large[size].free) * size; got != want || p.over != over {
				t.Errorf("%d bytes, %s: %d are kept, over %v, want %d, %v", size, when, got, p.over, want, over)
			}
		}
		use(keptBytes / size)
		check("few", keptBytes, false)
		use(2 * burstBytes / size)
		check("burst", burstBytes, true)
		p.trim()
		check("right behind it", burstBytes, true)
		use(burstBytes / 2 / size)
		p.trim()
		check("half of them in use", burstBytes/2, true)
		use(burstBytes / 2 / size)
		p.trim()
		check("half of them in use again", burstBytes/2, true)
		p.trim()
		check("none in use", keptBytes, false)
		p.trim()
		check("none in use, for long", keptBytes, false)
	}
	var p buffers
	p.put(p.get(2 * maxPooled))
	if len(p.large) > 0 {
		t.Error("a buffer above maxPooled is kept")
	}
}

// TestTrimBuffers: the loop trims, and does not sleep for longer while it is due.
func TestTrimBuffers(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig())
	if ms := r.patience(r.clock.Now()); ms >= 0 {
		t.Fatalf("the loop of an idle worker sleeps %d ms, want for ever", ms)
	}
	var held [][]byte
	for range 4 * keptBytes / maxPooled {
		held = append(held, r.bufs.get(maxPooled))
	}
	for _, b := range held {
		r.bufs.put(b)
	}
	now := r.clock.Now()
	for range 3 {
		r.trimBuffers(now)
		if ms := r.patience(now); r.bufs.over && (ms < 0 || ms > int(trimEvery/time.Millisecond)) {
			t.Fatalf("the loop sleeps %d ms", ms)
		}
		now += int64(trimEvery)
	}
	if r.bufs.over || len(r.bufs.large[maxPooled].free)*maxPooled != keptBytes {
		t.Errorf("%d buffers are kept", len(r.bufs.large[maxPooled].free))
	}
	if ms := r.patience(now); ms >= 0 {
		t.Errorf("the loop sleeps %d ms then, want for ever", ms)
	}
}

// TestSmallBuffersGiveMemoryBack: after a burst only a part of the small buffers
// still has memory, and the others can be used again.
func TestSmallBuffersGiveMemoryBack(t *testing.T) {
	t.Parallel()
	var p buffers
	var held [][]byte
	for range 3 * keptBytes / minBuffer {
		b := p.get(minBuffer)
		b[0] = 1
		held = append(held, b)
	}
	for _, b := range held {
		p.put(b)
	}
	if len(p.small) != keptBytes/minBuffer || len(p.cold) < 2*keptBytes/minBuffer {
		t.Errorf("%d buffers are kept with memory, %d without", len(p.small), len(p.cold))
	}
	for _, b := range p.cold {
		if b[0] != 0 { // it would still be 1
			t.Fatal("a buffer kept its memory")
		}
	}
	for range held {
		if b := p.get(minBuffer); len(b) != minBuffer {
			t.Fatalf("got %d bytes", len(b))
		}
	}
}

// TestBuffersAreApart: no byte belongs to two users, whatever is taken and given
// back in between.
func TestBuffersAreApart(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	var p buffers
	type user struct {
		b    []byte
		mark byte
	}
	var users []user
	for step := range 5000 {
		if len(users) > 0 && (len(users) > 40 || rnd.IntN(2) == 0) {
			i := rnd.IntN(len(users))
			u := users[i]
			for _, at := range []int{0, len(u.b) / 2, len(u.b) - 1} {
				if u.b[at] != u.mark {
					t.Fatalf("step %d: byte %d of %d changed", step, at, len(u.b))
				}
			}
			users[i] = users[len(users)-1]
			users = users[:len(users)-1]
			p.put(u.b)
			continue
		}
		u := user{p.get(1 + rnd.IntN(2<<rnd.IntN(21))), byte(step)}
		u.b[0], u.b[len(u.b)/2], u.b[len(u.b)-1] = u.mark, u.mark, u.mark
		users = append(users, u)
	}
	for i, a := range users {
		for _, b := range users[i+1:] {
			if overlap(a.b, b.b) {
				t.Fatal("two users share memory")
			}
		}
	}
}

// TestSlab: the buffers of a slab lie side by side and cannot grow into each
// other.
func TestSlab(t *testing.T) {
	t.Parallel()
	var p buffers
	var all [][]byte
	for range 2 * slabSize / minBuffer {
		all = append(all, p.get(1))
	}
	for i, a := range all {
		if len(a) != minBuffer || cap(a) != minBuffer {
			t.Fatalf("got %d bytes, capacity %d", len(a), cap(a))
		}
		for _, b := range all[i+1:] {
			if overlap(a, b) {
				t.Fatal("two buffers share memory")
			}
		}
	}
}

func overlap(a, b []byte) bool {
	pa, pb := uintptr(unsafe.Pointer(unsafe.SliceData(a))), uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	return pa < pb+uintptr(len(b)) && pb < pa+uintptr(len(a))
}
