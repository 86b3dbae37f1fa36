package python_test

import (
	"slices"
	"strings"
	"testing"

	"gowsgi/worker/python"
)

// testStartResponse: what is accepted, and what the server gets.
func testStartResponse(t *testing.T, py *interp) {
	for _, tt := range []struct {
		name, source string
		status       string
		headers      []string
	}{
		{"positional", `start_response("200 OK", [("A", "1"), ("B", "2")])`, "200 OK", []string{"A: 1", "B: 2"}},
		{"no headers", `start_response("204 No Content", [])`, "204 No Content", nil},
		{"keywords", `start_response(status="200 OK", response_headers=[("A", "1")], exc_info=None)`, "200 OK", []string{"A: 1"}},
		{"gunicorn's keyword", `start_response(status="200 OK", headers=[("A", "1")])`, "200 OK", []string{"A: 1"}},
		{"exc_info None", `start_response("200 OK", [("A", "1")], None)`, "200 OK", []string{"A: 1"}},
		{"tuple", `start_response("200 OK", (("A", "1"), ("B", "2")))`, "200 OK", []string{"A: 1", "B: 2"}},
		{"generator", `start_response("200 OK", (("A", str(i)) for i in range(2)))`, "200 OK", []string{"A: 0", "A: 1"}},
		{"items", `start_response("200 OK", {"A": "1"}.items())`, "200 OK", []string{"A: 1"}},
		{"lists in a list", `start_response("200 OK", [["A", "1"]])`, "200 OK", []string{"A: 1"}},
		{"list of a subclass", "class L(list): pass\nstart_response(\"200 OK\", L([(\"A\", \"1\")]))", "200 OK", []string{"A: 1"}},
		{"str of a subclass", "class S(str): pass\nstart_response(S(\"200 OK\"), [(S(\"A\"), S(\"1\"))])", "200 OK", []string{"A: 1"}},
		{"latin-1", `start_response("200 \xe9", [("A", "\xff\x80"), ("B", "\xe9")])`, "200 \xe9", []string{"A: \xff\x80", "B: \xe9"}},
		{"NUL is for the server to refuse", `start_response("200 OK", [("A", "a\0b")])`, "200 OK", []string{"A: a\x00b"}},
		{"empty strings", `start_response("200 OK", [("A", ""), ("", "")])`, "200 OK", []string{"A: ", ": "}},
		{"200 headers", `start_response("200 OK", [("N", str(i)) for i in range(200)])`, "200 OK", nil},
		{"replaced", `
start_response("200 OK", [("A", "1")])
try: raise KeyError
except KeyError: start_response("500 Oops", [("B", "2")], sys.exc_info())`, "500 Oops", []string{"B: 2"}},
		{"exc_info on the first call", `
try: raise KeyError
except KeyError: start_response("500 Oops", [], sys.exc_info())`, "500 Oops", nil},
	} {
		got := py.run(t, tt.source+"\nreturn [b'body']")
		if tt.name == "200 headers" {
			if len(got.headers) != 200 || got.headers[199] != "N: 199" {
				t.Errorf("%s: got %d", tt.name, len(got.headers))
			}
			continue
		}
		if got.status != tt.status || !slices.Equal(got.headers, tt.headers) || got.result != python.Done || len(got.failures) > 0 || got.body() != "body" {
			t.Errorf("%s: got %q, %q, body %q, result %d, %v, want %q, %q", tt.name, got.status, got.headers, got.body(), got.result, got.failures, tt.status, tt.headers)
		}
		if want := strings.Contains(tt.source, "sys.exc_info"); got.excInfo != want {
			t.Errorf("%s: exc_info %t, want %t", tt.name, got.excInfo, want)
		}
	}
}

// testStartResponseRefuses: what is an exception in the application.
func testStartResponseRefuses(t *testing.T, py *interp) {
	for _, tt := range []struct{ name, call, want string }{
		{"twice", `start_response("200 OK", []); start_response("200 OK", [])`, "AssertionError: start_response was called twice without exc_info"},
		{"status bytes", `start_response(b"200 OK", [])`, "TypeError: the status must be a str, not <class 'bytes'>"},
		{"status int", `start_response(200, [])`, "TypeError: the status must be a str, not <class 'int'>"},
		{"name bytes", `start_response("200 OK", [(b"A", "1")])`, "TypeError: a response header's name must be a str, not <class 'bytes'>"},
		{"value int", `start_response("200 OK", [("A", 1)])`, "TypeError: a response header's value must be a str, not <class 'int'>"},
		{"value None", `start_response("200 OK", [("B", "1"), ("A", None)])`, "TypeError: a response header's value must be a str, not <class 'NoneType'>"},
		{"three in a header", `start_response("200 OK", [("A", "1", "2")])`, "TypeError: response headers must be (name, value) tuples"},
		{"header no tuple", `start_response("200 OK", [5])`, "TypeError: response headers must be (name, value) tuples"},
		{"headers not iterable", `start_response("200 OK", 5)`, "TypeError: 'int' object is not iterable"},
		{"headers None", `start_response("200 OK", None)`, "TypeError: start_response takes (status, response_headers, exc_info=None)"},
		{"no arguments", `start_response()`, "TypeError: start_response takes (status, response_headers, exc_info=None)"},
		{"four arguments", `start_response("200 OK", [], None, 1)`, "TypeError: start_response takes (status, response_headers, exc_info=None)"},
		{"unknown keyword", `start_response("200 OK", [], nonsense=1)`, "TypeError: start_response takes (status, response_headers, exc_info=None)"},
		{"keyword beside its position", `start_response("200 OK", [], status="404 x")`, "TypeError: start_response takes (status, response_headers, exc_info=None)"},
		{"keyword in the place of another", `start_response("200 OK", headers=[], response_headers=[])`, "TypeError: start_response takes (status, response_headers, exc_info=None)"},
		{"empty keyword", `start_response("200 OK", [], **{"": 1})`, "TypeError: start_response takes (status, response_headers, exc_info=None)"},
		{"str of two letters in a list", `start_response("200 OK", ["ab"])`, "TypeError: response headers must be (name, value) tuples"},
		{"str of two letters beside a list", `start_response("200 OK", [["A", "1"], "ab"])`, "TypeError: response headers must be (name, value) tuples"},
		{"str for the headers", `start_response("200 OK", "ab")`, "TypeError: response headers must be (name, value) tuples"},
		{"euro in the status", `start_response("200 \u20ac", [])`, "UnicodeEncodeError"},
		{"euro in a name", `start_response("200 OK", [("\u20ac", "")])`, "UnicodeEncodeError"},
		{"euro in a value", `start_response("200 OK", [("A", "1"), ("B", "\u20ac")])`, "UnicodeEncodeError"},
		{"surrogate", `start_response("200 OK", [("A", "\udc80")])`, "UnicodeEncodeError"},
		{"generator raises", `start_response("200 OK", (1/0 for _ in "a"))`, "ZeroDivisionError: division by zero"},
	} {
		got := py.run(t, tt.call+"\nreturn []")
		if len(got.failures) != 1 || !strings.HasPrefix(got.failures[0].lastLine(), tt.want) || got.result != python.Failed {
			t.Errorf("%s: got %v, result %d, want %s", tt.name, got.failures, got.result, tt.want)
		}
		// The application may go on after it caught the exception.
		got = py.run(t, "try: "+tt.call+"\nexcept Exception: start_response('500 Oops', [('C', '3')], sys.exc_info())\nreturn [b'b']")
		if got.status != "500 Oops" || !slices.Equal(got.headers, []string{"C: 3"}) || got.body() != "b" || got.result != python.Done {
			t.Errorf("%s, caught: got %q, %q, %q, %v", tt.name, got.status, got.headers, got.body(), got.failures)
		}
	}
	got := py.run(t, `start_response("200 OK", []); return []`, &recorder{refuse: "for a reason"})
	if len(got.failures) != 1 || got.failures[0].lastLine() != "ValueError: for a reason" {
		t.Errorf("got %v, want the server's reason", got.failures)
	}
}

// testAfterHead: with exc_info, the exception itself is raised (PEP 3333, The
// start_response() Callable).
func testAfterHead(t *testing.T, py *interp) {
	const begun = "start_response('200 OK', [])(b'sent')\n"
	got := py.run(t, begun+`
try: {}["key"]
except KeyError as e:
    try: start_response("500 Oops", [], sys.exc_info())
    except KeyError as f:
        if e is f: raise`)
	if len(got.failures) != 1 || got.failures[0].lastLine() != "KeyError: 'key'" || got.status != "200 OK" {
		t.Errorf("got %q, %v, want the same KeyError", got.status, got.failures)
	}
	got = py.run(t, begun+`start_response("500 Oops", [], 5)`)
	if len(got.failures) != 1 || got.failures[0].lastLine() != "TypeError: exc_info must be a tuple of three" {
		t.Errorf("got %v, want a TypeError", got.failures)
	}
	got = py.run(t, begun+`start_response("500 Oops", [])`)
	if len(got.failures) != 1 || !strings.HasPrefix(got.failures[0].lastLine(), "AssertionError: start_response was called twice") {
		t.Errorf("got %v, want an AssertionError", got.failures)
	}
}

// testKept: what belongs to a request is refused after it.
func testKept(t *testing.T, py *interp) {
	got := py.run(t, `
kept["start"] = start_response
kept["write"] = start_response("200 OK", [])
kept["input"] = environ["wsgi.input"]
return [b"first"]`)
	if got.result != python.Done {
		t.Fatal(got.failures)
	}
	for _, call := range []string{`kept["start"]("200 OK", [])`, `kept["write"](b"x")`} {
		got := py.run(t, "try: "+call+"\nexcept RuntimeError as e: said = str(e)\nstart_response('200 OK', [])\nreturn [said.encode()]")
		if got.body() != "the request is over" || got.status != "200 OK" {
			t.Errorf("%s: got %q, %v, want it refused", call, got.body(), got.failures)
		}
	}
	py.use(t, "script")
	py.call(t, request{script: "kept['input'] = environ['wsgi.input']\nstart_response('200 OK', [])\nreturn []", stream: true}, &recorder{input: "never read"})
	got = py.run(t, "start_response('200 OK', [])\ntry: kept.pop('input').read()\nexcept RuntimeError as e: return [str(e).encode()]")
	if got.body() != "the request is over" {
		t.Errorf("input: got %q, %v, want it refused", got.body(), got.failures)
	}
	py.run(t, "kept.clear()\nstart_response('200 OK', [])\nreturn []")
}

func testEarlyHints(t *testing.T, py *interp) {
	const source = `
environ["wsgi.early_hints"]([("Link", "</a>"), ("B", "2")])
environ["wsgi.early_hints"](iter([("C", "3")]))
start_response("200 OK", [])
return []`
	if got := py.run(t, source); !slices.Equal(got.hints, []string{"Link: </a>", "B: 2", "C: 3"}) || len(got.failures) > 0 {
		t.Errorf("got %q, %v", got.hints, got.failures)
	}
	if got := py.run(t, source, &recorder{refuse: "no"}); len(got.failures) != 1 || got.failures[0].lastLine() != "ValueError: no" {
		t.Errorf("got %v, want the server's reason", got.failures)
	}
	got := py.run(t, `
import threading
said = []
def hint():
    try: environ["wsgi.early_hints"]([])
    except RuntimeError as e: said.append(str(e).encode())
other = threading.Thread(target=hint)
other.start()
other.join()
start_response("200 OK", [])
return said`)
	if got.body() != "early_hints outside of a request" {
		t.Errorf("from another thread: got %q, %v", got.body(), got.failures)
	}
}
