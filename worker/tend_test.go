package worker

import (
	"testing"

	"gowsgi/config"
)

// TestQuota: max_requests, and up to max_requests_jitter more, both ends
// included (gunicorn: randint).
func TestQuota(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                  string
		max, jitter, low, top int
	}{
		{"no limit", 0, 0, 0, 0},
		{"no limit, jitter alone", 0, 5, 0, 0},
		{"negative", -1, 5, 0, 0},
		{"limit", 100, 0, 100, 100},
		{"negative jitter", 100, -1, 100, 100},
		{"jitter", 100, 3, 100, 103},
		{"smallest", 1, 1, 1, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			seen := map[int]bool{}
			// The chance that one of four values is missed is below 1e-60.
			for range 500 {
				n := int(quota(&config.Config{MaxRequests: tt.max, MaxRequestsJitter: tt.jitter}))
				if n < tt.low || n > tt.top {
					t.Fatalf("got %d, want %d to %d", n, tt.low, tt.top)
				}
				seen[n] = true
			}
			if len(seen) != tt.top-tt.low+1 {
				t.Errorf("got %d different values, want every one from %d to %d", len(seen), tt.low, tt.top)
			}
		})
	}
}
