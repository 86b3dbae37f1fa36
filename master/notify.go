package master

import (
	"fmt"
	"net"
	"time"
)

// notifyWait bounds a send to a service manager that does not read.
const notifyWait = time.Second

// notifier tells a service manager about the master's state by the protocol of
// sd_notify(3): datagrams of KEY=VALUE lines to the unix socket $NOTIFY_SOCKET.
type notifier struct {
	// path is the socket, "@" first for an abstract one; "" if nobody asked.
	path string
}

// send sends one state, lines joined by "\n".
func (n notifier) send(state string) error {
	if n.path == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notifying the service manager: %w", err)
	}
	defer conn.Close()
	_ = conn.SetWriteDeadline(time.Now().Add(notifyWait))
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("notifying the service manager: %w", err)
	}
	return nil
}

// notify reports the master's state; that nobody listens is worth no more than
// a line for whoever debugs it.
func (m *Master) notify(state string) {
	if m.twin != nil && m.twin.parent {
		return // the old master is who the service manager knows
	}
	if err := m.notifier.send(state); err != nil {
		m.log.Debug().Err(err).Msg("sd_notify")
	}
}

// notifyReloading begins a reload for Type=notify-reload units: systemd wants
// the monotonic time to tell this message from an earlier reload's. READY=1
// ends it.
func (m *Master) notifyReloading() {
	m.notify(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", m.clock.Now()/int64(time.Microsecond)))
}

// notifyStopping says that this master leaves. When another one goes on, that is
// no end of the service but another main process (MAINPID).
func (m *Master) notifyStopping() {
	if t := m.twin; t != nil && !t.parent && t.serving > 0 {
		m.notify(fmt.Sprintf("MAINPID=%d", t.pid))
		return
	}
	m.notify("STOPPING=1")
}
