package master

import (
	"sync"
	"testing"
	"time"

	"gowsgi/config"
)

// simStarter notes what it is told.
type simStarter struct {
	mu      sync.Mutex
	events  []string
	started []time.Time
}

func (s *simStarter) Event(level string, text []byte, _ bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, level+" "+string(text))
}

func (s *simStarter) Started() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = append(s.started, time.Now())
}

func (s *simStarter) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.started)
}

// Whoever waits for the start is let go when a worker serves, and not before.
func TestStarterWaitsForAWorker(t *testing.T) {
	waits := new(simStarter)
	with := func(s *sim) { s.starter = waits }
	simulateWith(t, config.Config{Workers: 2}, good, with, func(s *sim) {
		began := time.Now()
		s.settled(2)
		if n := waits.times(); n != 1 || waits.started[0].Sub(began) < time.Second {
			t.Errorf("told %d times, %v after the start", n, waits.started)
		}
	})
	if n := waits.times(); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// A start that fails ends the process, and that is the answer.
func TestStarterOfAFailedStart(t *testing.T) {
	waits := new(simStarter)
	with := func(s *sim) { s.starter = waits }
	simulateWith(t, config.Config{Workers: 2}, func(p *proc) { p.bootFails("Traceback") }, with, func(s *sim) {
		s.ends(3)
		if n := waits.times(); n != 0 {
			t.Errorf("told %d times that it has started", n)
		}
		found := false
		for _, e := range waits.events {
			found = found || e == "error Exception in worker process\nTraceback"
		}
		if !found {
			t.Errorf("the traceback is missing: %q", waits.events)
		}
	})
}

// The wait is bounded: of workers that never get ready, and for none at all.
func TestStarterDoesNotWaitForEver(t *testing.T) {
	for _, tt := range []struct {
		name    string
		workers int
		script  func(*proc)
		want    time.Duration
	}{
		{"a long import", 1, func(p *proc) { p.sleep(time.Hour) }, starterWait},
		{"deaths without a word", 1, func(p *proc) { p.sleep(time.Second); p.exit(9) }, starterWait},
		{"no workers wanted", 0, good, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			waits := new(simStarter)
			with := func(s *sim) { s.starter = waits }
			simulateWith(t, config.Config{Workers: tt.workers}, tt.script, with, func(s *sim) {
				began := time.Now()
				s.until("told", func() bool { return waits.times() == 1 })
				if d := waits.started[0].Sub(began); d != tt.want {
					t.Errorf("told after %v, want %v", d, tt.want)
				}
			})
		})
	}
}
