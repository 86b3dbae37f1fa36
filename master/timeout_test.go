package master

import (
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/config"
)

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
				s.logs("[ERROR] Worker (pid:101) was ended after request timeout (30s) [", 1)
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
