package python_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"gowsgi/worker/python"
)

// shown is the environ as the application saw it: type and value by key.
type shown map[string][2]any

func (py *interp) environ(t *testing.T, q request) shown {
	t.Helper()
	py.use(t, "environ")
	got := py.call(t, q)
	var env shown
	if err := json.Unmarshal([]byte(got.body()), &env); err != nil {
		t.Fatalf("%v in %q, failures %v", err, got.body(), got.failures)
	}
	return env
}

// check compares text values; "-" stands for a key that is not there.
func (env shown) check(t *testing.T, what string, want map[string]string) {
	t.Helper()
	for k, v := range want {
		got, there := env[k]
		switch {
		case v == "-" && there:
			t.Errorf("%s: got %s = %q, want none", what, k, got[1])
		case v != "-" && (got[0] != "str" || got[1] != v):
			t.Errorf("%s: got %s = %v %q, want %q", what, k, got[0], got[1], v)
		}
	}
}

// testWholeEnviron: every key of a request, and no other (PEP 3333, environ
// Variables; gunicorn's additions).
func testWholeEnviron(t *testing.T, py *interp) {
	env := py.environ(t, request{addr: "203.0.113.7", port: "4711", waited: 0.25,
		head: "PUT /caf%C3%A9?a=%20 HTTP/1.1\r\nHost: example.org\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nX-Name: v"})
	want := map[string][2]any{
		"REQUEST_METHOD": {"str", "PUT"}, "RAW_URI": {"str", "/caf%C3%A9?a=%20"},
		"PATH_INFO": {"str", "/caf\u00c3\u00a9"}, "QUERY_STRING": {"str", "a=%20"}, "SCRIPT_NAME": {"str", ""},
		"SERVER_PROTOCOL": {"str", "HTTP/1.1"}, "SERVER_SOFTWARE": {"str", "gowsgi/test"},
		"SERVER_NAME": {"str", "127.0.0.1"}, "SERVER_PORT": {"str", "8000"},
		"REMOTE_ADDR": {"str", "203.0.113.7"}, "REMOTE_PORT": {"str", "4711"},
		"CONTENT_TYPE": {"str", "text/plain"}, "CONTENT_LENGTH": {"str", "3"},
		"HTTP_HOST": {"str", "example.org"}, "HTTP_X_NAME": {"str", "v"},
		"wsgi.url_scheme": {"str", "http"}, "wsgi.version": {"tuple", []any{1.0, 0.0}},
		"wsgi.multithread": {"bool", false}, "wsgi.multiprocess": {"bool", false}, "wsgi.run_once": {"bool", false},
		"wsgi.input": {"BytesIO", ""}, "wsgi.input_terminated": {"bool", true},
		"wsgi.errors": {"TextIOWrapper", ""}, "wsgi.file_wrapper": {"type", ""},
		"wsgi.early_hints": {"builtin_function_or_method", ""}, "gunicorn.socket": {"ClientSocket", ""}, "gowsgi.client_disconnected": {"builtin_function_or_method", ""}, "gowsgi.queue_time": {"float", 0.25},
	}
	for k, v := range want {
		if got, there := env[k]; !there || fmt.Sprint(got) != fmt.Sprint(v) {
			t.Errorf("got %s = %v, want %v", k, got, v)
		}
	}
	for k, v := range env {
		if _, wanted := want[k]; !wanted {
			t.Errorf("got %s = %v besides", k, v)
		}
	}
}

func testEnviron(t *testing.T, py *interp) {
	get := func(target string) string { return "GET " + target + " HTTP/1.1\r\nHost: h" }
	for _, tt := range []struct {
		name string
		q    request
		want map[string]string
	}{
		{"GET", request{}, map[string]string{"REQUEST_METHOD": "GET", "PATH_INFO": "/", "RAW_URI": "/", "QUERY_STRING": "",
			"CONTENT_TYPE": "-", "CONTENT_LENGTH": "-", "HTTP_CONTENT_TYPE": "-", "HTTP_CONTENT_LENGTH": "-", "REMOTE_PORT": "-", "REMOTE_ADDR": ""}},
		{"HEAD", request{head: "HEAD / HTTP/1.1\r\nHost: h"}, map[string]string{"REQUEST_METHOD": "HEAD"}},
		{"GET again", request{}, map[string]string{"REQUEST_METHOD": "GET"}},
		{"method of three letters", request{head: "PUT / HTTP/1.1\r\nHost: h"}, map[string]string{"REQUEST_METHOD": "PUT"}},
		{"HTTP/1.0", request{head: "GET / HTTP/1.0"}, map[string]string{"SERVER_PROTOCOL": "HTTP/1.0"}},
		{"HTTP/1.9", request{head: "GET / HTTP/1.9\r\nHost: h"}, map[string]string{"SERVER_PROTOCOL": "HTTP/1.9"}},
		{"query", request{head: get("/a?b=%20&c=%C3%A9?")}, map[string]string{"PATH_INFO": "/a", "QUERY_STRING": "b=%20&c=%C3%A9?", "RAW_URI": "/a?b=%20&c=%C3%A9?"}},
		{"empty query", request{head: get("/a?")}, map[string]string{"PATH_INFO": "/a", "QUERY_STRING": "", "RAW_URI": "/a?"}},
		{"query is not kept", request{head: get("/a")}, map[string]string{"QUERY_STRING": ""}},
		{"escapes", request{head: get("/%2F%00%ff%41")}, map[string]string{"PATH_INFO": "//\x00\u00ffA", "RAW_URI": "/%2F%00%ff%41"}},
		{"not an escape", request{head: get("/%zz%4")}, map[string]string{"PATH_INFO": "/%zz%4"}},
		{"parameters and empty segments", request{head: get("//a//b;c=1")}, map[string]string{"PATH_INFO": "//a//b;c=1"}},
		{"absolute-form", request{head: get("http://h/p?q")}, map[string]string{"PATH_INFO": "/p", "QUERY_STRING": "q", "RAW_URI": "http://h/p?q", "HTTP_HOST": "h"}},
		{"asterisk-form", request{head: "OPTIONS * HTTP/1.1\r\nHost: h"}, map[string]string{"PATH_INFO": "*", "RAW_URI": "*"}},
		{"script name", request{head: get("/app/p"), path: "/p", script: "/app"}, map[string]string{"PATH_INFO": "/p", "SCRIPT_NAME": "/app", "RAW_URI": "/app/p"}},
		{"script name is not kept", request{}, map[string]string{"SCRIPT_NAME": ""}},
		{"https", request{https: true}, map[string]string{"wsgi.url_scheme": "https", "HTTPS": "-"}},
		{"https is not kept", request{}, map[string]string{"wsgi.url_scheme": "http"}},
		{"peer", request{addr: "::1", port: "1"}, map[string]string{"REMOTE_ADDR": "::1", "REMOTE_PORT": "1"}},
		{"same peer", request{addr: "::1", port: "2"}, map[string]string{"REMOTE_ADDR": "::1", "REMOTE_PORT": "2"}},
		{"peer of the same length", request{addr: "::2", port: "2"}, map[string]string{"REMOTE_ADDR": "::2"}},
		{"peer is not kept", request{}, map[string]string{"REMOTE_ADDR": "", "REMOTE_PORT": "-"}},
		{"longest peer", request{addr: strings.Repeat("1111:", 7) + "1111", port: "65535"}, map[string]string{"REMOTE_ADDR": strings.Repeat("1111:", 7) + "1111"}},
		{"PROXY", request{proxy: [3]string{"TCP6", "2001:db8::2", "443"}}, map[string]string{"PROXY_PROTOCOL": "TCP6", "PROXY_ADDR": "2001:db8::2", "PROXY_PORT": "443"}},
		{"PROXY without addresses", request{proxy: [3]string{"LOCAL"}}, map[string]string{"PROXY_PROTOCOL": "LOCAL", "PROXY_ADDR": "-", "PROXY_PORT": "-"}},
		{"PROXY is not kept", request{}, map[string]string{"PROXY_PROTOCOL": "-", "PROXY_ADDR": "-", "PROXY_PORT": "-"}},
		{"unix listener", request{listener: 1, name: "example.org", sport: "443"}, map[string]string{"SERVER_NAME": "example.org", "SERVER_PORT": "443"}},
		{"unix listener without Host", request{listener: 1}, map[string]string{"SERVER_NAME": "unix", "SERVER_PORT": "", "SERVER_SOFTWARE": "-"}},
		{"other listener", request{}, map[string]string{"SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000"}},
		{"never set", request{}, map[string]string{"REQUEST_URI": "-", "SERVER_ADDR": "-", "REMOTE_HOST": "-", "DOCUMENT_ROOT": "-", "GATEWAY_INTERFACE": "-"}},
	} {
		py.environ(t, tt.q).check(t, tt.name, tt.want)
	}
	if waited := py.environ(t, request{})["gowsgi.queue_time"]; waited != [2]any{"float", 0.0} {
		t.Errorf("got gowsgi.queue_time = %v, want 0: that of another request is not kept", waited)
	}
	if env := py.environ(t, request{listener: 1}); env["wsgi.multithread"][1] != true || env["wsgi.multiprocess"][1] != true {
		t.Errorf("got multithread %v, multiprocess %v, want true", env["wsgi.multithread"], env["wsgi.multiprocess"])
	}
}

// testEnvironFields: each case twice, for the names and values of the first are
// remembered.
func testEnvironFields(t *testing.T, py *interp) {
	long := "X-" + strings.Repeat("Long-", 20) + "Name"
	longKey := "HTTP_" + strings.ToUpper(strings.ReplaceAll(long, "-", "_"))
	huge := "X-" + strings.Repeat("h", 400)
	for _, tt := range []struct {
		name   string
		fields []string
		want   map[string]string
	}{
		{"hyphens and case", []string{"x-Some-nAme: v"}, map[string]string{"HTTP_X_SOME_NAME": "v", "HTTP_x-Some-nAme": "-"}},
		{"repeated", []string{"X-A: 1", "X-A: 2", "X-A: 3"}, map[string]string{"HTTP_X_A": "1,2,3"}},
		{"repeated in other case", []string{"X-A: 1", "x-a: 2", "X-a: 3"}, map[string]string{"HTTP_X_A": "1,2,3"}},
		{"repeated, others between", []string{"X-A: 1", "X-B: b", "X-A: 2"}, map[string]string{"HTTP_X_A": "1,2", "HTTP_X_B": "b"}},
		{"repeated with empty values", []string{"X-A:", "X-A:", "X-A: 1"}, map[string]string{"HTTP_X_A": ",,1"}},
		{"once again", []string{"X-A: 1"}, map[string]string{"HTTP_X_A": "1"}},
		{"cookies", []string{"Cookie: a=1", "Cookie: b=2"}, map[string]string{"HTTP_COOKIE": "a=1,b=2"}},
		// Go leaves out those that must not come here.
		{"underscore", []string{"X_A: 1", "X_B: 2", "X-B: v"}, map[string]string{"HTTP_X_A": "1", "HTTP_X_B": "2,v"}},
		{"underscore after", []string{"X-B: v", "X_B: 2"}, map[string]string{"HTTP_X_B": "v,2"}},
		{"underscore in a long name", []string{strings.ReplaceAll(long, "-", "_") + ": v"}, map[string]string{longKey: "v"}},
		{"underscored content fields", []string{"Content_Length: 5", "Content-Length: 0", "Content_Type: x"},
			map[string]string{"CONTENT_LENGTH": "0", "CONTENT_TYPE": "-", "HTTP_CONTENT_LENGTH": "5", "HTTP_CONTENT_TYPE": "x"}},
		{"content fields in any case", []string{"CONTENT-type: a/b", "content-LENGTH: 0"},
			map[string]string{"CONTENT_TYPE": "a/b", "CONTENT_LENGTH": "0", "HTTP_CONTENT_TYPE": "-", "HTTP_CONTENT_LENGTH": "-"}},
		{"names that begin like them", []string{"Content-Typ: a", "Content-Type-X: b"}, map[string]string{"HTTP_CONTENT_TYP": "a", "HTTP_CONTENT_TYPE_X": "b", "CONTENT_TYPE": "-"}},
		{"latin-1", []string{"X-L: caf\xe9 \xff\x80"}, map[string]string{"HTTP_X_L": "caf\u00e9 \u00ff\u0080"}},
		{"UTF-8 is latin-1 here", []string{"X-L: caf\xc3\xa9"}, map[string]string{"HTTP_X_L": "caf\u00c3\u00a9"}},
		{"whitespace around", []string{"X-A: \t a b \t"}, map[string]string{"HTTP_X_A": "a b"}},
		{"one byte", []string{"X-A: a"}, map[string]string{"HTTP_X_A": "a"}},
		{"other byte", []string{"X-A: b"}, map[string]string{"HTTP_X_A": "b"}},
		{"same length", []string{"X-A: abcd"}, map[string]string{"HTTP_X_A": "abcd"}},
		{"same length, other value", []string{"X-A: abce"}, map[string]string{"HTTP_X_A": "abce"}},
		{"prefix of the last value", []string{"X-A: abc"}, map[string]string{"HTTP_X_A": "abc"}},
		{"value at the cache's bound", []string{"X-A: " + strings.Repeat("v", 96)}, map[string]string{"HTTP_X_A": strings.Repeat("v", 96)}},
		{"value beyond it", []string{"X-A: " + strings.Repeat("v", 97)}, map[string]string{"HTTP_X_A": strings.Repeat("v", 97)}},
		{"value of 4 KiB", []string{"X-A: " + strings.Repeat("v", 4096)}, map[string]string{"HTTP_X_A": strings.Repeat("v", 4096)}},
		{"long name", []string{long + ": 1", strings.ToLower(long) + ": 2"}, map[string]string{longKey: "1,2"}},
		{"huge name", []string{huge + ": 1"}, map[string]string{"HTTP_X_" + strings.Repeat("H", 400): "1"}},
		{"names at the cache's bound", []string{strings.Repeat("n", 40) + ": 1", strings.Repeat("n", 41) + ": 2"},
			map[string]string{"HTTP_" + strings.Repeat("N", 40): "1", "HTTP_" + strings.Repeat("N", 41): "2"}},
		{"every tchar", []string{"!#$%&'*+.^`|~0: v"}, map[string]string{"HTTP_!#$%&'*+.^`|~0": "v"}},
		{"Proxy", []string{"Proxy: http://evil"}, map[string]string{"HTTP_PROXY": "http://evil"}},
	} {
		for range 2 {
			head := strings.Join(append([]string{"GET / HTTP/1.1", "Host: h"}, tt.fields...), "\r\n")
			py.environ(t, request{head: head}).check(t, tt.name, tt.want)
		}
	}
	testManyFields(t, py)
}

// testManyFields: more names than any cache has room for, in requests of 90, so
// that they push each other out; every third repeated.
func testManyFields(t *testing.T, py *interp) {
	for round := range 40 {
		head := []string{"GET / HTTP/1.1", "Host: h"}
		want := map[string]string{}
		for i := range 60 {
			name := fmt.Sprintf("X-%d-%d", round%20, i)
			head = append(head, fmt.Sprintf("%s: %d", name, round))
			want["HTTP_"+strings.ReplaceAll(name, "-", "_")] = fmt.Sprint(round)
		}
		for i := 0; i < 60; i += 3 {
			name := fmt.Sprintf("x-%d-%d", round%20, i)
			head = append(head, name+": again")
			want["HTTP_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] += ",again"
		}
		py.environ(t, request{head: strings.Join(head, "\r\n")}).check(t, fmt.Sprint("round ", round), want)
	}
}

// testWanted: keys for the access log, after the call, in any case; what is no
// str is shown as one.
func testWanted(t *testing.T, py *interp) {
	got := py.run(t, `
environ["set.by.app"] = 5
start_response("200 OK", [])
return []`)
	want := map[int]string{0: "http", 1: "", 2: "5"}
	if fmt.Sprint(got.wanted) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got.wanted, want)
	}
	got = py.run(t, `
environ["set.by.app"] = "caf\xe9\u20ac\ud800"
raise KeyError`)
	if got.wanted[2] != "café€\\ud800" || got.result != python.Failed {
		t.Errorf("got %q, result %d", got.wanted[2], got.result)
	}
	got = py.run(t, `
class Bad:
    def __str__(self): raise KeyError
environ["set.by.app"] = Bad()
del environ["wsgi.url_scheme"]
start_response("200 OK", [])
return []`)
	if got.wanted[2] != "" || got.result != python.Done || len(got.failures) > 0 {
		t.Errorf("got %q, result %d, %v", got.wanted[2], got.result, got.failures)
	}
}

// testErrors: wsgi.errors takes text, whole lines at once.
func testErrors(t *testing.T, py *interp) {
	got := py.run(t, `
e = environ["wsgi.errors"]
e.write("caf\xe9\u20ac\ud800\n")
e.writelines(["a", "b\n"])
e.write("c")
e.flush()
start_response("200 OK", [])
return []`)
	if len(got.failures) > 0 {
		t.Fatal(got.failures)
	}
	const want = "café€\\ud800\nab\nc"
	if text, err := py.readErrors(len(want)); text != want || err != nil {
		t.Errorf("got %q, %v, want %q", text, err, want)
	}
}
