package syslog

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// long is how long something that must happen may take.
const long = 30 * time.Second

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, network, addr, err string }{
		{"udp://localhost:514", "udp", "localhost:514", ""},
		{"udp://", "udp", "localhost:514", ""},
		{"udp://:5514", "udp", "localhost:5514", ""},
		{"udp://log.example", "udp", "log.example:514", ""},
		{"tcp://192.0.2.1:601", "tcp", "192.0.2.1:601", ""},
		{"tcp://[2001:db8::1]:601", "tcp", "[2001:db8::1]:601", ""},
		{"tcp://[2001:db8::1]", "tcp", "[2001:db8::1]:514", ""},
		{"unix:///dev/log", "", "/dev/log", ""},
		{"unix:///dev/log#dgram", "unixgram", "/dev/log", ""},
		{"unix:///dev/log#stream", "unix", "/dev/log", ""},
		{"unix://", "", "", "no path after unix://"},
		{"unix:///dev/log#packet", "", "", "a unix socket is #dgram or #stream, not #packet"},
		{"localhost:514", "", "", "must begin with udp://, tcp:// or unix://"},
		{"http://localhost", "", "", "must begin with udp://, tcp:// or unix://"},
		{"udp://localhost:http", "", "", "'http' is not a valid port number"},
		{"udp://localhost:0", "", "", "'0' is not a valid port number"},
		{"udp://localhost:65536", "", "", "'65536' is not a valid port number"},
		{"udp://a:b:c", "", "", "not HOST:PORT"},
	} {
		got, err := ParseAddress(tt.in)
		if tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("%s: got %v, want %s", tt.in, err, tt.err)
			}
			continue
		}
		if want := (Address{tt.network, tt.addr}); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", tt.in, got, err, want)
		}
	}
}

func TestFacility(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"user": 1, "LOCAL7": 23, "security": 4, "kern": 0} {
		if got, ok := Facility(name); !ok || got != want {
			t.Errorf("%s: got %d, %t, want %d", name, got, ok, want)
		}
	}
	if _, ok := Facility("local8"); ok {
		t.Error("local8 is accepted")
	}
}

func options(address Address) Options {
	return Options{Address: address, Facility: 16, Tag: "gunicorn.app", PID: 4711, Access: true}
}

// wantMessages are what talk sends.
var wantMessages = []string{
	"<130>gunicorn.app.error: [4711] critical",
	"<131>gunicorn.app.error: [4711] raised\nTraceback:\n  end",
	"<132>gunicorn.app.error: [4711] warning",
	"<134>gunicorn.app.error: [4711] info",
	"<135>gunicorn.app.error: [4711] debug",
	`<134>gunicorn.app.access: [4711] - "GET / HTTP/1.1"`,
	"<134>gunicorn.app.access: [4711] second",
}

func talk(w *Writer) {
	w.Event("critical", []byte("critical"), false)
	w.Event("error", []byte("raised\nTraceback:\n  end"), true)
	w.Event("warning", []byte("warning"), false)
	w.Event("info", []byte("info"), false)
	w.Event("debug", []byte("debug"), false)
	w.AccessLines([]byte("- \"GET / HTTP/1.1\"\nsecond\n"))
}

// receive returns the next datagram.
func receive(t *testing.T, c net.PacketConn) string {
	t.Helper()
	buf := make([]byte, 64<<10)
	_ = c.SetReadDeadline(time.Now().Add(long))
	n, _, err := c.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestDatagrams(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"udp", "unixgram", ""} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "log")
			listen, addr := network, path
			switch network {
			case "udp":
				addr = "127.0.0.1:0"
			case "":
				listen = "unixgram"
			}
			c, err := net.ListenPacket(listen, addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			w := Open(options(Address{network, c.LocalAddr().String()}))
			talk(w)
			for _, want := range wantMessages {
				if got := receive(t, c); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			w.Close(long)
		})
	}
}

func TestStreams(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		network, configured string
		end                 byte
	}{{"tcp", "tcp", '\n'}, {"unix", "unix", 0}, {"unix", "", 0}} {
		t.Run(tt.network+tt.configured, func(t *testing.T) {
			t.Parallel()
			addr := "127.0.0.1:0"
			if tt.network == "unix" {
				addr = filepath.Join(t.TempDir(), "log")
			}
			l, err := net.Listen(tt.network, addr)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			w := Open(options(Address{tt.configured, l.Addr().String()}))
			talk(w)
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetReadDeadline(time.Now().Add(long))
			r := bufio.NewReader(c)
			for _, want := range wantMessages {
				if tt.network == "tcp" {
					want = strings.ReplaceAll(want, "\n", "#012")
				}
				got, err := r.ReadString(tt.end)
				if err != nil || got != want+string(tt.end) {
					t.Errorf("got %q, %v, want %q", got, err, want)
				}
			}
			w.Close(long)
		})
	}
}

// TestDaemonAway: messages wait for a daemon that is not there yet, or is started
// anew, and what there is no room for is counted.
func TestDaemonAway(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	w := Open(options(Address{"unixgram", path}))
	defer w.Close(0)
	big := []byte(strings.Repeat("x", maxMessage))
	w.Event("info", []byte("first"), false)
	sent := 0
	for ; ; sent++ {
		w.mu.Lock()
		full := w.dropped >= 3
		w.mu.Unlock()
		if full {
			break
		}
		w.Event("info", big, false)
	}
	c, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	if got := receive(t, c); got != "<134>gunicorn.app.error: [4711] first" {
		t.Errorf("got %q", got)
	}
	for got := 0; ; got++ {
		m := receive(t, c)
		if m == "<132>gunicorn.app.error: [4711] 3 messages were lost: the syslog daemon did not take them in time" {
			if got != sent-3 {
				t.Errorf("got %d messages, want %d", got, sent-3)
			}
			break
		}
		if len(m) != maxMessage {
			t.Fatalf("got %.80q, %d bytes", m, len(m))
		}
	}
	c.Close()
	_ = os.Remove(path)
	w.Event("info", []byte("while it is away"), false)
	if c, err = net.ListenPacket("unixgram", path); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := receive(t, c); got != "<134>gunicorn.app.error: [4711] while it is away" {
		t.Errorf("got %q", got)
	}
}

// TestStuckDaemon: a daemon that reads nothing does not hold anybody up.
func TestStuckDaemon(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	c, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w := Open(options(Address{"unixgram", path}))
	const n = 100_000
	for i := range n {
		w.Event("info", fmt.Appendf(nil, "line %d", i), false)
	}
	w.mu.Lock()
	dropped := w.dropped
	w.mu.Unlock()
	if dropped == 0 {
		t.Error("nothing was dropped")
	}
	w.Close(10 * time.Millisecond)
	w.Close(10 * time.Millisecond)
}

// TestNobodyListens: over UDP nothing tells that somebody is there again, so
// messages are not kept.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := c.LocalAddr().String()
	c.Close()
	w := Open(options(Address{"udp", addr}))
	for range 100 {
		talk(w)
	}
	w.Close(long)
	select {
	case <-w.ended:
	default:
		t.Error("messages are kept")
	}
}

// TestNoAccess: the access log may be kept out.
func TestNoAccess(t *testing.T) {
	t.Parallel()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	o := options(Address{"udp", c.LocalAddr().String()})
	o.Access = false
	w := Open(o)
	w.AccessLines([]byte("line\n"))
	w.Event("info", []byte("end"), false)
	if got := receive(t, c); !strings.HasSuffix(got, "end") {
		t.Errorf("got %q", got)
	}
	w.Close(long)
}
