package python_test

import (
	"strings"
	"testing"

	"gowsgi/worker/python"
)

// reads are ways to read content of three lines, and what they give.
var reads = []struct{ name, source, want string }{
	{"read", "return [repr(i.read()).encode()]", `b'one\ntwo\nthree'`},
	{"read -1", "return [repr(i.read(-1)).encode()]", `b'one\ntwo\nthree'`},
	{"read None", "return [repr(i.read(None)).encode()]", `b'one\ntwo\nthree'`},
	{"read 0", "return [repr((i.read(0), i.read())).encode()]", `(b'', b'one\ntwo\nthree')`},
	{"read by size", "return [repr((i.read(2), i.read(5), i.read(100), i.read(1), i.read())).encode()]", `(b'on', b'e\ntwo', b'\nthree', b'', b'')`},
	{"readline", "return [repr((i.readline(), i.readline(), i.readline(), i.readline())).encode()]", `(b'one\n', b'two\n', b'three', b'')`},
	{"readline by size", "return [repr((i.readline(2), i.readline(2), i.readline(100))).encode()]", `(b'on', b'e\n', b'two\n')`},
	{"readlines", "return [repr(i.readlines()).encode()]", `[b'one\n', b'two\n', b'three']`},
	{"readlines by hint", "return [repr((i.readlines(5), i.readlines(1))).encode()]", `([b'one\n', b'two\n'], [b'three'])`},
	{"iteration", "return [repr(list(i)).encode()]", `[b'one\n', b'two\n', b'three']`},
	{"iteration and read", "return [repr((next(iter(i)), i.read())).encode()]", `(b'one\n', b'two\nthree')`},
}

// testInput: content that is there before the call.
func testInput(t *testing.T, py *interp) {
	py.use(t, "script")
	const open = begin + "i = environ['wsgi.input']\n"
	for _, tt := range reads {
		got := py.call(t, request{script: open + tt.source, body: "one\ntwo\nthree"})
		if got.body() != tt.want || got.result != python.Done {
			t.Errorf("%s: got %s, %v, want %s", tt.name, got.body(), got.failures, tt.want)
		}
	}
	if got := py.run(t, open+"return [repr((i.read(), i.readline(), list(i))).encode()]"); got.body() != "(b'', b'', [])" {
		t.Errorf("no content: got %s, %v", got.body(), got.failures)
	}
	if got := py.call(t, request{script: open + "return [i.read()]", body: allBytes()}); got.body() != allBytes() {
		t.Errorf("all bytes: got %q", got.body())
	}
	// The content is the application's to keep.
	py.call(t, request{script: begin + "kept['i'] = environ['wsgi.input']\nreturn []", body: "mine"})
	py.call(t, request{script: begin + "return []", body: "other"})
	if got := py.run(t, begin+"return [kept.pop('i').read()]"); got.body() != "mine" {
		t.Errorf("kept input: got %q", got.body())
	}
}

// testStreamedInput: content that comes while the application reads it, in
// pieces of any size.
func testStreamedInput(t *testing.T, py *interp) {
	py.use(t, "script")
	const open = begin + "i = environ['wsgi.input']\n"
	for _, step := range []int{0, 1, 3, 7} {
		for _, tt := range reads {
			got := py.call(t, request{script: open + tt.source, stream: true}, &recorder{input: "one\ntwo\nthree", step: step})
			if got.body() != tt.want || got.result != python.Done {
				t.Errorf("%s, %d at a time: got %s, %v, want %s", tt.name, step, got.body(), got.failures, tt.want)
			}
		}
	}
	large := strings.Repeat(allBytes(), 2000)
	got := py.call(t, request{script: open + "return [i.read()]", stream: true}, &recorder{input: large, step: 1000})
	if got.body() != large {
		t.Errorf("got %d bytes, want %d", len(got.body()), len(large))
	}
	for _, read := range []string{"i.read()", "i.read(100)", "i.readline()", "i.readlines()", "list(i)"} {
		got := py.call(t, request{script: open + read, stream: true}, &recorder{input: "cut", broken: "the rest did not come"})
		checkFailures(t, read, got.failures, []failure{{python.InApplication, "ConnectionResetError: the rest did not come"}})
	}
	got = py.call(t, request{script: open + "try: i.read()\nexcept OSError as e: return [str(e).encode()]", stream: true}, &recorder{broken: "caught"})
	if got.body() != "caught" {
		t.Errorf("got %q, %v, want an OSError", got.body(), got.failures)
	}
}
