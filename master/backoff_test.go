package master

import (
	"testing"
	"time"
)

func TestBackoffDelay(t *testing.T) {
	t.Parallel()
	for fails, want := range map[int]time.Duration{
		1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 5: 1600 * time.Millisecond,
		9: 25600 * time.Millisecond, 10: 30 * time.Second, 1 << 40: 30 * time.Second,
	} {
		if got := backoffDelay(fails); got != want {
			t.Errorf("after %d deaths %v, want %v", fails, got, want)
		}
	}
}

func TestBackoffJitter(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	b := backoff{jitter: func(d time.Duration) time.Duration { return d - 1 }}
	b.died(0, 0, now)
	if got, want := b.until.Sub(now), 110*time.Millisecond-1; got != want {
		t.Errorf("first delay %v, want at most a tenth more than 100ms: %v", got, want)
	}
	for range 1000 {
		if d := osEnv().jitter(time.Second); d < 0 || d >= time.Second {
			t.Fatalf("jitter %v of 1s", d)
		}
	}
	if d := osEnv().jitter(0); d != 0 {
		t.Errorf("jitter of nothing is %v", d)
	}
}

// TestBackoffWaves: deaths of one wave are one step, however they are spread.
func TestBackoffWaves(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	b := backoff{jitter: func(time.Duration) time.Duration { return 0 }}
	for range 4 {
		b.died(0, time.Second, now)
	}
	if b.fails != 1 {
		t.Errorf("four deaths of one wave are %d steps", b.fails)
	}
	b.lived(0, time.Hour)
	if b.fails != 1 {
		t.Error("a worker older than the last death ended the row")
	}
	b.lived(1, youngAge-1)
	b.died(1, youngAge-1, now)
	if b.fails != 2 {
		t.Errorf("the second wave is step %d", b.fails)
	}
	b.lived(2, youngAge)
	if b.fails != 0 || !b.until.IsZero() {
		t.Errorf("a worker that lived leaves %d steps, until %v", b.fails, b.until)
	}
	b.died(2, 0, now)
	b.died(0, youngAge, now)
	if b.fails != 0 || !b.until.IsZero() {
		t.Error("an old worker is not replaced at once")
	}
}
