package worker

import (
	"strings"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		rate    int
		elapsed time.Duration
		n       int64
		slow    bool
	}{
		{"at once", time.Minute, 240, 0, 0, false},
		{"within the first wait", time.Minute, 240, time.Minute, 0, false},
		{"one byte a second", time.Minute, 240, 61 * time.Second, 61, true},
		{"just enough", time.Minute, 240, 61 * time.Second, 240, false},
		{"a little less", time.Minute, 240, 61 * time.Second, 239, true},
		{"fast, then nothing", time.Minute, 240, time.Hour, 1 << 40, false}, // the wait's to notice
		{"a hundred days", time.Minute, 1 << 30, 100 * 24 * time.Hour, 1 << 62, false},
		{"any rate", time.Minute, 0, time.Hour, 0, false},
		{"no limit", 0, 240, time.Hour, 0, false},
	} {
		if got := newPace(tt.timeout, tt.rate).tooSlow(int64(tt.elapsed), tt.n); got != tt.slow {
			t.Errorf("%s: got %t, want %t", tt.name, got, tt.slow)
		}
	}
}

// TestBodyPace: content that comes too slowly is answered 408, whether it waits
// in a buffer or the application reads it.
func TestBodyPace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		rate   int
		every  time.Duration
		status int // 0: it goes on
	}{
		{"a byte a second", 240, time.Second, 408},
		{"a byte a second is enough", 1, time.Second, 0},
		{"any rate", 0, 50 * time.Second, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig()
			cfg.BodyMinRate = tt.rate
			r := newRig(t, cfg)
			c, client := r.connect(t)
			send(t, client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n")
			r.input(r.threads[0], c)
			for n := 0; n < 200 && c.state == reading; n++ {
				c.bodySince -= int64(tt.every) // time goes by
				send(t, client, "x")
				r.input(r.threads[0], c)
			}
			if tt.status == 0 {
				if c.state != reading {
					t.Errorf("got state %v, want it to go on", c.state)
				}
				return
			}
			if c.state != lingering {
				t.Fatalf("got state %v, want it refused", c.state)
			}
			if got := statusOf(t, readAllReset(t, client)); got != tt.status {
				t.Errorf("got %d, want %d", got, tt.status)
			}
		})
	}
}

// TestStreamTimeout: the application learns that content does not come any more,
// and its client gets a 408.
func TestStreamTimeout(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		rate    int
		sends   string
	}{
		{"silence", 20 * time.Millisecond, 0, ""},
		{"too slow", 20 * time.Millisecond, 1 << 30, "x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig()
			cfg.BodyTimeout, cfg.BodyMinRate = tt.timeout, tt.rate
			r := newRig(t, cfg)
			c, client := r.connect(t)
			th := r.calling(t, c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n")
			if tt.sends != "" {
				th.bodyWait = int64(time.Hour)
				send(t, client, tt.sends)
			}
			p := make([]byte, 10)
			n, reason := th.ReadBody(p)
			if n > 0 {
				n, reason = th.ReadBody(p)
			}
			if n >= 0 || !strings.Contains(reason, "too long") {
				t.Errorf("got %d, %q, want the reason", n, reason)
			}
			if th.inputErr != errTimeout || c.keepAlive {
				t.Errorf("got %v, keep-alive %t, want a 408 and the end", th.inputErr, c.keepAlive)
			}
		})
	}
}
