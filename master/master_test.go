package master

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
		s.logs("[ERROR] Worker (pid:101) was killed after graceful timeout (5s)\n", 1)
		s.logs("Worker (pid:101) died in GET /slow after", 1)
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
				s.logs("Worker (pid:101) was killed after quick shutdown (2s)\n", 1)
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
		opts := Options{FindPython: func(ctx context.Context, _, _ string, _ func(string) string) (ipc.Python, error) {
			<-ctx.Done()
			return ipc.Python{}, ctx.Err()
		}}
		m := newMaster(simConfig(config.Config{Workers: 1}, s.log), opts, s.env())
		go func() { s.code <- m.Run() }()
		s.signal(unix.SIGHUP) // honoured by starting
		s.signal(unix.SIGTERM)
		s.ends(0)
		s.logs("Handling signal: term", 1)
		s.logs("Shutting down: Master", 1)
		s.logs("Booting", 0)
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
				FindPython: func(context.Context, string, string, func(string) string) (ipc.Python, error) {
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

// TestFirstBootFails: all workers fail alike and at once; the log says why once.
func TestFirstBootFails(t *testing.T) {
	const tb = "Traceback (most recent call last):\n  File \"app.py\", line 1\nValueError: no"
	for _, tt := range []struct {
		name         string
		code         int
		tb           string
		reason, line string
	}{
		{"import raises", ipc.ExitBoot, tb, "Worker failed to boot.", "ValueError: no\n"},
		{"no application", ipc.ExitApp, "", "App failed to load.", "[ERROR] Failed to find attribute 'x' in 'app'.\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			script := func(p *proc) {
				p.sleep(time.Second)
				p.fails(tt.code, strings.TrimSuffix(strings.TrimPrefix(tt.line, "[ERROR] "), "\n"), tt.tb)
			}
			simulate(t, config.Config{Workers: 4}, script, func(s *sim) {
				s.ends(tt.code)
				if n := s.started(); n != 4 {
					t.Errorf("%d workers were started, want 4", n)
				}
				if tt.tb != "" {
					s.logs("[ERROR] Exception in worker process\n"+tt.tb+"\n", 1)
				} else {
					s.logs("Exception in worker process", 0)
				}
				s.logs("Traceback", min(len(tt.tb), 1))
				s.logs(fmt.Sprintf(" exited with code %d.\n", tt.code), 1)
				s.logs("[ERROR] Shutting down: Master\n", 1)
				s.logs("[ERROR] Reason: "+tt.reason+"\n", 1)
				if !strings.Contains(s.logText(), tt.line) {
					t.Errorf("%q is not on the log", tt.line)
				}
			})
		})
	}
}

// TestFirstBootFailsBesideHanging: a worker that still imports does not delay
// the end by more than a quick stop.
func TestFirstBootFailsBesideHanging(t *testing.T) {
	script := func(p *proc) {
		if p.oldOne(1) {
			p.sleep(time.Hour)
		}
		p.bootFails("tb")
	}
	simulate(t, config.Config{Workers: 2}, script, func(s *sim) {
		begin := time.Now()
		s.ends(ipc.ExitBoot)
		if d := time.Since(begin); d > quickWait {
			t.Errorf("took %v, want at most %v", d, quickWait)
		}
	})
}

// TestFirstBootFailedButStays: a worker that says it failed and does not exit
// is ended.
func TestFirstBootFailedButStays(t *testing.T) {
	script := func(p *proc) {
		p.say(ipc.Message{Kind: ipc.KindBootFailed, Code: ipc.ExitBoot, Error: "x"})
		p.sleep(time.Hour)
	}
	simulate(t, config.Config{Workers: 1}, script, func(s *sim) { s.ends(ipc.ExitBoot) })
}

// TestFirstBootFailureKeepsItsExitCode: the failed worker is on its way out and
// is not disturbed.
func TestFirstBootFailureKeepsItsExitCode(t *testing.T) {
	script := func(p *proc) {
		p.say(ipc.Message{Kind: ipc.KindBootFailed, Code: ipc.ExitBoot, Error: "x"})
		if sig, ok := p.wait(time.Second); ok {
			p.die(sig)
		}
		p.exit(ipc.ExitBoot)
	}
	simulate(t, config.Config{Workers: 1}, script, func(s *sim) {
		s.ends(ipc.ExitBoot)
		s.logs("Worker (pid:101) exited with code 3.\n", 1)
	})
}

// TestBackoff checks the times of the starts of workers that die at once.
func TestBackoff(t *testing.T) {
	for _, workers := range []int{1, 4} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			// No message: as import sys; sys.exit(9) would do it under gunicorn.
			simulate(t, config.Config{Workers: workers}, func(p *proc) { p.exit(9) }, func(s *sim) {
				begin := time.Now()
				want := []time.Duration{0}
				for _, ms := range []int{100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000} {
					want = append(want, want[len(want)-1]+time.Duration(ms)*time.Millisecond)
				}
				s.until("all waves", func() bool { return s.started() >= workers*len(want) })
				for i, d := range want {
					for j := range workers {
						if got := s.life(i*workers + j + 1).started.Sub(begin); got != d {
							t.Errorf("wave %d worker %d started after %v, want %v", i, j, got, d)
						}
					}
				}
				s.logs("Worker (pid:101) exited with code 9.\n", 1)
			})
		})
	}
}

func TestBackoffEndsWhenAWorkerLives(t *testing.T) {
	script := func(p *proc) {
		if p.oldOne(6) {
			p.die(unix.SIGSEGV)
		}
		p.boots()
		p.sleep(youngAge)
		p.exit(1)
	}
	simulate(t, config.Config{Workers: 1}, script, func(s *sim) {
		s.until("eight workers", func() bool { return s.started() >= 8 })
		// The seventh lived: the eighth takes its place at once.
		if gap := s.life(8).started.Sub(s.life(7).ended); gap != 0 {
			t.Errorf("an old worker was replaced after %v, want at once", gap)
		}
		s.logs("[WARNING] Worker (pid:101) was sent SIGSEGV!\n", 1)
	})
}

// TestExitCodesOfServedWorkers: 3 and 4 mean nothing without a message.
func TestExitCodesOfServedWorkers(t *testing.T) {
	for _, code := range []int{0, 1, ipc.ExitBoot, ipc.ExitApp, 255} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			script := func(p *proc) {
				p.boots()
				if p.oldOne(1) {
					p.sleep(time.Minute)
					p.exit(code)
				}
				p.serve(0)
			}
			simulate(t, config.Config{Workers: 1}, script, func(s *sim) {
				s.until("a second worker", func() bool { return s.started() == 2 })
				s.settled(1)
				s.logs(fmt.Sprintf("Worker (pid:101) exited with code %d.\n", code), 1)
				s.logs("Shutting down", 0)
			})
		})
	}
}

// TestUnmessagedBootDeathIsRespawned: exit 3 while booting, but nobody said why.
func TestUnmessagedBootDeathIsRespawned(t *testing.T) {
	script := func(p *proc) {
		if p.oldOne(3) {
			p.exit(ipc.ExitBoot)
		}
		good(p)
	}
	simulate(t, config.Config{Workers: 1}, script, func(s *sim) { s.settled(1) })
}

// TestLaterBootFailures never end the service, and repeat no traceback.
func TestLaterBootFailures(t *testing.T) {
	script := func(p *proc) {
		switch {
		case p.boot.Age == 1:
			good(p)
		case p.boot.Age == 2:
			p.boots()
			p.sleep(time.Minute)
			p.die(unix.SIGBUS)
		case p.boot.Age < 6:
			p.bootFails("Traceback one")
		case p.boot.Age < 8:
			p.bootFails("Traceback two")
		default:
			good(p)
		}
	}
	simulate(t, config.Config{Workers: 2}, script, func(s *sim) {
		s.until("recovery", func() bool { return s.started() == 8 })
		s.settled(2)
		s.logs("Traceback one", 1)
		s.logs("Traceback two", 1)
		s.logs("failed to boot as before: ValueError: no", 3)
		s.logs("Shutting down", 0)
	})
}

func TestUnexplainedKill(t *testing.T) {
	script := func(p *proc) {
		p.boots()
		if p.oldOne(1) {
			p.sleep(20 * time.Second)
			p.begin("/report?id=7")
			p.sleep(2300 * time.Millisecond)
			p.die(unix.SIGKILL)
		}
		p.serve(0)
	}
	simulate(t, config.Config{Workers: 1, Timeout: 30 * time.Second}, script, func(s *sim) {
		s.until("a replacement", func() bool { return s.started() == 2 })
		s.settled(1)
		s.logs("[ERROR] Worker (pid:101) was sent SIGKILL! Perhaps out of memory?\n", 1)
		s.logs("Worker (pid:101) died in GET /report?id=7 after 2.3s\n", 1)
		// The slot is used again, and its old request is nobody's.
		time.Sleep(10 * time.Minute)
		s.logs("WORKER TIMEOUT", 0)
		s.settled(1)
	})
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
		s.logs("[ERROR] Worker (pid:101) was killed after graceful timeout (7s)\n", 1)
	})
}

func TestRecycle(t *testing.T) {
	script := func(p *proc) {
		p.boots()
		if p.oldOne(2) {
			p.sleep(20 * time.Second)
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

func TestUnsupportedSignals(t *testing.T) {
	simulate(t, config.Config{Workers: 1}, good, func(s *sim) {
		s.settled(1)
		s.signal(unix.SIGUSR2)
		s.signal(unix.SIGWINCH)
		s.signal(unix.SIGPIPE)
		s.logs("[WARNING] SIGUSR2 ignored", 1)
		s.logs("SIGWINCH ignored", 1)
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

func TestGarbageFromAWorker(t *testing.T) {
	script := func(p *proc) {
		p.boots()
		p.say(ipc.Message{Kind: "dance"})
		fmt.Fprintf(p.out, "not json\n%s\n", strings.Repeat("x", 2*maxTalk)) // must not block
		p.serve(0)
	}
	simulate(t, config.Config{Workers: 1}, script, func(s *sim) {
		s.settled(1)
		synctest.Wait()
		s.logs("Worker (pid:101) is not understood", 1)
		s.signal(unix.SIGTERM)
		s.ends(0)
		s.logs("Worker (pid:101) is not understood", 2)
	})
}

func TestTimeout(t *testing.T) {
	for _, tt := range []struct {
		name  string
		abort func(p *proc) // what SIGABRT does
		after time.Duration // from SIGABRT to the end
	}{
		{"dies of SIGABRT", func(p *proc) { p.die(unix.SIGABRT) }, 0},
		{"exits", func(p *proc) { p.sleep(100 * time.Millisecond); p.exit(2) }, 100 * time.Millisecond},
		{"is deaf", func(p *proc) { p.sleep(time.Hour) }, abortWait},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var aborted time.Time
			script := func(p *proc) {
				p.boots()
				if p.oldOne(1) {
					p.sleep(time.Minute) // idle for longer than the timeout
					p.begin("/slow?a=1")
					p.wait(time.Hour)
					aborted = time.Now()
					tt.abort(p)
				}
				p.serve(0)
			}
			simulate(t, config.Config{Workers: 1, Timeout: 30 * time.Second}, script, func(s *sim) {
				s.until("a replacement", func() bool { return s.started() == 2 })
				synctest.Wait()
				if at := s.life(2).started; !at.Equal(aborted) {
					t.Errorf("replaced %v after SIGABRT, want at once", at.Sub(aborted))
				}
				s.settled(1)
				if d := s.life(1).ended.Sub(aborted); d != tt.after {
					t.Errorf("ended %v after SIGABRT, want %v", d, tt.after)
				}
				late := aborted.Sub(s.life(1).started) - 61*time.Second - 30*time.Second
				if late < 0 || late > checkInterval(30*time.Second) {
					t.Errorf("SIGABRT came %v after the timeout, want within %v", late, checkInterval(30*time.Second))
				}
				if !s.got(1, unix.SIGABRT) || s.got(1, unix.SIGTERM) {
					t.Error("the worker was not ended by SIGABRT")
				}
				s.logs("[CRITICAL] WORKER TIMEOUT (pid:101) GET /slow?a=1 (3", 1)
				s.logs("[ERROR] Worker (pid:101) was ended after request timeout (30s)\n", 1)
				s.logs("WORKER TIMEOUT", 1)
				s.logs("Next worker in", 0)
			})
		})
	}
}

// TestTimeoutSpares workers that boot, that are idle, and all with timeout 0.
func TestTimeoutSpares(t *testing.T) {
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		script  func(p *proc)
	}{
		{"booting", time.Second, func(p *proc) {
			if !p.oldOne(1) {
				p.begin("/")
				p.sleep(time.Hour)
				p.thread().End()
			}
			good(p)
		}},
		{"idle", time.Second, func(p *proc) {
			p.boots()
			for range 100 {
				p.begin("/")
				p.sleep(900 * time.Millisecond)
				p.thread().End()
				p.sleep(time.Minute)
			}
			p.serve(0)
		}},
		{"off", 0, func(p *proc) { p.boots(); p.begin("/"); p.sleep(time.Hour); p.thread().End(); p.serve(0) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// Two: that one is ready keeps the clock of the checks running.
			simulate(t, config.Config{Workers: 2, Timeout: tt.timeout}, tt.script, func(s *sim) {
				time.Sleep(2 * time.Hour)
				s.settled(2)
				s.logs("WORKER TIMEOUT", 0)
				if n := s.started(); n != 2 {
					t.Errorf("%d workers were started, want 2", n)
				}
			})
		})
	}
}

func TestTimeoutOfADrainingWorker(t *testing.T) {
	script := func(p *proc) {
		p.boots()
		if p.oldOne(1) {
			p.begin("/slow")
			p.wait(time.Hour) // SIGTERM
			p.wait(time.Hour) // SIGABRT
			p.die(unix.SIGABRT)
		}
		p.serve(0)
	}
	simulate(t, config.Config{Workers: 1, Timeout: 5 * time.Second, GracefulTimeout: time.Hour}, script, func(s *sim) {
		s.settled(1)
		s.signal(unix.SIGTERM)
		s.ends(0)
		s.logs("WORKER TIMEOUT (pid:101) GET /slow", 1)
	})
}

func TestCheckInterval(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ timeout, want time.Duration }{
		{30 * time.Second, time.Second},
		{8 * time.Second, time.Second},
		{2 * time.Second, 250 * time.Millisecond},
		{100 * time.Millisecond, 50 * time.Millisecond},
	} {
		if got := checkInterval(tt.timeout); got != tt.want {
			t.Errorf("checkInterval(%v) = %v, want %v", tt.timeout, got, tt.want)
		}
	}
}

// TestCheck is --check-config.
func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script func(p *proc)
		code   int
		stderr string
	}{
		{"loads", func(p *proc) { p.exit(0) }, 0, ""},
		{"import raises", func(p *proc) { p.bootFails("Traceback\nValueError: no\n") }, 1, "\nError while loading the application:\n\nTraceback\nValueError: no\n"},
		{"no application", func(p *proc) { p.fails(ipc.ExitApp, "Failed to find attribute 'x' in 'app'.", "") }, 1, "\nError while loading the application:\n\nFailed to find attribute 'x' in 'app'.\n"},
		{"dies", func(p *proc) { p.die(unix.SIGSEGV) }, 1, "\nError while loading the application:\n\nWorker (pid:101) was sent SIGSEGV!\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &sim{t: t}
				s.script = func(p *proc) {
					if !p.boot.Check || len(p.boot.Listeners) != 0 {
						t.Error("the worker was not told to check only")
					}
					tt.script(p)
				}
				var stderr strings.Builder
				cfg := simConfig(config.Config{Workers: 4, Bind: []config.Address{{Network: "fd", FD: 999}}, PIDFile: "/no/such/dir/x"}, "/no/such/dir/x")
				m := newMaster(cfg, Options{
					Check: true, Stderr: &stderr,
					FindPython: func(context.Context, string, string, func(string) string) (ipc.Python, error) {
						return ipc.Python{}, nil
					},
				}, s.env())
				if code := m.Run(); code != tt.code {
					t.Errorf("exit code %d, want %d", code, tt.code)
				}
				if stderr.String() != tt.stderr {
					t.Errorf("standard error %q, want %q", stderr.String(), tt.stderr)
				}
			})
		})
	}
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

func TestWorkerEnviron(t *testing.T) {
	t.Parallel()
	got := workerEnviron(
		[]string{"A=1", "LISTEN_PID=5", "LISTEN_FDS=2", "LISTEN_FDNAMES=x", "LISTEN_FDSX=stays", "A=2", "B=x=y", "GOWSGI_WORKER=forged", "SERVER_SOFTWARE=other"},
		[]string{"B=raw", "C="},
	)
	want := []string{"LISTEN_FDSX=stays", "A=2", "SERVER_SOFTWARE=gowsgi/0.1.0", "B=raw", "C=", "GOWSGI_WORKER=" + ipc.Version}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
	if v := workerEnviron(nil, []string{"SERVER_SOFTWARE=mine"}); !slices.Contains(v, "SERVER_SOFTWARE=mine") {
		t.Errorf("raw_env does not win: %q", v)
	}
}

// TestBootIsComplete: what a worker is told, and that lists are never null.
func TestBootIsComplete(t *testing.T) {
	simulate(t, config.Config{Workers: 1, Threads: 3}, func(p *proc) {
		if p.boot.Slots < 64 || p.boot.Age != 1 || p.boot.Python.Version != "3.99.0" || p.boot.Listeners == nil ||
			!slices.Equal(p.boot.Argv, []string{"gowsgi", "app"}) || p.cfg.Threads != 3 || p.boot.Check {
			b, _ := json.Marshal(p.boot)
			t.Errorf("boot %s", b)
		}
		good(p)
	}, func(s *sim) { s.settled(1) })
}
