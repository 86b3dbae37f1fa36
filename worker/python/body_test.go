package python_test

import (
	"fmt"
	"strings"
	"testing"

	"gowsgi/worker/python"
)

// begin is how most applications of the tests begin.
const begin = "start_response('200 OK', [])\n"

// testIterables: each kind, and the calls it becomes. A list or tuple of one is
// known to be all.
func testIterables(t *testing.T, py *interp) {
	end := part{last: true}
	for _, tt := range []struct {
		name, source string
		parts        []part
	}{
		{"list of one", begin + "return [b'a']", []part{{text: "a", last: true}}},
		{"tuple of one", begin + "return (b'a',)", []part{{text: "a", last: true}}},
		{"list of an empty one", begin + "return [b'']", []part{end}},
		{"list", begin + "return [b'a', b'b']", []part{{text: "a"}, {text: "b"}, end}},
		{"tuple", begin + "return b'a', b'b'", []part{{text: "a"}, {text: "b"}, end}},
		{"empty list", begin + "return []", []part{end}},
		{"empty tuple", begin + "return ()", []part{end}},
		{"empty parts", begin + "return [b'', b'a', b'', b'b', b'']", []part{{text: "a"}, {text: "b"}, end}},
		{"generator", begin + "return (c.encode() for c in 'ab')", []part{{text: "a"}, {text: "b"}, end}},
		{"generator of one", begin + "return (c.encode() for c in 'a')", []part{{text: "a"}, end}},
		{"generator that starts late", begin + "yield b'a'\nyield b'b'", []part{{text: "a"}, {text: "b"}, end}},
		{"iterator", begin + "return Iterator([b'a', b'b'])", []part{{text: "a"}, {text: "b"}, end}},
		{"list_iterator", begin + "return iter([b'a'])", []part{{text: "a"}, end}},
		{"set", begin + "return {b'a'}", []part{{text: "a"}, end}},
		{"list of a subclass", "class L(list): pass\n" + begin + "return L([b'a'])", []part{{text: "a"}, end}},
		{"bytes of a subclass", "class B(bytes): pass\n" + begin + "return [B(b'a')]", []part{{text: "a", last: true}}},
		{"__getitem__ only", "class G:\n  def __getitem__(self, i): return [b'a'][i]\n" + begin + "return G()", []part{{text: "a"}, end}},
		{"file", "import io\n" + begin + "return environ['wsgi.file_wrapper'](io.BytesIO(b'abc'), 2)", []part{{text: "ab"}, {text: "c"}, end}},
		{"NUL and all", begin + "return [bytes(range(256)), b'\\0']", []part{{text: allBytes()}, {text: "\x00"}, end}},
		{"64 KiB", begin + "return [b'x' * 65536]", []part{{text: strings.Repeat("x", 65536), last: true}}},
		{"more", begin + "return [b'x' * 65537]", []part{{text: strings.Repeat("x", 65537), last: true, mayBlock: true}}},
	} {
		got := py.run(t, tt.source)
		if fmt.Sprintf("%+v", got.parts) != fmt.Sprintf("%+v", tt.parts) || got.result != python.Done || len(got.failures) > 0 {
			t.Errorf("%s: got %.200q, result %d, %v, want %.200q", tt.name, fmt.Sprint(got.parts), got.result, got.failures, fmt.Sprint(tt.parts))
		}
	}
	for _, tt := range []struct{ name, source, want string }{
		{"None", begin + "return None", "TypeError: 'NoneType' object is not iterable"},
		{"str", begin + "return 'abc'", "TypeError: the application must send bytes, not <class 'str'>"},
		{"list of str", begin + "return ['abc']", "TypeError: the application must send bytes, not <class 'str'>"},
		{"bytes", begin + "return b'abc'", "TypeError: the application must send bytes, not <class 'int'>"},
		{"bytearray", begin + "return [bytearray(b'a')]", "TypeError: the application must send bytes, not <class 'bytearray'>"},
		{"None in it", begin + "return [b'a', None]", "TypeError: the application must send bytes, not <class 'NoneType'>"},
		{"no start_response", "return [b'a']", "AssertionError: no start_response"},
		{"no start_response, empty", "return []", "AssertionError: no start_response"},
		{"no start_response, generator", "yield b'a'", "AssertionError: no start_response"},
	} {
		got := py.run(t, tt.source)
		if len(got.failures) != 1 || got.failures[0].phase != python.InApplication || got.failures[0].lastLine() != tt.want || got.result != python.Failed {
			t.Errorf("%s: got %v, result %d, want %s", tt.name, got.failures, got.result, tt.want)
		}
	}
}

func allBytes() string {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return string(b)
}

// testWrite: the write callable, alone and before an iterable.
func testWrite(t *testing.T, py *interp) {
	got := py.run(t, "w = start_response('200 OK', [])\nw(b'a')\nassert w(b'b') is None\nw(b'')\nw(b'x' * 70000)\nreturn [b'c']")
	want := []part{{text: "a"}, {text: "b"}, {}, {text: strings.Repeat("x", 70000), mayBlock: true}, {text: "c", last: true}}
	if fmt.Sprintf("%+v", got.parts) != fmt.Sprintf("%+v", want) || len(got.failures) > 0 {
		t.Errorf("got %.200q, %v", fmt.Sprint(got.parts), got.failures)
	}
	for _, tt := range []struct{ source, want string }{
		{"start_response('200 OK', [])('a')", "TypeError: the application must send bytes, not <class 'str'>"},
		{"start_response('200 OK', [])()", "TypeError: "},
	} {
		if got := py.run(t, tt.source); len(got.failures) != 1 || !strings.HasPrefix(got.failures[0].lastLine(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.source, got.failures, tt.want)
		}
	}
	got = py.run(t, "w = start_response('200 OK', [])\nw(b'a')\nreturn [b'b']", &recorder{ahead: true})
	if got.flushes != 2 || got.body() != "ab" || got.result != python.Done {
		t.Errorf("ahead of the client: got %d flushes, %q, %v", got.flushes, got.body(), got.failures)
	}
}

// testWhole: no last Write follows when the handler has said that the content is whole,
// but what the application gives all the same.
func testWhole(t *testing.T, py *interp) {
	for source, want := range map[string][]part{
		"return Iterator([b'a', b''])":  {{text: "a"}},
		"return Iterator([b'a', b'b'])": {{text: "a"}, {text: "b"}},
		"return [b'a']":                 {{text: "a", last: true}},
		"return Iterator([b''])":        {{last: true}},
	} {
		got := py.run(t, begin+source, &recorder{onWrite: func([]byte, bool) { py.main.py.Whole() }})
		if fmt.Sprintf("%+v", got.parts) != fmt.Sprintf("%+v", want) || got.result != python.Done {
			t.Errorf("%s: got %+v, %v, want %+v", source, got.parts, got.result, want)
		}
		// The next request starts anew.
		if got := py.run(t, begin+"return Iterator([b'a'])"); len(got.parts) != 2 || !got.parts[1].last {
			t.Errorf("after %s: got %+v, want a last part", source, got.parts)
		}
	}
}

// testClose: close is called once, whatever happened (PEP 3333, Specification
// Details); what it raises is reported beside what was raised before.
func testClose(t *testing.T, py *interp) {
	const fresh = "del closed[:]\n" + begin
	for _, tt := range []struct {
		name, source string
		server       recorder
		closed       string
		result       python.Result
		failures     []failure // phase and last line
	}{
		{name: "all is well", source: fresh + "return Iterator([b'a'])", closed: "1", result: python.Done},
		{name: "iteration raises", source: fresh + "return Iterator([b'a'], KeyError(1))", closed: "1", result: python.Failed,
			failures: []failure{{python.InApplication, "KeyError: 1"}}},
		{name: "close raises", source: fresh + "return Iterator([b'a'], None, KeyError(2))", closed: "1", result: python.Failed,
			failures: []failure{{python.InClose, "KeyError: 2"}}},
		{name: "both raise", source: fresh + "return Iterator([b'a'], KeyError(1), KeyError(2))", closed: "1", result: python.Failed,
			failures: []failure{{python.InApplication, "KeyError: 1"}, {python.InClose, "KeyError: 2"}}},
		{name: "bad part", source: fresh + "return Iterator(['a'])", closed: "1", result: python.Failed,
			failures: []failure{{python.InApplication, "TypeError: the application must send bytes, not <class 'str'>"}}},
		{name: "no start_response", source: "del closed[:]\nreturn Iterator([b'a'])", closed: "1", result: python.Failed,
			failures: []failure{{python.InApplication, "AssertionError: no start_response"}}},
		{name: "client gone", source: fresh + "return Iterator([b'a', b'b'])", server: recorder{goneAt: 1}, closed: "1", result: python.ClientGone},
		{name: "client gone, close raises", source: fresh + "return Iterator([b'a'], None, SystemExit(1))", server: recorder{goneAt: 1}, closed: "1",
			result: python.ClientGone, failures: []failure{{python.InClose, "SystemExit: 1"}}},
		{name: "close no callable", source: fresh + "i = Iterator([b'a'])\ni.close = 5\nreturn i", closed: "0", result: python.Failed,
			failures: []failure{{python.InClose, "TypeError: 'int' object is not callable"}}},
		{name: "close is a property that raises", source: "class C(Iterator):\n  @property\n  def close(self): 1/0\n" + fresh + "return C([b'a'])",
			closed: "0", result: python.Failed, failures: []failure{{python.InClose, "ZeroDivisionError: division by zero"}}},
		{name: "generator's finally", source: fresh + "def g():\n  try: yield b'a'; yield b'b'\n  finally: closed.append(1)\nreturn g()",
			server: recorder{goneAt: 1}, closed: "1", result: python.ClientGone},
		{name: "list of a subclass", source: "class L(list):\n  def close(self): closed.append(1)\n" + fresh + "return L([b'a'])", closed: "1", result: python.Done},
		{name: "file wrapper", source: "class F:\n  def read(self, n): return b''\n  def close(self): closed.append(1)\n" + fresh + "return environ['wsgi.file_wrapper'](F())",
			closed: "1", result: python.Done},
	} {
		server := tt.server
		got := py.run(t, tt.source, &server)
		if count := py.run(t, begin+"return [str(len(closed)).encode()]").body(); count != tt.closed {
			t.Errorf("%s: closed %s times, want %s", tt.name, count, tt.closed)
		}
		if got.result != tt.result {
			t.Errorf("%s: got result %d, want %d", tt.name, got.result, tt.result)
		}
		checkFailures(t, tt.name, got.failures, tt.failures)
	}
}

// checkFailures compares phases and last lines.
func checkFailures(t *testing.T, what string, got, want []failure) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i].phase != want[i].phase || got[i].lastLine() != want[i].text {
			t.Errorf("%s: got %v, want %v", what, got, want)
			return
		}
	}
}

// testExceptions: nothing an application raises gets out of its request.
func testExceptions(t *testing.T, py *interp) {
	for _, tt := range []struct{ name, source, want string }{
		{"exception", "raise ValueError('x')", "ValueError: x"},
		{"SystemExit", "raise SystemExit(3)", "SystemExit: 3"},
		{"sys.exit", "sys.exit('bye')", "SystemExit: bye"},
		{"KeyboardInterrupt", "raise KeyboardInterrupt", "KeyboardInterrupt"},
		{"MemoryError", "raise MemoryError", "MemoryError"},
		{"GeneratorExit", "raise GeneratorExit", "GeneratorExit"},
		{"StopIteration", "raise StopIteration", "StopIteration"},
		{"RecursionError", "def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"},
		{"latin-1 and more", "raise ValueError('caf\\xe9\\u20ac')", "ValueError: café€"},
		{"surrogate", "raise ValueError('\\ud800')", `ValueError: \ud800`},
		{"__str__ raises", "class E(Exception):\n  def __str__(self): 1/0\nraise E", "apps.app.<locals>.E: <"},
		{"SystemExit while iterating", begin + "yield b'a'\nraise SystemExit(4)", "SystemExit: 4"},
		{"KeyboardInterrupt while iterating", begin + "return Iterator([b'a'], KeyboardInterrupt())", "KeyboardInterrupt"},
		{"MemoryError while iterating", begin + "return Iterator([b'a'], MemoryError())", "MemoryError"},
		{"GeneratorExit while iterating", begin + "return Iterator([b'a'], GeneratorExit())", "GeneratorExit"},
		{"__iter__ raises", "class I:\n  def __iter__(self): 1/0\n" + begin + "return I()", "ZeroDivisionError: division by zero"},
		{"wrong arguments", "return function()", "TypeError: function() missing 2 required positional arguments: 'environ' and 'start_response'"},
	} {
		got := py.run(t, tt.source)
		if len(got.failures) != 1 || got.failures[0].phase != python.InApplication || got.result != python.Failed ||
			!strings.HasSuffix(got.failures[0].lastLine(), tt.want) && !strings.HasPrefix(got.failures[0].lastLine(), tt.want) {
			t.Errorf("%s: got %v, result %d, want %s", tt.name, got.failures, got.result, tt.want)
			continue
		}
		if strings.Contains(got.failures[0].text, "<gowsgi>") {
			t.Errorf("%s: a frame of the server in %s", tt.name, got.failures[0].text)
		}
		if got := py.run(t, begin+"return [b'alive']"); got.body() != "alive" {
			t.Fatalf("%s: the next request got %q, %v", tt.name, got.body(), got.failures)
		}
	}
	got := py.run(t, "try: {}['cause']\nexcept KeyError as e: raise ValueError('effect') from e")
	if len(got.failures) != 1 || !strings.Contains(got.failures[0].text, "KeyError: 'cause'") || !strings.HasPrefix(got.failures[0].text, "Traceback") {
		t.Errorf("got %v, want the whole chain", got.failures)
	}
}

// testGone: the client leaves at every point there is.
func testGone(t *testing.T, py *interp) {
	for _, tt := range []struct {
		name, source string
		server       recorder
		result       python.Result
		parts        int
		failure      string
	}{
		{"only part", begin + "return [b'a']", recorder{goneAt: 1}, python.ClientGone, 1, ""},
		{"second part", begin + "return [b'a', b'b', b'c']", recorder{goneAt: 2}, python.ClientGone, 2, ""},
		{"end", begin + "return [b'a', b'b']", recorder{goneAt: 3}, python.ClientGone, 3, ""},
		{"large part", begin + "return [b'a' * 70000, b'b']", recorder{goneAt: 1}, python.ClientGone, 1, ""},
		{"while waiting", begin + "return [b'a', b'b']", recorder{ahead: true, stuck: true}, python.ClientGone, 1, ""},
		{"write", "start_response('200 OK', [])(b'a')\nreturn [b'b']", recorder{goneAt: 1}, python.Failed, 1, "ConnectionResetError: the client closed the connection"},
		{"write while waiting", "start_response('200 OK', [])(b'a')", recorder{ahead: true, stuck: true}, python.Failed, 1, "ConnectionResetError: the client closed the connection"},
	} {
		server := tt.server
		got := py.run(t, tt.source, &server)
		if got.result != tt.result || len(got.parts) != tt.parts {
			t.Errorf("%s: got result %d, %d parts, want %d, %d", tt.name, got.result, len(got.parts), tt.result, tt.parts)
		}
		var want []failure
		if tt.failure != "" {
			want = []failure{{python.InApplication, tt.failure}}
		}
		checkFailures(t, tt.name, got.failures, want)
	}
}
