package integration

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
)

// The tests of this file are about one thing: no request, thread or client ever
// gets what is another's.

// echoed is what regress.py saw of a request.
type echoed struct {
	Method, Path, Query string
	Fields              map[string]string
	Length              int
	SHA1                string
}

// message is a request as it is sent, and what the application must see of it.
type message struct {
	method, target, field, content string
	chunked                        bool
}

func (m message) head() string {
	framing := "Content-Length: " + strconv.Itoa(len(m.content))
	if m.chunked {
		framing = "Transfer-Encoding: chunked"
	}
	field := ""
	if m.field != "" {
		field = m.field + "\r\n"
	}
	return m.method + " " + m.target + " HTTP/1.1\r\nHost: test\r\n" + framing + "\r\n" + field + "\r\n"
}

// check compares an answer of regress.py with the request.
func (m message) check(status int, body string) error {
	var got echoed
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 {
		return fmt.Errorf("%s %s: got %d %.200q", m.method, m.target, status, body)
	}
	path, query, _ := strings.Cut(m.target, "?")
	sum := sha1.Sum([]byte(m.content))
	want := echoed{m.method, path, query, map[string]string{"HTTP_HOST": "test"}, len(m.content), hex.EncodeToString(sum[:])}
	if name, value, ok := strings.Cut(m.field, ": "); ok {
		want.Fields["HTTP_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = value
	}
	if m.chunked {
		want.Fields["HTTP_TRANSFER_ENCODING"] = "chunked"
	}
	if got.Method != want.Method || got.Path != want.Path || got.Query != want.Query || got.Length != want.Length ||
		got.SHA1 != want.SHA1 || !maps.Equal(got.Fields, want.Fields) {
		return fmt.Errorf("the application saw %+v, want %+v", got, want)
	}
	return nil
}

// tcpLine returns the fields of the line of /proc/net/tcp whose column (1: local,
// 2: remote) has the client's address and the other one the server's; nil without
// one. The client's alone may be that of a server of before, too, some of whose
// connections are in TIME_WAIT.
func tcpLine(column int, c *gowsgitest.Conn) []string {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return nil
	}
	row := func(a net.Addr) string { return fmt.Sprintf("0100007F:%04X", a.(*net.TCPAddr).Port) }
	client, server := row(c.LocalAddr()), row(c.RemoteAddr())
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 9 && f[column] == client && f[3-column] == server {
			return f
		}
	}
	return nil
}

// waitRead waits until the server has read all that c has sent: nothing is on the
// way, and the socket at the server's end has no bytes left.
func waitRead(t testing.TB, c *gowsgitest.Conn) {
	t.Helper()
	if !gowsgitest.Eventually(func() bool {
		ours, theirs := tcpLine(1, c), tcpLine(2, c)
		return ours != nil && theirs != nil && strings.HasPrefix(ours[4], "00000000:") && strings.HasSuffix(theirs[4], ":00000000")
	}) {
		t.Fatal("the server does not read")
	}
}

// sendRead sends and waits until the server has read it.
func sendRead(t testing.TB, c *gowsgitest.Conn, text string) {
	t.Helper()
	c.Send(text)
	waitRead(t, c)
}

// answered reads the answer to m.
func answered(t testing.TB, c *gowsgitest.Conn, m message) {
	t.Helper()
	r := c.Response(m.method)
	if err := m.check(r.Status, r.Body); err != nil {
		t.Error(err)
	}
}

// A request whose head came before another's is served with its own head.
func TestHeadsOfInterleavedRequests(t *testing.T) {
	t.Parallel()
	long := message{method: "POST", target: "/a/long/path/of/the/second/client?q=1", field: "Authorization: Bearer of-client-2", content: "hello"}
	short := message{method: "PUT", target: "/x", content: "world"}
	padded := message{method: "PUT", target: "/x", field: "X-Pad: " + strings.Repeat("p", 50), content: "hello"}
	for _, threads := range []string{"1", "4"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			s := start(t, "--threads", threads, "--keep-alive", "30", "regress")
			t.Run("two uploads", func(t *testing.T) {
				s := s.In(t)
				a, b := s.Dial(), s.Dial()
				sendRead(t, a, long.head())
				sendRead(t, b, short.head())
				a.Send(long.content)
				answered(t, a, long)
				b.Send(short.content)
				answered(t, b, short)
			})
			t.Run("a bad request between head and content", func(t *testing.T) {
				s := s.In(t)
				c, bad := s.Dial(), s.Dial()
				sendRead(t, c, padded.head())
				bad.Send("DELETE /admin/users/1234567 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
				if r := bad.Response("DELETE"); r.Status != 400 {
					t.Errorf("got %v, want 400", r)
				}
				c.Send(padded.content)
				answered(t, c, padded)
			})
			t.Run("a whole request between head and content", func(t *testing.T) {
				s := s.In(t)
				c, other := s.Dial(), s.Dial()
				sendRead(t, c, padded.head())
				other.Send(long.head() + long.content)
				answered(t, other, long)
				c.Send(padded.content + short.head())
				answered(t, c, padded)
				waitRead(t, c)
				other.Send(long.head() + long.content)
				answered(t, other, long)
				c.Send(short.content)
				answered(t, c, short)
			})
		})
	}
}

// nonsense is refused without reaching the application.
var nonsense = []string{
	"DELETE /nonsense HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
	"GET /nonsense HTTP/1.1\r\n\r\n",
	"POST /nonsense HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	"\x16\x03\x01 / HTTP/1.1\r\nHost: x\r\n\r\n",
}

// Many clients send their requests in pieces of any size; every answer is about
// the request it answers.
func TestInterleavedRequests(t *testing.T) {
	t.Parallel()
	const clients, bursts = 12, 20
	for _, threads := range []string{"1", "4"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			s := start(t, "--threads", threads, "--keep-alive", "30", "regress")
			seed := rand.Uint64()
			var wg sync.WaitGroup
			for k := range clients {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(seed, uint64(k)))
					if err := interleave(s, r, k, bursts); err != nil {
						t.Errorf("seed %d, client %d: %v", seed, k, err)
					}
				})
			}
			wg.Wait()
			if n := s.Log.Count(`Booting worker`); n != 1 {
				t.Errorf("%d workers were started, want 1", n)
			}
		})
	}
}

// interleave is one client: bursts of up to three requests on one connection, and
// nonsense on another now and then.
func interleave(s *gowsgitest.Server, r *rand.Rand, k, bursts int) error {
	c, err := dial(s)
	if err != nil {
		return err
	}
	defer func() { c.close() }()
	for burst := range bursts {
		var sent []message
		var text strings.Builder
		for i := range 1 + r.IntN(3) {
			m := randomMessage(r, fmt.Sprintf("/c%d/%s?n=%d.%d", k, strings.Repeat("p", r.IntN(80)), burst, i))
			sent = append(sent, m)
			text.WriteString(m.head())
			text.WriteString(m.encoded(r))
		}
		if err := sendPieces(c, r, text.String()); err != nil {
			return err
		}
		if r.IntN(4) == 0 {
			if err := sendNonsense(s, r); err != nil {
				return err
			}
		}
		for _, m := range sent {
			got, err := c.roundTrip(m.method, "")
			if err == nil {
				err = m.check(got.Status, got.Body)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// randomMessage makes a request with content: mostly little, now and then more
// than is read before the application is called.
func randomMessage(r *rand.Rand, target string) message {
	n := r.IntN(3000)
	switch r.IntN(30) {
	case 0:
		n = 1200 << 10
	case 1, 2:
		n = 70 << 10
	case 3, 4, 5:
		n = 0
	}
	m := message{
		method: []string{"POST", "PUT", "PATCH", "X-OWN"}[r.IntN(4)], target: target, chunked: r.IntN(2) == 0,
		content: strings.Repeat(string(rune('a'+r.IntN(26))), n),
	}
	if r.IntN(2) == 0 {
		m.field = fmt.Sprintf("X-Of-%d: %s", r.IntN(5), strings.Repeat("v", 1+r.IntN(60)))
	}
	return m
}

// encoded is the content as it is sent.
func (m message) encoded(r *rand.Rand) string {
	if !m.chunked {
		return m.content
	}
	var b strings.Builder
	for rest := m.content; rest != ""; {
		n := 1 + r.IntN(len(rest))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, rest[:n])
		rest = rest[n:]
	}
	return b.String() + "0\r\n\r\n"
}

func sendPieces(c *client, r *rand.Rand, text string) error {
	if err := c.conn.SetDeadline(time.Now().Add(gowsgitest.Patience)); err != nil {
		return err
	}
	for text != "" {
		n := min(len(text), []int{1, 7, 100, 5000}[r.IntN(4)])
		if len(text) > 100<<10 {
			n = 64 << 10
		}
		if _, err := c.conn.Write([]byte(text[:n])); err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}

func sendNonsense(s *gowsgitest.Server, r *rand.Rand) error {
	c, err := dial(s)
	if err != nil {
		return err
	}
	defer c.close()
	got, err := c.roundTrip("GET", nonsense[r.IntN(len(nonsense))])
	if err == nil && got.Status != 400 {
		err = fmt.Errorf("nonsense: got %v, want 400", got)
	}
	return err
}

// told is what regress.py tells of its threads.
type told struct {
	PID   int
	Heard []string
}

// A thread of the application that is still inside wsgi.input.read when the view
// returns gets an error, and nothing of the client whose connection comes next.
func TestThreadInReadAfterTheView(t *testing.T) {
	t.Parallel()
	for _, threads := range []string{"1", "2"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			s := start(t, "--threads", threads, "--keep-alive", "30", "regress")
			worker := s.WaitBooted(1)[0]
			robbed := s.Dial()
			robbed.Send("POST /reader HTTP/1.1\r\nHost: test\r\nContent-Length: 5000000\r\n\r\n" + strings.Repeat("A", 1000))
			robbed.Rest() // the answer may have been sent; then comes the end
			checkNextClient(t, s, worker, robbed, "ConnectionResetError", func(heard string) bool {
				return strings.Trim(heard, "A") == ""
			})
		})
	}
}

// The same inside the write callable: the next client receives nothing it did not
// ask for, and the first one can tell that its response is broken.
func TestThreadInWriteAfterTheView(t *testing.T) {
	t.Parallel()
	for _, threads := range []string{"1", "2"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			s := start(t, "--threads", threads, "--keep-alive", "30", "regress")
			worker := s.WaitBooted(1)[0]
			slow := s.Dial()
			sendGet(slow, "/writer")
			slow.ReadHead()
			checkNextClient(t, s, worker, slow, "ConnectionResetError", func(string) bool { return false })
			slow = s.Dial()
			sendGet(slow, "/writer")
			if rest := slow.Rest(); strings.HasSuffix(rest, "\r\n0\r\n\r\n") {
				t.Error("the response ends as if it were whole")
			}
		})
	}
}

// checkNextClient is the part both have in common: when the worker has let go of
// the first client's connection, and that client leaves, the next one, whose
// descriptor has the same number, is served as ever; the thread heard no more than
// its own and an error.
func checkNextClient(t *testing.T, s *gowsgitest.Server, worker int, first *gowsgitest.Conn, want string, own func(heard string) bool) {
	t.Helper()
	if !gowsgitest.Eventually(func() bool { return !hasPeer(worker, first) }) {
		t.Fatal("the worker keeps the connection of the request")
	}
	next := s.Dial()
	next.Get("/first")
	first.Close() // wakes whoever still waits for the first client
	for i := range 50 {
		m := message{method: "POST", target: fmt.Sprint("/next?n=", i), field: "Authorization: Bearer of-the-next", content: "content"}
		next.Send(m.head() + m.content)
		answered(t, next, m)
	}
	var got told
	next.Get("/tell").JSON(t, &got)
	if got.PID != worker {
		t.Errorf("worker %d answers, want %d", got.PID, worker)
	}
	if !slices.Contains(got.Heard, want) {
		t.Errorf("the thread heard %.200q, want %s", got.Heard, want)
	}
	for _, heard := range got.Heard {
		if heard != want && !own(heard) {
			t.Errorf("the thread heard %.200q", heard)
		}
	}
	if n := s.Log.Count(`Booting worker`); n != 1 {
		t.Errorf("%d workers were started, want 1", n)
	}
}

// Headers that call start_response while they are taken: the answer has those of
// the outer call, or is an error; never some of both.
func TestStartResponseInsideItself(t *testing.T) {
	t.Parallel()
	s := start(t, "regress")
	c := s.Dial()
	for range 5 {
		r := c.Get("/reenter")
		if r.Status != 200 {
			t.Fatalf("got %v, want 200", r)
		}
		got := map[string]string{}
		for name := range r.Header {
			if strings.HasPrefix(name, "X-") {
				got[name] = r.Header.Get(name)
			}
		}
		want := map[string]string{"X-Second": "v"}
		for i := range 30 {
			want[fmt.Sprint("X-First-", i)] = fmt.Sprint("value", i)
			want[fmt.Sprint("X-Last-", i)] = fmt.Sprint("last", i)
		}
		if !maps.Equal(got, want) {
			t.Errorf("got %.500q, want the headers of the outer call", fmt.Sprint(got))
		}
	}
}
