package worker

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Read buffers are not Go memory: C keeps pointers into them for the length of a
// call, and the collector need not know them. Small ones are cut from slabs, which
// stay mapped, but the pages of those beyond keptBytes are given back; large ones
// are mapped one by one and unmapped: not at once, for a page that is new costs more
// than what is then read into it, but when nobody has needed them for a while.
const (
	minBuffer = 8 << 10
	slabSize  = 256 << 10
	// maxPooled is the largest size that is kept, keptBytes how much of each: two
	// of the largest, for the content of uploads; burstBytes while they come.
	maxPooled  = 2 << 20
	keptBytes  = 4 << 20
	burstBytes = 64 << 20
	// trimEvery is how often it is looked what nobody has needed meanwhile.
	trimEvery = time.Second
)

// buffers is the pool of one engine, guarded by its mutex.
type buffers struct {
	small [][]byte
	// cold are small buffers without memory of their own until they are written to:
	// what a burst of connections leaves behind.
	cold  [][]byte
	large map[int]*sizeClass
	// over: more than keptBytes of a size is kept, and trim is due.
	over bool
}

// sizeClass is what is kept of a size.
type sizeClass struct {
	free [][]byte
	// idle is how many at least have been free since the last trim.
	idle int
}

// get returns a buffer of at least n bytes. The content is whatever was there.
func (p *buffers) get(n int) []byte {
	if n <= minBuffer {
		from := &p.small
		if len(p.small) == 0 {
			if from = &p.cold; len(p.cold) == 0 {
				p.cutSlab()
			}
		}
		last := len(*from) - 1
		b := (*from)[last]
		*from = (*from)[:last]
		return b
	}
	size := bufferSize(n)
	c := p.large[size]
	if c == nil || len(c.free) == 0 {
		return mapMemory(size)
	}
	last := len(c.free) - 1
	b := c.free[last]
	c.free = c.free[:last]
	c.idle = min(c.idle, last)
	return b
}

// put takes a buffer of get back.
func (p *buffers) put(b []byte) {
	switch size := len(b); {
	case size == minBuffer && len(p.small) < keptBytes/minBuffer:
		p.small = append(p.small, b)
	case size == minBuffer:
		_ = unix.Madvise(b, unix.MADV_DONTNEED)
		p.cold = append(p.cold, b)
	case size <= maxPooled:
		p.keep(b)
	default:
		unmap(b)
	}
}

// keep keeps a large buffer, unless there are many.
func (p *buffers) keep(b []byte) {
	c := p.large[len(b)]
	if c == nil {
		if p.large == nil {
			p.large = make(map[int]*sizeClass)
		}
		c = new(sizeClass)
		p.large[len(b)] = c
	}
	kept := len(c.free) * len(b)
	if kept >= burstBytes {
		unmap(b)
		return
	}
	c.free = append(c.free, b)
	p.over = p.over || kept >= keptBytes
}

// trim unmaps what nobody has needed since it was called last, but for keptBytes of
// each size.
func (p *buffers) trim() {
	p.over = false
	for size, c := range p.large {
		n := max(0, min(c.idle, len(c.free)-keptBytes/size))
		for _, b := range c.free[:n] {
			unmap(b)
		}
		c.free = slices.Delete(c.free, 0, n)
		c.idle = len(c.free)
		p.over = p.over || len(c.free)*size > keptBytes
	}
}

// unmap is for slices that Mmap returned, so it cannot fail.
func unmap(b []byte) { _ = unix.Munmap(b) }

// bufferSize rounds up to a power of four times minBuffer, then to pages.
func bufferSize(n int) int {
	for size := minBuffer * 4; size <= maxPooled; size *= 4 {
		if n <= size {
			return size
		}
	}
	const page = 4096
	return (n + page - 1) / page * page
}

func (p *buffers) cutSlab() {
	slab := mapMemory(slabSize)
	for i := 0; i < slabSize; i += minBuffer {
		p.cold = append(p.cold, slab[i:i+minBuffer:i+minBuffer])
	}
}

func mapMemory(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		// As with any other allocation in Go: there is nothing to fall back on.
		panic(fmt.Sprintf("worker: mapping %d bytes: %v", n, err))
	}
	return b
}
