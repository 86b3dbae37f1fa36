package master

import (
	"encoding/json"
	"io"
	"testing/synctest"

	"golang.org/x/sys/unix"
)

// simTwin is another master, and this master's link to it.
type simTwin struct {
	sim *sim
	pid int
	*io.PipeReader
	say *io.PipeWriter

	// Guarded by sim.mu.
	heard []twinMessage
	gone  bool
	spec  *upgradeSpec
}

func (s *sim) startMaster(spec *upgradeSpec) (int, twinLink, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.startErr != nil {
		return 0, nil, s.startErr
	}
	tw := &simTwin{sim: s, pid: 51 + len(s.upgrades), spec: spec}
	tw.PipeReader, tw.say = io.Pipe()
	s.upgrades = append(s.upgrades, tw)
	return tw.pid, tw, nil
}

// Write implements twinLink.
func (tw *simTwin) Write(b []byte) (int, error) {
	tw.sim.mu.Lock()
	defer tw.sim.mu.Unlock()
	var msg twinMessage
	if err := json.Unmarshal(b, &msg); err != nil {
		tw.sim.t.Error(err)
	}
	tw.heard = append(tw.heard, msg)
	return len(b), nil
}

// Gone implements twinLink.
func (tw *simTwin) Gone() bool {
	tw.sim.mu.Lock()
	defer tw.sim.mu.Unlock()
	return tw.gone
}

// serves says that n of its workers are ready.
func (tw *simTwin) serves(n int) {
	if err := json.NewEncoder(tw.say).Encode(twinMessage{Serving: n, Ready: true, Shares: true}); err != nil {
		tw.sim.t.Error(err)
	}
	synctest.Wait()
}

// last returns what it was told last.
func (tw *simTwin) last() twinMessage {
	tw.sim.mu.Lock()
	defer tw.sim.mu.Unlock()
	if len(tw.heard) == 0 {
		return twinMessage{}
	}
	return tw.heard[len(tw.heard)-1]
}

// ends is the end of the other master, a child of this one.
func (tw *simTwin) ends(status unix.WaitStatus) {
	s := tw.sim
	s.mu.Lock()
	tw.gone = true
	s.zombies = append(s.zombies, zombie{tw.pid, status})
	s.mu.Unlock()
	tw.say.Close()
	s.raiseCHLD()
	synctest.Wait()
}

// upgraded starts a new master beside that of s.
func (s *sim) upgraded() *simTwin {
	s.t.Helper()
	n := len(s.upgrades)
	s.signal(unix.SIGUSR2)
	if len(s.upgrades) != n+1 {
		s.t.Fatalf("no new master was started\n%s", s.logText())
	}
	return s.upgrades[n]
}

// heirs reports whether the workers may leave connections to another master's.
func (s *sim) heirs() bool {
	synctest.Wait()
	return s.alive()[0].board.Global().Heirs()
}
