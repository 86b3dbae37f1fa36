package integration

import (
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gowsgi/internal/gowsgitest"
)

const (
	proxyV1 = "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"
	// proxyV2 is from [2001:db8::1]:4711 to [2001:db8::2]:443, with a TLV.
	proxyV2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x21\x00\x27" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x12\x67\x01\xbb\x04\x00\x00"
	proxyLocal = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"

	askForEnviron = "GET /environ HTTP/1.1\r\nHost: x\r\n\r\n"
)

// TestProxyProtocol: whole and byte by byte, once per connection, for all of its
// requests (PROXY, 2; gunicorn: proxy_protocol).
func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	v1 := map[string]any{"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "56324",
		"PROXY_PROTOCOL": "TCP4", "PROXY_ADDR": "192.0.2.2", "PROXY_PORT": "443"}
	v2 := map[string]any{"REMOTE_ADDR": "2001:db8::1", "REMOTE_PORT": "4711",
		"PROXY_PROTOCOL": "TCP6", "PROXY_ADDR": "2001:db8::2", "PROXY_PORT": "443"}
	none := map[string]any{"REMOTE_ADDR": "127.0.0.1", "PROXY_PROTOCOL": nil, "PROXY_ADDR": nil, "PROXY_PORT": nil}
	local := func(kind string) map[string]any {
		return map[string]any{"REMOTE_ADDR": "127.0.0.1", "PROXY_PROTOCOL": kind, "PROXY_ADDR": nil, "PROXY_PORT": nil}
	}
	s := start(t, "--proxy-protocol", "--keep-alive", "30", "probe")
	host, port, _ := net.SplitHostPort(s.Addr)
	for _, tt := range []struct {
		name, header string
		want         map[string]any
	}{
		{"v1", proxyV1, v1},
		{"v2", proxyV2, v2},
		{"none", "", none},
		{"local", proxyLocal, local("LOCAL")},
		{"unknown", "PROXY UNKNOWN\r\n", local("UNKNOWN")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, bytewise := range []bool{false, true} {
				c := s.In(t).Dial()
				if bytewise {
					for _, b := range []byte(tt.header) {
						c.Send(string([]byte{b}))
					}
				} else {
					c.Send(tt.header)
				}
				// The second request of the connection is the first's client's, too.
				for range 2 {
					e := askEnviron(t, c, askForEnviron)
					e.check(t, tt.want)
					// They are the server's, as in gunicorn.
					e.check(t, map[string]any{"SERVER_NAME": host, "SERVER_PORT": port})
				}
				c.Send(tt.header + askForEnviron)
				if tt.header != "" {
					if r := c.Response("GET"); r.Status != 400 {
						t.Errorf("a header before the third request: got %v, want 400", r)
					}
				}
			}
		})
	}
	t.Run("in one piece with two requests", func(t *testing.T) {
		t.Parallel()
		c := s.In(t).Dial()
		c.Send(proxyV2 + askForEnviron)
		askEnviron(t, c, askForEnviron).check(t, v2)
	})
	t.Run("malformed", func(t *testing.T) {
		t.Parallel()
		c := s.In(t).Dial()
		c.Send("PROXY TCP4 192.0.2.1 192.0.2.2 56324\r\n" + askForEnviron)
		if r := c.Response("GET"); r.Status != 400 || !r.Close {
			t.Errorf("got %v, want 400 and the end", r)
		}
		s.Log.Wait(t, `Invalid request from ip=127\.0\.0\.1: malformed PROXY line`)
	})
}

// TestProxyProtocolRefused: a peer that may not send a header gets a 403, and may
// go without one (gunicorn: proxy_allow_ips).
func TestProxyProtocolRefused(t *testing.T) {
	t.Parallel()
	s := start(t, "--proxy-protocol", "auto", "--proxy-allow-from", "10.0.0.0/8", "probe")
	for _, header := range []string{proxyV1, proxyV2, proxyLocal} {
		c := s.Dial()
		c.Send(header + askForEnviron)
		if r := c.Response("GET"); r.Status != 403 || !r.Close {
			t.Errorf("%q: got %v, want 403 and the end", header, r)
		}
	}
	askEnviron(t, s.Dial(), askForEnviron).check(t, map[string]any{"REMOTE_ADDR": "127.0.0.1"})
	s.Log.Wait(t, `Invalid request from ip=127\.0\.0\.1: PROXY header from a peer that may not send one`)
}

// TestProxyProtocolModes: only the versions asked for; unix sockets always may.
func TestProxyProtocolModes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		config gowsgitest.Config
		v1, v2 int
	}{
		{"off", gowsgitest.Config{}, 400, 400},
		{"v1", gowsgitest.Config{Args: []string{"--proxy-protocol", "v1"}}, 200, 400},
		{"v2", gowsgitest.Config{Args: []string{"--proxy-protocol=v2"}}, 400, 200},
		{"unix socket", gowsgitest.Config{Bind: "unix:" + filepath.Join(t.TempDir(), "s"),
			Args: []string{"--proxy-protocol", "auto", "--proxy-allow-from="}}, 200, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.config.Dir = apps()
			tt.config.Args = append(tt.config.Args, "probe")
			s := gowsgitest.Start(t, tt.config)
			for header, want := range map[string]int{proxyV1: tt.v1, proxyV2: tt.v2} {
				c := s.Dial()
				c.Send(header + askForEnviron)
				if r := c.Response("GET"); r.Status != want {
					t.Errorf("%q: got %v, want %d", header, r, want)
				}
			}
		})
	}
}

// TestProxyProtocolTakesTooLong: a header has the time of a request's head. Behind a
// whole one a silent client is let go, as ever.
func TestProxyProtocolTakesTooLong(t *testing.T) {
	t.Parallel()
	s := start(t, "--proxy-protocol", "auto", "--header-timeout", "3", "probe")
	half, whole := s.Dial(), s.Dial()
	half.Send(proxyV2[:20])
	whole.Send(proxyV2)
	if r := half.Response("GET"); r.Status != 408 || !r.Close {
		t.Errorf("half a header: got %v, want 408 and the end", r)
	}
	whole.WaitClosed()
}

// TestProxyProtocolLogged: the access log shows the client.
func TestProxyProtocolLogged(t *testing.T) {
	t.Parallel()
	s := start(t, "--proxy-protocol", "--access-logfile", "-", "--access-logformat", "from %(h)s", "probe")
	c := s.Dial()
	c.Send(proxyV2)
	c.Get("/pid")
	s.Stdout.Wait(t, `(?m)^from 2001:db8::1$`)
}

// TestProxyProtocolHandedOver: a connection that goes to another worker keeps its
// client, and one whose header has not come yet still may send it.
func TestProxyProtocolHandedOver(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "2", "--keep-alive", "30", "--proxy-protocol", "auto", "probe")
	workers := s.WaitBooted(2)
	busy, idle := workers[0], workers[1]
	begin := func() *gowsgitest.Conn {
		for range 1000 {
			c := s.Dial()
			c.Send(proxyV1)
			if pidOn(t, c) == busy {
				return c
			}
		}
		t.Fatalf("worker %d takes no connection", busy)
		return nil
	}
	kept := begin()
	held := begin()
	g := newGate(t)
	sendGet(held, g.target())
	g.waitStarted(1)
	for range 2 {
		askEnviron(t, kept, askForEnviron).check(t, map[string]any{"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "56324",
			"PROXY_PROTOCOL": "TCP4", "PROXY_ADDR": "192.0.2.2", "PROXY_PORT": "443"})
	}
	if got := pidOn(t, kept); got != idle {
		t.Errorf("worker %d answered, want the idle one, %d", got, idle)
	}
	// A second header on it is no header any more.
	kept.Send(proxyV1 + askForEnviron)
	if r := kept.Response("GET"); r.Status != 400 {
		t.Errorf("got %v, want 400", r)
	}
	g.open()
	held.Response("GET")
}

// TestProxyProtocolOverReload: idle and half-begun connections of a worker that is
// replaced go to the next one with what they began with.
func TestProxyProtocolOverReload(t *testing.T) {
	t.Parallel()
	s := start(t, "-w", "1", "--keep-alive", "30", "--proxy-protocol", "auto", "probe")
	s.WaitBooted(1)
	idle, half, fresh := s.Dial(), s.Dial(), s.Dial()
	idle.Send(proxyV2)
	old := pidOn(t, idle)
	// Both are accepted when the worker has answered a third one behind them.
	half.Send(proxyV2[:20])
	fresh.Send(proxyV1)
	pid(t, s)
	if !gowsgitest.Eventually(func() bool { return hasPeer(old, half) && hasPeer(old, fresh) }) {
		t.Fatal("the worker has not accepted the connections")
	}
	s.Signal(syscall.SIGHUP)
	s.Log.Wait(t, "Reload complete")
	waitGone(t, old)
	half.Send(proxyV2[20:])
	for name, c := range map[string]*gowsgitest.Conn{"192.0.2.1": fresh, "2001:db8::1": idle, "2001:db8::1 ": half} {
		if now := pidOn(t, c); now == old {
			t.Errorf("%s: the old worker answered", name)
		}
		askEnviron(t, c, askForEnviron).check(t, map[string]any{"REMOTE_ADDR": strings.TrimSpace(name)})
	}
}
