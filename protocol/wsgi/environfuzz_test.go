package wsgi

import (
	"bytes"
	"net"
	"net/url"
	"strings"
	"testing"

	"gowsgi/protocol/http1"
)

// FuzzEnviron: what the environ says of the target and of Host, for any that are
// accepted, is what net/url and net make of them.
func FuzzEnviron(f *testing.F) {
	for _, seed := range [][3]string{
		{"/app/page?q=1", "example.org:8000", "/app"},
		{"/%61pp/%2F%zz%4", "[::1]:80", ""},
		{"http://u.example/caf%C3%A9;a=b?", "h", "/caf"},
		{"*", "", "/"},
		{"//a//b?c?d", "127.0.0.1:", "//"},
		{"/%", "[fe80::1]", "/%"},
	} {
		f.Add(seed[0], seed[1], seed[2], false)
		f.Add(seed[0], seed[1], seed[2], true)
	}
	rules := http1.Rules{Limits: http1.Limits{}.Normalize()}
	f.Fuzz(func(t *testing.T, target, host, script string, secure bool) {
		method := "GET"
		if target == "*" {
			method = "OPTIONS"
		}
		head := []byte(method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
		r := http1.Request{Fields: make([]http1.Field, 0, 1)}
		var s http1.HeadScanner
		if n, err := s.Scan(head, &rules); n != len(head) || err != nil || r.Parse(head, &rules) != nil {
			return
		}
		checkPath(t, r.Path.Of(head), script)
		checkTarget(t, &r, head, target)
		checkHost(t, string(r.Host.Of(head)), secure)
	})
}

// checkPath: the script name is a prefix or none, and what is left is decoded once.
func checkPath(t *testing.T, path []byte, script string) {
	rest, ok := SplitScript(path, script)
	if ok != strings.HasPrefix(string(path), script) || ok && script+string(rest) != string(path) {
		t.Errorf("%q off %q: %q, %t", script, path, rest, ok)
	}
	got := http1.AppendUnescaped(nil, path)
	if want, err := url.PathUnescape(string(path)); err == nil && string(got) != want {
		t.Errorf("%q decoded: got %q, net/url has %q", path, got, want)
	}
	if !http1.NeedsUnescape(path) && !bytes.Equal(got, path) {
		t.Errorf("%q decoded: %q, though there is nothing to decode", path, got)
	}
	if len(got) > len(path) {
		t.Errorf("%q decoded is longer: %q", path, got)
	}
}

// checkTarget: path and query are the target's parts, undecoded.
func checkTarget(t *testing.T, r *http1.Request, head []byte, target string) {
	if r.Form == http1.Asterisk {
		return
	}
	whole := string(r.Path.Of(head))
	if r.HasQuery {
		whole += "?" + string(r.Query.Of(head))
	}
	if !strings.HasSuffix(target, whole) || r.Form == http1.Origin && target != whole {
		t.Errorf("%q has the parts %q", target, whole)
	}
	u, err := url.ParseRequestURI(target)
	if err != nil || r.Form == http1.Origin && strings.HasPrefix(target, "//") {
		return
	}
	if got, want := string(r.Query.Of(head)), u.RawQuery; got != want {
		t.Errorf("%q: query %q, net/url has %q", target, got, want)
	}
	if got := string(http1.AppendUnescaped(nil, r.Path.Of(head))); got != u.Path {
		t.Errorf("%q: path %q, net/url has %q", target, got, u.Path)
	}
}

// checkHost: SERVER_NAME and SERVER_PORT are the parts of a host.
func checkHost(t *testing.T, host string, secure bool) {
	name, port := HostPort([]byte(host), secure)
	wantName, wantPort, err := net.SplitHostPort(host)
	if err != nil {
		wantName, wantPort = host, ""
	} else if strings.HasPrefix(host, "[") {
		wantName = "[" + wantName + "]"
	}
	if wantPort == "" {
		wantPort = map[bool]string{false: "80", true: "443"}[secure]
	}
	if string(name) != wantName || string(port) != wantPort {
		t.Errorf("%q: got %q and %q, net has %q and %q", host, name, port, wantName, wantPort)
	}
}
