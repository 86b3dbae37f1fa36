package proxy

import (
	"net/netip"
	"strings"
	"testing"
)

// isProxy knows the proxies of the tests: 10.0.0.0/8 and 2001:db8::/32.
func isProxy(ip netip.Addr) bool {
	return netip.MustParsePrefix("10.0.0.0/8").Contains(ip) || netip.MustParsePrefix("2001:db8::/32").Contains(ip)
}

// found renders a result: the address, its port if one was told, "-" for none,
// then "+" if the walk goes on.
func found(client netip.AddrPort, more bool) string {
	s := "-"
	switch {
	case client.Port() != 0:
		s = client.String()
	case client.IsValid():
		s = client.Addr().String()
	}
	if more {
		s += "+"
	}
	return s
}

func TestForwardedFor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ value, want string }{
		{"192.0.2.1", "192.0.2.1"},
		{"203.0.113.7, 192.0.2.1", "192.0.2.1"},
		{"203.0.113.7,192.0.2.1", "192.0.2.1"},
		{"192.0.2.1, 10.0.0.1", "192.0.2.1"},
		{"192.0.2.1, 10.0.0.2, 2001:db8::1", "192.0.2.1"},
		{"6.6.6.6, 192.0.2.1, 10.0.0.1", "192.0.2.1"},
		// Nothing but proxies: the first is as near to the client as is known.
		{"10.0.0.9, 10.0.0.1", "10.0.0.9+"},
		{"10.0.0.1", "10.0.0.1+"},
		{"", "-+"},
		{" , ,\t", "-+"},
		{",192.0.2.1,,", "192.0.2.1"},
		// With a port; without brackets an IPv6 address has none.
		{"192.0.2.1:4711", "192.0.2.1:4711"},
		{"2001:db9::1", "2001:db9::1"},
		{"[2001:db9::1]", "2001:db9::1"},
		{"[2001:db9::1]:4711", "[2001:db9::1]:4711"},
		{"[2001:db8::1]:4711, 10.0.0.1:80", "[2001:db8::1]:4711+"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"192.0.2.1, ::ffff:10.0.0.1", "192.0.2.1"},
		// What is no address ends the walk.
		{"unknown", "-"},
		{"192.0.2.1, unknown", "-"},
		{"192.0.2.1, unknown, 10.0.0.1", "10.0.0.1"},
		{"192.0.2.1 10.0.0.1", "-"},
		{"192.0.2.01", "-"},
		{"192.0.2.1:", "-"},
		{"192.0.2.1:65536", "-"},
		{"192.0.2.1:http", "-"},
		{"[192.0.2.1]", "-"},
		{"[2001:db9::1", "-"},
		{"2001:db9::1]", "-"},
		{"[]", "-"},
		{"[", "-"},
		{"fe80::1%eth0", "-"},
		{"[fe80::1%eth0]:1", "-"},
		{`"192.0.2.1"`, "-"},
		{"localhost", "-"},
	} {
		if got := found(ForwardedFor([]byte(tt.value), isProxy)); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.value, got, tt.want)
		}
	}
}

func TestForwarded(t *testing.T) {
	t.Parallel()
	const bad = "malformed Forwarded"
	for _, tt := range []struct{ value, want string }{
		// RFC 7239, 4: its examples.
		{`for="_gazonk"`, "-"},
		{`For="[2001:db9:cafe::17]:4711"`, "[2001:db9:cafe::17]:4711"},
		{`for=192.0.2.60;proto=http;by=203.0.113.43`, "192.0.2.60"},
		{`for=192.0.2.43, for=198.51.100.17`, "198.51.100.17"},
		// The walk.
		{`for=192.0.2.43, for=10.0.0.1`, "192.0.2.43"},
		{`for=192.0.2.43,for="[2001:db8::1]",for="10.0.0.1:80"`, "192.0.2.43"},
		{`for=10.0.0.9, for=10.0.0.1`, "10.0.0.9+"},
		{``, "-+"},
		{` , ,`, "-+"},
		{`for=192.0.2.43, unused=1, for=10.0.0.1`, "10.0.0.1"},
		{`for=192.0.2.43, for=unknown, for=10.0.0.1`, "10.0.0.1"},
		{`for=192.0.2.43, for=_hidden`, "-"},
		{`for=192.0.2.43, proto=https`, "-"},
		{`for=192.0.2.43, ;`, "-"},
		// RFC 7239, 6: nodes.
		{`for="192.0.2.43:47011"`, "192.0.2.43:47011"},
		{`for=192.0.2.43:47011`, bad},
		{`for="192.0.2.43:_port"`, "192.0.2.43"},
		{`for="192.0.2.43:"`, bad},
		{`for="192.0.2.43:65536"`, bad},
		{`for="192.0.2.43:000080"`, bad},
		{`for="192.0.2.43:00080"`, "192.0.2.43:80"},
		{`for="192.0.2.43:-1"`, bad},
		{`for="[2001:db9::17]"`, "2001:db9::17"},
		{`for="2001:db9::17"`, bad},
		{`for=[2001:db9::17]`, bad},
		{`for="[192.0.2.43]"`, bad},
		{`for="[2001:db9::17"`, bad},
		{`for="[fe80::1%eth0]"`, bad},
		{`for="[::ffff:192.0.2.43]"`, "192.0.2.43"},
		{`for=unknown`, "-"},
		{`for=Unknown`, "-"},
		{`for="unknown:80"`, "-"},
		{`for=_SEVKISEK`, "-"},
		{`for="_a.b-c_d:_x"`, "-"},
		{`for=_`, bad},
		{`for=_a~`, bad},
		{`for=example.com`, bad},
		{`for=""`, bad},
		{`for=" 192.0.2.43"`, bad},
		// The grammar of section 4.
		{`FOR=192.0.2.43`, "192.0.2.43"},
		{`for=192.0.2.43;for=192.0.2.44`, bad},
		{`for=192.0.2.43;`, "192.0.2.43"},
		{`;for=192.0.2.43;;proto=http`, "192.0.2.43"},
		{`for=192.0.2.43; proto=http ; by=_x`, "192.0.2.43"},
		{`for = 192.0.2.43`, bad},
		{`for= 192.0.2.43`, bad},
		{`for=192.0.2.43 proto=http`, bad},
		{`for=192.0.2.43 for=192.0.2.44`, bad},
		{`for`, bad},
		{`for=`, bad},
		{`=192.0.2.43`, bad},
		{`192.0.2.43`, bad},
		{`for=192.0.2.43;host="a,b;for=6.6.6.6"`, "192.0.2.43"},
		{`host="a\"b", for=192.0.2.43`, "192.0.2.43"},
		{`for="192\.0.2.43"`, "192.0.2.43"},
		{`for="192.0.2.43"x`, bad},
		{`for="192.0.2.43`, bad},
		{`for="192.0.2.43\`, bad},
		{`host="`, bad},
		// A mistake of a client does not make it pass for the proxy.
		{`for=", for=192.0.2.43`, bad},
		{`x, for=192.0.2.43`, bad},
	} {
		client, more, err := Forwarded([]byte(tt.value), isProxy)
		got := found(client, more)
		if err != nil {
			got = err.Reason
		}
		if got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.value, got, tt.want)
		}
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("X-", 40)
	var f Fields
	f.Add("X-FORWARDED-PROTO", Scheme, "https")
	f.Add("X-FORWARDED-SSL", Scheme, "on")
	f.Add("X-Request-Start", RequestStart, "")
	f.Add("SCRIPT_NAME", ScriptName, "")
	f.Add(long, Scheme, "yes")
	for _, tt := range []struct {
		name  string
		role  Role
		value string
	}{
		{"X-Forwarded-Proto", Scheme, "https"},
		{"x-forwarded-ssl", Scheme, "on"},
		{"x-request-start", RequestStart, ""},
		{"Script_Name", ScriptName, ""},
		{"Script-Name", NoRole, ""},
		{"X_Forwarded_Proto", NoRole, ""},
		{"X-Forwarded-Prot", NoRole, ""},
		{"X-Forwarded-SSM", NoRole, ""},
		{"", NoRole, ""},
		{strings.ToLower(long), Scheme, "yes"},
		{long + "x", NoRole, ""},
	} {
		if role, value := f.Find([]byte(tt.name)); role != tt.role || value != tt.value {
			t.Errorf("%s: got %d, %q, want %d, %q", tt.name, role, value, tt.role, tt.value)
		}
	}
	if role, _ := new(Fields).Find([]byte("SCRIPT_NAME")); role != NoRole {
		t.Errorf("got %d from none, want none", role)
	}
}
