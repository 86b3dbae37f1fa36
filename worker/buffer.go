package worker

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Read buffers are not Go memory: C keeps pointers into them for the length of a
// call, and the collector need not know them. Small ones are cut from slabs, which
// stay mapped, but the pages of those beyond keptBytes are given back; large ones
// are mapped one by one and unmapped.
const (
	minBuffer = 8 << 10
	slabSize  = 256 << 10
	// maxPooled is the largest size that is kept, keptBytes how much of each: two
	// of the largest, for the content of uploads.
	maxPooled = 2 << 20
	keptBytes = 4 << 20
)

// buffers is the pool of one engine, guarded by its mutex.
type buffers struct {
	small [][]byte
	// cold are small buffers without memory of their own until they are written to:
	// what a burst of connections leaves behind.
	cold  [][]byte
	large map[int][][]byte
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
	if kept := p.large[size]; len(kept) > 0 {
		p.large[size] = kept[:len(kept)-1]
		return kept[len(kept)-1]
	}
	return mapMemory(size)
}

// put takes a buffer of get back.
func (p *buffers) put(b []byte) {
	switch size := len(b); {
	case size == minBuffer && len(p.small) < keptBytes/minBuffer:
		p.small = append(p.small, b)
	case size == minBuffer:
		_ = unix.Madvise(b, unix.MADV_DONTNEED)
		p.cold = append(p.cold, b)
	case size <= maxPooled && len(p.large[size])*size < keptBytes:
		if p.large == nil {
			p.large = make(map[int][][]byte)
		}
		p.large[size] = append(p.large[size], b)
	default:
		// The slice is one that Mmap returned, so this cannot fail.
		_ = unix.Munmap(b)
	}
}

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
