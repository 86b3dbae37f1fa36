package worker

import (
	"net/netip"
	"testing"

	"gowsgi/config"
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
		e.judgePeer(c, c.setPeer(sockaddr(t, peer)))
		if c.trusted != want {
			t.Errorf("%q: got trusted %t, want %t", peer, c.trusted, want)
		}
	}
	e.cfg.ForwardedAllowIPs = config.AllowList{Any: true}
	c := new(conn)
	if e.judgePeer(c, c.setPeer(sockaddr(t, "203.0.113.7:1"))); !c.trusted {
		t.Error("* does not trust everybody")
	}
	e.cfg.ForwardedAllowIPs = config.AllowList{}
	if e.judgePeer(c, c.setPeer(sockaddr(t, ""))); !c.trusted {
		t.Error("an empty list does not trust unix sockets")
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
