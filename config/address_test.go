package config

import (
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	longest := "/" + strings.Repeat("x", maxUnixPath-1)
	for _, tt := range []struct {
		text   string
		want   Address
		reason string
	}{
		{"", Address{Network: "tcp", Port: 8000}, ""},
		{"localhost", Address{Network: "tcp", Host: "localhost", Port: 8000}, ""},
		{"LocalHost:80", Address{Network: "tcp", Host: "localhost", Port: 80}, ""},
		{"127.0.0.1:5000", Address{Network: "tcp", Host: "127.0.0.1", Port: 5000}, ""},
		{":9", Address{Network: "tcp", Port: 9}, ""},
		{":0", Address{Network: "tcp"}, ""},
		{":65535", Address{Network: "tcp", Port: 65535}, ""},
		{"tcp://a.b:80", Address{Network: "tcp", Host: "a.b", Port: 80}, ""},
		{"tcp://[::1]:80", Address{Network: "tcp", Host: "::1", Port: 80}, ""},
		{"[::1]", Address{Network: "tcp", Host: "::1", Port: 8000}, ""},
		{"[::]:80", Address{Network: "tcp", Host: "::", Port: 80}, ""},
		{"[FE80::1%eth0]:80", Address{Network: "tcp", Host: "fe80::1%eth0", Port: 80}, ""},
		{"unix:/run/a.sock", Address{Network: "unix", Path: "/run/a.sock"}, ""},
		{"unix:///run/a.sock", Address{Network: "unix", Path: "/run/a.sock"}, ""},
		{"unix://a.sock", Address{Network: "unix", Path: "a.sock"}, ""},
		{"unix:a:b", Address{Network: "unix", Path: "a:b"}, ""},
		{"unix:" + longest, Address{Network: "unix", Path: longest}, ""},
		{"fd://0", Address{Network: "fd"}, ""},
		{"fd://3", Address{Network: "fd", FD: 3}, ""},

		{"h:", Address{}, "'' is not a valid port number"},
		{"h:http", Address{}, "'http' is not a valid port number"},
		{"h:-1", Address{}, "'-1' is not a valid port number"},
		{"h:+1", Address{}, "'+1' is not a valid port number"},
		{"h:65536", Address{}, "'65536' is not a valid port number (0 to 65535)"},
		{"h:80:90", Address{}, "'80:90' is not a valid port number"},
		{"[::1]:", Address{}, "'' is not a valid port number"},
		{"[::1]80", Address{}, "'80' is not a valid port number"},
		{"[::1", Address{}, "no ] after the IPv6 address"},
		{"[127.0.0.1]:80", Address{}, "'127.0.0.1' is not an IPv6 address"},
		{"[localhost]:80", Address{}, "'localhost' is not an IPv6 address"},
		{"::1", Address{}, "write an IPv6 address in brackets: '[::1]:8000'"},
		{"::", Address{}, "write an IPv6 address in brackets: '[::]:8000'"},
		{"http://0.0.0.0:80", Address{}, "an address has no scheme but tcp://, unix:// and fd://"},
		{"a\tb:80", Address{}, `'a\tb' is not a host name`},
		{"a\xffb:80", Address{}, `'a\xffb' is not a host name`},
		{"[::1%\n]:80", Address{}, `'::1%\n' is not an IPv6 address`},
		{"::1%\n", Address{}, `write an IPv6 address in brackets: '[::1%\n]:8000'`},
		{"a b:80", Address{}, "'a b' is not a host name"},
		{"/run/a.sock", Address{}, "'/run/a.sock' is not a host name"},
		{"unix:", Address{}, "no path after unix:"},
		{"unix://", Address{}, "no path after unix:"},
		{"unix:" + longest + "x", Address{}, "the path of a socket must not be longer than 107 bytes"},
		{"fd://", Address{}, "'' is not a valid file descriptor"},
		{"fd://x", Address{}, "'x' is not a valid file descriptor"},
		{"fd://-1", Address{}, "'-1' is not a valid file descriptor"},
		{"a\x00", Address{}, `'a\x00' is not a host name`},
	} {
		got, err := parseAddress(tt.text)
		if tt.reason == "" {
			tt.want.Text = tt.text
		}
		if got != tt.want || reasonOf(err) != tt.reason {
			t.Errorf("%q: got %+v, %v, want %+v, %s", tt.text, got, err, tt.want, tt.reason)
		}
	}
}
