package integration

import (
	"testing"
)

// TestRealIPHeader: REMOTE_ADDR is the client's that a trusted proxy names.
func TestRealIPHeader(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		args   []string
		header string // PROXY
		fields string
		want   map[string]any // nil: a 400
	}{
		{"off", nil, "", "X-Forwarded-For: 192.0.2.1\r\n", map[string]any{"REMOTE_ADDR": "127.0.0.1"}},
		{"X-Forwarded-For", []string{"--real-ip-header", "x-forwarded-for"}, "", "X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\n",
			map[string]any{"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": nil, "HTTP_X_FORWARDED_FOR": "6.6.6.6, 192.0.2.1"}},
		{"from anybody", []string{"--real-ip-header", "x-forwarded-for", "--forwarded-allow-ips", "10.0.0.0/8"}, "",
			"X-Forwarded-For: 192.0.2.1\r\n", map[string]any{"REMOTE_ADDR": "127.0.0.1"}},
		{"Forwarded", []string{"--real-ip-header", "forwarded"}, "", "Forwarded: for=\"[2001:db8::1]:4711\"\r\n",
			map[string]any{"REMOTE_ADDR": "2001:db8::1", "REMOTE_PORT": "4711"}},
		{"malformed", []string{"--real-ip-header", "forwarded"}, "", "Forwarded: for=\"\r\n", nil},
		{"behind a PROXY header of a client", []string{"--real-ip-header", "x-forwarded-for", "--proxy-protocol"}, proxyV1,
			"X-Forwarded-For: 6.6.6.6\r\n", map[string]any{"REMOTE_ADDR": "192.0.2.1"}},
		{"behind a PROXY header of anybody", []string{"--real-ip-header", "x-forwarded-for", "--proxy-protocol",
			"--forwarded-allow-ips=*"}, proxyV1, "X-Forwarded-For: 6.6.6.6\r\n", map[string]any{"REMOTE_ADDR": "192.0.2.1"}},
		{"behind a PROXY header of a proxy", []string{"--real-ip-header", "x-forwarded-for", "--proxy-protocol",
			"--forwarded-allow-ips", "127.0.0.1,192.0.2.0/24"}, proxyV1,
			"X-Forwarded-For: 203.0.113.7\r\n", map[string]any{"REMOTE_ADDR": "203.0.113.7"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, append(tt.args, "--keep-alive", "60", "--access-logfile", "-", "--access-logformat", "from %(h)s", "probe")...)
			c := s.Dial()
			request := tt.header + "GET /environ HTTP/1.1\r\nHost: x\r\n" + tt.fields + "\r\n"
			if tt.want == nil {
				c.Send(request)
				if r := c.Response("GET"); r.Status != 400 {
					t.Errorf("got %v, want 400", r)
				}
				return
			}
			askEnviron(t, c, request).check(t, tt.want)
			s.Stdout.Wait(t, "(?m)^from "+tt.want["REMOTE_ADDR"].(string)+"$")
			// The next request of the connection is another client's.
			peer := "127.0.0.1"
			if tt.header != "" {
				peer = "192.0.2.1"
			}
			askEnviron(t, c, askForEnviron).check(t, map[string]any{"REMOTE_ADDR": peer})
		})
	}
}
