package python_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gowsgi/worker/python"
)

// hook is the start of an application that sets hooks around the next requests.
const hook = `
import _gowsgi
log = kept.setdefault("log", [])
def before(environ):
    if environ["PATH_INFO"] == "/refuse": raise KeyError("before")
    return ["request", environ["PATH_INFO"]]
def after(request, environ, status, headers, code, sent, outcome):
    log.append((request, environ["PATH_INFO"], status, headers, code, sent, outcome))
`

// testRequestHooks: what the hooks around a request get, and that nothing of it is
// kept. The end of the test takes them away again.
func testRequestHooks(t *testing.T, py *interp) {
	set := func(args string) {
		py.run(t, hook+"_gowsgi.set_request_hooks("+args+")\nstart_response('200 OK', [])\nreturn []")
	}
	defer set("None, None")
	set("before, after")
	for _, tt := range []struct {
		name, path, script string
		result             python.Result
		want               string
	}{
		{"answered", "/a", "start_response('200 OK', [('A', '1')])\nreturn [b'body']", python.Done,
			"(['request', '/a'], '/a', '200 OK', [('A', '1')], 200, 4, 'ended')"},
		{"headers in a tuple", "/a", "start_response('200 OK', (('A', '1'),))\nreturn []", python.Done,
			"(['request', '/a'], '/a', '200 OK', [('A', '1')], 200, 0, 'ended')"},
		{"replaced", "/b", begin + "try: raise KeyError\nexcept KeyError: start_response('500 Oops', [], sys.exc_info())\nreturn [b'x']", python.Done,
			"(['request', '/b'], '/b', '500 Oops', [], 200, 1, 'ended')"},
		{"raises", "/c", "raise ValueError", python.Failed, "(['request', '/c'], '/c', None, None, 201, 0, 'ended')"},
		{"refused", "/refuse", "kept['called'] = True", python.Failed, "(None, '/refuse', None, None, 201, 0, 'ended')"},
	} {
		py.run(t, "kept['log'] = []\nkept.pop('called', None)\n"+hook+"_gowsgi.set_request_hooks(before, after)\nstart_response('200 OK', [])\nreturn []")
		got := py.call(t, request{path: tt.path, script: tt.script})
		if got.result != tt.result || (tt.result == python.Failed) != (len(got.failures) == 1) {
			t.Errorf("%s: result %d, %v, want %d", tt.name, got.result, got.failures, tt.result)
		}
		seen := py.run(t, "start_response('200 OK', [])\nreturn [repr((kept['log'][-1], kept.get('called'))).encode()]")
		if want := "(" + tt.want + ", None)"; seen.body() != want {
			t.Errorf("%s: got %s, want %s", tt.name, seen.body(), want)
		}
	}
	py.run(t, "kept.clear()\nstart_response('200 OK', [])\nreturn []")
	set("before, (lambda *args: None)")
	for _, script := range []string{begin + "return [b'a']", "raise ValueError('x')"} {
		many := func(n int) {
			py.do(func() {
				for range n {
					py.main.recorder = new(recorder)
					_, _ = py.main.call(request{script: script})
				}
			})
		}
		py.use(t, "script")
		many(200)
		before := py.measure(t)
		py.use(t, "script")
		many(2000)
		for what, n := range py.measure(t) {
			if n > before[what]+600 {
				t.Errorf("%s went from %d to %d in 2000 calls of %q with hooks", what, before[what], n, script)
			}
		}
	}
}

// testHookLog: what hooks log reaches Options.Log, and a signal Options.Signalled.
func testHookLog(t *testing.T, py *interp) {
	hookLog.take()
	py.run(t, `
import _gowsgi
_gowsgi.log("warning", "caf\u00e9", "Traceback")
_gowsgi.log("info", "\ud800", "")
_gowsgi.signalled(15)
start_response("200 OK", [])
return []`)
	want := []string{"warning|caf\u00e9|Traceback", "info|(text that is not Unicode)|", "signal 15"}
	if got := hookLog.take(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, call := range []string{"log('info')", "log(1, 2, 3)", "signalled('x')", "set_request_hooks(None)"} {
		got := py.run(t, "import _gowsgi\n_gowsgi."+call+"\nstart_response('200 OK', [])\nreturn []")
		if call == "log(1, 2, 3)" {
			continue // it says that it is no text
		}
		if len(got.failures) != 1 || !strings.Contains(got.failures[0].lastLine(), "TypeError") {
			t.Errorf("%s: got %v, want a TypeError", call, fmt.Sprint(got.failures))
		}
	}
	hookLog.take()
}

// testServerLoggers: applications log to gunicorn's loggers, and take their
// handlers for their own.
func testServerLoggers(t *testing.T, py *interp) {
	hookLog.take()
	py.run(t, `
import logging
error = logging.getLogger("gunicorn.error")
error.debug("too little")
error.info("%d lines", 2)
try: raise KeyError("k")
except KeyError: error.exception("caught")
own = logging.Logger("own")
own.handlers = error.handlers
own.critical("critical %s", "line")
error.error("%d", "no number")
handler = type(error.handlers[0])()
handler.setFormatter(logging.Formatter("%(levelname)s:%(message)s"))
handler.handle(logging.makeLogRecord({"msg": "formatted", "levelno": 30, "levelname": "WARNING"}))
logging.getLogger("gunicorn.access").info("nowhere")
assert not error.propagate and logging.getLevelName(error.level) == "INFO"
assert logging.__spec__.loader is logging.__loader__ and "Finder" not in repr(sys.meta_path[0])
start_response("200 OK", [])
return []`)
	got := hookLog.take()
	if len(got) == 4 {
		got[1] = got[1][:strings.Index(got[1], "Traceback")+len("Traceback")] + got[1][strings.Index(got[1], "KeyError"):]
	}
	want := []string{"info|2 lines|", "error|caught|TracebackKeyError: 'k'\n", "critical|critical line|", "warning|WARNING:formatted|"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
