package integration

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// TestForwardedAllowIPs: whose fields are believed (gunicorn: forwarded_allow_ips,
// secure_scheme_headers, forwarder_headers).
func TestForwardedAllowIPs(t *testing.T) {
	t.Parallel()
	const fields = "X-Forwarded-Proto: https\r\nSCRIPT_NAME: /environ\r\nX-Request-Start: t=1000000000\r\n"
	believed := map[string]any{"wsgi.url_scheme": "https", "SCRIPT_NAME": "/environ", "PATH_INFO": "/rest",
		"HTTP_SCRIPT_NAME": "/environ"}
	ignored := map[string]any{"wsgi.url_scheme": "http", "SCRIPT_NAME": "", "PATH_INFO": "/environ/rest",
		"HTTP_SCRIPT_NAME": nil, "HTTP_X_FORWARDED_PROTO": "https"}
	for _, tt := range []struct {
		name   string
		config gowsgitest.Config
		fields string
		want   map[string]any
	}{
		{"default", gowsgitest.Config{}, fields, believed},
		{"another network", gowsgitest.Config{Args: []string{"--forwarded-allow-ips", "10.0.0.0/8"}}, fields, ignored},
		{"nobody", gowsgitest.Config{Args: []string{"--forwarded-allow-ips="}}, fields, ignored},
		{"network", gowsgitest.Config{Args: []string{"--forwarded-allow-ips", "10.0.0.0/8,127.0.0.0/8"}}, fields, believed},
		{"everybody", gowsgitest.Config{Args: []string{"--forwarded-allow-ips=*"}}, fields, believed},
		{"variable", gowsgitest.Config{Env: []string{"FORWARDED_ALLOW_IPS=10.0.0.0/8"}}, fields, ignored},
		{"unix socket", gowsgitest.Config{Bind: "unix:" + filepath.Join(t.TempDir(), "s"),
			Args: []string{"--forwarded-allow-ips=10.0.0.0/8"}}, fields, believed},
		{"IPv6", gowsgitest.Config{Bind: "[::1]:0"}, fields, believed},
		{"IPv4 on an IPv6 socket", gowsgitest.Config{Bind: "[::]:0",
			Args: []string{"--forwarded-allow-ips", "127.0.0.1"}}, fields, believed},
		{"another field", gowsgitest.Config{Args: []string{"--secure-scheme-headers", "X-Scheme=TLS"}},
			"X-Forwarded-Proto: https\r\nX-Scheme: TLS\r\n", map[string]any{"wsgi.url_scheme": "https"}},
		{"only another field", gowsgitest.Config{Args: []string{"--secure-scheme-headers", "X-Scheme=TLS"}},
			"X-Forwarded-Proto: https\r\n", map[string]any{"wsgi.url_scheme": "http"}},
		{"refused names are exempt", gowsgitest.Config{Args: []string{"--header-map", "refuse"}}, fields + "PATH_INFO: /x\r\n",
			map[string]any{"SCRIPT_NAME": "/environ", "PATH_INFO": "/rest", "HTTP_PATH_INFO": "/x"}},
		{"only those listed", gowsgitest.Config{}, fields + "REMOTE_USER: ann\r\n", map[string]any{"HTTP_REMOTE_USER": nil}},
		{"all names", gowsgitest.Config{Args: []string{"--forwarder-headers=*"}}, fields + "Remote_User: ann\r\n",
			map[string]any{"HTTP_REMOTE_USER": "ann", "SCRIPT_NAME": "/environ"}},
		{"no SCRIPT_NAME", gowsgitest.Config{Args: []string{"--forwarder-headers", "PATH_INFO"}},
			fields, map[string]any{"wsgi.url_scheme": "https", "SCRIPT_NAME": "", "HTTP_SCRIPT_NAME": nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.config.Dir = apps()
			tt.config.Args = append(tt.config.Args, "--keep-alive", "60", "probe")
			s := gowsgitest.Start(t, tt.config)
			network, addr := s.Network, s.Addr
			if tt.config.Bind == "[::]:0" {
				addr = "127.0.0.1" + addr[len("[::]"):]
			}
			c := gowsgitest.DialConn(t, network, addr)
			e := askEnviron(t, c, "GET /environ/rest HTTP/1.1\r\nHost: x\r\n"+tt.fields+"\r\n")
			e.check(t, tt.want)
			queued, err := strconv.ParseFloat(e["gowsgi.queue_time"][1].(string), 64)
			since2001 := err == nil && queued > 20*365*24*3600
			if asked := strings.Contains(tt.fields, "X-Request-Start"); since2001 != (asked && e["wsgi.url_scheme"][1] == "https") {
				t.Errorf("got queue time %v, %v", queued, err)
			}
			// What one request said is not the next one's.
			askEnviron(t, c, "GET /environ/rest HTTP/1.1\r\nHost: x\r\n\r\n").check(t, map[string]any{
				"wsgi.url_scheme": "http", "SCRIPT_NAME": "", "PATH_INFO": "/environ/rest"})
		})
	}
}

// TestForwarderHeadersRefused: the exemption is for trusted peers only.
func TestForwarderHeadersRefused(t *testing.T) {
	t.Parallel()
	s := start(t, "--header-map", "refuse", "--forwarded-allow-ips", "10.0.0.0/8", "probe")
	c := s.Dial()
	c.Send("GET /environ HTTP/1.1\r\nHost: x\r\nSCRIPT_NAME: /environ\r\n\r\n")
	if r := c.Response("GET"); r.Status != 400 {
		t.Errorf("got %v, want 400", r)
	}
}

// TestScriptNameOutside: a path that does not begin with SCRIPT_NAME is the proxy's
// mistake (gunicorn: ConfigurationProblem, 500).
func TestScriptNameOutside(t *testing.T) {
	t.Parallel()
	s := start(t, "probe")
	c := s.Dial()
	c.Send("GET /environ HTTP/1.1\r\nHost: x\r\nSCRIPT_NAME: /app\r\n\r\n")
	if r := c.Response("GET"); r.Status != 500 {
		t.Errorf("got %v, want 500", r)
	}
	s.Log.Wait(t, `Invalid request from ip=127\.0\.0\.1: the path is outside of SCRIPT_NAME`)
}
