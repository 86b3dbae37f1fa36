package master

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/config"
)

// The master learns from a forked worker itself who it is; until then it is a
// worker that boots, of unknown pid. The name of these tests makes the simulated
// workers such.
func TestForkedWorkers(t *testing.T) {
	script := func(p *proc) {
		p.sleep(time.Second)
		p.starts()
		good(p)
	}
	simulate(t, config.Config{Workers: 3}, script, func(s *sim) {
		time.Sleep(500 * time.Millisecond)
		s.logs("Booting worker", 0)
		s.settled(3)
		s.logs("Booting worker with pid: 101\n", 1)
		s.signal(unix.SIGTTOU)
		s.settled(2)
		if n := s.started(); n != 3 {
			t.Errorf("%d workers were started, want 3", n)
		}
	})
}

// What is sent to a worker before its pid is known reaches it afterwards.
func TestForkedWorkerIsOwedSignals(t *testing.T) {
	script := func(p *proc) {
		p.sleep(time.Second)
		p.starts()
		good(p)
	}
	simulate(t, config.Config{Workers: 2}, script, func(s *sim) {
		s.signal(unix.SIGTERM)
		s.ends(0)
		if !s.got(1, unix.SIGTERM) || !s.got(2, unix.SIGTERM) || s.got(1, unix.SIGKILL) {
			t.Error("workers were not stopped by SIGTERM alone")
		}
	})
}

// Two that are dead before they are known are told apart.
func TestForkedWorkersDieAtOnce(t *testing.T) {
	script := func(p *proc) {
		p.starts()
		if p.oldOne(2) {
			p.exit(20 + p.boot.Age)
		}
		good(p)
	}
	simulate(t, config.Config{Workers: 2}, script, func(s *sim) {
		s.settled(2)
		s.logs("Worker (pid:101) exited with code 21.", 1)
		s.logs("Worker (pid:102) exited with code 22.", 1)
		if n := len(s.master.strangers); n != 0 {
			t.Errorf("%d exit statuses are kept", n)
		}
	})
}

// A worker that is never forked is a failed start, after which the next waits.
func TestForkedWorkerIsStillborn(t *testing.T) {
	script := func(p *proc) {
		if p.oldOne(1) {
			p.out.Close() // as the kernel does
			return
		}
		p.starts()
		good(p)
	}
	simulate(t, config.Config{Workers: 1}, script, func(s *sim) {
		s.settled(1)
		s.logs("Worker could not be forked", 1)
		if wait := s.life(2).started.Sub(s.life(1).started); wait < backoffFirst {
			t.Errorf("the next worker was started after %v, want %v", wait, backoffFirst)
		}
		if n := len(s.master.strangers); n != 0 {
			t.Errorf("%d exit statuses are kept", n)
		}
	})
}
