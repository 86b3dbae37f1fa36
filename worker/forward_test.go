package worker

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/protocol/http1"
	"gowsgi/protocol/proxy"
)

// proxied is a configuration with the default settings of proxies.
func proxied() *config.Config {
	cfg := testConfig()
	cfg.ForwardedAllowIPs.Networks = []netip.Prefix{
		netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("10.0.0.0/8")}
	cfg.SecureSchemeHeaders = map[string]string{"X-FORWARDED-PROTOCOL": "ssl", "X-FORWARDED-PROTO": "https", "X-FORWARDED-SSL": "on"}
	cfg.ForwarderHeaders = []string{"SCRIPT_NAME", "PATH_INFO"}
	return cfg
}

func TestJudgePeer(t *testing.T) {
	t.Parallel()
	e := &engine{cfg: proxied()}
	for peer, want := range map[string]bool{
		"127.0.0.1:1": true, "[::1]:1": true, "[::ffff:127.0.0.1]:1": true, "127.0.0.2:1": false,
		"10.1.2.3:1": true, "[::ffff:10.1.2.3]:1": true, "11.1.2.3:1": false, "[2001:db8::1]:1": false, "": true,
	} {
		c := &conn{trusted: !want}
		e.judgePeer(c, sockaddr(t, peer))
		if c.trusted != want {
			t.Errorf("%q: got trusted %t, want %t", peer, c.trusted, want)
		}
	}
	e.cfg.ForwardedAllowIPs = config.AllowList{Any: true}
	c := new(conn)
	if e.judgePeer(c, sockaddr(t, "203.0.113.7:1")); !c.trusted {
		t.Error("* does not trust everybody")
	}
	e.cfg.ForwardedAllowIPs = config.AllowList{}
	if e.judgePeer(c, sockaddr(t, "")); !c.trusted {
		t.Error("an empty list does not trust unix sockets")
	}
}

// TestPeerThatLeft: a connection from another worker whose client has reset it
// meanwhile has no address any more. That does not make it a unix socket.
func TestPeerThatLeft(t *testing.T) {
	t.Parallel()
	cfg := proxied()
	cfg.ProxyProtocol = config.ProxyAuto
	e, c := &engine{cfg: cfg, versions: versionsOf(cfg)}, &conn{trusted: true, speaksFor: true}
	e.judgePeer(c, new(unix.RawSockaddrAny))
	if c.trusted || c.speaksFor || c.preface != prefaceForbidden || len(c.remoteAddr()) > 0 {
		t.Errorf("got trusted %t, speaks for others %t, preface %d, from %q", c.trusted, c.speaksFor, c.preface, c.remoteAddr())
	}
}

func TestMayForward(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		headers []string
		trusted bool
		field   string
		want    bool
	}{
		{"listed", []string{"SCRIPT_NAME", "PATH_INFO"}, true, "Script_Name", true},
		{"listed too", []string{"SCRIPT_NAME", "PATH_INFO"}, true, "PATH_INFO", true},
		{"not listed", []string{"SCRIPT_NAME", "PATH_INFO"}, true, "REMOTE_USER", false},
		{"not believed", []string{"SCRIPT_NAME", "PATH_INFO"}, false, "SCRIPT_NAME", false},
		{"all", []string{"*"}, true, "REMOTE_USER", true},
		{"all, SCRIPT_NAME too", []string{"*"}, true, "SCRIPT_NAME", true},
		{"all, but not believed", []string{"*"}, false, "REMOTE_USER", false},
		{"none", nil, true, "SCRIPT_NAME", false},
		{"another role does not count", []string{"SCRIPT_NAME"}, true, "X_Forwarded_Proto", false},
	} {
		cfg := proxied()
		cfg.ForwarderHeaders = tt.headers
		if got := newRig(t, cfg).mayForward(&conn{trusted: tt.trusted}, []byte(tt.field)); got != tt.want {
			t.Errorf("%s: got %t, want %t", tt.name, got, tt.want)
		}
	}
}

// TestScriptName: a proxy's SCRIPT_NAME is cut off the path and outranks that of
// the environment (gunicorn: forwarder_headers).
func TestScriptName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, fields, own string
		trusted           bool
		status            int
		path, script      string // script "-": the environment's
	}{
		{"none", "", "", true, 0, "/app/page", "-"},
		{"from a proxy", "SCRIPT_NAME: /app\r\n", "", true, 0, "/page", "/app"},
		{"over the environment's", "SCRIPT_NAME: /app/page\r\n", "/app", true, 0, "", "/app/page"},
		{"empty", "SCRIPT_NAME:\r\n", "/app", true, 0, "/app/page", ""},
		{"the last of two", "SCRIPT_NAME: /x\r\nscript_name: /app\r\n", "", true, 0, "/page", "/app"},
		{"from anybody", "SCRIPT_NAME: /app\r\n", "", false, 0, "/app/page", "-"},
		{"with a hyphen", "Script-Name: /app\r\n", "", true, 0, "/app/page", "-"},
		{"outside", "SCRIPT_NAME: /other\r\n", "", true, 500, "", ""},
		{"not decoded", "SCRIPT_NAME: /%61pp\r\n", "", true, 500, "", ""},
	} {
		head := "GET /app/page HTTP/1.1\r\nHost: h\r\n" + tt.fields + "\r\n"
		th := parsedThread(t, head)
		th.e.forwarder = forwarderFields(proxied())
		th.e.script, th.e.unixListener = tt.own, []bool{false}
		th.lent = make([]byte, 64)
		th.c.headLen, th.c.length, th.c.trusted = len(head), -1, tt.trusted
		status, _ := th.fill()
		if status != tt.status {
			t.Errorf("%s: got %d, want %d", tt.name, status, tt.status)
		}
		if status != 0 {
			continue
		}
		script := "-"
		if th.req.ScriptName != nil {
			script = string(th.req.ScriptName)
		} else if tt.own != "" {
			t.Errorf("%s: the environment's SCRIPT_NAME stays", tt.name)
		}
		if string(th.req.PathInfo) != tt.path || script != tt.script {
			t.Errorf("%s: got PATH_INFO %q, SCRIPT_NAME %q, want %q, %q", tt.name, th.req.PathInfo, script, tt.path, tt.script)
		}
	}
}

// TestPreface: what comes before the first request, whole and byte by byte.
func TestPreface(t *testing.T) {
	t.Parallel()
	const get = "GET / HTTP/1.1\r\n"
	for _, tt := range []struct {
		name, mode string
		forbidden  bool
		in         string
		done       bool
		err        string
		from, rest string
	}{
		{"PROXY", "v1", false, "PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n" + get, true, "", "192.0.2.1:4711", get},
		{"port 0", "v1", false, "PROXY TCP4 192.0.2.1 192.0.2.2 0 80\r\n" + get, true, "", "192.0.2.1:0", get},
		{"header only", "v1", false, "PROXY TCP6 2001:db8::1 ::1 4711 80\r\n", false, "", "2001:db8::1:4711", ""},
		{"part of a header", "v1", false, "PROXY TCP6 2001:db8::1", false, "", "127.0.0.1:9", "PROXY TCP6 2001:db8::1"},
		{"unknown", "v1", false, "PROXY UNKNOWN\r\n" + get, true, "", "127.0.0.1:9", get},
		{"local", "v2", false, "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00" + get, true, "", "127.0.0.1:9", get},
		{"none", "auto", false, get, true, "", "127.0.0.1:9", get},
		{"mistake", "auto", false, "PROXY TCP7 ", false, "", "127.0.0.1:9", "PROXY TCP7 "},
		{"mistake at the end", "auto", false, "PROXY TCP7 \r\n", false, "malformed PROXY line", "", ""},
		{"forbidden", "auto", true, "PROXY ", false, errProxy.Reason, "", ""},
		{"forbidden v2", "auto", true, "\r\n\r\n\x00\r\nQUIT\n", false, errProxy.Reason, "", ""},
		{"forbidden, but none", "auto", true, get, true, "", "127.0.0.1:9", get},
		{"the other version", "v2", true, "PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n", true, "", "127.0.0.1:9", "PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n"},
	} {
		cfg := proxied()
		cfg.ProxyProtocol = tt.mode
		if !tt.forbidden {
			cfg.ProxyAllowIPs = cfg.ForwardedAllowIPs
		}
		e := &engine{cfg: cfg, versions: versionsOf(cfg)}
		for _, step := range []int{len(tt.in), 1} {
			c := &conn{buf: make([]byte, 256)}
			e.judgePeer(c, sockaddr(t, "127.0.0.1:9"))
			done, reason := false, ""
			for in := tt.in; in != "" && reason == ""; {
				n := copy(c.buf[c.n:], in[:min(step, len(in))])
				in = in[n:]
				c.n += n
				if c.preface == prefaceDone {
					done = true
					continue
				}
				var err *http1.Error
				if done, err = e.readPreface(c); err != nil {
					reason = err.Reason
				}
			}
			if done != tt.done || reason != tt.err {
				t.Errorf("%s, %d at a time: got %t, %q, want %t, %q", tt.name, step, done, reason, tt.done, tt.err)
			}
			if reason != "" {
				continue
			}
			if got := string(c.remoteAddr()) + ":" + string(c.portText(nil)); got != tt.from || string(c.buf[:c.n]) != tt.rest {
				t.Errorf("%s, %d at a time: got %s, rest %q, want %s, %q", tt.name, step, got, c.buf[:c.n], tt.from, tt.rest)
			}
		}
	}
}

// TestNoPreface: without proxy_protocol nothing is looked for.
func TestNoPreface(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{config.ProxyOff, ""} {
		cfg := proxied()
		cfg.ProxyProtocol = mode
		e, c := &engine{cfg: cfg, versions: versionsOf(cfg)}, new(conn)
		if e.judgePeer(c, sockaddr(t, "")); c.preface != prefaceDone {
			t.Errorf("%q: a PROXY header may come", mode)
		}
	}
}

// TestPrefaceTravels: what a connection began with goes with it to another worker.
func TestPrefaceTravels(t *testing.T) {
	t.Parallel()
	header := func(kind proxy.Kind, src, dst string) *proxy.Header {
		return &proxy.Header{Kind: kind, Source: netip.MustParseAddrPort(src), Destination: netip.MustParseAddrPort(dst)}
	}
	cfg := proxied()
	cfg.ProxyProtocol, cfg.ProxyAllowIPs.Any = config.ProxyAuto, true
	e := &engine{cfg: cfg, versions: versionsOf(cfg)}
	for _, tt := range []struct {
		name      string
		preface   preface
		header    *proxy.Header
		from      string
		speaksFor bool
	}{
		{"nothing yet", prefaceExpected, nil, "127.0.0.1:9", true},
		{"none", prefaceDone, nil, "127.0.0.1:9", true},
		{"IPv4", prefaceDone, header(proxy.TCP4, "192.0.2.1:4711", "192.0.2.2:443"), "192.0.2.1:4711", false},
		{"IPv6", prefaceDone, header(proxy.TCP6, "[2001:db8::1]:0", "[2001:db8::2]:65535"), "2001:db8::1:0", false},
		{"IPv4 as IPv6", prefaceDone, header(proxy.TCP6, "192.0.2.1:1", "[2001:db8::2]:2"), "192.0.2.1:1", false},
		{"a proxy behind the proxy", prefaceDone, header(proxy.TCP4, "10.0.0.1:1", "192.0.2.2:443"), "10.0.0.1:1", true},
		{"local", prefaceDone, &proxy.Header{Kind: proxy.Local}, "127.0.0.1:9", true},
	} {
		var b [handoffHeader - prefaceAt]byte
		b[5], b[len(b)-1] = 0xff, 0xff // of the connection before
		putPreface(b[:], &conn{preface: tt.preface, proxied: tt.header})
		c := new(conn)
		e.judgePeer(c, sockaddr(t, "127.0.0.1:9"))
		e.takePreface(c, b[:])
		if c.preface != tt.preface || c.speaksFor != tt.speaksFor || !c.trusted {
			t.Errorf("%s: got preface %d, speaks for others %t, trusted %t", tt.name, c.preface, c.speaksFor, c.trusted)
		}
		if got := string(c.remoteAddr()) + ":" + string(c.portText(nil)); got != tt.from {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.from)
		}
		if (c.proxied == nil) != (tt.header == nil) || c.proxied != nil && *c.proxied != *tt.header {
			t.Errorf("%s: got %v, want %v", tt.name, c.proxied, tt.header)
		}
	}
}

// TestFindClient: whom a request is from by its fields, line by line from the last.
func TestFindClient(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, field, fields, want string
		status                    int
	}{
		{"none", "x-forwarded-for", "", "127.0.0.1:9", 0},
		{"one", "x-forwarded-for", "X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1:", 0},
		{"with a port", "x-forwarded-for", "X-Forwarded-For: 192.0.2.1:4711\r\n", "192.0.2.1:4711", 0},
		{"two lines", "x-forwarded-for", "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1:", 0},
		{"over two lines", "x-forwarded-for", "X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\nVia: x\r\nx-forwarded-for: 10.0.0.1\r\n", "192.0.2.1:", 0},
		{"an empty line", "x-forwarded-for", "X-Forwarded-For: 192.0.2.1\r\nx-forwarded-for:\r\n", "192.0.2.1:", 0},
		{"proxies only", "x-forwarded-for", "X-Forwarded-For: 10.0.0.2\r\nX-Forwarded-For: 10.0.0.1\r\n", "10.0.0.2:", 0},
		{"no address", "x-forwarded-for", "X-Forwarded-For: unknown\r\n", "127.0.0.1:9", 0},
		{"not behind it", "x-forwarded-for", "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: unknown\r\n", "127.0.0.1:9", 0},
		{"the other field", "x-forwarded-for", "Forwarded: for=192.0.2.1\r\n", "127.0.0.1:9", 0},
		{"Forwarded", "forwarded", "Forwarded: for=192.0.2.1\r\nX-Forwarded-For: 6.6.6.6\r\n", "192.0.2.1:", 0},
		{"Forwarded, two lines", "forwarded", "Forwarded: for=192.0.2.1\r\nForwarded: for=10.0.0.1\r\n", "192.0.2.1:", 0},
		{"malformed", "forwarded", "Forwarded: for=\"192.0.2.1\r\n", "", 400},
		{"malformed, but not looked at", "forwarded", "Forwarded: for=\"\r\nForwarded: for=192.0.2.1\r\n", "192.0.2.1:", 0},
		{"off", "off", "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n", "127.0.0.1:9", 0},
	} {
		th := parsedThread(t, "GET / HTTP/1.1\r\nHost: h\r\n"+tt.fields+"\r\n")
		cfg := proxied()
		cfg.RealIPHeader = tt.field
		e := &engine{cfg: cfg, realIP: realIPOf(cfg)}
		e.judgePeer(th.c, sockaddr(t, "127.0.0.1:9"))
		var err *http1.Error
		if e.realIP.field != nil {
			err = e.findClient(th.c, th.head)
		}
		status := 0
		if err != nil {
			status = err.Status
		}
		got := string(th.c.remoteAddr()) + ":" + string(th.c.portText(nil))
		if status != tt.status || err == nil && got != tt.want {
			t.Errorf("%s: got %s, %v, want %s, %d", tt.name, got, err, tt.want, tt.status)
		}
	}
}

// TestFindClientBehindAnybody: with * the proxies are not known, so only the last
// address was told by one that is believed.
func TestFindClientBehindAnybody(t *testing.T) {
	t.Parallel()
	th := parsedThread(t, "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6, 192.0.2.1\r\n\r\n")
	cfg := testConfig()
	cfg.ForwardedAllowIPs.Any, cfg.RealIPHeader = true, config.RealIPForwardedFor
	e := &engine{cfg: cfg, realIP: realIPOf(cfg)}
	if err := e.findClient(th.c, th.head); err != nil {
		t.Fatal(err)
	}
	if got := string(th.c.remoteAddr()); got != "192.0.2.1" {
		t.Errorf("got %s, want the last", got)
	}
}
