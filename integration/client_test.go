package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"gowsgi/internal/gowsgitest"
)

// client is one connection for goroutines that must not end the test. Unlike
// net/http's it never sends a request twice.
type client struct {
	conn    net.Conn
	br      *bufio.Reader
	closing bool // the server said this was the last answer
}

func dial(s *gowsgitest.Server) (*client, error) {
	conn, err := net.DialTimeout(s.Network, s.Addr, gowsgitest.Patience)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, br: bufio.NewReader(conn)}, nil
}

func (c *client) close() {
	if c != nil {
		c.conn.Close()
	}
}

// reply is the part of an answer that load looks at.
type reply struct {
	Status int
	Body   string
}

// String returns the status and the body, for failure messages.
func (r reply) String() string { return fmt.Sprintf("%d %q", r.Status, r.Body) }

func (c *client) get(target string, keep bool) (reply, error) {
	last := ""
	if !keep {
		last = "Connection: close\r\n"
	}
	return c.roundTrip("GET", "GET "+target+" HTTP/1.1\r\nHost: test\r\n"+last+"\r\n")
}

// roundTrip sends the bytes of one request and reads its answer.
func (c *client) roundTrip(method, request string) (reply, error) {
	c.conn.SetDeadline(time.Now().Add(gowsgitest.Patience))
	if _, err := io.WriteString(c.conn, request); err != nil {
		return reply{}, fmt.Errorf("sending: %w", err)
	}
	r, err := http.ReadResponse(c.br, &http.Request{Method: method})
	if err != nil {
		return reply{}, fmt.Errorf("reading the head: %w", err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return reply{}, fmt.Errorf("reading the body: %w", err)
	}
	c.closing = r.Close
	return reply{r.StatusCode, string(body)}, nil
}
