package python_test

import (
	"errors"
	"strings"
	"testing"

	"gowsgi/worker/python"
)

// testLoad: the application forms (gunicorn: import_app).
func testLoad(t *testing.T, py *interp) {
	for _, tt := range []struct{ module, attr, body string }{
		{"apps", "function", "function"},
		{"apps", "Class", "class"},
		{"apps", "instance", "instance"},
		{"apps", "method", "method"},
		{"pkg.inner", "application", "inner"},
		{"apps", "factory()", `["none", [], []]`},
		{"apps", `factory("x")`, `["x", [], []]`},
		{"apps", `factory("x", 1, -2.5, None, debug=True)`, `["x", [1, -2.5, null], [["debug", true]]]`},
		{"apps", `factory(name='x', l=[1, {"a": (2, 3)}])`, `["x", [], [["l", [1, {"a": [2, 3]}]]]]`},
		{"apps", "factory(\"caf\xc3\xa9\")", `["caf\u00e9", [], []]`},
		{"apps", " factory() ", ""},
	} {
		err := py.load(tt.module, tt.attr)
		if tt.body == "" {
			if err == nil {
				t.Errorf("%s:%s: loaded", tt.module, tt.attr)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s:%s: %v", tt.module, tt.attr, err)
			continue
		}
		got := py.call(t, request{})
		if got.body() != tt.body || got.result != python.Done || len(got.failures) > 0 {
			t.Errorf("%s:%s: got %q, result %d, %v, want %q", tt.module, tt.attr, got.body(), got.result, got.failures, tt.body)
		}
	}
}

// testLoadErrors: code 4 for a module without the application, else 3, with
// gunicorn's messages.
func testLoadErrors(t *testing.T, py *interp) {
	for _, tt := range []struct {
		module, attr string
		code         int
		message      string
		traceback    string // a part of it; "": none
	}{
		{"no_such", "application", 3, "ModuleNotFoundError: No module named 'no_such'", "No module named"},
		{"raising", "application", 3, "RuntimeError: not today", `raise RuntimeError("not today")`},
		{"raising", "application", 3, "RuntimeError: not today", `raise RuntimeError("not today")`},
		{"leaving", "application", 3, "SystemExit: 9", "sys.exit(9)"},
		{"apps.py", "application", 3, "ImportError: Failed to find application, did you mean 'apps:application'?", "ImportError"},
		{"apps", "absent", 4, "Failed to find attribute 'absent' in 'apps'.", ""},
		{"apps", "absent()", 4, "Failed to find attribute 'absent' in 'apps'.", ""},
		{"apps", "nothing", 4, "Failed to find application object: 'nothing'", ""},
		{"apps", "makes_nothing()", 4, "Failed to find application object: 'makes_nothing()'", ""},
		{"apps", "number", 4, "Application object must be callable.", ""},
		{"apps", "instance.method", 4, "Failed to parse 'instance.method' as an attribute name or function call.", ""},
		{"apps", "instance.method()", 4, "Failed to parse 'instance.method()' as an attribute name or function call.", ""},
		{"apps", "a b", 4, "Failed to parse 'a b' as an attribute name or function call.", ""},
		{"apps", "a[0]", 4, "Failed to parse 'a[0]' as an attribute name or function call.", ""},
		{"apps", "1+1", 4, "Failed to parse '1+1' as an attribute name or function call.", ""},
		{"apps", "", 4, "Failed to parse '' as an attribute name or function call.", ""},
		{"apps", "f(", 4, "Failed to parse 'f(' as an attribute name or function call.", ""},
		{"apps", "\xff", 4, `Failed to parse '\udcff' as an attribute name or function call.`, ""},
		{"apps", "factory(print)", 4, "Failed to parse arguments as literal values: 'factory(print)'", ""},
		{"apps", "factory(x=print())", 4, "Failed to parse arguments as literal values: 'factory(x=print())'", ""},
		{"apps", "factory(**{})", 4, "Failed to parse arguments as literal values: 'factory(**{})'", ""},
		{"apps", "factory(*[1])", 4, "Failed to parse arguments as literal values: 'factory(*[1])'", ""},
		{"apps", "factory({[]: 1})", 4, "Failed to parse arguments as literal values: 'factory({[]: 1})'", ""},
		{"apps", "factory(x={{}})", 4, "Failed to parse arguments as literal values: 'factory(x={{}})'", ""},
		{"apps", "needs()", 4, "TypeError: needs() missing 1 required positional argument: 'name'", ""},
		{"apps", "raises()", 3, "KeyError: 'in the factory'", "in raises"},
		{"apps", "raises_type_error()", 3, "TypeError: object of type 'int' has no len()", "in raises_type_error"},
		{"apps", "asgi", 4, "'asgi' in 'apps' is an ASGI application; gowsgi serves WSGI applications.", ""},
		{"apps", "asgi_instance", 4, "'asgi_instance' in 'apps' is an ASGI application; gowsgi serves WSGI applications.", ""},
	} {
		err := py.load(tt.module, tt.attr)
		var e *python.Error
		if !errors.As(err, &e) {
			t.Errorf("%s:%s: got %v, want an *Error", tt.module, tt.attr, err)
			continue
		}
		if e.Code != tt.code || e.Message != tt.message {
			t.Errorf("%s:%s: got %d, %q, want %d, %q", tt.module, tt.attr, e.Code, e.Message, tt.code, tt.message)
		}
		if (e.Traceback == "") != (tt.traceback == "") || !strings.Contains(e.Traceback, tt.traceback) || strings.Contains(e.Traceback, "<gowsgi>") {
			t.Errorf("%s:%s: got traceback %q, want %q in it and no frame of the server", tt.module, tt.attr, e.Traceback, tt.traceback)
		}
	}
}
