package master

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/protocol/ipc"
)

// beats makes the worker's event loop turn until it is told to leave, or for that
// long; then it stands still, but still takes signals.
func (p *proc) beats(long time.Duration) {
	for begin := time.Now(); time.Since(begin) < long; {
		p.board.Slot(p.boot.Slot).Beat.Store(p.sim.clock.Now())
		switch sig, ok := p.wait(100 * time.Millisecond); {
		case !ok:
		case sig == unix.SIGABRT:
			p.die(sig)
		default:
			return
		}
	}
	p.serve(time.Second)
}

func TestBootTimeout(t *testing.T) {
	script := func(p *proc) {
		if p.oldOne(3) {
			if sig, ok := p.wait(time.Hour); ok {
				p.die(sig)
			}
		}
		p.boots()
		p.serve(time.Second)
	}
	simulate(t, config.Config{Workers: 1, BootTimeout: 20 * time.Second}, script, func(s *sim) {
		s.settled(1)
		s.logs("[CRITICAL] WORKER BOOT TIMEOUT (pid:101) the application is not loaded after 20.0s", 1)
		s.logs("Worker (pid:101) was ended after boot timeout (20s)", 1)
		if !s.got(1, unix.SIGABRT) || s.started() != 4 {
			t.Errorf("SIGABRT was sent: %v; %d workers, want 4", s.got(1, unix.SIGABRT), s.started())
		}
		// A boot that fails is no life, however long it was.
		if d := s.life(4).started.Sub(s.life(3).started); d < 20*time.Second+400*time.Millisecond {
			t.Errorf("the fourth was started after %v, want the third step of the backoff", d)
		}
	})
}

// TestBootTimeoutDuringReload: the old workers go on.
func TestBootTimeoutDuringReload(t *testing.T) {
	script := func(p *proc) {
		if !p.oldOne(1) {
			if sig, ok := p.wait(time.Hour); ok {
				p.die(sig)
			}
		}
		p.boots()
		p.serve(time.Second)
	}
	simulate(t, config.Config{Workers: 1, BootTimeout: 5 * time.Second}, script, func(s *sim) {
		s.settled(1)
		s.signal(unix.SIGHUP)
		s.until("failed", func() bool {
			return strings.Contains(s.logText(), "Reload failed: worker did not load the application in time")
		})
		s.settled(1)
		if got := s.ages(); len(got) != 1 || got[0] != 1 {
			t.Errorf("workers of age %v, want the old one", got)
		}
	})
}

// TestSlowBoot: without a limit a long boot is mentioned once and goes on.
func TestSlowBoot(t *testing.T) {
	script := func(p *proc) { p.sleep(5 * time.Minute); good(p) }
	simulate(t, config.Config{Workers: 1}, script, func(s *sim) {
		s.settled(1)
		s.logs("[WARNING] Worker (pid:101) has not loaded the application after 60s", 1)
		if s.started() != 1 {
			t.Errorf("%d workers were started", s.started())
		}
	})
}

func TestLiveness(t *testing.T) {
	hangs := func(p *proc) {
		p.boots()
		if p.oldOne(1) {
			p.beats(time.Minute)
		}
		p.beats(1000 * time.Hour)
	}
	simulate(t, config.Config{Workers: 2, LivenessTimeout: 8 * time.Second}, hangs, func(s *sim) {
		s.settled(2)
		begin := s.life(1).started
		s.until("replaced", func() bool { return s.started() == 3 })
		if d := time.Since(begin); d < 69*time.Second || d > 72*time.Second {
			t.Errorf("replaced after %v, want a minute and 8 s", d)
		}
		s.settled(2)
		s.logs("[CRITICAL] WORKER HANGS (pid:101) its event loop has not turned for 8", 1)
		s.logs("Worker (pid:101) was ended after liveness timeout (8s)", 1)
		if s.got(2, unix.SIGABRT) {
			t.Error("the other one was ended, too")
		}
		time.Sleep(time.Hour)
		s.settled(2)
	})
}

// TestLivenessOfTheStopped: who was stopped by somebody is left alone, and gets its
// full time again afterwards.
func TestLivenessOfTheStopped(t *testing.T) {
	script := func(p *proc) { p.boots(); p.beats(0) }
	simulate(t, config.Config{Workers: 1, LivenessTimeout: 8 * time.Second}, script, func(s *sim) {
		s.settled(1)
		s.mu.Lock()
		s.procs[0].stopped = true
		s.mu.Unlock()
		time.Sleep(time.Hour)
		if s.started() != 1 {
			t.Fatal("a stopped worker was taken for hung")
		}
		s.mu.Lock()
		s.procs[0].stopped = false
		s.mu.Unlock()
		s.until("replaced", func() bool { return s.started() == 2 })
	})
}

// TestSuspendedMachine: time in which the master did not look does not count.
func TestSuspendedMachine(t *testing.T) {
	m := newMaster(simConfig(config.Config{LivenessTimeout: 8 * time.Second}, ""), Options{}, (&sim{}).env())
	b, slot, err := m.slot(m.gen)
	if err != nil {
		t.Fatal(err)
	}
	defer b.retire()
	w := &worker{pid: 101, age: 1, gen: m.gen, board: b, slot: slot, state: serving}
	m.workers[1] = w
	now := time.Now()
	b.sb.Slot(slot).Beat.Store(5)
	for range 3 {
		m.checkLiveness(w, now, time.Hour)
	}
	if w.hung || w.silent > 6*time.Second {
		t.Errorf("three looks an hour apart: hung %v, silent for %v", w.hung, w.silent)
	}
	if err := b.release(slot); err != nil {
		t.Fatal(err)
	}
}

func TestLifetime(t *testing.T) {
	simulate(t, config.Config{Workers: 2, MaxWorkerLifetime: time.Hour}, good, func(s *sim) {
		s.settled(2)
		time.Sleep(59 * time.Minute)
		if s.started() != 2 {
			t.Error("replaced before their time")
		}
		s.until("replaced", func() bool { return s.started() == 4 })
		s.settled(2)
		s.logs("Autorestarting worker (pid:101) after 3600s", 1)
		s.wantNoGap(2)
		time.Sleep(61 * time.Minute)
		s.until("replaced again", func() bool { return s.started() == 6 })
		s.settled(2)
	})
}

func TestRecycleForMemory(t *testing.T) {
	script := func(p *proc) {
		p.boots()
		if p.oldOne(1) {
			p.say(ipc.Message{Kind: ipc.KindRecycle, Memory: 301 << 20})
		}
		p.serve(time.Second)
	}
	simulate(t, config.Config{Workers: 1, MaxWorkerMemory: 300 << 20}, script, func(s *sim) {
		s.until("replaced", func() bool { return s.started() == 2 })
		s.settled(1)
		s.logs("Autorestarting worker (pid:101): it uses 301.0 MiB of memory, more than 300.0 MiB", 1)
		s.wantNoGap(1)
	})
}

// TestSurge: so many are started at a time in a reload, and no more.
func TestSurge(t *testing.T) {
	for _, surge := range []int{1, 2, 3, 9} {
		most := 0
		script := func(p *proc) { p.sleep(10 * time.Second); p.boots(); p.serve(time.Second) }
		simulate(t, config.Config{Workers: 4, ReloadSurge: surge}, script, func(s *sim) {
			s.settled(4)
			begin := time.Now()
			s.signal(unix.SIGHUP)
			s.until("complete", func() bool {
				booting := 0
				for _, p := range s.alive() {
					s.mu.Lock()
					if !p.ready {
						booting++
					}
					s.mu.Unlock()
				}
				most = max(most, booting)
				return strings.Contains(s.logText(), "Reload complete: 4 workers")
			})
			want := min(surge, 4)
			if rounds := (4 + want - 1) / want; most != want || time.Since(begin) > time.Duration(rounds)*12*time.Second {
				t.Errorf("surge %d: %d at a time in %v", surge, most, time.Since(begin))
			}
			s.settled(4)
		})
	}
}

func TestDrainDelay(t *testing.T) {
	for _, second := range []bool{false, true} {
		simulate(t, config.Config{Workers: 1, DrainDelay: 10 * time.Second}, good, func(s *sim) {
			s.settled(1)
			begin := time.Now()
			s.signal(unix.SIGTERM)
			s.logs("Stopping in 10s, as drain_delay says", 1)
			time.Sleep(2 * time.Second)
			// It goes on: whoever dies is replaced.
			if err := s.kill(firstPID, unix.SIGABRT); err != nil {
				t.Fatal(err)
			}
			s.until("replaced", func() bool { return s.started() == 2 && s.life(2).ready })
			want := 11 * time.Second
			if second {
				s.signal(unix.SIGTERM)
				want = 5 * time.Second
			}
			s.ends(0)
			if d := time.Since(begin); d > want {
				t.Errorf("second SIGTERM %v: took %v, want at most %v", second, d, want)
			}
			if s.got(2, unix.SIGQUIT) {
				t.Error("the stop was a quick one")
			}
		})
	}
}

// A second signal of its own forces; the first one twice does not.
func TestSecondStop(t *testing.T) {
	slow := func(p *proc) { p.boots(); p.wait(time.Hour); p.sleep(20 * time.Second) }
	for _, tt := range []struct {
		name          string
		first, second unix.Signal
		pause         time.Duration
		want          time.Duration // that the whole stop takes
	}{
		{"TERM twice at once", unix.SIGTERM, unix.SIGTERM, 10 * time.Millisecond, 20 * time.Second},
		{"TERM again", unix.SIGTERM, unix.SIGTERM, 3 * time.Second, 5 * time.Second},
		{"INT after TERM", unix.SIGTERM, unix.SIGINT, 10 * time.Millisecond, 2 * time.Second},
		{"INT twice", unix.SIGINT, unix.SIGINT, 500 * time.Millisecond, 500 * time.Millisecond},
		{"QUIT after INT", unix.SIGINT, unix.SIGQUIT, 500 * time.Millisecond, 500 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			simulate(t, config.Config{Workers: 2}, slow, func(s *sim) {
				s.settled(2)
				begin := time.Now()
				s.signal(tt.first)
				time.Sleep(tt.pause)
				s.signal(tt.second)
				s.ends(0)
				if d := time.Since(begin); d < tt.want || d > tt.want+100*time.Millisecond {
					t.Errorf("took %v, want %v", d, tt.want)
				}
			})
		})
	}
}
