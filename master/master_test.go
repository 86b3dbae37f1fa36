package master

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/protocol/ipc"
)

func TestStartAndGracefulStop(t *testing.T) {
	simulate(t, config.Config{Workers: 2}, good, func(s *sim) {
		s.settled(2)
		if got := s.ages(); !slices.Equal(got, []int{1, 2}) {
			t.Errorf("ages %v, want [1 2]", got)
		}
		s.signal(unix.SIGTERM)
		s.ends(0)
		if !s.got(1, unix.SIGTERM) || !s.got(2, unix.SIGTERM) || s.got(1, unix.SIGKILL) {
			t.Error("workers were not stopped by SIGTERM alone")
		}
		for _, line := range []string{
			"[7] [INFO] Starting gowsgi ", "[INFO] Using worker: sync\n", "[INFO] Booting worker with pid: 101\n",
			"[INFO] Booting worker with pid: 102\n", "[INFO] Handling signal: term\n", "[INFO] Shutting down: Master\n",
		} {
			s.logs(line, 1)
		}
		s.logs("Reason:", 0)
	})
}

func TestNoWorkersAtAll(t *testing.T) {
	simulate(t, config.Config{Workers: 0}, good, func(s *sim) {
		time.Sleep(time.Minute)
		if n := s.started(); n != 0 {
			t.Errorf("%d workers, want none", n)
		}
		s.signal(unix.SIGTTIN)
		s.settled(1)
	})
}

func TestGracefulStopEndsAtItsTimeout(t *testing.T) {
	stubborn := func(p *proc) {
		p.boots()
		p.begin("/slow")
		p.serve(time.Hour)
	}
	simulate(t, config.Config{Workers: 1, GracefulTimeout: 5 * time.Second}, stubborn, func(s *sim) {
		s.settled(1)
		begin := time.Now()
		s.signal(unix.SIGTERM)
		s.ends(0)
		if d := time.Since(begin); d != 5*time.Second {
			t.Errorf("took %v, want 5s", d)
		}
		s.logs("[ERROR] Worker (pid:101) was killed after graceful timeout (5s) [", 1)
		s.logs("; in GET /slow for ", 1)
	})
}

func TestQuickStop(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGINT, unix.SIGQUIT} {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			deaf := func(p *proc) {
				p.boots()
				if p.oldOne(1) {
					p.sleep(time.Hour)
				}
				p.serve(time.Hour)
			}
			simulate(t, config.Config{Workers: 2}, deaf, func(s *sim) {
				s.settled(2)
				begin := time.Now()
				s.signal(sig)
				s.ends(0)
				if d := time.Since(begin); d != quickWait {
					t.Errorf("took %v, want %v", d, quickWait)
				}
				if !s.got(2, unix.SIGQUIT) || s.got(2, unix.SIGTERM) || s.got(2, unix.SIGKILL) {
					t.Error("the second worker was not stopped by SIGQUIT alone")
				}
				s.logs("Worker (pid:101) was killed after quick shutdown (2s) [", 1)
			})
		})
	}
}

func TestQuickStopOverridesGraceful(t *testing.T) {
	slow := func(p *proc) {
		p.boots()
		p.wait(time.Hour)
		p.serve(time.Hour)
	}
	simulate(t, config.Config{Workers: 1}, slow, func(s *sim) {
		s.settled(1)
		begin := time.Now()
		s.signal(unix.SIGTERM)
		s.signal(unix.SIGINT)
		s.signal(unix.SIGTERM) // changes nothing any more
		s.ends(0)
		if d := time.Since(begin); d >= quickWait || !s.got(1, unix.SIGQUIT) {
			t.Errorf("took %v, SIGQUIT sent: %v", d, s.got(1, unix.SIGQUIT))
		}
		s.logs("Quick shutdown requested", 1)
	})
}

// TestQuickStopOfDeafDrainingWorker: the quick stop's deadline replaces the
// graceful one's.
func TestQuickStopOfDeafDrainingWorker(t *testing.T) {
	deaf := func(p *proc) { p.boots(); p.sleep(time.Hour) }
	simulate(t, config.Config{Workers: 1}, deaf, func(s *sim) {
		s.settled(1)
		s.signal(unix.SIGTERM)
		time.Sleep(10 * time.Second)
		begin := time.Now()
		s.signal(unix.SIGQUIT)
		s.ends(0)
		if d := time.Since(begin); d != quickWait {
			t.Errorf("took %v, want %v", d, quickWait)
		}
	})
}

// TestStopWhileStarting: the interpreter is still being looked for.
func TestStopWhileStarting(t *testing.T) {
	simulate(t, config.Config{Workers: 1}, good, func(s *sim) {
		s.signal(unix.SIGTERM) // queued before Run reads it, or while it starts
		s.ends(0)
	})
	synctest.Test(t, func(t *testing.T) {
		s := &sim{t: t, code: make(chan int, 1), log: t.TempDir() + "/log"}
		opts := Options{FindPython: func(ctx context.Context, _ ipc.Wanted, _ func(string) string) (ipc.Python, error) {
			<-ctx.Done()
			return ipc.Python{}, ctx.Err()
		}}
		m := newMaster(simConfig(config.Config{Workers: 1}, s.log), opts, s.env())
		go func() { s.code <- m.Run() }()
		s.signal(unix.SIGHUP) // for a loop that does not come
		s.signal(unix.SIGTERM)
		s.ends(0)
		s.logs("Handling signal: term", 1)
		s.logs("Shutting down: Master", 1)
		s.logs("Booting", 0)
	})
}

// What comes during the start is done when it is over: a HUP may be about a file
// that has been read already.
func TestSignalsWhileStarting(t *testing.T) {
	var hold chan struct{}
	change := func(s *sim) {
		hold = make(chan struct{})
		first := true
		s.find = func(context.Context) (ipc.Python, error) {
			if first {
				first = false
				<-hold
			}
			return ipc.Python{Version: "3.99.0"}, nil
		}
	}
	simulateWith(t, config.Config{Workers: 1}, good, change, func(s *sim) {
		synctest.Wait()
		s.next.Workers = 3
		s.signal(unix.SIGHUP)
		s.signal(unix.SIGTTIN)
		s.logs("Handling signal", 0)
		close(hold)
		s.settled(4)
		s.logs("Handling signal: hup", 1)
		s.logs("Reload complete: 4 workers", 1)
	})
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		cfg  config.Config
		find error
		want string
	}{
		{"no interpreter", config.Config{}, errors.New("no python3 on PATH"), "\nError: no python3 on PATH\n"},
		{"error log", config.Config{ErrorLog: "/no/such/dir/log"}, nil, "\nError: '/no/such/dir/log' isn't writable [no such file or directory]\n"},
		{"access log", config.Config{ErrorLog: "-", AccessLog: "/no/such/dir/log"}, nil, "\nError: '/no/such/dir/log' isn't writable [no such file or directory]\n"},
		{"pid file", config.Config{PIDFile: "/no/such/dir/pid"}, nil, "\nError: /no/such/dir doesn't exist. Can't create pidfile.\n"},
		{"descriptor", config.Config{Bind: []config.Address{{Text: "fd://999", Network: "fd", FD: 999}}}, nil, "\nError: fd://999 is not an open file descriptor\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &sim{t: t}
			if tt.cfg.ErrorLog == "" {
				tt.cfg.ErrorLog = t.TempDir() + "/log"
			}
			var stderr strings.Builder
			m := newMaster(&tt.cfg, Options{
				Stderr: &stderr,
				FindPython: func(context.Context, ipc.Wanted, func(string) string) (ipc.Python, error) {
					return ipc.Python{}, tt.find
				},
			}, s.env())
			if code := m.Run(); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if stderr.String() != tt.want {
				t.Errorf("standard error %q, want %q", stderr.String(), tt.want)
			}
		})
	}
}

func TestScale(t *testing.T) {
	simulate(t, config.Config{Workers: 2}, good, func(s *sim) {
		s.settled(2)
		s.signal(unix.SIGTTIN)
		s.settled(3)
		s.signal(unix.SIGTTOU)
		s.settled(2)
		if got := s.ages(); !slices.Equal(got, []int{2, 3}) {
			t.Errorf("ages %v, want [2 3]: the oldest leaves first", got)
		}
		for range 5 {
			s.signal(unix.SIGTTOU)
		}
		s.settled(1)
		s.signal(unix.SIGTTIN)
		s.settled(2)
	})
}

func TestScaledDownWorkerIsKilledAtGracefulTimeout(t *testing.T) {
	script := func(p *proc) { p.boots(); p.serve(time.Hour) }
	simulate(t, config.Config{Workers: 2, GracefulTimeout: 7 * time.Second}, script, func(s *sim) {
		s.settled(2)
		begin := time.Now()
		s.signal(unix.SIGTTOU)
		s.settled(1)
		if d := s.life(1).ended.Sub(begin); d != 7*time.Second {
			t.Errorf("killed after %v, want 7s", d)
		}
		s.logs("[ERROR] Worker (pid:101) was killed after graceful timeout (7s) [", 1)
	})
}

func TestRecycle(t *testing.T) {
	script := func(p *proc) {
		p.boots()
		if p.oldOne(2) {
			p.sleep(20*time.Second + time.Duration(p.boot.Age)*100*time.Millisecond) // in order
			p.say(ipc.Message{Kind: ipc.KindRecycle, Requests: 1000})
			p.say(ipc.Message{Kind: ipc.KindRecycle, Requests: 1001}) // once is enough
		}
		p.serve(time.Second)
	}
	simulate(t, config.Config{Workers: 2}, script, func(s *sim) {
		s.until("four workers", func() bool { return s.started() == 4 })
		s.settled(2)
		if got := s.ages(); !slices.Equal(got, []int{3, 4}) {
			t.Errorf("ages %v, want [3 4]", got)
		}
		s.logs("[INFO] Autorestarting worker after 1000 requests\n", 2)
		s.logs("1001", 0)
		// One surplus worker at a time, each ready before an old one leaves.
		s.wantNoGap(2)
	})
}

// TestRecycleRetiresWhoAsked and not the oldest.
func TestRecycleRetiresWhoAsked(t *testing.T) {
	script := func(p *proc) {
		p.boots()
		if p.boot.Age == 2 {
			p.sleep(20 * time.Second)
			p.say(ipc.Message{Kind: ipc.KindRecycle, Requests: 5})
		}
		p.serve(time.Second)
	}
	simulate(t, config.Config{Workers: 2}, script, func(s *sim) {
		s.until("three workers", func() bool { return s.started() == 3 })
		s.settled(2)
		if got := s.ages(); !slices.Equal(got, []int{1, 3}) {
			t.Errorf("ages %v, want [1 3]", got)
		}
	})
}

// TestRecycleRetiresWhoIsReplaced: it leaves when its successor serves, also if an
// older one has asked meanwhile. What a hook took for it, an id of the wanted number
// of workers, is then free for one worker at a time.
func TestRecycleRetiresWhoIsReplaced(t *testing.T) {
	script := func(p *proc) {
		p.boots()
		if p.oldOne(2) {
			p.sleep(20*time.Second - time.Duration(p.boot.Age)*500*time.Millisecond)
			p.say(ipc.Message{Kind: ipc.KindRecycle, Requests: 5})
		}
		p.serve(10 * time.Second)
	}
	simulate(t, config.Config{Workers: 3, GracefulTimeout: time.Minute}, script, func(s *sim) {
		s.until("five workers", func() bool { return s.started() == 5 })
		s.settled(3)
		first, second := s.life(2).ended, s.life(1).ended
		if !first.Before(second) {
			t.Errorf("worker 2, whose successor came first, left %v after worker 1", first.Sub(second))
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, want := range [][]int{nil, nil, nil, {102}, {101, 102}} {
			got := slices.Sorted(slices.Values(s.procs[i].leaving))
			if !slices.Equal(got, want) {
				t.Errorf("when worker %d was started %v were leaving, want %v", i+1, got, want)
			}
		}
	})
}

// wantNoGap checks from the workers' histories that no worker that served was
// told to leave before its replacement was ready, and that never more than one
// worker was in surplus: worker n+1 was started when n-surplus were replaced.
func (s *sim) wantNoGap(workers int) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, p := range s.procs[workers:] {
		old := s.procs[i]
		if old.ended.IsZero() {
			continue
		}
		ready := p.started.Add(time.Second)
		// good drains for a second after SIGTERM.
		if left := old.ended.Add(-time.Second); left.Before(ready) {
			s.t.Errorf("worker %d was told to leave %v before worker %d was ready", i+1, ready.Sub(left), workers+i+1)
		}
		if i > 0 && p.started.Before(s.procs[workers+i-1].started.Add(time.Second)) {
			s.t.Errorf("worker %d was started while another surplus one booted", workers+i+1)
		}
	}
}

func TestRecycledWorkerThatDies(t *testing.T) {
	script := func(p *proc) {
		p.boots()
		if p.oldOne(1) {
			p.sleep(20 * time.Second)
			p.say(ipc.Message{Kind: ipc.KindRecycle, Requests: 5})
			p.sleep(500 * time.Millisecond)
			p.exit(1)
		}
		p.serve(0)
	}
	simulate(t, config.Config{Workers: 1}, script, func(s *sim) {
		s.until("the replacement", func() bool { return s.started() == 2 })
		s.settled(1)
		if n := s.started(); n != 2 {
			t.Errorf("%d workers were started, want 2: the replacement takes the dead one's place", n)
		}
	})
}

func TestReopenLogs(t *testing.T) {
	script := func(p *proc) {
		if !p.oldOne(1) {
			p.sleep(time.Minute)
		}
		good(p)
	}
	simulate(t, config.Config{Workers: 2}, script, func(s *sim) {
		s.until("one ready", func() bool { return s.life(1).ready })
		synctest.Wait()
		s.signal(unix.SIGUSR1)
		if !s.got(1, unix.SIGUSR1) || s.got(2, unix.SIGUSR1) {
			t.Error("SIGUSR1 was not sent to the ready worker alone")
		}
		s.settled(2)
		synctest.Wait()
		if !s.got(2, unix.SIGUSR1) {
			t.Error("SIGUSR1 was not sent to the other one when it was ready")
		}
	})
}

func TestSignalsWithoutEffect(t *testing.T) {
	simulate(t, config.Config{Workers: 1}, good, func(s *sim) {
		s.settled(1)
		s.signal(unix.SIGWINCH)
		s.signal(unix.SIGPIPE)
		s.logs("SIGWINCH ignored. Not daemonized", 1)
		s.logs("pipe", 0)
		s.settled(1)
	})
}

func TestUnknownChildIsReaped(t *testing.T) {
	simulate(t, config.Config{Workers: 1}, good, func(s *sim) {
		s.settled(1)
		s.mu.Lock()
		s.zombies = append(s.zombies, zombie{9999, 3 << 8}, zombie{9998, 0})
		s.mu.Unlock()
		s.raiseCHLD()
		synctest.Wait()
		s.logs("[DEBUG] Reaped unknown child (pid:9999)\n", 1)
		s.logs("[DEBUG] Reaped unknown child (pid:9998)\n", 1)
		s.logs("exited with code 3", 0)
		s.settled(1)
	})
}

func TestMoves(t *testing.T) {
	t.Parallel()
	legal := map[[2]state]bool{
		{booting, serving}: true, {booting, draining}: true, {booting, gone}: true,
		{serving, draining}: true, {serving, gone}: true, {draining, gone}: true,
	}
	for from := booting; from <= gone; from++ {
		for to := booting; to <= gone; to++ {
			if got := canMove(from, to); got != legal[[2]state{from, to}] {
				t.Errorf("%v -> %v: %v", from, to, got)
			}
			w := &worker{state: from}
			func() {
				defer func() {
					if panicked := recover() != nil; panicked == canMove(from, to) {
						t.Errorf("%v -> %v: panicked %v", from, to, panicked)
					}
				}()
				w.move(to)
			}()
		}
	}
	if got := state(9).String(); got != "state(9)" {
		t.Errorf("unknown state is %q", got)
	}
}
