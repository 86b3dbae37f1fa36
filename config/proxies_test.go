package config

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseAllowList(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want, reason string }{
		{"127.0.0.1,::1", "['127.0.0.1', '::1']", ""},
		{"", "[]", ""},
		{" , ,", "[]", ""},
		{"*", "['*']", ""},
		{"10.0.0.0/8, *", "['*', '10.0.0.0/8']", ""},
		{" 10.1.2.3 ,2001:DB8::/32", "['10.1.2.3', '2001:db8::/32']", ""},
		{"10.1.2.3/32,::1/128", "['10.1.2.3', '::1']", ""},
		{"0.0.0.0/0,::/0", "['0.0.0.0/0', '::/0']", ""},
		// The same peers, however the socket shows them.
		{"::ffff:10.0.0.1,::ffff:10.0.0.0/104", "['10.0.0.1', '10.0.0.0/8']", ""},
		{"10.0.0.1/8", "", "'10.0.0.1/8' has host bits set"},
		{"2001:db8::1/32", "", "'2001:db8::1/32' has host bits set"},
		{"10.0.0.0/33", "", "'10.0.0.0/33' is not an IP address or a network"},
		{"10.0.0", "", "'10.0.0' is not an IP address or a network"},
		{"10.0.0.01", "", "'10.0.0.01' is not an IP address or a network"},
		{"127.0.0.1 ::1", "", "'127.0.0.1 ::1' is not an IP address or a network"},
		{"fe80::1%eth0", "", "'fe80::1%eth0' is not an IP address or a network"},
		{"fe80::%eth0/10", "", "'fe80::%eth0/10' is not an IP address or a network"},
		{"localhost", "", "'localhost' is not an IP address or a network"},
		{"**", "", "'**' is not an IP address or a network"},
	} {
		got, err := parseAllowList(tt.text)
		if reasonOf(err) != tt.reason || err == nil && pyValue(got.items()) != tt.want {
			t.Errorf("%q: got %s, %v, want %s, %s", tt.text, pyValue(got.items()), err, tt.want, tt.reason)
		}
	}
}

func TestAllowListContains(t *testing.T) {
	t.Parallel()
	const nets = "10.0.0.0/8,192.0.2.7,2001:db8::/32"
	for _, tt := range []struct {
		list, ip         string
		contains, listed bool
	}{
		{nets, "10.255.0.1", true, true},
		{nets, "11.0.0.1", false, false},
		{nets, "192.0.2.7", true, true},
		{nets, "192.0.2.8", false, false},
		{nets, "2001:db8:1::1", true, true},
		{nets, "2001:db9::1", false, false},
		{"", "127.0.0.1", false, false},
		{"0.0.0.0/0", "127.0.0.1", true, true},
		{"0.0.0.0/0", "::1", false, false},
		{"*", "203.0.113.7", true, false},
		{"*,10.0.0.0/8", "10.0.0.1", true, true},
	} {
		l, err := parseAllowList(tt.list)
		if err != nil {
			t.Fatal(err)
		}
		ip := netip.MustParseAddr(tt.ip)
		if got := l.Contains(ip); got != tt.contains {
			t.Errorf("%q contains %s: got %t, want %t", tt.list, ip, got, tt.contains)
		}
		if got := l.Lists(ip); got != tt.listed {
			t.Errorf("%q lists %s: got %t, want %t", tt.list, ip, got, tt.listed)
		}
	}
}

func TestParseProxyProtocol(t *testing.T) {
	t.Parallel()
	const bad = "must be: off, v1, v2, or auto"
	for _, tt := range []struct{ text, want, reason string }{
		{"off", "off", ""}, {"false", "off", ""}, {"None", "off", ""}, {"0", "off", ""},
		{"auto", "auto", ""}, {" True ", "auto", ""}, {"1", "auto", ""},
		{"v1", "v1", ""}, {"V2", "v2", ""},
		{"v3", "", bad}, {"2", "", bad}, {"on", "", bad}, {"v1,v2", "", bad},
	} {
		got, err := parseProxyProtocol(tt.text)
		if got != tt.want || reasonOf(err) != tt.reason {
			t.Errorf("%q: got %q, %v, want %q, %s", tt.text, got, err, tt.want, tt.reason)
		}
	}
}

func TestParseFieldNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want, reason string }{
		{"SCRIPT_NAME,PATH_INFO", "['SCRIPT_NAME', 'PATH_INFO']", ""},
		{" script_name , remote_user,", "['SCRIPT_NAME', 'REMOTE_USER']", ""},
		{"*", "['*']", ""},
		{"", "[]", ""},
		{"SCRIPT NAME", "", "'SCRIPT NAME' is not the name of a header field"},
		{"a:b", "", "'a:b' is not the name of a header field"},
		{"é", "", "'é' is not the name of a header field"},
	} {
		got, err := parseFieldNames(tt.text)
		if reasonOf(err) != tt.reason || err == nil && pyValue(got) != tt.want {
			t.Errorf("%q: got %q, %v, want %s, %s", tt.text, got, err, tt.want, tt.reason)
		}
	}
}

// TestTrustSettings: the settings of proxies as sources give them.
func TestTrustSettings(t *testing.T) {
	t.Parallel()
	env := map[string]string{"FORWARDED_ALLOW_IPS": "*"}
	for _, tt := range []struct {
		name, args string
		env        map[string]string
		setting    string
		want       string
	}{
		{"default", "app", nil, "forwarded_allow_ips", "['127.0.0.1', '::1']"},
		{"variable", "app", env, "forwarded_allow_ips", "['*']"},
		{"flag over variable", "--forwarded-allow-ips 10.0.0.0/8 app", env, "forwarded_allow_ips", "['10.0.0.0/8']"},
		{"nobody", "--forwarded-allow-ips= app", env, "forwarded_allow_ips", "[]"},
		{"default schemes", "app", nil, "secure_scheme_headers",
			"{'X-FORWARDED-PROTO': 'https', 'X-FORWARDED-PROTOCOL': 'ssl', 'X-FORWARDED-SSL': 'on'}"},
		{"no schemes", "--secure-scheme-headers= app", nil, "secure_scheme_headers", "{}"},
		{"schemes", "--secure-scheme-headers X-a=B=c,d --secure-scheme-headers e= app", nil, "secure_scheme_headers", "{'E': '', 'X-A': 'B=c,d'}"},
		{"real address", "--real-ip-header X-Forwarded-For app", nil, "real_ip_header", "x-forwarded-for"},
		{"no PROXY", "app", nil, "proxy_protocol", "off"},
		{"PROXY before a flag", "--proxy-protocol -w 2 app", nil, "proxy_protocol", "auto"},
		{"PROXY at the end", "app --proxy-protocol", nil, "proxy_protocol", "auto"},
		{"PROXY before the end of flags", "--proxy-protocol -- app", nil, "proxy_protocol", "auto"},
		{"PROXY with a value", "--proxy-protocol v2 app", nil, "proxy_protocol", "v2"},
		{"PROXY with a joined value", "--proxy-protocol=v1 app", nil, "proxy_protocol", "v1"},
		{"PROXY abbreviated", "--proxy-p v1 app", nil, "proxy_protocol", "v1"},
		{"the value of another flag", "--name=--proxy-protocol app", nil, "proxy_protocol", "off"},
		{"the variable is not for PROXY", "app", env, "proxy_allow_ips", "['127.0.0.1', '::1']"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := printed(mustLoad(t, tt.args, tt.env), tt.setting); got != tt.want {
				t.Errorf("%q: got %s, want %s", tt.args, got, tt.want)
			}
		})
	}
}

func TestBadTrustSettings(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--secure-scheme-headers X-A":                             "'X-A' is not NAME=VALUE with the name of a header field",
		"--secure-scheme-headers =https":                          "'=https' is not NAME=VALUE with the name of a header field",
		"--secure-scheme-headers X:Y=1":                           "'X:Y=1' is not NAME=VALUE with the name of a header field",
		"--proxy-allow-from 10.0.0.1/8":                           "'10.0.0.1/8' has host bits set",
		"--proxy-protocol":                                        "must be: off, v1, v2, or auto", // it takes the application's place
		"--real-ip-header x-real-ip":                              "must be one of off, x-forwarded-for, forwarded",
		"--forwarded-allow-ips 10.0.0.1/8":                        "'10.0.0.1/8' has host bits set",
		"--forwarder-headers A:B":                                 "'A:B' is not the name of a header field",
		"--secure-scheme-headers a=1 --secure-scheme-headers A=2": "'A' is given twice",
	} {
		_, err := Load(append(strings.Fields(args), "app"), environ(nil), t.TempDir())
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", args, err, want)
		}
	}
}
