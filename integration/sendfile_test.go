package integration

import (
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gowsgi/internal/gowsgitest"
)

// PEP 3333, Optional Platform-Specific File Handling. A file whose size is known
// is sent with a Content-Length, also by an application that gives none.
func TestFileWrapper(t *testing.T) {
	t.Parallel()
	content := lines(3_000_000)
	path := url.QueryEscape(write(t, t.TempDir(), "file", content))
	size := len(content)
	for _, args := range [][]string{nil, {"--threads", "2"}, {"--no-sendfile"}} {
		s, _ := startOutputs(t, args...)
		sends := len(args) == 0 || args[0] != "--no-sendfile"
		tests := []struct {
			name, target, want string
			sized              bool
		}{
			{"whole", "/file?name=a&path=" + path, content, sends},
			{"with Content-Length", "/file?name=a&cl&path=" + path, content, true},
			{"from an offset", "/file?name=a&cl&offset=1234567&path=" + path, content[1234567:], true},
			{"from an offset, without Content-Length", "/file?name=a&offset=1234567&path=" + path, content[1234567:], sends},
			{"a part", "/file?name=a&length=1000&offset=1234567&path=" + path, content[1234567:1235567], true},
			{"from the end", "/file?name=a&cl&offset=" + strconv.Itoa(size) + "&path=" + path, "", true},
			{"real file object", "/file_plain?path=" + path, content, sends},
			{"without a descriptor", "/file_memory?name=a", strings.Repeat("m", 100_000), false},
		}
		for _, tt := range tests {
			t.Run(strings.Join(append(args, tt.name), " "), func(t *testing.T) {
				t.Parallel()
				c := s.In(t).Dial()
				for range 2 {
					r := c.Get(tt.target)
					if r.Err != nil || r.Body != tt.want {
						t.Errorf("got %d bytes, %v, want %d", len(r.Body), r.Err, len(tt.want))
					}
					if (r.ContentLength >= 0) != tt.sized {
						t.Errorf("got Content-Length %d, want one: %t", r.ContentLength, tt.sized)
					}
				}
				head := s.In(t).Dial()
				head.Send("HEAD " + tt.target + " HTTP/1.1\r\nHost: x\r\n\r\nGET /one HTTP/1.1\r\nHost: x\r\n\r\n")
				if r := head.Response("HEAD"); tt.sized && r.ContentLength != int64(len(tt.want)) && len(tt.want) > 0 {
					t.Errorf("HEAD: got Content-Length %d, want %d", r.ContentLength, len(tt.want))
				}
				if r := head.Response("GET"); r.Body != "one" {
					t.Errorf("after HEAD: got %v", r)
				}
				old := s.In(t).Dial()
				old.Send("GET " + tt.target + " HTTP/1.0\r\n\r\n")
				if r := old.Response("GET"); r.Body != tt.want {
					t.Errorf("HTTP/1.0: got %d bytes, want %d", len(r.Body), len(tt.want))
				}
			})
		}
	}
}

// Clients that take a file slowly keep no thread, whatever its size; the
// application has closed it long before, and its descriptor goes with the
// connection.
func TestFilesKeepNoThread(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	write(t, filepath.Dir(path), "file", strings.Repeat("0123456789abcdef", 2_000_000))
	s, closed := startOutputs(t)
	worker := s.WaitBooted(1)[0]
	holding := func() (n int) {
		for _, name := range gowsgitest.Descriptors(worker) {
			if name == path {
				n++
			}
		}
		return n
	}
	var slow []*gowsgitest.Conn
	for i := range 10 {
		c := s.Dial()
		c.Send("GET /file?name=slow" + itoa(i) + "&path=" + url.QueryEscape(path) + " HTTP/1.1\r\nHost: x\r\n\r\n")
		slow = append(slow, c)
	}
	for range 10 {
		s.GetOK("/one")
	}
	for i := range slow {
		if !gowsgitest.Eventually(func() bool { return countLines(closed, "slow"+itoa(i)) == 1 }) {
			t.Errorf("file %d was closed %d times, want once", i, countLines(closed, "slow"+itoa(i)))
		}
	}
	if n := holding(); n != len(slow) {
		t.Errorf("the worker holds %d descriptors of the file, want %d", n, len(slow))
	}
	if r := slow[0].Response("GET"); len(r.Body) != 32_000_000 || r.Err != nil {
		t.Errorf("got %d bytes, %v", len(r.Body), r.Err)
	}
	for i, c := range slow[1:] {
		if i%2 == 0 {
			c.Reset()
		} else {
			c.Close()
		}
	}
	if !gowsgitest.Eventually(func() bool { return holding() == 0 }) {
		t.Errorf("the worker still holds %d descriptors of the file", holding())
	}
}

// A file that becomes shorter while it is sent ends the connection: the client
// sees that something is missing.
func TestFileIsTruncated(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	write(t, filepath.Dir(path), "file", strings.Repeat("0123456789abcdef", 2_000_000))
	s, closed := startOutputs(t)
	c := s.Dial()
	c.Send("GET /file?name=cut&path=" + url.QueryEscape(path) + " HTTP/1.1\r\nHost: x\r\n\r\n")
	if !gowsgitest.Eventually(func() bool { return countLines(closed, "cut") == 1 }) {
		t.Fatal("the file was not closed")
	}
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	if r, err := c.TryResponse("GET"); err == nil && r.Err == nil {
		t.Errorf("got a complete response of %d bytes", len(r.Body))
	}
	s.Log.Wait(t, `become shorter`)
	s.GetOK("/one")
}
