package python_test

import (
	"os"
	"path/filepath"
	"testing"

	"gowsgi/worker/python"
)

// testSendfile: what is sent without being read is exactly what reading would
// give; everything else is read.
func testSendfile(t *testing.T, py *interp) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	const wrap = "\nreturn environ['wsgi.file_wrapper'](f, 4)"
	open := "import io, os, tempfile\n" + begin + "f = open('" + path + "', 'rb')\n"
	for _, tt := range []struct {
		name, source string
		sent         bool
		body         string
		failure      string
	}{
		{"file", open + wrap, true, "0123456789", ""},
		{"unbuffered", begin + "f = open('" + path + "', 'rb', buffering=0)" + wrap, true, "0123456789", ""},
		{"for update", begin + "f = open('" + path + "', 'r+b')" + wrap, true, "0123456789", ""},
		{"from where it is", open + "f.seek(7)" + wrap, true, "789", ""},
		{"from where it was read to", open + "f.read(3)" + wrap, true, "3456789", ""},
		{"from where iteration came to", open + "w = environ['wsgi.file_wrapper'](f, 4)\nnext(w)\nreturn w", true, "456789", ""},
		{"written and not flushed", begin + "import tempfile\nf = tempfile.TemporaryFile()\nf.write(b'abc')\nf.seek(1)" + wrap, true, "bc", ""},
		{"named temporary file", begin + "import tempfile\nf = tempfile.NamedTemporaryFile()\nf.write(b'abc')\nf.seek(0)" + wrap, true, "abc", ""},
		{"another object's read", open + "class F: pass\ng = F()\ng.read = f.read\nf = g" + wrap, true, "0123456789", ""},
		{"in the middle of a read-ahead", open + "f.peek()\nf.seek(2)" + wrap, true, "23456789", ""},

		{"at its end", open + "f.seek(10)" + wrap, false, "", ""},
		{"beyond its end", open + "f.seek(11)" + wrap, false, "", ""},
		{"in memory", open + "f = io.BytesIO(b'memory')" + wrap, false, "memory", ""},
		{"pipe", open + "r, w = os.pipe()\nos.write(w, b'pipe')\nos.close(w)\nf = os.fdopen(r, 'rb')" + wrap, false, "pipe", ""},
		{"compressed", open + "import gzip\nz = tempfile.TemporaryFile()\nwith gzip.GzipFile(fileobj=z, mode='wb') as g: g.write(b'plain')\n" +
			"z.seek(0)\nf = gzip.GzipFile(fileobj=z)" + wrap, false, "plain", ""},
		{"a fileno of its own", open + "class F:\n  def fileno(self): return f.fileno()\n  def read(self, n): return f.read(n).replace(b'1', b'x')\nf, g = F(), f\nF.read = lambda self, n: g.read(n).replace(b'1', b'x')" + wrap, false, "0x23456789", ""},
		{"another method as read", open + "class F: pass\ng = F()\ng.read = f.readline\nf = g" + wrap, false, "0123456789", ""},
		{"subclass of a file", open + "class F(io.FileIO):\n  def read(self, n=-1): return super().read(n).lower()\nf = F('" + path + "')" + wrap, false, "0123456789", ""},
		{"subclass of the wrapper", open + "class W(environ['wsgi.file_wrapper']):\n  def __next__(self): return super().__next__()[:1]\nreturn W(f, 4)", false, "048", ""},
		{"/proc", begin + "f = open('/proc/self/comm', 'rb')\nn = open('/proc/self/comm', 'rb').read()\n" + wrap, false, "", ""},
		{"directory", open + "f = open(os.devnull, 'rb')" + wrap, false, "", ""},
		{"write before it", begin[:len(begin)-1] + "(b'first')\nf = open('" + path + "', 'rb')" + wrap, false, "first0123456789", ""},

		{"text", open + "f = open('" + path + "')" + wrap, false, "", "TypeError: the application must send bytes, not <class 'str'>"},
		{"closed", open + "f.close()" + wrap, false, "", "ValueError: read of closed file"},
		{"for writing", open + "f = open('" + path + ".new', 'wb', buffering=0)\nf.write(b'abc')\nf.seek(0)" + wrap, false, "", "io.UnsupportedOperation: File not open for reading"},
		{"no start_response", "f = open('" + path + "', 'rb')" + wrap, false, "", "AssertionError: no start_response"},
	} {
		got := py.run(t, tt.source)
		if tt.failure != "" {
			checkFailures(t, tt.name, got.failures, []failure{{python.InApplication, tt.failure}})
			continue
		}
		if len(got.failures) > 0 || got.result != python.Done {
			t.Errorf("%s: got %v, result %d", tt.name, got.failures, got.result)
		}
		if (len(got.files) == 1) != tt.sent {
			t.Errorf("%s: sent without reading: %q, want %t", tt.name, got.files, tt.sent)
		}
		body := got.body()
		if tt.sent {
			body = got.files[0]
		}
		if body != tt.body && tt.name != "/proc" || tt.name == "/proc" && body == "" {
			t.Errorf("%s: got %q, want %q", tt.name, body, tt.body)
		}
	}
}
