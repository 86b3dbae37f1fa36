package worker

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// outBuffer is the size of the buffers output is kept in.
	outBuffer = 32 << 10
	// outVectors is how many of them go out in one call.
	outVectors = 16
)

// output is what the socket has not taken yet of a connection's responses: bytes,
// and behind them a part of a file. A connection that waits for nothing of the
// kind has none.
type output struct {
	// bufs holds the bytes, in buffers of the pool: the first from at on, the
	// last up to end. n is how many they are.
	bufs    [][]byte
	at, end int
	n       int

	file filePart
	pace outputPace
}

// outputPace is how fast the client takes what waits for it. What its kernel has
// acknowledged counts as taken: between a slow client and this process there can
// be megabytes in the kernel, whose way out the process would not see for minutes.
type outputPace struct {
	since  int64 // ipc.Clock time since when something waits
	moved  int64 // bytes given to the socket since then
	first  int   // bytes in the socket's queue then
	queued int   // and when it was looked at last
}

// newOutput returns an empty output for the socket fd, whose client is waited for
// from now on.
func newOutput(fd int, now int64) *output {
	q := unsent(fd)
	return &output{pace: outputPace{since: now, first: q, queued: q}}
}

// add copies p behind what is there.
func (o *output) add(p []byte, pool *buffers) {
	o.n += len(p)
	for len(p) > 0 {
		if len(o.bufs) == 0 || o.end == outBuffer {
			o.bufs = append(o.bufs, pool.get(outBuffer))
			o.end = 0
		}
		n := copy(o.bufs[len(o.bufs)-1][o.end:], p)
		o.end += n
		p = p[n:]
	}
}

// empty reports whether all is sent.
func (o *output) empty() bool { return o.n == 0 && o.file.left == 0 }

// write gives some of o to the socket and returns how much, for drop. It does not
// block, but for a file that has to be read from a disk. The error is unix.EAGAIN,
// unix.EINTR, errFileShort, or says that the connection is broken.
func (o *output) write(fd int) (int, error) {
	if o.n == 0 {
		return o.file.send(fd)
	}
	var iov [outVectors]unix.Iovec
	msg := unix.Msghdr{Iov: &iov[0]}
	used := min(len(o.bufs), outVectors)
	msg.SetIovlen(used)
	for i, b := range o.bufs[:used] {
		if i == len(o.bufs)-1 {
			b = b[:o.end]
		}
		if i == 0 {
			b = b[o.at:]
		}
		iov[i].Base = unsafe.SliceData(b)
		iov[i].SetLen(len(b))
	}
	flags := uintptr(unix.MSG_NOSIGNAL)
	if o.file.left > 0 {
		flags |= unix.MSG_MORE
	}
	n, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), flags)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// drop forgets the first n bytes, which are sent, and gives buffers back.
func (o *output) drop(n int, pool *buffers) {
	if o.n == 0 {
		o.file.drop(n)
		return
	}
	o.n -= n
	o.at += n
	for o.at >= outBuffer || o.n == 0 && len(o.bufs) > 0 {
		pool.put(o.bufs[0])
		o.bufs[0] = nil
		o.bufs = o.bufs[1:]
		o.at -= outBuffer
	}
	if o.n == 0 {
		o.bufs, o.at, o.end = nil, 0, 0
	}
}

// discard gives everything back unsent.
func (o *output) discard(pool *buffers) {
	for _, b := range o.bufs {
		pool.put(b)
	}
	o.bufs, o.n = nil, 0
	o.file.close()
}

// progress notes that n bytes went into the socket fd. It reports false if the
// client is slower than p allows.
func (o *output) progress(fd, n int, now int64, p pace) bool {
	o.pace.moved += int64(n)
	o.pace.queued = unsent(fd)
	return o.pace.fastEnough(now, p)
}

// taking reports, after a while without progress, whether the client took
// something of what is in the kernel, and fast enough.
func (o *output) taking(fd int, now int64, p pace) bool {
	q := unsent(fd)
	if q >= o.pace.queued {
		return false
	}
	o.pace.queued = q
	return o.pace.fastEnough(now, p)
}

func (s *outputPace) fastEnough(now int64, p pace) bool {
	return !p.tooSlow(now-s.since, s.moved+int64(s.first-s.queued))
}

// unsent returns how many bytes the client has not acknowledged yet.
func unsent(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}

// filePart is a part of a file that is sent as it is. It owns the descriptor.
type filePart struct {
	fd        int
	off, left int64
}

// fileRound bounds how much of a file is sent at a time: meanwhile nobody else is
// served, and what is not in memory is read from the disk.
const fileRound = 512 << 10

// errFileShort says that the file ends before the part does.
var errFileShort = errors.New("the file has become shorter")

// send gives the socket some of the file. It does not move the file's offset,
// which may be shared.
func (f *filePart) send(fd int) (int, error) {
	off := f.off
	n, err := unix.Sendfile(fd, f.fd, &off, int(min(f.left, fileRound)))
	if err == unix.EINVAL || err == unix.ENOSYS {
		n, err = f.copy(fd) // not every file system can
	}
	if err == nil && n == 0 {
		err = errFileShort
	}
	return max(n, 0), err
}

// copy is send by way of memory.
func (f *filePart) copy(fd int) (int, error) {
	var buf [smallBody]byte
	n, err := unix.Pread(f.fd, buf[:min(f.left, int64(len(buf)))], f.off)
	if n <= 0 || err != nil {
		return 0, err
	}
	n, errno := rawSend(fd, buf[:n])
	if errno != 0 {
		return 0, errno
	}
	return n, nil
}

func (f *filePart) drop(n int) {
	f.off += int64(n)
	if f.left -= int64(n); f.left == 0 {
		_ = unix.Close(f.fd)
	}
}

func (f *filePart) close() {
	if f.left > 0 {
		f.left = 0
		_ = unix.Close(f.fd)
	}
}
