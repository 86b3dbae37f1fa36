package integration

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// environ is what probe.py reports: the Python type and the value of each key.
type environ map[string][2]any

func (e environ) check(t *testing.T, want map[string]any) {
	t.Helper()
	for key, value := range want {
		got, ok := e[key]
		switch {
		case value == nil && ok:
			t.Errorf("%s is %v, want it absent", key, got)
		case value == nil:
		case !ok:
			t.Errorf("%s is absent, want %v", key, value)
		case got[1] != value:
			t.Errorf("%s is %v, want %v", key, got[1], value)
		}
	}
}

func askEnviron(t *testing.T, c *gowsgitest.Conn, request string) environ {
	t.Helper()
	c.Send(request)
	r := c.Response("GET")
	if r.Status != 200 {
		t.Fatalf("got %v, want 200", r)
	}
	var e environ
	r.JSON(t, &e)
	return e
}

// PEP 3333, environ Variables; the values are gunicorn's.
func TestEnviron(t *testing.T) {
	t.Parallel()
	s := gowsgitest.Start(t, gowsgitest.Config{Dir: apps(), Args: []string{"probe"}, Env: []string{"LEAKED_FROM_OS=1"}})
	host, port, _ := net.SplitHostPort(s.Addr)
	c := s.Dial()
	clientPort := c.LocalAddr().(*net.TCPAddr).AddrPort().Port()
	e := askEnviron(t, c, "POST /environ/caf%C3%A9;p=1//x%2Fy%20z?a=b%20c&d HTTP/1.1\r\n"+
		"Host: example.com:81\r\nContent-Type: text/x-test\r\nContent-Length: 2\r\n"+
		"X-Twice: one\r\nx-twice: two\r\nCookie: a=1\r\nCookie: b=2\r\n"+
		"X-Latin: caf\xe9\r\nX-Empty:\r\nX-Blank:   padded \t \r\nX_Underscore: no\r\n\r\nhi")
	e.check(t, map[string]any{
		"REQUEST_METHOD":        "POST",
		"SCRIPT_NAME":           "",
		"PATH_INFO":             "/environ/caf\u00c3\u00a9;p=1//x/y z", // bytes as latin-1
		"QUERY_STRING":          "a=b%20c&d",
		"RAW_URI":               "/environ/caf%C3%A9;p=1//x%2Fy%20z?a=b%20c&d",
		"CONTENT_TYPE":          "text/x-test",
		"CONTENT_LENGTH":        "2",
		"HTTP_CONTENT_TYPE":     nil,
		"HTTP_CONTENT_LENGTH":   nil,
		"SERVER_NAME":           host,
		"SERVER_PORT":           port,
		"SERVER_PROTOCOL":       "HTTP/1.1",
		"REMOTE_ADDR":           "127.0.0.1",
		"REMOTE_PORT":           itoa(int(clientPort)),
		"HTTP_HOST":             "example.com:81",
		"HTTP_X_TWICE":          "one,two",
		"HTTP_COOKIE":           "a=1,b=2",
		"HTTP_X_LATIN":          "caf\u00e9",
		"HTTP_X_EMPTY":          "",
		"HTTP_X_BLANK":          "padded",
		"HTTP_X_UNDERSCORE":     nil,
		"wsgi.url_scheme":       "http",
		"wsgi.multithread":      false,
		"wsgi.multiprocess":     false,
		"wsgi.run_once":         false,
		"wsgi.input_terminated": true,
		"type(environ)":         true,
		// CGI's and gunicorn's environ hold nothing of the process's environment.
		"LEAKED_FROM_OS": nil,
	})
	for key, want := range map[string]string{
		"wsgi.version": "tuple", "wsgi.multithread": "bool", "wsgi.multiprocess": "bool", "wsgi.run_once": "bool",
		"REMOTE_PORT": "str", "SERVER_PORT": "str", "CONTENT_LENGTH": "str",
	} {
		if e[key][0] != want {
			t.Errorf("%s is a %v, want %s", key, e[key][0], want)
		}
	}
	for _, key := range []string{"wsgi.input", "wsgi.errors", "wsgi.file_wrapper", "SERVER_SOFTWARE"} {
		if _, ok := e[key]; !ok {
			t.Errorf("%s is absent", key)
		}
	}
	for key, value := range e {
		if isVariable := strings.ToUpper(key) == key; isVariable && value[0] != "str" {
			t.Errorf("%s is a %v, want a str", key, value[0])
		}
	}
	// The next request of the connection starts from a clean slate.
	e = askEnviron(t, c, "GET /environ HTTP/1.1\r\nHost: b\r\n\r\n")
	e.check(t, map[string]any{
		"REQUEST_METHOD": "GET", "QUERY_STRING": "", "CONTENT_TYPE": nil, "CONTENT_LENGTH": nil,
		"HTTP_X_TWICE": nil, "HTTP_COOKIE": nil, "HTTP_HOST": "b", "RAW_URI": "/environ",
	})
}

func TestEnvironOfTargets(t *testing.T) {
	t.Parallel()
	s := start(t, "probe")
	tests := []struct{ name, line, path, query, raw string }{
		{"root", "GET /?x HTTP/1.1", "/", "x", "/?x"},
		{"two slashes", "GET //a//b HTTP/1.1", "//a//b", "", "//a//b"},
		{"dot segments are kept", "GET /a/../b/./c HTTP/1.1", "/a/../b/./c", "", "/a/../b/./c"},
		{"empty query", "GET /a? HTTP/1.1", "/a", "", "/a?"},
		{"query with question marks", "GET /a?b?c=/d HTTP/1.1", "/a", "b?c=/d", "/a?b?c=/d"},
		{"encoded question mark", "GET /a%3Fb HTTP/1.1", "/a?b", "", "/a%3Fb"},
		{"broken escape is kept", "GET /a%zz%4 HTTP/1.1", "/a%zz%4", "", "/a%zz%4"},
		{"absolute-form", "GET http://other/a/b?c HTTP/1.1", "/a/b", "c", "http://other/a/b?c"},
		{"asterisk-form", "OPTIONS * HTTP/1.1", "*", "", "*"},
		{"unknown method", "PURGE /a HTTP/1.1", "/a", "", "/a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := askEnviron(t, s.In(t).Dial(), tt.line+"\r\nHost: x\r\n\r\n")
			e.check(t, map[string]any{"PATH_INFO": tt.path, "QUERY_STRING": tt.query, "RAW_URI": tt.raw})
		})
	}
}

// What depends on how the server was started.
func TestEnvironOfServers(t *testing.T) {
	t.Parallel()
	sock := filepath.Join(t.TempDir(), "s")
	tests := []struct {
		name   string
		config gowsgitest.Config
		want   map[string]any
	}{
		{"two workers", gowsgitest.Config{Args: []string{"-w", "2"}}, map[string]any{"wsgi.multiprocess": true, "wsgi.multithread": false}},
		{"two threads", gowsgitest.Config{Args: []string{"--threads", "2"}}, map[string]any{"wsgi.multiprocess": false, "wsgi.multithread": true}},
		{"IPv6", gowsgitest.Config{Bind: "[::1]:0"}, map[string]any{"REMOTE_ADDR": "::1", "SERVER_NAME": "::1"}},
		{"unix socket", gowsgitest.Config{Bind: "unix:" + sock}, map[string]any{
			"REMOTE_ADDR": "", "REMOTE_PORT": nil, "SERVER_NAME": "example.com", "SERVER_PORT": "81",
		}},
		{"SCRIPT_NAME", gowsgitest.Config{Env: []string{"SCRIPT_NAME=/environ"}}, map[string]any{
			"SCRIPT_NAME": "/environ", "PATH_INFO": "/rest",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.config.Dir = apps()
			tt.config.Args = append(tt.config.Args, "probe")
			s := gowsgitest.Start(t, tt.config)
			e := askEnviron(t, s.Dial(), "GET /environ/rest HTTP/1.1\r\nHost: example.com:81\r\n\r\n")
			e.check(t, tt.want)
		})
	}
}

// Applications look for "gunicorn" there to wire up their logging; ours names
// itself in both the environ and the process.
func TestServerSoftware(t *testing.T) {
	t.Parallel()
	s := start(t, "probe")
	e := askEnviron(t, s.Dial(), "GET /environ HTTP/1.1\r\nHost: x\r\n\r\n")
	if got, _ := e["SERVER_SOFTWARE"][1].(string); !strings.HasPrefix(got, "gowsgi/") {
		t.Errorf("got %q, want gowsgi/ and the version", got)
	}
}

// gunicorn: secure_scheme_headers, from its default forwarded_allow_ips: the
// proxy on the same machine may say what the client's scheme was.
func TestSchemeFromTheProxy(t *testing.T) {
	t.Parallel()
	s := start(t, "probe")
	tests := []struct{ name, field, want string }{
		{"none", "", "http"},
		{"https", "X-Forwarded-Proto: https\r\n", "https"},
		{"http", "X-Forwarded-Proto: http\r\n", "http"},
		{"ssl", "X-Forwarded-SSL: on\r\n", "https"},
		{"protocol", "X-Forwarded-Protocol: ssl\r\n", "https"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := askEnviron(t, s.In(t).Dial(), "GET /environ HTTP/1.1\r\nHost: x\r\n"+tt.field+"\r\n")
			e.check(t, map[string]any{"wsgi.url_scheme": tt.want})
		})
	}
	c := s.Dial()
	c.Send("GET /environ HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: https\r\nX-Forwarded-SSL: off\r\n\r\n")
	if r := c.Response("GET"); r.Status != 400 {
		t.Errorf("contradiction: got %v, want 400", r)
	}
}
