package integration

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
)

// peak returns the most memory a process has had resident so far, in bytes
// (proc(5): VmHWM).
func peak(t testing.TB, pid int) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(data), "VmHWM:")
	var kib int
	if _, err := fmt.Sscan(after, &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// largeBody is how much goes up and down: 1 GiB, less in short runs.
func largeBody() int64 {
	if testing.Short() {
		return 128 << 20
	}
	return 1 << 30
}

// checkGrowth runs f and fails if the worker needed much more memory than before.
func checkGrowth(t *testing.T, s *gowsgitest.Server, f func()) {
	t.Helper()
	const most = 40 << 20
	worker := s.WaitBooted(1)[0]
	before := peak(t, worker)
	f()
	if grown := peak(t, worker) - before; grown > most {
		t.Errorf("the worker grew by %d MiB, want no more than %d", grown>>20, most>>20)
	}
}

// Content of any size passes through: neither an upload nor a download, chunked,
// of known length or a file, is ever in memory as a whole.
func TestLargeBodiesNeedLittleMemory(t *testing.T) {
	t.Parallel()
	size := largeBody()
	t.Run("upload", func(t *testing.T) {
		t.Parallel()
		s := start(t, "inputs")
		for _, chunked := range []bool{false, true} {
			s.Post("/?read", "", "warm")
			checkGrowth(t, s, func() {
				c := s.Dial()
				go upload(c, size, chunked)
				if r := c.Response("POST"); r.Body != fmt.Sprint(size) {
					t.Errorf("chunked %t: got %v, want %d bytes", chunked, r, size)
				}
			})
		}
	})
	t.Run("download", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		path := filepath.Join(dir, "file")
		write(t, dir, "file", "")
		if err := os.Truncate(path, size); err != nil { // takes no space
			t.Fatal(err)
		}
		s, _ := startOutputs(t)
		for _, target := range []string{"/many?n=" + fmt.Sprint(size/(16<<10)), "/file?name=a&path=" + url.QueryEscape(path)} {
			s.GetOK("/one")
			checkGrowth(t, s, func() {
				c := s.Dial()
				sendGet(c, target)
				c.ReadHead()
				c.SetReadDeadline(time.Now().Add(5 * gowsgitest.Patience))
				if n, err := io.CopyN(io.Discard, c.Conn, size-1<<20); err != nil {
					t.Errorf("%s: got %d bytes, %v", target, n, err)
				}
				c.Close()
			})
		}
	})
}

// upload sends a request with so much content. What goes wrong shows in the answer.
func upload(c *gowsgitest.Conn, size int64, chunked bool) {
	c.SetWriteDeadline(time.Now().Add(5 * gowsgitest.Patience))
	part := []byte(strings.Repeat("0123456789abcdef", 16<<10))
	field, chunk := fmt.Sprintf("Content-Length: %d", size), ""
	if chunked {
		field, chunk = "Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n", len(part))
	}
	fmt.Fprintf(c.Conn, "POST /count HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", field)
	for ; size > 0; size -= int64(len(part)) {
		if chunked {
			io.WriteString(c.Conn, chunk)
		}
		c.Conn.Write(part)
		if chunked {
			io.WriteString(c.Conn, "\r\n")
		}
	}
	if chunked {
		io.WriteString(c.Conn, "0\r\n\r\n")
	}
}

// A connection that waits for its next request holds no buffer, whatever went on
// before: less than 8 KiB of the worker's memory.
func TestIdleConnectionsNeedLittleMemory(t *testing.T) {
	t.Parallel()
	const connections, most = 1000, 8 << 10
	s, _ := startOutputs(t, "--keep-alive", "300")
	s.GetOK("/one")
	worker := s.WaitBooted(1)[0]
	before := gowsgitest.RSS(worker)
	var conns []*gowsgitest.Conn
	for range connections {
		conns = append(conns, s.Dial())
	}
	const head = "GET /one HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, part := range []string{head[:10], head[10:]} { // all have a buffer at once
		for _, c := range conns {
			c.Send(part)
		}
	}
	for _, c := range conns {
		if r := c.Response("GET"); r.Body != "one" {
			t.Fatalf("got %v", r)
		}
	}
	grown := 0
	if !gowsgitest.Eventually(func() bool {
		grown = gowsgitest.RSS(worker) - before
		return grown <= connections*most
	}) {
		t.Errorf("%d idle connections need %d bytes each, want no more than %d", connections, grown/connections, most)
	}
	if r := conns[0].Get("/one"); r.Body != "one" {
		t.Errorf("got %v from a connection that was idle", r)
	}
}
