package master

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/protocol/ipc"
)

// TestTimeout: a worker that has lost a thread is replaced first; then it drains,
// and is killed when nothing but that thread's request is left. Its stacks are on the
// log by then, so it gets no SIGABRT.
func TestTimeout(t *testing.T) {
	var told, retired, alone time.Time
	script := func(p *proc) {
		p.boots()
		if p.oldOne(1) {
			p.begin("/slow?a=1")
			p.sleep(30 * time.Second)
			told = time.Now()
			p.say(ipc.Message{Kind: ipc.KindTimeout, Took: 30 * time.Second})
			p.say(ipc.Message{Kind: ipc.KindTimeout, Took: 31 * time.Second}) // another thread
			p.say(ipc.Message{Kind: ipc.KindStuck})                           // too early to be believed
			p.wait(time.Hour)
			retired = time.Now()
			p.sleep(3 * time.Second) // other requests
			alone = time.Now()
			p.say(ipc.Message{Kind: ipc.KindStuck})
			p.sleep(time.Hour)
		}
		p.serve(0)
	}
	simulate(t, config.Config{Workers: 1, Timeout: 30 * time.Second, GracefulTimeout: time.Minute}, script, func(s *sim) {
		s.until("a replacement", func() bool { return s.started() == 2 })
		if at := s.life(2).started; at.Sub(told) > time.Second {
			t.Errorf("replaced %v after the timeout, want at once", at.Sub(told))
		}
		s.until("the end of the old worker", func() bool { return !s.life(1).ended.IsZero() })
		s.settled(1)
		if !retired.After(s.life(2).started) {
			t.Error("the worker was retired before its replacement was there")
		}
		if d := alone.Sub(retired); d != 3*time.Second {
			t.Errorf("the worker had %v for its other requests, want 3s", d)
		}
		if d := s.life(1).ended.Sub(alone); d != 0 {
			t.Errorf("ended %v after only the request was left, want at once", d)
		}
		if s.got(1, unix.SIGABRT) || !s.got(1, unix.SIGTERM) || !s.got(1, unix.SIGKILL) {
			t.Error("the worker was not drained by SIGTERM and ended by SIGKILL alone")
		}
		s.logs("[INFO] Worker (pid:101) is replaced, for a request that takes more than 30s", 1)
		s.logs("[ERROR] Worker (pid:101) was ended after request timeout (30s)", 1)
		s.logs("Next worker in", 0)
	})
}

// With a worker_abort hook the worker gets SIGABRT at once, and time for the hook,
// also if it was about to be ended.
func TestTimeoutWithAnAbortHook(t *testing.T) {
	for _, tt := range []struct {
		name  string
		abort func(p *proc) // what SIGABRT does
		after time.Duration // from SIGABRT to the end
	}{
		{"dies of SIGABRT", func(p *proc) { p.sleep(100 * time.Millisecond); p.die(unix.SIGABRT) }, 100 * time.Millisecond},
		{"exits", func(p *proc) { p.sleep(100 * time.Millisecond); p.exit(2) }, 100 * time.Millisecond},
		{"is deaf", func(p *proc) { p.sleep(time.Hour) }, hookedWait},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var aborted time.Time
			script := func(p *proc) {
				p.boots()
				if p.oldOne(1) {
					p.begin("/slow")
					p.sleep(30 * time.Second)
					p.say(ipc.Message{Kind: ipc.KindTimeout, Took: 30 * time.Second})
					p.say(ipc.Message{Kind: ipc.KindStuck})
					p.wait(time.Hour)
					aborted = time.Now()
					tt.abort(p)
				}
				p.serve(0)
			}
			cfg := config.Config{Workers: 1, Timeout: 30 * time.Second, GracefulTimeout: time.Minute, Hooks: []string{"worker_abort"}}
			simulate(t, cfg, script, func(s *sim) {
				s.until("the end of the old worker", func() bool { return !s.life(1).ended.IsZero() })
				s.settled(1)
				if d := s.life(1).ended.Sub(aborted); d != tt.after || !s.got(1, unix.SIGABRT) || s.got(1, unix.SIGTERM) {
					t.Errorf("ended %v after SIGABRT, want %v", d, tt.after)
				}
				s.logs("[ERROR] Worker (pid:101) was ended after request timeout (30s)", 1)
			})
		})
	}
}

// TestTimeoutOfADrainingWorker: it is not waited for.
func TestTimeoutOfADrainingWorker(t *testing.T) {
	script := func(p *proc) {
		p.boots()
		if p.oldOne(1) {
			p.begin("/slow")
			p.wait(time.Hour) // SIGTERM
			p.say(ipc.Message{Kind: ipc.KindTimeout, Took: 5 * time.Second})
			p.say(ipc.Message{Kind: ipc.KindStuck})
			p.sleep(time.Hour)
		}
		p.serve(0)
	}
	simulate(t, config.Config{Workers: 1, Timeout: 5 * time.Second, GracefulTimeout: time.Hour}, script, func(s *sim) {
		s.settled(1)
		s.signal(unix.SIGTERM)
		s.ends(0)
		s.logs("was ended after request timeout (5s)", 1)
	})
}

// TestTimeoutOvercome: a worker whose request ended after all leaves as any other.
func TestTimeoutOvercome(t *testing.T) {
	script := func(p *proc) {
		p.boots()
		if p.oldOne(1) {
			p.say(ipc.Message{Kind: ipc.KindTimeout, Took: 5 * time.Second})
		}
		p.serve(0)
	}
	simulate(t, config.Config{Workers: 1, Timeout: 5 * time.Second, GracefulTimeout: time.Hour}, script, func(s *sim) {
		s.until("a replacement", func() bool { return s.started() == 2 })
		s.until("the end of the old worker", func() bool { return !s.life(1).ended.IsZero() })
		s.settled(1)
		s.logs("timeout", 0)
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
