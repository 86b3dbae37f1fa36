package wsgi

import "testing"

func TestSplitScript(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path, script, rest string
		ok                 bool
	}{
		{"/app/page", "/app", "/page", true},
		{"/app", "/app", "", true},
		{"/app/", "/app", "/", true},
		{"/page", "", "/page", true},
		{"", "", "", true},
		// gunicorn compares beginnings, not segments.
		{"/application", "/app", "lication", true},
		{"/APP/page", "/app", "", false},
		{"/%61pp/page", "/app", "", false},
		{"/ap", "/app", "", false},
		{"/page", "/app", "", false},
		{"", "/app", "", false},
		{"*", "/app", "", false},
	} {
		rest, ok := SplitScript([]byte(tt.path), tt.script)
		if string(rest) != tt.rest || ok != tt.ok {
			t.Errorf("%q, %q: got %q, %t, want %q, %t", tt.path, tt.script, rest, ok, tt.rest, tt.ok)
		}
	}
}

func TestHostPort(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		host       string
		secure     bool
		name, port string
	}{
		{"example.org:8000", false, "example.org", "8000"},
		{"example.org:8000", true, "example.org", "8000"},
		{"example.org", false, "example.org", "80"},
		{"example.org", true, "example.org", "443"},
		{"example.org:", false, "example.org", "80"},
		{"example.org:", true, "example.org", "443"},
		{"[::1]:8000", false, "[::1]", "8000"},
		{"[::1]", false, "[::1]", "80"},
		{"[::1]", true, "[::1]", "443"},
		{"[::1]:", false, "[::1]", "80"},
		{"[fe80::1%25eth0]:1", false, "[fe80::1%25eth0]", "1"},
		{"", false, "", "80"},
		{"", true, "", "443"},
		{":8000", false, "", "8000"},
		{":", true, "", "443"},
		{"127.0.0.1:80", true, "127.0.0.1", "80"},
	} {
		name, port := HostPort([]byte(tt.host), tt.secure)
		if string(name) != tt.name || string(port) != tt.port {
			t.Errorf("%q, secure %t: got %q, %q, want %q, %q", tt.host, tt.secure, name, port, tt.name, tt.port)
		}
	}
}

func TestRequestStart(t *testing.T) {
	t.Parallel()
	const at = 1795396285_250000000 // nanoseconds, exact as a float64 of any unit
	for _, tt := range []struct {
		value string
		want  int64
	}{
		{"1795396285.25", at},
		{"t=1795396285.25", at},
		{"1795396285250", at},
		{"t=1795396285250000", at},
		{"1795396285250000000", at},
		{"1795396285", at - 250000000},
		{"999999999", 0},
		{"0", 0},
		{"-1795396285.25", 0},
		{"", 0},
		{"t=", 0},
		{"yesterday", 0},
		{"1795396285.25 s", 0},
		{"1e400", 0},
		{"inf", 0},
		{"t=Infinity", 0},
		{"-inf", 0},
		{"nan", 0},
		{"1e300", 0},
	} {
		if got := RequestStart([]byte(tt.value)); got-tt.want > 1000 || tt.want-got > 1000 {
			t.Errorf("%q: got %d, want %d", tt.value, got, tt.want)
		}
	}
}
