package master

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/protocol/ipc"
)

func TestUpgrade(t *testing.T) {
	path := t.TempDir() + "/s"
	simulate(t, config.Config{Workers: 2, Bind: []config.Address{unixAddress(path)}}, good, func(s *sim) {
		s.settled(2)
		tw := s.upgraded()
		h := tw.spec.handover
		if h.PID != 7 || h.Version != handoverVersion || h.QueueVersion != ipc.HandoffVersion || len(h.Listeners) != 1 {
			t.Errorf("handed over: %+v", h)
		}
		if want := (heirloom{FD: s.master.gen.listeners[0].fd, Text: "unix:" + path, Made: true}); h.Listeners[0] != want {
			t.Errorf("handed over %+v, want %+v", h.Listeners[0], want)
		}
		s.signal(unix.SIGUSR2)
		s.logs("[WARNING] USR2 signal ignored. Child exists.", 1)
		if got := tw.last(); got != (twinMessage{2, true, true}) {
			t.Errorf("the new master was told %+v", got)
		}
		if s.heirs() {
			t.Error("the new master has workers before it has said so")
		}
		tw.serves(2)
		s.logs("New master (pid:51) is ready: 2 workers", 1)
		if !s.heirs() {
			t.Error("workers do not know of the new master's")
		}
		// The old one leaves: the socket is the new one's now.
		s.signal(unix.SIGTERM)
		s.ends(0)
		if !exists(path) {
			t.Error("the socket file of a service that goes on was removed")
		}
	})
}

// TestRollback: the new master leaves, the old one is as before.
func TestRollback(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status unix.WaitStatus
		log    string
	}{
		{"told to leave", 0, "New master (pid:51) has left"},
		{"fails", 3 << 8, "[ERROR] New master (pid:51) exited with code 3."},
		{"killed", unix.WaitStatus(unix.SIGKILL), "[ERROR] New master (pid:51) was sent SIGKILL!"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := t.TempDir() + "/s"
			simulate(t, config.Config{Workers: 2, Bind: []config.Address{unixAddress(path)}}, good, func(s *sim) {
				s.settled(2)
				tw := s.upgraded()
				tw.serves(2)
				tw.ends(tt.status)
				s.logs(tt.log, 1)
				if s.heirs() {
					t.Error("workers would leave connections to nobody")
				}
				s.settled(2)
				s.upgraded().ends(0) // a second try
				s.signal(unix.SIGTERM)
				s.ends(0)
				if exists(path) {
					t.Error("the socket file is left")
				}
			})
		})
	}
}

func TestUpgradeThatCannotStart(t *testing.T) {
	simulate(t, config.Config{Workers: 1}, good, func(s *sim) {
		s.settled(1)
		s.startErr = errors.New("no such file")
		s.signal(unix.SIGUSR2)
		s.logs("[ERROR] A new master could not be started", 1)
		s.startErr = nil
		s.upgraded().ends(0)
	})
}

// inheriting returns the variable a new master finds beside an old one with one
// unix socket, and the old one's end of the link.
func inheriting(t *testing.T, path string) (variable string, oldEnd int) {
	t.Helper()
	l, err := bindUnix(path, &config.Config{Backlog: 8})
	if err != nil {
		t.Fatal(err)
	}
	link, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	queue, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(handover{
		Version: handoverVersion, PID: 6, Link: link[0], QueueRead: queue[0], QueueWrite: queue[1], QueueVersion: ipc.HandoffVersion,
		Listeners: []heirloom{{FD: l.fd, Text: "unix:" + path, Made: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return envHandover + "=" + string(text), link[1]
}

// TestInherit takes the steps of a new master one by one.
func TestInherit(t *testing.T) {
	dir := t.TempDir()
	path, pid := dir+"/s", dir+"/pid"
	if err := os.WriteFile(pid, []byte("6\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	variable, oldEnd := inheriting(t, path)
	cfg := simConfig(config.Config{Workers: 1, Bind: []config.Address{unixAddress(path)}, PIDFile: pid}, dir+"/log")
	m := newMaster(cfg, Options{Environ: []string{"A=1", variable}}, (&sim{}).env())
	have, err := m.inherit()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.openLog(cfg), m.makePIDFile(cfg), m.bindFirst(cfg, have)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.gen.listeners, have) || m.twin.queue == nil || !m.twin.parent || m.twin.pid != 6 || m.name != newName {
		t.Errorf("not what was handed over: %+v, %+v", m.gen.listeners, m.twin)
	}
	if !slices.Equal(m.opts.Environ, []string{"A=1"}) {
		t.Errorf("workers would get %q", m.opts.Environ)
	}
	if readPIDFile(pid+".2") != 7 {
		t.Errorf("pid file has %d", readPIDFile(pid+".2"))
	}
	if m.twin.link.Gone() {
		t.Error("the old master is taken for gone")
	}
	m.tellTwin()
	go watchTwin(m.twin, m.events, m.done)
	if _, err := unix.Write(oldEnd, []byte(`{"serving":3,"shares":true,"unheard":"of"}`+"\n")); err != nil {
		t.Fatal(err)
	}
	(<-m.events).apply(m)
	if m.twin.serving != 3 {
		t.Errorf("the old master has %d workers, want 3", m.twin.serving)
	}
	unix.Close(oldEnd)
	if !m.twin.link.Gone() {
		t.Error("the old master is not known to be gone")
	}
	(<-m.events).apply(m)
	if m.twin != nil || m.name != masterName || readPIDFile(pid) != 7 || exists(pid+".2") {
		t.Errorf("not promoted: %v, %s, pid files %d and %d", m.twin, m.name, readPIDFile(pid), readPIDFile(pid+".2"))
	}
	if err := m.cleanUp(); err != nil || exists(path) || exists(pid) {
		t.Errorf("cleaning up: %v; the socket is left %v, the pid file %v", err, exists(path), exists(pid))
	}
}

func TestInheritFromAStranger(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"version":2}`, `garbage`} {
		m := newMaster(simConfig(config.Config{}, ""), Options{Environ: []string{envHandover + "=" + text}}, (&sim{}).env())
		if _, err := m.inherit(); err == nil || !strings.Contains(err.Error(), "restart the service") {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

// SIGWINCH: no worker, but the sockets stay; SIGTTIN and SIGHUP start again.
func TestWind(t *testing.T) {
	for _, tt := range []struct {
		back unix.Signal
		want int
	}{{unix.SIGHUP, 2}, {unix.SIGTTIN, 1}} {
		t.Run(unix.SignalName(tt.back), func(t *testing.T) {
			path := t.TempDir() + "/s"
			simulateWith(t, config.Config{Workers: 2, Bind: []config.Address{unixAddress(path)}}, good,
				func(s *sim) { s.noTerminal = true },
				func(s *sim) {
					s.settled(2)
					s.signal(unix.SIGWINCH)
					s.settled(0)
					time.Sleep(time.Minute)
					if s.started() != 2 || !exists(path) {
						t.Errorf("%d workers were started, the socket exists: %v", s.started(), exists(path))
					}
					s.signal(tt.back)
					s.until("workers again", func() bool { return len(s.alive()) == tt.want })
					s.settled(tt.want)
				})
		})
	}
}

func TestProgram(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tool")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for argv0, want := range map[string]string{"./tool": path, path: path, "tool": path, "no-such-tool": own} {
		if got, err := program(argv0, dir); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", argv0, got, err, want)
		}
	}
	if got, err := program("./gone", dir); err == nil {
		t.Errorf("a program that is gone: got %s", got)
	}
}
