package wsgi

import "testing"

func TestSecure(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, value   string
		secure, known bool
	}{
		{"X-Forwarded-Proto", "https", true, true},
		{"x-forwarded-proto", "https", true, true},
		{"X-FORWARDED-PROTO", "http", false, true},
		{"X-Forwarded-Proto", "", false, true},
		// gunicorn compares exactly, and so a list of proxies is not secure.
		{"X-Forwarded-Proto", "HTTPS", false, true},
		{"X-Forwarded-Proto", "https, http", false, true},
		{"X-Forwarded-Proto", " https", false, true},
		{"X-Forwarded-Proto", "on", false, true},
		{"X-Forwarded-Protocol", "ssl", true, true},
		{"x-forwarded-protocol", "https", false, true},
		{"X-Forwarded-Ssl", "on", true, true},
		{"X-FORWARDED-SSL", "on", true, true},
		{"X-Forwarded-Ssl", "off", false, true},
		{"X-Forwarded-Ssl", "ON", false, true},
		{"X_Forwarded_Proto", "https", false, false},
		{"X-Forwarded-Prot0", "https", false, false},
		{"X-Forwarded-For", "https", false, false},
		{"X-Forwarded-Host", "https", false, false},
		{"", "https", false, false},
	} {
		secure, known := Secure([]byte(tt.name), []byte(tt.value))
		if secure != tt.secure || known != tt.known {
			t.Errorf("%s: %q: got %t, %t, want %t, %t", tt.name, tt.value, secure, known, tt.secure, tt.known)
		}
	}
}

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
		field, value string
		want         int64
	}{
		{"X-Request-Start", "1795396285.25", at},
		{"X-Request-Start", "t=1795396285.25", at},
		{"x-request-start", "t=1795396285.25", at},
		{"X-Request-Start", "1795396285250", at},
		{"X-Request-Start", "t=1795396285250000", at},
		{"X-Request-Start", "1795396285250000000", at},
		{"X-Request-Start", "1795396285", at - 250000000},
		{"X-Request-Start", "999999999", 0},
		{"X-Request-Start", "0", 0},
		{"X-Request-Start", "-1795396285.25", 0},
		{"X-Request-Start", "", 0},
		{"X-Request-Start", "t=", 0},
		{"X-Request-Start", "yesterday", 0},
		{"X-Request-Start", "1795396285.25 s", 0},
		{"X-Request-Start", "1e400", 0},
		{"X-Request-Start", "inf", 0},
		{"X-Request-Start", "t=Infinity", 0},
		{"X-Request-Start", "-inf", 0},
		{"X-Request-Start", "nan", 0},
		{"X-Request-Start", "1e300", 0},
		{"X-Request-End", "1795396285.25", 0},
		{"X-Request-Begin", "1795396285.25", 0},
	} {
		if got := RequestStart([]byte(tt.field), []byte(tt.value)); got-tt.want > 1000 || tt.want-got > 1000 {
			t.Errorf("%s: %q: got %d, want %d", tt.field, tt.value, got, tt.want)
		}
	}
}
