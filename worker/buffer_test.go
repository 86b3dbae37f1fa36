package worker

import (
	"math/rand/v2"
	"testing"
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

// TestBuffersKept: what is kept of a size is bounded, so that one burst of large
// requests is not remembered for ever.
func TestBuffersKept(t *testing.T) {
	t.Parallel()
	for _, size := range []int{32 << 10, maxPooled} {
		var p buffers
		var held [][]byte
		for range 3 * keptBytes / size {
			held = append(held, p.get(size))
		}
		for _, b := range held {
			p.put(b)
		}
		if got := len(p.large[size]) * size; got != keptBytes {
			t.Errorf("%d bytes: %d are kept, want %d", size, got, keptBytes)
		}
	}
	var p buffers
	p.put(p.get(2 * maxPooled))
	if n := len(p.large[2*maxPooled]); n != 0 {
		t.Errorf("%d buffers above maxPooled are kept, want none", n)
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
