package master

import (
	"fmt"
	"net"
	"runtime/debug"
	"strconv"
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

// announce tells the service manager once that all workers are ready, which
// under gunicorn says no more than that the sockets are bound.
func (m *Master) announce() {
	if m.announced {
		return
	}
	if _, ready := m.count(); ready >= m.target {
		m.announced = true
		// What the start has left is not needed any more.
		debug.FreeOSMemory()
		if m.opts.Settled != nil {
			m.opts.Settled()
		}
		m.notify("READY=1")
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
	if t := m.twin; t != nil && !t.parent {
		m.notify(fmt.Sprintf("MAINPID=%d", t.pid))
		return
	}
	m.notify("STOPPING=1")
}

// manager is what a service manager was told, beyond the steps of life.
type manager struct {
	// pingEvery is half of what it waits for a sign of life, 0 if it does not
	// (sd_watchdog_enabled(3)); nextPing when the next one is due.
	pingEvery time.Duration
	nextPing  time.Time
	status    string
}

// watchdogInterval returns how often a service manager wants a sign of life, 0 for
// never. A new master of an upgrade inherits what was meant for the old one.
func watchdogInterval(getenv func(string) string, pid int, inherited bool) time.Duration {
	usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 0 || usec > int64(time.Hour*24*365/time.Microsecond) {
		return 0
	}
	if meant := getenv("WATCHDOG_PID"); meant != "" && meant != strconv.Itoa(pid) && !inherited {
		return 0
	}
	return time.Duration(usec) * time.Microsecond
}

// tellManager sends the service manager a line for people when it changes, and
// signs of life: from the loop, so they end when it stands still, and while there
// are none of workers, once there were some, they end, too.
func (m *Master) tellManager(now time.Time) {
	if m.notifier.path == "" {
		return
	}
	if t := m.twin; t != nil && !t.parent && (m.stop != nil || m.leaving != nil) {
		return // the other one is the main process from here on
	}
	if text := m.statusLine(); text != m.manager.status {
		m.manager.status = text
		m.notify("STATUS=" + text)
	}
	if m.manager.pingEvery == 0 || now.Before(m.manager.nextPing) {
		return
	}
	m.manager.nextPing = now.Add(m.manager.pingEvery)
	if _, ready := m.count(); ready > 0 || !m.everReady || m.target == 0 || m.stop != nil {
		m.notify("WATCHDOG=1")
	}
}

// statusLine is what systemctl status shows.
func (m *Master) statusLine() string {
	_, ready := m.count()
	switch {
	case m.stop != nil || m.leaving != nil:
		return fmt.Sprintf("stopping, %d workers left", len(m.workers))
	case m.history.reload.reason != "":
		return fmt.Sprintf("%d of %d workers ready; the last reload failed", ready, m.target)
	case m.history.boot.reason != "":
		return fmt.Sprintf("%d of %d workers ready; workers do not start", ready, m.target)
	}
	return fmt.Sprintf("%d of %d workers ready", ready, m.target)
}
