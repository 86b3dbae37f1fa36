package master

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/protocol/ipc"
)

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
				s.logs("Worker (pid:101) exited with code 9. [", 1)
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
		s.logs("[ERROR] Worker (pid:101) was sent SIGSEGV! [lived", 1)
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
				s.logs(fmt.Sprintf("Worker (pid:101) exited with code %d. [lived", code), 1)
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
	access := filepath.Join(t.TempDir(), "access.log")
	cfg := config.Config{Workers: 1, Timeout: 30 * time.Second, AccessLog: access,
		AccessLogFormat: `%(h)s "%(r)s" %(U)s %(q)s %(s)s %(b)s %(M)s %(p)s %(X)s`}
	simulate(t, cfg, script, func(s *sim) {
		s.until("a replacement", func() bool { return s.started() == 2 })
		s.settled(1)
		s.logs("[ERROR] Worker (pid:101) was sent SIGKILL! Perhaps out of memory? [lived 23.3s, 0 requests, "+
			"peak memory 45.0 MiB; in GET /report?id=7 for 2.3s (in the application)]\n", 1)
		line, err := os.ReadFile(access)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(line), `192.0.2.1 "GET /report?id=7" /report id=7 - 0 2300 <101> lost`+"\n"; got != want {
			t.Errorf("got %q in the access log, want %q", got, want)
		}
		// The slot is used again, and its old request is nobody's.
		time.Sleep(10 * time.Minute)
		s.logs("WORKER TIMEOUT", 0)
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

func TestWorkerEnviron(t *testing.T) {
	t.Parallel()
	got := workerEnviron(
		[]string{"A=1", "LISTEN_PID=5", "LISTEN_FDS=2", "LISTEN_FDNAMES=x", "LISTEN_FDSX=stays", "A=2", "B=x=y", "GOWSGI_WORKER=forged", "SERVER_SOFTWARE=other"},
		[]string{"B=raw", "C=", "GOWSGI_SPAWNER=forged"},
	)
	want := []string{"LISTEN_FDSX=stays", "A=2", "SERVER_SOFTWARE=gowsgi/0.1.0", "B=raw", "C="}
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
