package worker

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gowsgi/internal/accesslog"
)

// FuzzOneLine: whatever a client sends, and however its connection ends, it leaves
// one line in the access log, of printable ASCII, and is counted once; only empty
// lines before a request that never comes leave none.
func FuzzOneLine(f *testing.F) {
	for _, in := range []string{
		"", "\r\n", "\r", "junk", "junk\r\n\r\n", get, post, post + "abc", get[:20], "\r\n" + get,
		"GET / HTTP/1.1\r\nHost: \"\r\n\r\n", "GET /\"\x00\xff HTTP/1.1\n127.0.0.1 - - forged\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz", "\x16\x03\x01\n",
	} {
		f.Add([]byte(in), true)
		f.Add([]byte(in), false)
	}
	f.Fuzz(func(t *testing.T, in []byte, inTime bool) {
		if len(in) > 32<<10 {
			return // more than a socket may take at once
		}
		path := filepath.Join(t.TempDir(), "log")
		a := openLog(t, path, accesslog.Combined)
		r := newRig(t, testConfig())
		r.logInto(a)
		c, client := r.connect(t)
		if _, err := client.Write(in); err != nil {
			t.Fatal(err)
		}
		for rest := len(in); c.state == reading && rest > 0; {
			before := c.n
			r.input(r.watcher.lead, c)
			if c.n == before {
				break
			}
			rest -= c.n - before
		}
		answered := c.state == lingering
		unqueue(r, c)
		if inTime {
			_ = client.Close()
			r.close(c)
		} else {
			r.settleAll()
		}
		_ = a.Close(30 * time.Second)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		if answered || len(bytes.Trim(in, "\r\n")) > 0 {
			want = 1
		}
		if got := bytes.Count(text, []byte("\n")); got != want || got > 0 && text[len(text)-1] != '\n' {
			t.Errorf("got %q, want %d lines for %q", text, want, in)
		}
		for _, b := range bytes.TrimSuffix(text, []byte("\n")) {
			if b < ' ' || b > '~' {
				t.Errorf("byte %#02x in %q", b, text)
			}
		}
		if n := r.slot.Requests.Load(); n != uint64(want) {
			t.Errorf("counted %d requests, want %d", n, want)
		}
	})
}
