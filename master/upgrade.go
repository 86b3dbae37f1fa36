package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/protocol/ipc"
)

const (
	// envHandover is the variable in which an old master tells a new one what it
	// inherits, as JSON of a handover. gunicorn: GUNICORN_PID and GUNICORN_FD.
	envHandover = "GOWSGI_HANDOVER"
	// handoverVersion changes when a handover cannot be understood any more by
	// those who know the one before.
	handoverVersion = 1

	masterName = "Master"
	newName    = "Master.2"
)

// handover is what a new master inherits, descriptors by number.
type handover struct {
	Version int `json:"version"`
	PID     int `json:"pid"`
	Link    int `json:"link"`
	// QueueRead and QueueWrite are the hand-off queue, for workers that understand
	// QueueVersion (ipc.HandoffVersion) and have exactly these listeners.
	QueueRead    int        `json:"queue_read"`
	QueueWrite   int        `json:"queue_write"`
	QueueVersion int        `json:"queue_version"`
	Listeners    []heirloom `json:"listeners"`
	// Systemd says that the listeners came from systemd and bind is ignored.
	Systemd bool `json:"systemd,omitempty"`
}

// heirloom is one listening socket of a handover.
type heirloom struct {
	FD   int    `json:"fd"`
	Text string `json:"text"` // the bind setting
	// Borrowed is listener.borrowed; Made says that bind made a socket file.
	Borrowed bool `json:"borrowed,omitempty"`
	Made     bool `json:"made,omitempty"`
}

// Succeeds reports whether a process with that environment is the new master of
// an upgrade.
func Succeeds(environ []string) bool { return getenv(environ)(envHandover) != "" }

// KeepInherited sees to it that no child inherits what an old master has left for
// this process. It is called before the first one is started.
func KeepInherited(environ []string) {
	var h handover
	if json.Unmarshal([]byte(getenv(environ)(envHandover)), &h) != nil {
		return
	}
	fds := []int{h.Link, h.QueueRead, h.QueueWrite}
	for _, l := range h.Listeners {
		fds = append(fds, l.FD)
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
}

// upgrade starts a new master beside this one (SIGUSR2): the program that stands
// at the path this one was started by, with the same arguments, environment and
// directory, and with the same sockets.
func (m *Master) upgrade() {
	switch {
	case m.stop != nil:
		return
	case m.twin != nil:
		whose := "Child"
		if m.twin.parent {
			whose = "Parent"
		}
		m.log.Warn().Int("master", m.twin.pid).Msgf("USR2 signal ignored. %s exists.", whose)
		return
	}
	if m.tellHook(m.gen, m.gen.spawner, "pre_exec") {
		m.awaited = "pre_exec"
		return
	}
	m.startUpgrade()
}

// startUpgrade is upgrade, after the hook.
func (m *Master) startUpgrade() {
	q, err := m.queueFor(m.gen.listeners)
	if err != nil {
		m.log.Error().Err(err).Msg("A new master could not be started")
		return
	}
	pid, link, err := m.env.startMaster(m.upgradeSpec(q))
	if err != nil {
		m.log.Error().Err(errors.Join(err, q.releaseUnused())).Msg("A new master could not be started")
		return
	}
	m.log.Info().Int("master", pid).Msgf("Started a new master (pid:%d)", pid)
	m.child = pid
	m.twin = &twin{pid: pid, link: link, queue: q}
	go watchTwin(m.twin, m.events, m.done)
}

// upgradeSpec is everything a new master is started with.
type upgradeSpec struct {
	args     []string
	environ  []string
	dir      string
	handover handover // descriptors by their numbers in this process
}

func (m *Master) upgradeSpec(q *queue) *upgradeSpec {
	h := handover{
		Version: handoverVersion, PID: m.env.pid, Systemd: len(m.systemd) > 0,
		QueueRead: q.read, QueueWrite: q.write, QueueVersion: ipc.HandoffVersion,
	}
	for _, l := range m.gen.listeners {
		h.Listeners = append(h.Listeners, heirloom{FD: l.fd, Text: l.text, Borrowed: l.borrowed, Made: l.file > 0})
	}
	return &upgradeSpec{args: m.opts.Args, environ: m.opts.Environ, dir: m.opts.Dir, handover: h}
}

// startMaster starts the new master and returns the link to it.
func startMaster(s *upgradeSpec) (pid int, link twinLink, err error) {
	path, err := program(s.args[0], s.dir)
	if err != nil {
		return 0, nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, os.NewSyscallError("socketpair", err)
	}
	defer unix.Close(pair[1])
	ours, err := newLink(pair[0])
	if err != nil {
		return 0, nil, errors.Join(err, unix.Close(pair[0]))
	}
	h := s.handover
	fds := []int{pair[1], h.QueueRead, h.QueueWrite}
	h.Link, h.QueueRead, h.QueueWrite = firstExtra, firstExtra+1, firstExtra+2
	h.Listeners = slices.Clone(h.Listeners)
	for i := range h.Listeners {
		fds = append(fds, h.Listeners[i].FD)
		h.Listeners[i].FD = firstExtra + 3 + i
	}
	text, err := json.Marshal(h)
	if err != nil {
		return 0, nil, errors.Join(err, ours.Close())
	}
	files, err := extraFiles(fds)
	defer closeFiles(files)
	if err != nil {
		return 0, nil, errors.Join(err, ours.Close())
	}
	cmd := &exec.Cmd{
		Path: path, Args: s.args, Dir: s.dir, Env: setVariable(s.environ, envHandover+"="+string(text)),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, ExtraFiles: files,
	}
	if err := cmd.Start(); err != nil {
		return 0, nil, errors.Join(err, ours.Close())
	}
	// The reaper collects it.
	pid = cmd.Process.Pid
	return pid, ours, cmd.Process.Release()
}

// program returns the path of the program a shell in dir would start for argv0:
// after an upgrade another file than the one this process runs.
func program(argv0, dir string) (string, error) {
	if strings.Contains(argv0, "/") {
		if !filepath.IsAbs(argv0) {
			argv0 = filepath.Join(dir, argv0)
		}
		return exec.LookPath(argv0)
	}
	if path, err := exec.LookPath(argv0); err == nil {
		return filepath.Abs(path)
	}
	return os.Executable()
}

// inherit takes over what an old master left for this one, if there is one. It
// makes the link, the queue and the listeners; bind says which of them stay.
func (m *Master) inherit() (have []*listener, err error) {
	if m.handover == "" {
		return nil, nil
	}
	var h handover
	if err := json.Unmarshal([]byte(m.handover), &h); err != nil || h.Version != handoverVersion {
		return nil, fmt.Errorf("the running master (version %d of the handover) cannot be succeeded by this program (version %d): restart the service", h.Version, handoverVersion)
	}
	link, err := newLink(h.Link)
	if err != nil {
		return nil, err
	}
	m.name = newName
	m.twin = &twin{pid: h.PID, parent: true, link: link}
	q := &queue{read: h.QueueRead, write: h.QueueWrite}
	unix.CloseOnExec(q.read)
	unix.CloseOnExec(q.write)
	for _, x := range h.Listeners {
		l, err := adoptFD(x.FD, x.Text)
		if err != nil {
			return nil, err
		}
		l.text, l.borrowed = x.Text, x.Borrowed
		if x.Made {
			// Without it the file would merely be left behind.
			l.file, _ = unix.Open(l.addr, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		}
		have = append(have, l)
		if h.Systemd {
			m.systemd = append(m.systemd, config.Address{Text: x.Text, Network: "fd", FD: x.FD})
		}
	}
	q.listeners = have
	if h.QueueVersion == ipc.HandoffVersion {
		m.twin.queue = q
		return have, nil
	}
	return have, q.releaseUnused()
}

// setVariable returns environ with one KEY=VALUE in place of any other of KEY.
func setVariable(environ []string, kv string) []string {
	name, _, _ := strings.Cut(kv, "=")
	environ = slices.DeleteFunc(slices.Clone(environ), func(old string) bool {
		return strings.HasPrefix(old, name) && strings.HasPrefix(old[len(name):], "=")
	})
	return append(environ, kv)
}
