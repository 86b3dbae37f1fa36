package master

import (
	"time"

	"golang.org/x/sys/unix"
)

// metrics is the master's own part of what statsd is told; the rest comes from the
// workers.
type metrics struct {
	// workers is the number told last, plus one; 0: none was.
	workers int
	// backlogAt is when the accept queues are looked at next.
	backlogAt time.Time
}

// backlogEvery is how often the accept queues are looked at, as under gunicorn.
const backlogEvery = time.Second

// reportMetrics tells statsd what has changed, or is due, at now.
func (m *Master) reportMetrics(now time.Time) {
	s := m.outlets.Statsd
	if s == nil {
		return
	}
	if live, _ := m.count(); live+1 != m.metrics.workers {
		m.metrics.workers = live + 1
		s.Gauge("gunicorn.workers", int64(live))
	}
	if at := m.metricsDue(); !at.IsZero() && !now.Before(at) {
		m.metrics.backlogAt = now.Add(backlogEvery)
		s.Histogram("gunicorn.backlog", m.backlog())
	}
}

// metricsDue returns when reportMetrics is to be called next, zero for never.
func (m *Master) metricsDue() time.Time {
	if m.outlets.Statsd == nil || !m.gen.cfg.BacklogMetric || m.stop != nil {
		return time.Time{}
	}
	if m.metrics.backlogAt.IsZero() {
		m.metrics.backlogAt = time.Now()
	}
	return m.metrics.backlogAt
}

// backlog returns how many connections wait to be accepted from TCP listeners.
func (m *Master) backlog() (n int64) {
	for _, l := range m.sockets {
		if l.network != "tcp" {
			continue
		}
		// Of a listening socket tcpi_unacked is the length of its accept queue.
		if info, err := unix.GetsockoptTCPInfo(l.fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n += int64(info.Unacked)
		}
	}
	return n
}
