package master

import (
	"encoding/json"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// twin is the other master of an upgrade (SIGUSR2): the new one, a child, or the
// old one, the parent. Both listen on the same sockets and serve; each may be
// stopped, and the other goes on.
//
//	old                                              new
//	 |  exec, descriptors and envHandover             |
//	 |----------------------------------------------->|  the same sockets, NAME.2
//	 |<---------- {"serving": n, "shares": true} -----|  workers are ready
//	 |----------- {"serving": m, "shares": true} ---->|
//	 |                                                |
//	 |  TERM, QUIT: leaves         or                 |  TERM, QUIT, death: leaves
//	 |============== end of the link ================>|  promoted: NAME
//	 |<============= end of the link =================|
//	 alone, as before
type twin struct {
	pid int
	// parent: it is the old one.
	parent bool
	link   twinLink
	// queue is the hand-off queue both use; nil if they do not share one.
	queue *queue
	// serving is how many of its workers take connections out of that queue.
	serving int
	// ready: all of its workers were ready once.
	ready bool
	// told is what it was told last.
	told twinMessage
}

// twinLink is this master's end of the socket pair between the two. Write never
// blocks. Read ends when the other master is gone, however it went.
type twinLink interface {
	io.ReadWriteCloser
	// Gone reports whether a Read would end now.
	Gone() bool
}

// twinMessage is one line of JSON on the link. Fields it does not know a master
// ignores: the two may be of different versions.
type twinMessage struct {
	// Serving is the number of workers that are ready, Ready that they once were
	// all of them.
	Serving int  `json:"serving"`
	Ready   bool `json:"ready"`
	// Shares says that they use the queue that was handed over.
	Shares bool `json:"shares"`
}

// twinEvent is something the other master said, or its end.
type twinEvent struct {
	t    *twin
	msg  twinMessage
	gone bool
}

// watchTwin reads the link until its end, or until done is closed.
func watchTwin(t *twin, events chan<- event, done <-chan struct{}) {
	send := func(e twinEvent) bool {
		select {
		case events <- e:
			return true
		case <-done:
			return false
		}
	}
	dec := json.NewDecoder(t.link)
	for {
		var msg twinMessage
		if err := dec.Decode(&msg); err != nil {
			send(twinEvent{t: t, gone: true})
			return
		}
		if !send(twinEvent{t: t, msg: msg}) {
			return
		}
	}
}

// apply implements event.
func (e twinEvent) apply(m *Master) {
	t := e.t
	if m.twin != t {
		return
	}
	if e.gone {
		m.twinGone()
		return
	}
	if e.msg.Ready && !t.ready && !t.parent {
		m.log.Info().Int("master", t.pid).Int("workers", e.msg.Serving).
			Msgf("New master (pid:%d) is ready: %d workers", t.pid, e.msg.Serving)
	}
	t.ready, t.serving = e.msg.Ready, e.msg.Serving
	if !e.msg.Shares {
		t.serving = 0
	}
	m.tellBoards()
}

// twinGone goes on alone.
func (m *Master) twinGone() {
	t := m.twin
	m.twin = nil
	if err := t.link.Close(); err != nil {
		m.log.Warn().Err(err).Msg("closing the link to the other master")
	}
	if t.queue != nil {
		if err := t.queue.releaseUnused(); err != nil {
			m.log.Warn().Err(err).Msg("closing a hand-off queue")
		}
	}
	m.tellBoards()
	if t.parent {
		m.promote()
	}
}

// promote makes the new master the only one, under the old one's name.
func (m *Master) promote() {
	m.name = masterName
	m.log.Info().Msg("Master has been promoted.")
	if m.pidFile != nil {
		if err := m.pidFile.rename(m.gen.cfg.PIDFile); err != nil {
			m.log.Error().Err(err).Msg("The pid file could not be renamed")
		}
	}
	m.manager.status = "" // nobody has heard it
	if m.announced {
		m.notify("READY=1")
	}
}

// tellTwin says how many workers serve, if that changed.
func (m *Master) tellTwin() {
	if m.twin == nil {
		return
	}
	_, ready := m.count()
	msg := twinMessage{Serving: ready, Ready: m.announced, Shares: m.board != nil && m.board.queue == m.twin.queue}
	if m.stop != nil {
		msg.Serving = 0
	}
	if msg == m.twin.told {
		return
	}
	line, err := json.Marshal(msg)
	if err == nil {
		_, err = m.twin.link.Write(append(line, '\n'))
	}
	if err != nil {
		m.log.Debug().Err(err).Msg("telling the other master")
		return // it is gone, which its end of the link tells, or tried again
	}
	m.twin.told = msg
}

// osLink is a twinLink on a real socket.
type osLink struct{ file *os.File }

func newLink(fd int) (*osLink, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	unix.CloseOnExec(fd)
	return &osLink{os.NewFile(uintptr(fd), "twin")}, nil
}

func (l *osLink) Read(b []byte) (int, error) { return l.file.Read(b) }

// Close implements io.Closer. It also ends a Read that waits.
func (l *osLink) Close() error { return l.file.Close() }

// Write implements io.Writer: past the poller, which would wait for room.
func (l *osLink) Write(b []byte) (n int, err error) {
	conn, err := l.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var errno error
	err = conn.Control(func(fd uintptr) {
		n, errno = unix.SendmsgN(int(fd), b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	})
	if err == nil {
		err = os.NewSyscallError("sendmsg", errno)
	}
	return n, err
}

// Gone implements twinLink.
func (l *osLink) Gone() bool {
	conn, err := l.file.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = conn.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		_, err := unix.Poll(fds, 0)
		gone = err == nil && fds[0].Revents&(unix.POLLRDHUP|unix.POLLHUP) != 0
	})
	return gone || err != nil
}
