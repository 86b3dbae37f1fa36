package master

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// sweepListeners closes the sockets no generation needs any more. While another
// one is being prepared it waits: that may take any of them over.
func (m *Master) sweepListeners() {
	if m.preparing || m.stop != nil {
		return
	}
	keep := slices.Clone(m.gen.listeners)
	if m.reload != nil && !m.reload.committed {
		keep = append(keep, without(m.reload.prev.listeners, keep)...)
	}
	for _, l := range without(m.sockets, keep) {
		m.letGo(l)
	}
	m.sockets = slices.DeleteFunc(m.sockets, func(l *listener) bool { return !slices.Contains(keep, l) })
}

// letGo closes the master's descriptor of a socket, after seeing to it that no
// new connection is begun: those that wait are for the workers that leave. With
// another master on the same socket it only closes it.
func (m *Master) letGo(l *listener) {
	if m.twin == nil {
		if err := l.hush(); err != nil {
			m.log.Debug().Err(err).Str("addr", l.addr).Msg("connections may still come in while the socket is closed")
		}
	}
	if err := l.close(); err != nil {
		m.log.Warn().Err(err).Msg("closing a listener")
	}
}

// hush lets nobody connect any more, while connections that were begun go on to
// be established and can be accepted. Closing a listening socket resets what waits
// in its queue, and between the last accept and the close there is always a moment;
// after hush nothing comes in that moment.
//
// The file of a unix socket is removed. On a TCP socket a filter drops segments
// that open a connection: the client sends another one after a second, and is
// refused then, or served by whoever listens by then. Accepted sockets inherit
// the filter; it takes nothing from them.
func (l *listener) hush() error {
	switch {
	case l.fd < 0 || l.borrowed:
		return nil
	case l.network == "unix":
		return l.unlink()
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptSockFprog(l.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(dropSYN)), Filter: &dropSYN[0]}))
}

// dropSYN is a classic BPF program over a TCP segment that drops those with SYN
// and without ACK.
var dropSYN = [...]unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13}, // the flags
	{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 0x12},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0x02, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
}

// adoptListeners makes what is kept of the old sockets fit the new settings.
func (m *Master) adoptListeners(old, next *generation) {
	for _, l := range next.listeners {
		if !slices.Contains(old.listeners, l) {
			continue
		}
		var err error
		if old.cfg.Backlog != next.cfg.Backlog && l.fd >= 0 {
			err = os.NewSyscallError("listen", unix.Listen(l.fd, next.cfg.Backlog))
		}
		if file := fileOf(next.cfg); err == nil && fileOf(old.cfg) != file {
			err = l.open(file)
		}
		if err != nil {
			m.log.Warn().Err(err).Str("addr", l.addr).Msgf("The settings of %s could not be changed", l.url())
		}
	}
	if old.cfg.ReusePort != next.cfg.ReusePort {
		m.log.Warn().Msg("The change of reuse_port needs a restart for sockets that stay in use")
	}
	if !slices.Equal(old.listeners, next.listeners) {
		m.logListening()
	}
}
