package worker

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"gowsgi/protocol/wsgi"
	"gowsgi/worker/python"
)

// fileRounds is how much of a file the application's thread sends itself, in
// calls, before it leaves the rest to the loop: small files need nobody else.
const fileRounds = 4

// SendFile implements python.Handler. The application's thread does not wait for
// the client: whatever the file's size, the loop sends what the socket does not
// take now.
func (t *thread) SendFile(fd int, off, size int64) (python.Code, string) {
	file := filePart{fd: fd, off: off, left: size}
	defer file.close() // unless it is the connection's by then
	switch {
	case t.py.Taken():
		return python.Gone, ""
	case t.resp.Status == 0:
		return python.Invalid, "the application did not call start_response"
	case t.headSent: // by write(), and perhaps in chunks
		return python.Iterate, ""
	}
	if !t.answer.begin() {
		return python.Gone, ""
	}
	head := t.openResponse(size)
	switch t.framing {
	case wsgi.None:
		file.close()
	case wsgi.Length:
		// If the file is shorter than the application said, that is noticed at its
		// end.
		if file.left = t.resp.ContentLength; file.left == 0 {
			_ = unix.Close(fd)
		}
	}
	t.sent = file.left
	t.complete = true
	return t.sendFile(head, &file), ""
}

// sendFile sends the head and what follows of the file, and leaves to the loop
// what the socket does not take.
func (t *thread) sendFile(head []byte, file *filePart) python.Code {
	if file.left == 0 {
		return t.send(head, nil, false)
	}
	c := t.c
	if c.behind {
		t.catchUp()
	}
	if !c.behind && !c.gone {
		head = head[t.sendHead(head):]
		for i := 0; i < fileRounds && len(head) == 0 && file.left > 0; i++ {
			n, err := file.send(c.fd)
			if err != nil {
				break // it comes again, on the loop
			}
			file.drop(n)
		}
	}
	if c.gone {
		return python.Gone
	}
	if file.left == 0 {
		return python.OK
	}
	e := t.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if c.out == nil {
		c.out = newOutput(c.fd, e.clock.Now())
	}
	c.out.add(head, &e.bufs)
	c.out.file = *file
	file.left = 0
	e.share(c)
	return python.OK
}

// sendHead sends the head of a response of which more follows at once, and returns
// how much of it went out.
func (t *thread) sendHead(head []byte) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(t.c.fd), uintptr(unsafe.Pointer(unsafe.SliceData(head))),
		uintptr(len(head)), unix.MSG_NOSIGNAL|unix.MSG_MORE, 0, 0)
	switch errno {
	case 0:
		return int(n)
	case unix.EAGAIN, unix.EINTR:
	default:
		t.c.gone = true
	}
	return 0
}
