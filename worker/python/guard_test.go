package python_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"gowsgi/worker/python"
)

// begun is an application whose head has been sent.
const begun = "start_response('200 OK', [])(b'sent')\n"

// testExcInfo: whatever is given as exc_info after the head, what is raised is the
// exception it holds, or a TypeError that says there is none; never a SystemError,
// which is what a wrong triple makes of PyErr_Restore.
func testExcInfo(t *testing.T, py *interp) {
	const (
		none  = "TypeError: exc_info holds no exception"
		three = "TypeError: exc_info must be a tuple of three"
		raise = "try: {}['key']\nexcept KeyError as e: "
	)
	for _, tt := range []struct{ name, source, want string }{
		{"outside of an except clause", "start_response('500 Oops', [], sys.exc_info())", none},
		{"integers", "start_response('500 Oops', [], (1, 2, 3))", none},
		{"a type that is no exception", "start_response('500 Oops', [], (int, 5, None))", none},
		{"an instance of nothing", "start_response('500 Oops', [], (None, 5, None))", none},
		{"type and text", "start_response('500 Oops', [], (ValueError, 'x', None))", "ValueError: x"},
		{"type only", "start_response('500 Oops', [], (ValueError, None, None))", "ValueError"},
		{"value only", "start_response('500 Oops', [], (None, ValueError(3), None))", "ValueError: 3"},
		{"type of another value", "start_response('500 Oops', [], (ValueError, OSError(2), None))", "OSError: 2"},
		{"integer for a traceback", "start_response('500 Oops', [], (ValueError, ValueError(2), 5))", "ValueError: 2"},
		{"type that cannot be made", "start_response('500 Oops', [], (UnicodeDecodeError, None, None))", "TypeError: "},
		{"two", "start_response('500 Oops', [], (ValueError, ValueError(3)))", three},
		{"four", "start_response('500 Oops', [], (1, 2, 3, 4))", three},
		{"nothing", "start_response('500 Oops', [], ())", three},
		{"True", "start_response('500 Oops', [], True)", three},
		{"the exception itself", raise + "start_response('500 Oops', [], e)", three},
		{"as a list", raise + "start_response('500 Oops', [], list(sys.exc_info()))", "KeyError: 'key'"},
		{"right", raise + "start_response('500 Oops', [], sys.exc_info())", "KeyError: 'key'"},
		{"by keyword", raise + "start_response('500 Oops', [], exc_info=sys.exc_info())", "KeyError: 'key'"},
	} {
		got := py.run(t, begun+tt.source)
		if len(got.failures) != 1 || !strings.HasPrefix(got.failures[0].lastLine(), tt.want) || got.result != python.Failed || got.status != "200 OK" {
			t.Errorf("%s: got %q, %v, result %d, want %s", tt.name, got.status, got.failures, got.result, tt.want)
		}
	}
}

// testReentry: a header whose making calls start_response again. The server gets
// the headers of one call or of the other, whole and in order.
func testReentry(t *testing.T, py *interp) {
	var outer []string
	for i := range 30 {
		outer = append(outer, fmt.Sprint("F", i, ": first"))
	}
	outer = append(outer, "X-Second: v")
	for i := range 30 {
		outer = append(outer, fmt.Sprint("L", i, ": last"))
	}
	const source = `
def item():
    yield "X-Second"
    try: start_response("200 OK", [("A" * i, "B" * 1000) for i in range(1, 300)]%s)
    except AssertionError: pass
    yield "v"
headers = [("F%%d" %% i, "first") for i in range(30)] + [item()] + [("L%%d" %% i, "last") for i in range(30)]
try: raise KeyError
except KeyError: start_response("201 Outer", headers, sys.exc_info())
return [b"x"]`
	for _, excInfo := range []string{"", ", sys.exc_info()"} {
		got := py.run(t, fmt.Sprintf(source, excInfo))
		if got.status != "201 Outer" || !slices.Equal(got.headers, outer) || got.result != python.Done || len(got.failures) > 0 {
			t.Errorf("inner exc_info %q: got %q, %.300q, %v, want the headers of the outer call", excInfo, got.status, got.headers, got.failures)
		}
	}
	hints := `
def item():
    yield "X-Second"
    start_response("200 OK", [("A" * i, "B" * 1000) for i in range(1, 300)])
    yield "v"
environ["wsgi.early_hints"]([("F%d" % i, "first") for i in range(30)] + [item()] + [("L%d" % i, "last") for i in range(30)])
return []`
	if got := py.run(t, hints); !slices.Equal(got.hints, outer) || len(got.headers) != 299 {
		t.Errorf("early hints: got %.300q, %d headers, %v", got.hints, len(got.headers), got.failures)
	}
	// A list that changes while it is taken is taken as it was, or refused.
	got := py.run(t, `
headers = [("A", "1")] * 50
def item():
    yield "X-Second"
    headers.clear()
    yield "v"
headers.insert(25, item())
start_response("200 OK", headers)
return [b"x"]`)
	if got.result == python.Done && len(got.headers) != 51 {
		t.Errorf("cleared list: got %d headers, %v, want 51 or an exception", len(got.headers), got.failures)
	}
}

// together runs two functions on the application's two threads and waits for them.
func (py *interp) together(t *testing.T, first, second func(r *runner)) {
	t.Helper()
	py.use(t, "script")
	var ended sync.WaitGroup
	for i, f := range []func(r *runner){first, second} {
		ended.Add(1)
		r := py.workers[i]
		r.recorder = new(recorder)
		r.run = func() { defer ended.Done(); f(r) }
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
}

// testReplacedPart: a part is the server's while it is sent, although another
// thread takes the last reference the application has to it. Its finalizer tells
// when it is gone, whatever becomes of the memory.
func testReplacedPart(t *testing.T, py *interp) {
	const makePart = `
class Part(bytes):
    def __del__(self): kept["gone"] = True
kept["parts"] = [Part(b"a" * 100000)]
`
	for _, tt := range []struct{ name, source string }{
		{"only item of a list", "return kept['parts']"},
		{"first of two", "kept['parts'].append(b'end')\nreturn kept['parts']"},
		{"generator's", "return (part for part in kept['parts'])"},
		{"iterator's", "return iter(kept['parts'])"},
	} {
		sending, replaced := make(chan struct{}), make(chan struct{})
		var changed bool
		var body string
		py.together(t, func(r *runner) {
			first := true
			r.onWrite = func(p []byte, _ bool) {
				if !first {
					return
				}
				first = false
				before := string(p)
				close(sending)
				<-replaced
				changed = string(p) != before
			}
			_, _ = r.call(request{script: makePart + begin + tt.source})
		}, func(r *runner) {
			<-sending
			_, _ = r.call(request{script: "kept['parts'][:] = [None]\n" + begin + "return [str(kept.get('gone')).encode()]"})
			body = r.body()
			close(replaced)
		})
		if body != "None" || changed {
			t.Errorf("%s: the part was gone while it was sent: %s, content changed: %t", tt.name, body, changed)
		}
		py.run(t, "kept.clear()\n"+begin+"return []")
	}
}

// testSecondWriter: of two threads that write one response at the same time, the
// second is told so, and the first is not disturbed.
func testSecondWriter(t *testing.T, py *interp) {
	sending, written := make(chan struct{}), make(chan struct{})
	var got recorder
	py.together(t, func(r *runner) {
		first := true
		r.onWrite = func([]byte, bool) {
			if first {
				first = false
				close(sending)
				<-written
			}
		}
		_, _ = r.call(request{script: "kept['w'] = start_response('200 OK', [])\nkept['w'](b'x' * 70000)\nreturn [b'end']"})
		got = *r.recorder
	}, func(r *runner) {
		<-sending
		_, _ = r.call(request{script: begin + `
try: kept['w'](b'y' * 70000)
except RuntimeError as e: return [str(e).encode()]
return [b'written']`})
		if body := r.body(); body != "another thread is writing this response" {
			t.Errorf("the second writer got %q, %v, want it refused", body, r.failures)
		}
		close(written)
	})
	if body := got.body(); body != strings.Repeat("x", 70000)+"end" || len(got.failures) > 0 {
		t.Errorf("the first writer sent %d bytes, %v, want its own", len(body), got.failures)
	}
	py.run(t, "kept.clear()\n"+begin+"return []")
}

// testFreshNames: names and values that clients choose are forgotten with the
// request.
func testFreshNames(t *testing.T, py *interp) {
	const calls, fields = 1000, 90
	next := 0
	many := func(n int) {
		t.Helper()
		py.use(t, "script")
		var heads []string
		for range n {
			var head strings.Builder
			head.WriteString("GET / HTTP/1.1\r\nHost: h")
			for range fields {
				fmt.Fprintf(&head, "\r\nX-Fresh-%d: value-%d", next, next)
				next++
			}
			heads = append(heads, head.String())
		}
		py.do(func() {
			for _, head := range heads {
				py.main.recorder = new(recorder)
				_, _ = py.main.call(request{head: head, script: begin + "return [b'a']"})
			}
		})
	}
	many(calls) // whatever is kept for good is kept by now
	before := py.measure(t)["allocated blocks"]
	for round := range 3 {
		many(calls)
		// Kept names would be tens of thousands.
		if after := py.measure(t)["allocated blocks"]; after > before+1000 {
			t.Errorf("round %d: %d allocated blocks, %d before", round, after, before)
		}
	}
}
