package statsd

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// long is how long something that must happen may take.
const long = 30 * time.Second

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, network, addr, err string }{
		{"localhost:8125", "udp", "localhost:8125", ""},
		{"localhost", "udp", "localhost:8125", ""},
		{"192.0.2.1:9125", "udp", "192.0.2.1:9125", ""},
		{"[::1]:9125", "udp", "[::1]:9125", ""},
		{"[::1]", "udp", "[::1]:8125", ""},
		{"unix:///run/statsd.sock", "unixgram", "/run/statsd.sock", ""},
		{"unix:/run/statsd.sock", "unixgram", "/run/statsd.sock", ""},
		{"unix:statsd.sock", "unixgram", "statsd.sock", ""},
		{"unix:9125", "udp", "unix:9125", ""},
		{"unix://", "", "", "no path after unix://"},
		{"unix:", "", "", "'' is not a valid port number"},
		{"", "", "", "no host"},
		{":8125", "", "", "no host"},
		{"host:port", "", "", "'port' is not a valid port number"},
		{"host:70000", "", "", "'70000' is not a valid port number"},
		{"a:b:c", "", "", "not HOST:PORT"},
	} {
		got, err := ParseAddress(tt.in)
		if tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("%q: got %v, want %s", tt.in, err, tt.err)
			}
			continue
		}
		if want := (Address{tt.network, tt.addr}); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", tt.in, got, err, want)
		}
	}
}

// daemon is a listener that takes metrics.
type daemon struct {
	t *testing.T
	net.PacketConn
}

func listen(t *testing.T, network string) *daemon {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unixgram" {
		addr = filepath.Join(t.TempDir(), "s")
	}
	c, err := net.ListenPacket(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &daemon{t, c}
}

func (d *daemon) address() Address {
	return Address{d.LocalAddr().Network(), d.LocalAddr().String()}
}

// packet returns the metrics of the next datagram.
func (d *daemon) packet() []string {
	d.t.Helper()
	buf := make([]byte, 64<<10)
	_ = d.SetReadDeadline(time.Now().Add(long))
	n, _, err := d.ReadFrom(buf)
	if err != nil {
		d.t.Fatal(err)
	}
	if n > maxPacket {
		d.t.Errorf("a datagram has %d bytes, want at most %d", n, maxPacket)
	}
	return strings.Split(string(buf[:n]), "\n")
}

// TestReport: names, types, tags and prefix are gunicorn's.
func TestReport(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, network, prefix, tags, before, after string }{
		{"udp", "udp", "", "", "", ""},
		{"unix", "unixgram", "", "", "", ""},
		{"prefix", "udp", "svc", "", "svc.", ""},
		{"prefix with dots", "udp", "a.b..", "", "a.b.", ""},
		{"tags", "udp", "", "env:prod,role:web", "", "|#env:prod,role:web"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := listen(t, tt.network)
			c := Open(Options{Address: d.address(), Prefix: tt.prefix, Tags: tt.tags})
			c.Request(200, true, 610*time.Microsecond)
			c.Request(200, true, 2*time.Second)
			c.Request(400, false, time.Hour)
			c.Request(0, true, 0)
			for _, level := range []string{"critical", "error", "warning", "warning", "info", "debug"} {
				c.Event(level, nil, false)
			}
			c.Event("error", nil, true)
			c.Event("info", nil, true)
			c.Histogram("gunicorn.backlog", 3)
			c.Gauge("gunicorn.workers", 4)
			want := []string{
				"gunicorn.requests:4|c|@1.0", "gunicorn.request.status.200:2|c|@1.0", "gunicorn.request.status.400:1|c|@1.0",
				"gunicorn.request.duration:0.61|ms", "gunicorn.request.duration:2000|ms", "gunicorn.request.duration:0|ms",
				"gunicorn.log.critical:1|c|@1.0", "gunicorn.log.error:1|c|@1.0", "gunicorn.log.warning:2|c|@1.0",
				"gunicorn.log.exception:1|c|@1.0", "gunicorn.workers:4|g", "gunicorn.backlog:3|h",
			}
			for i := range want {
				want[i] = tt.before + want[i] + tt.after
			}
			c.Close(long)
			got := d.packet()
			for len(got) < len(want) {
				got = append(got, d.packet()...)
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// TestMany: datagrams stay small, nothing is lost between them, and durations
// beyond what is sent are sampled.
func TestMany(t *testing.T) {
	t.Parallel()
	d := listen(t, "unixgram") // which, unlike UDP, drops nothing
	c := Open(Options{Address: d.address()})
	c.mu.Lock() // one interval
	const n = 2 * maxDurations
	for range n {
		c.requests++
		c.statuses[200]++
		c.sample(time.Millisecond)
	}
	c.mu.Unlock()
	go c.Close(long)
	durations, counted := 0, 0
	for counted < n || durations < maxDurations {
		for _, m := range d.packet() {
			switch {
			case m == "gunicorn.request.duration:1|ms|@0.5":
				durations++
			case strings.HasPrefix(m, "gunicorn.requests:"):
				k, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(m, "gunicorn.requests:"), "|c|@1.0"))
				if err != nil {
					t.Fatal(err)
				}
				counted += k
			case m == fmt.Sprintf("gunicorn.request.status.200:%d|c|@1.0", n):
			default:
				t.Fatalf("got %q", m)
			}
		}
	}
	if counted != n || durations != maxDurations {
		t.Errorf("got %d requests and %d durations, want %d and %d", counted, durations, n, maxDurations)
	}
}

// TestInterval: a report comes without being asked for, and nothing comes of
// nothing.
func TestInterval(t *testing.T) {
	t.Parallel()
	d := listen(t, "udp")
	c := Open(Options{Address: d.address()})
	defer c.Close(long)
	c.Request(204, false, 0)
	if got := d.packet(); !slices.Equal(got, []string{"gunicorn.requests:1|c|@1.0", "gunicorn.request.status.204:1|c|@1.0"}) {
		t.Errorf("got %q", got)
	}
	c.Request(500, false, 0)
	if got := d.packet(); !slices.Equal(got, []string{"gunicorn.requests:1|c|@1.0", "gunicorn.request.status.500:1|c|@1.0"}) {
		t.Errorf("got %q", got)
	}
}

// TestNobody: without a daemon, or with one that reads nothing, everything goes on.
func TestNobody(t *testing.T) {
	t.Parallel()
	stuck := listen(t, "unixgram")
	for _, address := range []Address{
		{"udp", "127.0.0.1:1"}, {"unixgram", "/nonexistent/socket"}, {"udp", "host.invalid:1"}, stuck.address(),
	} {
		c := Open(Options{Address: address})
		for range 10_000 {
			c.Request(200, true, time.Millisecond)
		}
		c.Close(10 * time.Millisecond)
		c.Close(0)
	}
}

func BenchmarkRequest(b *testing.B) {
	b.ReportAllocs()
	c := Open(Options{Address: Address{"udp", "127.0.0.1:1"}})
	defer c.Close(0)
	for b.Loop() {
		c.Request(200, true, time.Millisecond)
	}
}
