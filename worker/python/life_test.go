package python_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"gowsgi/worker/python"
)

// testFork: a child of the application is not a server. What it calls is
// refused, and where it would return into the server it ends.
func testFork(t *testing.T, py *interp) {
	const wait = "    status = os.waitpid(pid, 0)[1]\n    start_response('200 OK', [])\n    return [str(os.WEXITSTATUS(status)).encode()]\n"
	for _, tt := range []struct{ name, child, want string }{
		{"start_response", "    try: start_response('200 OK', [])\n    except RuntimeError as e: os._exit(7 if 'parent' in str(e) else 1)\n    os._exit(2)", "7"},
		{"returns", "    return [b'from the child']", "70"},
		{"raises", "    raise ValueError", "70"},
		{"generator", "    return (b'from the child' for _ in range(3))", "70"},
	} {
		got := py.run(t, "import os\npid = os.fork()\nif pid:\n"+wait+"else:\n"+tt.child)
		if got.body() != tt.want || got.result != python.Done || len(got.failures) > 0 {
			t.Errorf("%s: got exit code %q, %v, want %s", tt.name, got.body(), got.failures, tt.want)
		}
	}
}

// testThreads: the application's threads are threading.Threads and do not see
// each other's requests.
func testThreads(t *testing.T, py *interp) {
	py.use(t, "script")
	const calls = 300
	var ended sync.WaitGroup
	errs := make(chan error, 2*calls)
	for i, r := range py.workers {
		ended.Add(1)
		r.run = func() {
			defer ended.Done()
			for j := range calls {
				r.recorder = new(recorder)
				result, err := r.call(request{body: fmt.Sprint(i, j), script: `
import threading
start_response("200 OK", [("Thread", threading.current_thread().name)])
yield environ["wsgi.input"].read()`})
				want := fmt.Sprintf("Thread: gowsgi-%d", i)
				if err != nil || result != python.Done || r.body() != fmt.Sprint(i, j) || strings.Join(r.headers, "|") != want {
					errs <- fmt.Errorf("thread %d, call %d: got %v, %d, %q, %q, %v", i, j, err, result, r.body(), r.headers, r.failures)
				}
			}
		}
	}
	var err error
	py.do(func() {
		py.main.py.AttachMain()
		err = python.RunThreads(len(py.workers))
		py.main.py.DetachMain()
	})
	if err != nil {
		t.Fatal(err)
	}
	ended.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}

// testFlat: after thousands of calls of each kind no object has more references,
// and no more memory is in use.
func testFlat(t *testing.T, py *interp) {
	// A leak in every fifth call would still be above the slack; every further
	// call is paid for by every interpreter, twice.
	const calls = 3_000
	for _, tt := range []struct {
		name   string
		q      request
		server recorder
	}{
		{"list", request{script: begin + "return [b'a']"}, recorder{}},
		{"fields", request{head: "POST /a%20b?c=d HTTP/1.0\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\nX_B: 3\r\nContent-Type: a/b\r\nX-" + strings.Repeat("n", 60) + ": 1",
			addr: "::1", port: "1", https: true, name: "n", sport: "1", body: "content", script: begin + "return [environ['wsgi.input'].read()]"}, recorder{}},
		{"headers", request{script: "start_response('200 \\xe9', [['A', '\\xe9'], ('B', '1')] * 10)\nreturn []"}, recorder{}},
		{"generator", request{script: begin + "yield b'a'\nyield b'b'"}, recorder{}},
		{"iterator with close", request{script: "del closed[:]\n" + begin + "return Iterator([b'a', b'b'])"}, recorder{}},
		{"write", request{script: "w = start_response('200 OK', [])\nw(b'a')\nreturn ()"}, recorder{}},
		{"waiting", request{script: begin + "return [b'a', b'b']"}, recorder{ahead: true}},
		{"gone", request{script: "del closed[:]\n" + begin + "return Iterator([b'a', b'b'])"}, recorder{goneAt: 1}},
		{"exception", request{script: "raise ValueError('x')"}, recorder{}},
		{"exception in the middle", request{script: "del closed[:]\n" + begin + "return Iterator([b'a'], KeyError(1), KeyError(2))"}, recorder{}},
		{"SystemExit", request{script: "sys.exit(3)"}, recorder{}},
		{"bad part", request{script: begin + "return ['a']"}, recorder{}},
		{"bad status", request{script: "start_response(200, [])"}, recorder{}},
		{"bad header", request{script: "start_response('200 OK', [('A', '1'), ('B', '\\u20ac')])"}, recorder{}},
		{"bad pair", request{script: "start_response('200 OK', [('A', '\\xe9'), ('B', '1', '2')])"}, recorder{}},
		{"refused", request{script: "start_response('200 OK', [])"}, recorder{refuse: "no"}},
		{"replaced head", request{script: begin + "try: raise KeyError\nexcept KeyError: start_response('500 Oops', [], sys.exc_info())\nreturn []"}, recorder{}},
		{"exc_info after the head", request{script: "start_response('200 OK', [])(b'a')\ntry: raise KeyError\nexcept KeyError: start_response('500 Oops', [], sys.exc_info())"}, recorder{}},
		{"streamed input", request{stream: true, script: begin + "return [environ['wsgi.input'].read()]"}, recorder{input: "content", step: 3}},
		{"broken input", request{stream: true, script: begin + "return [environ['wsgi.input'].read()]"}, recorder{broken: "no"}},
		{"early hints", request{script: "environ['wsgi.early_hints']([('A', '\\xe9')])\n" + begin + "return []"}, recorder{}},
		{"kept", request{script: "kept['s'] = start_response\nkept['w'] = start_response('200 OK', [])\nreturn []"}, recorder{}},
	} {
		py.use(t, "script")
		many := func(n int) {
			py.do(func() {
				for range n {
					server := tt.server
					py.main.recorder = &server
					_, _ = py.main.call(tt.q)
				}
			})
		}
		many(200)
		before := py.measure(t)
		py.use(t, "script")
		many(calls)
		after := py.measure(t)
		for what, n := range after {
			// The interpreter itself keeps and frees some blocks now and then; a
			// leak of one in every call is far above.
			slack := 20
			if what == "allocated blocks" || what == "objects" {
				slack = 600
			}
			if n > before[what]+slack {
				t.Errorf("%s: %s went from %d to %d in %d calls", tt.name, what, before[what], n, calls)
			}
		}
	}
}

// measure returns reference counts and what is allocated.
func (py *interp) measure(t *testing.T) map[string]int {
	t.Helper()
	py.use(t, "measure")
	got := py.call(t, request{head: "POST / HTTP/1.0\r\nHost: h\r\nX-A: 1\r\nContent-Type: a/b"})
	var counts map[string]int
	if err := json.Unmarshal([]byte(got.body()), &counts); err != nil {
		t.Fatalf("%v in %q, %v", err, got.body(), got.failures)
	}
	return counts
}
