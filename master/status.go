package master

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/internal/sys"
	"gowsgi/internal/version"
	"gowsgi/protocol/ipc"
)

// history is what the status says of the past.
type history struct {
	started time.Time
	gone    ipc.GoneStatus
	// reload is how the last reload failed, boot how the last start of a worker did.
	reload, boot failure
	// published is the status as it was written last; fd its file, -1 before.
	published []byte
	fd        int
}

// failure is why something failed and when; reason is "" if it did not.
type failure struct {
	reason, traceback string
	at                time.Time
}

// when returns the time of a failure, nil if there was none.
func (f *failure) when() *time.Time {
	if f.reason == "" {
		return nil
	}
	return &f.at
}

// bootBroken notes that a worker could not start, until one can.
func (m *Master) bootBroken(reason, traceback string) {
	m.history.boot = failure{reason, traceback, time.Now()}
}

// publish writes the master's status for `gowsgi status`, if it has changed: into
// a memory file that takes the place of the one before, under the same number.
func (m *Master) publish() {
	text, err := json.Marshal(m.status())
	if err != nil || bytes.Equal(text, m.history.published) {
		return
	}
	fd, err := sys.SealedFile(ipc.StatusFile, text)
	if err == nil && m.history.fd >= 0 {
		// While another thread opens a descriptor, dup3 may be told to come again.
		for {
			if err = unix.Dup3(fd, m.history.fd, unix.O_CLOEXEC); err != unix.EBUSY && err != unix.EINTR {
				break
			}
		}
		err = os.NewSyscallError("dup3", err)
		_ = unix.Close(fd)
		fd = m.history.fd
	}
	if err != nil {
		m.log.Warn().Err(err).Msg("publishing the status")
		return
	}
	m.history.fd, m.history.published = fd, text
}

// status returns the status as it is now.
func (m *Master) status() *ipc.Status {
	s := &ipc.Status{
		Version: version.Number, Layout: ipc.Version, PID: m.env.pid, App: m.gen.cfg.ProcName,
		State: "starting", Started: m.history.started, Target: m.target, Spawned: m.age,
		Listeners: []string{}, Workers: []ipc.WorkerStatus{}, Gone: m.history.gone,
		Reload: ipc.ReloadStatus{
			InProgress: m.preparing || m.reload != nil, Generation: m.gen.n,
			Failed: m.history.reload.reason, FailedAt: m.history.reload.when(), Traceback: m.history.reload.traceback,
		},
		Boot: ipc.BootStatus{
			Failed: m.history.boot.reason, FailedAt: m.history.boot.when(), Traceback: m.history.boot.traceback,
		},
	}
	if next := m.backoff.until; m.stop == nil && m.wantsWorker() && next.After(time.Now()) {
		s.Boot.Next = &next
	}
	switch {
	case m.stop != nil || m.leaving != nil:
		s.State = "stopping"
	case m.announced:
		s.State = "running"
	}
	if m.twin != nil {
		s.Twin = m.twin.pid
	}
	for _, l := range m.gen.listeners {
		s.Listeners = append(s.Listeners, l.url())
	}
	for _, w := range m.workers {
		s.Workers = append(s.Workers, ipc.WorkerStatus{
			PID: w.pid, Age: w.age, State: w.state.String(), Started: w.spawned, Replace: w.replaceable(),
			Board: int(w.board.file.Fd()), Slots: w.board.sb.Slots(), Threads: w.board.sb.Threads(), Slot: w.slot,
		})
	}
	slices.SortFunc(s.Workers, func(a, b ipc.WorkerStatus) int { return cmp.Compare(a.Age, b.Age) })
	return s
}

// remember adds a worker that is gone to the totals.
func (m *Master) remember(w *worker, asked bool) {
	slot := w.board.sb.Slot(w.slot)
	g := &m.history.gone
	g.Requests += slot.Requests.Load()
	g.Errors += slot.Errors.Load()
	g.BytesOut += slot.BytesOut.Load()
	if !asked || w.timedOut || w.hung || w.bootTimedOut {
		g.Deaths++
	}
}
