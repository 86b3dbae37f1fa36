package master

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/protocol/ipc"
)

func TestReload(t *testing.T) {
	simulate(t, config.Config{Workers: 3}, good, func(s *sim) {
		s.settled(3)
		time.Sleep(time.Minute)
		s.next.Env = []string{"GENERATION=2"}
		s.signal(unix.SIGHUP)
		s.until("six workers", func() bool { return s.started() == 6 })
		s.settled(3)
		if got := s.ages(); !slices.Equal(got, []int{4, 5, 6}) {
			t.Errorf("ages %v, want [4 5 6]", got)
		}
		for _, p := range s.alive() {
			if len(p.cfg.Env) != 1 {
				t.Errorf("worker %d has the old configuration", p.boot.Age)
			}
		}
		s.wantNoGap(3)
		s.logs("[INFO] Handling signal: hup\n", 1)
		s.logs("[INFO] Hang up: Master\n", 1)
		s.logs("[INFO] Reload complete: 3 workers\n", 1)
		s.logs("Reload failed", 0)
	})
}

// TestReloadThatCannotWork: whatever is wrong with the new generation, the old
// workers are not even asked to leave, and later deaths are replaced by workers
// of the old configuration.
func TestReloadThatCannotWork(t *testing.T) {
	newOne := func(p *proc) bool { return len(p.cfg.Env) > 0 }
	for _, tt := range []struct {
		name   string
		break_ func(s *sim)
		script func(p *proc) // of workers of the new generation
		starts int           // of these
		line   string
	}{
		{
			"configuration", func(s *sim) { s.reload = errors.New("invalid value for workers: abc") },
			nil, 0, "[ERROR] Reload failed: invalid value for workers: abc\n",
		},
		{
			"interpreter", func(s *sim) {
				s.find = func(context.Context) (ipc.Python, error) { return ipc.Python{}, errors.New("no libpython") }
			},
			nil, 0, "[ERROR] Reload failed: no libpython\n",
		},
		{
			"log", func(s *sim) { s.next.AccessLog = "/no/such/dir/log" },
			nil, 0, "[ERROR] Reload failed: '/no/such/dir/log' isn't writable [no such file or directory]\n",
		},
		{
			"pid file", func(s *sim) { s.next.PIDFile = "/no/such/dir/pid" },
			nil, 0, "[ERROR] Reload failed: /no/such/dir doesn't exist. Can't create pidfile.\n",
		},
		{
			"application", func(*sim) {}, func(p *proc) { p.bootFails("Traceback of the new code") },
			1, "[ERROR] Reload failed: ValueError: no\nTraceback of the new code\n",
		},
		{
			"crash while booting", func(*sim) {}, func(p *proc) { p.sleep(time.Second); p.die(unix.SIGSEGV) },
			1, "[ERROR] Reload failed: worker died before it was ready\n",
		},
		{
			"exit while booting", func(*sim) {}, func(p *proc) { p.exit(9) },
			1, "[ERROR] Reload failed: worker died before it was ready\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			script := func(p *proc) {
				if newOne(p) {
					tt.script(p)
				}
				good(p)
			}
			simulate(t, config.Config{Workers: 2}, script, func(s *sim) {
				s.settled(2)
				time.Sleep(time.Minute)
				s.next.Env, s.next.Workers = []string{"GENERATION=2"}, 1
				tt.break_(s)
				s.signal(unix.SIGHUP)
				time.Sleep(time.Minute)
				s.settled(2)
				if got := s.ages(); !slices.Equal(got, []int{1, 2}) {
					t.Errorf("ages %v, want [1 2]", got)
				}
				if s.got(1, unix.SIGTERM) || s.got(2, unix.SIGTERM) {
					t.Error("an old worker was asked to leave")
				}
				if n := s.started() - 2; n != tt.starts {
					t.Errorf("%d new workers were started, want %d", n, tt.starts)
				}
				s.logs(tt.line, 1)
				s.logs("Reload failed", 1)
				s.logs("Shutting down", 0)

				_ = s.kill(firstPID, unix.SIGUSR2) // anything; then the worker dies
				s.procs[0].quit(t)
				s.until("a replacement", func() bool { return s.started() == 3+tt.starts })
				s.settled(2)
				for _, p := range s.alive() {
					if newOne(p) {
						t.Errorf("worker %d has the configuration that does not work", p.boot.Age)
					}
				}
			})
		})
	}
}

// quit makes a worker leave that nobody asked to: as SIGTERM from a shell does.
func (p *proc) quit(t *testing.T) {
	t.Helper()
	p.signals <- unix.SIGTERM
}

// TestReloadFailsHalfway: the first new worker was ready, the second cannot boot.
func TestReloadFailsHalfway(t *testing.T) {
	script := func(p *proc) {
		if p.boot.Age == 5 {
			p.bootFails("tb")
		}
		good(p)
	}
	simulate(t, config.Config{Workers: 3}, script, func(s *sim) {
		s.settled(3)
		s.signal(unix.SIGHUP)
		time.Sleep(time.Minute)
		s.settled(3)
		if got := s.ages(); !slices.Equal(got, []int{2, 3, 4}) {
			t.Errorf("ages %v, want [2 3 4]: two old, one new", got)
		}
		s.logs("Reload failed", 1)
	})
}

func TestReloadAfterAFailedOne(t *testing.T) {
	script := func(p *proc) {
		if len(p.cfg.Env) > 0 && p.cfg.Env[0] == "BROKEN=1" {
			p.bootFails("tb")
		}
		good(p)
	}
	simulate(t, config.Config{Workers: 2}, script, func(s *sim) {
		s.settled(2)
		s.next.Env = []string{"BROKEN=1"}
		s.signal(unix.SIGHUP)
		time.Sleep(time.Minute)
		s.next = simConfig(config.Config{Workers: 2, Env: []string{"FIXED=1"}}, s.log)
		s.signal(unix.SIGHUP)
		s.until("two new workers", func() bool { return s.started() == 5 })
		s.settled(2)
		if got := s.ages(); !slices.Equal(got, []int{4, 5}) {
			t.Errorf("ages %v, want [4 5]", got)
		}
		s.logs("Reload complete", 1)
	})
}

// TestReloadDuringReload: the newest configuration wins, from wherever the
// first reload was.
func TestReloadDuringReload(t *testing.T) {
	for _, delay := range []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond, 2500 * time.Millisecond} {
		t.Run(delay.String(), func(t *testing.T) {
			simulate(t, config.Config{Workers: 3}, good, func(s *sim) {
				s.settled(3)
				s.next.Env = []string{"GENERATION=2"}
				s.signal(unix.SIGHUP)
				time.Sleep(delay)
				synctest.Wait()
				s.next = simConfig(config.Config{Workers: 3, Env: []string{"GENERATION=3"}}, s.log)
				s.signal(unix.SIGHUP)
				time.Sleep(time.Minute)
				s.settled(3)
				for _, p := range s.alive() {
					if p.cfg.Env[0] != "GENERATION=3" {
						t.Errorf("worker %d has %v", p.boot.Age, p.cfg.Env)
					}
				}
				s.logs("Reload complete", 1)
				s.logs("Reload failed", 0)
			})
		})
	}
}

// TestReloadAfterOneThatHangs: nobody waits for an import that never ends.
func TestReloadAfterOneThatHangs(t *testing.T) {
	script := func(p *proc) {
		if len(p.cfg.Env) > 0 && p.cfg.Env[0] == "HANGS=1" {
			p.serve(0) // until SIGTERM
			return
		}
		good(p)
	}
	simulate(t, config.Config{Workers: 2}, script, func(s *sim) {
		s.settled(2)
		s.next.Env = []string{"HANGS=1"}
		s.signal(unix.SIGHUP)
		time.Sleep(10 * time.Minute)
		s.next = simConfig(config.Config{Workers: 2, Env: []string{"FIXED=1"}}, s.log)
		s.signal(unix.SIGHUP)
		time.Sleep(time.Minute)
		s.settled(2)
		if got := s.ages(); !slices.Equal(got, []int{4, 5}) {
			t.Errorf("ages %v, want [4 5]", got)
		}
	})
}

// TestOldWorkerDiesDuringReload: its place is taken by the worker that boots
// anyway, and no second one is started beside it.
func TestOldWorkerDiesDuringReload(t *testing.T) {
	script := func(p *proc) {
		if p.boot.Age == 4 {
			p.sleep(time.Minute)
		}
		good(p)
	}
	simulate(t, config.Config{Workers: 3}, script, func(s *sim) {
		s.settled(3)
		s.signal(unix.SIGHUP)
		s.until("the replacement", func() bool { return s.started() == 4 })
		s.procs[0].quit(t)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if got := s.ages(); !slices.Equal(got, []int{2, 3, 4}) {
			t.Errorf("ages %v, want [2 3 4]", got)
		}
		time.Sleep(10 * time.Minute)
		s.settled(3)
		if got := s.ages(); !slices.Equal(got, []int{4, 5, 6}) {
			t.Errorf("ages %v, want [4 5 6]", got)
		}
	})
}

// TestHangUpWhilePreparing: the preparation is cut short and made again.
func TestHangUpWhilePreparing(t *testing.T) {
	simulate(t, config.Config{Workers: 1}, good, func(s *sim) {
		s.settled(1)
		s.find = func(ctx context.Context) (ipc.Python, error) {
			<-ctx.Done()
			s.find = func(context.Context) (ipc.Python, error) { return ipc.Python{Version: "3.100.0"}, nil }
			return ipc.Python{}, ctx.Err()
		}
		s.signal(unix.SIGHUP)
		s.signal(unix.SIGHUP)
		s.until("a new worker", func() bool { return s.started() == 2 })
		s.settled(1)
		if v := s.life(2).boot.Python.Version; v != "3.100.0" {
			t.Errorf("the new worker has Python %s", v)
		}
		s.logs("Reload failed", 0)
	})
}

// TestNobodysChildrenAreReapedWhilePreparing: FindPython runs a program and
// waits for it itself.
func TestNobodysChildrenAreReapedWhilePreparing(t *testing.T) {
	simulate(t, config.Config{Workers: 1}, func(p *proc) {
		p.boots()
		if p.oldOne(1) {
			p.sleep(20 * time.Second)
			p.exit(1)
		}
		p.serve(0)
	}, func(s *sim) {
		s.settled(1)
		s.find = func(context.Context) (ipc.Python, error) {
			s.mu.Lock()
			s.zombies = append(s.zombies, zombie{5000, 0})
			before := s.waited
			s.mu.Unlock()
			s.raiseCHLD()
			time.Sleep(time.Minute) // the worker dies meanwhile, and is replaced
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.waited != before || s.zombies[0].pid != 5000 {
				t.Error("somebody else's child was waited for")
			}
			if len(s.procs) != 2 {
				t.Error("the dead worker was not replaced meanwhile")
			}
			s.zombies = append(s.zombies[1:], zombie{5001, 0}) // waited for here; and an orphan
			return ipc.Python{}, nil
		}
		s.signal(unix.SIGHUP)
		s.until("the reload", func() bool { return s.started() == 3 })
		s.settled(1)
		s.logs("(pid:5000)", 0)
		s.logs("Reaped unknown child (pid:5001)", 1)
	})
}

func TestReloadChangesTheNumber(t *testing.T) {
	for _, tt := range []struct {
		name     string
		from, to int
	}{{"more", 2, 5}, {"fewer", 5, 2}, {"none", 2, 0}, {"from none", 0, 2}} {
		t.Run(tt.name, func(t *testing.T) {
			simulate(t, config.Config{Workers: tt.from}, good, func(s *sim) {
				s.settled(tt.from)
				s.next.Workers, s.next.Env = tt.to, []string{"NEW=1"}
				s.signal(unix.SIGHUP)
				time.Sleep(time.Minute)
				s.settled(tt.to)
				for _, p := range s.alive() {
					if len(p.cfg.Env) == 0 {
						t.Errorf("worker %d has the old configuration", p.boot.Age)
					}
				}
				s.logs("Reload complete", 1)
			})
		})
	}
}

// TestReloadForgetsScaling: as under gunicorn, HUP goes back to the configured number.
func TestReloadForgetsScaling(t *testing.T) {
	simulate(t, config.Config{Workers: 1}, good, func(s *sim) {
		s.settled(1)
		s.signal(unix.SIGTTIN)
		s.settled(2)
		s.signal(unix.SIGHUP)
		time.Sleep(time.Minute)
		s.settled(1)
	})
}

// TestScalingBehindAReload: TTIN counts that comes behind a HUP, also while the
// configuration is still read, as it is in some of the rounds.
func TestScalingBehindAReload(t *testing.T) {
	simulate(t, config.Config{Workers: 1}, good, func(s *sim) {
		s.settled(1)
		for range 50 {
			s.sigs <- unix.SIGHUP
			s.sigs <- unix.SIGTTIN
			time.Sleep(time.Minute)
			s.settled(2)
		}
	})
}

// TestRetiredByReloadIsKilledAtGracefulTimeout: gunicorn lets it live on.
func TestRetiredByReloadIsKilledAtGracefulTimeout(t *testing.T) {
	script := func(p *proc) {
		p.boots()
		if p.oldOne(1) {
			p.begin("/slow")
			p.serve(time.Hour)
		}
		p.serve(0)
	}
	simulate(t, config.Config{Workers: 1, GracefulTimeout: 4 * time.Second}, script, func(s *sim) {
		s.settled(1)
		s.signal(unix.SIGHUP)
		time.Sleep(30 * time.Second)
		s.settled(1)
		if d := s.life(1).ended.Sub(s.life(2).started); d != 5*time.Second {
			t.Errorf("killed %v after its replacement was started, want 1s of boot and 4s", d)
		}
		s.logs("Worker (pid:101) was killed after graceful timeout (4s) [", 1)
	})
}

func TestReloadEndsBackoff(t *testing.T) {
	script := func(p *proc) {
		if len(p.cfg.Env) == 0 {
			p.exit(9)
		}
		good(p)
	}
	simulate(t, config.Config{Workers: 2}, script, func(s *sim) {
		time.Sleep(10 * time.Minute)
		s.next.Env = []string{"FIXED=1"}
		begin := time.Now()
		s.signal(unix.SIGHUP)
		s.settled(2)
		if d := time.Since(begin); d > 2*time.Second {
			t.Errorf("repaired after %v, want at once", d)
		}
	})
}

// TestRetirementsAreNoYoungDeaths: workers that were told to leave say nothing
// about the application.
func TestRetirementsAreNoYoungDeaths(t *testing.T) {
	script := func(p *proc) {
		p.boots()
		if p.boot.Age == 4 {
			p.sleep(3 * time.Second)
			p.exit(1)
		}
		p.serve(0)
	}
	simulate(t, config.Config{Workers: 1}, script, func(s *sim) {
		for n := range 3 {
			s.until("a worker", func() bool { return s.started() == n+1 })
			s.settled(1)
			s.signal(unix.SIGHUP)
		}
		s.until("the fifth", func() bool { return s.started() == 5 })
		if gap := s.life(5).started.Sub(s.life(4).ended); gap != backoffFirst {
			t.Errorf("the first young death was followed by %v, want %v", gap, backoffFirst)
		}
	})
}

// TestReloadChangesThreads: the slots of a scoreboard have a fixed size, so a
// new one is needed, and the old one goes with its last worker.
func TestReloadChangesThreads(t *testing.T) {
	simulate(t, config.Config{Workers: 2, Threads: 1, Timeout: 10 * time.Second}, func(p *proc) {
		p.boots()
		if p.boot.Age == 4 {
			p.board.Thread(p.boot.Slot, 15).Begin(p.sim.clock.Now(), []byte("192.0.2.1"), []byte("PUT"), []byte("/16th"))
			p.die(unix.SIGSEGV)
		}
		p.serve(0)
	}, func(s *sim) {
		s.settled(2)
		old := s.master.board
		s.next.Threads = 16
		s.signal(unix.SIGHUP)
		s.until("a death", func() bool { return s.started() == 5 })
		s.settled(2)
		s.logs("in PUT /16th", 1)
		if old.current || old.inUse != 0 || s.master.board == old {
			t.Error("the old scoreboard is still in use")
		}
	})
}

// TestMoreWorkersThanSlots needs a larger scoreboard, while all run.
func TestMoreWorkersThanSlots(t *testing.T) {
	simulate(t, config.Config{Workers: 1}, good, func(s *sim) {
		s.settled(1)
		for range minSlots {
			s.signal(unix.SIGTTIN)
		}
		s.settled(minSlots + 1)
	})
}

func TestStopDuringReload(t *testing.T) {
	simulate(t, config.Config{Workers: 2}, good, func(s *sim) {
		s.settled(2)
		s.signal(unix.SIGHUP)
		s.signal(unix.SIGTERM)
		s.ends(0)
		s.logs("Reload failed", 0)
	})
}
