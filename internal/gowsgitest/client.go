package gowsgitest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Response is a complete answer.
type Response struct {
	Status           int
	Reason           string
	Proto            string
	Header           http.Header
	ContentLength    int64 // -1: none given
	TransferEncoding []string
	Close            bool // the server closes the connection
	Body             string
	// Err is why the body ended early, nil for a complete one.
	Err error
}

// Header fields and the rest are what net/http made of the bytes; tests about
// exact bytes use Conn.
func readResponse(r *http.Response) *Response {
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	_, reason, _ := strings.Cut(r.Status, " ")
	return &Response{
		Status: r.StatusCode, Reason: reason, Proto: r.Proto, Header: r.Header,
		ContentLength: r.ContentLength, TransferEncoding: r.TransferEncoding,
		Close: r.Close, Body: string(body), Err: err,
	}
}

// JSON decodes the body into v.
func (r *Response) JSON(tb testing.TB, v any) {
	tb.Helper()
	if err := json.Unmarshal([]byte(r.Body), v); err != nil {
		tb.Fatalf("%v in answer %d %q", err, r.Status, r.Body)
	}
}

// String returns the status and the body, for failure messages.
func (r *Response) String() string { return fmt.Sprintf("%d %q", r.Status, r.Body) }

type httpClient struct{ transport *http.Transport }

func newClient(network, addr string) *httpClient {
	dialer := net.Dialer{Timeout: Patience}
	return &httpClient{&http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, addr)
		},
		DisableCompression: true,
		DisableKeepAlives:  true,
	}}
}

func (c *httpClient) close() { c.transport.CloseIdleConnections() }

// NewRequest returns a request for the server; body may be nil.
func (s *Server) NewRequest(method, target string, body io.Reader) *http.Request {
	s.tb.Helper()
	req, err := http.NewRequest(method, s.URL(target), body)
	if err != nil {
		s.tb.Fatal(err)
	}
	return req
}

// URL returns the URL of a target such as "/x?y".
func (s *Server) URL(target string) string {
	if s.Network == "unix" {
		return "http://localhost" + target
	}
	return "http://" + s.Addr + target
}

// Try sends the request on a connection of its own, follows no redirect, and
// returns the answer.
func (s *Server) Try(req *http.Request) (*Response, error) {
	r, err := (&http.Client{
		Transport:     s.client.transport,
		Timeout:       Patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}).Do(req)
	if err != nil {
		return nil, err
	}
	return readResponse(r), nil
}

// Do is Try, and ends the test when there is no complete answer.
func (s *Server) Do(req *http.Request) *Response {
	s.tb.Helper()
	r, err := s.Try(req)
	if err == nil {
		err = r.Err
	}
	if err != nil {
		s.tb.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	return r
}

// Get is Do for a GET without a body.
func (s *Server) Get(target string) *Response {
	s.tb.Helper()
	return s.Do(s.NewRequest("GET", target, nil))
}

// GetOK is Get, and ends the test unless the status is 200. It returns the body.
func (s *Server) GetOK(target string) string {
	s.tb.Helper()
	r := s.Get(target)
	if r.Status != http.StatusOK {
		s.tb.Fatalf("GET %s: got %v, want 200", target, r)
	}
	return r.Body
}

// Post is Do for a POST.
func (s *Server) Post(target, contentType, body string) *Response {
	s.tb.Helper()
	req := s.NewRequest("POST", target, strings.NewReader(body))
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return s.Do(req)
}

// Conn is a plain connection to the server, for exact bytes. Every wait on it
// ends after Patience.
type Conn struct {
	net.Conn
	tb testing.TB
	br *bufio.Reader
}

// Dial connects. The connection is closed at the end of the test.
func (s *Server) Dial() *Conn {
	s.tb.Helper()
	return DialConn(s.tb, s.Network, s.Addr)
}

// DialConn connects to any address.
func DialConn(tb testing.TB, network, addr string) *Conn {
	tb.Helper()
	c, err := net.DialTimeout(network, addr, Patience)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return &Conn{Conn: c, tb: tb, br: bufio.NewReader(c)}
}

// Send writes text as it is.
func (c *Conn) Send(text string) {
	c.tb.Helper()
	c.SetWriteDeadline(time.Now().Add(Patience))
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.tb.Fatalf("sending: %v", err)
	}
}

// Get sends a GET of HTTP/1.1 for target that keeps the connection, and returns
// the answer.
func (c *Conn) Get(target string) *Response {
	c.tb.Helper()
	c.Send("GET " + target + " HTTP/1.1\r\nHost: test\r\n\r\n")
	return c.Response("GET")
}

// TryResponse reads one answer to a request with the given method.
func (c *Conn) TryResponse(method string) (*Response, error) {
	c.SetReadDeadline(time.Now().Add(Patience))
	r, err := http.ReadResponse(c.br, &http.Request{Method: method})
	if err != nil {
		return nil, err
	}
	return readResponse(r), nil
}

// Response is TryResponse, and ends the test when there is no answer.
func (c *Conn) Response(method string) *Response {
	c.tb.Helper()
	r, err := c.TryResponse(method)
	if err != nil {
		c.tb.Fatalf("reading an answer: %v", err)
	}
	return r
}

// ReadHead reads up to and with the next empty line.
func (c *Conn) ReadHead() string {
	c.tb.Helper()
	var head strings.Builder
	for {
		line := c.ReadLine()
		head.WriteString(line)
		if line == "\r\n" {
			return head.String()
		}
	}
}

// ReadLine reads up to and with the next newline.
func (c *Conn) ReadLine() string {
	c.tb.Helper()
	c.SetReadDeadline(time.Now().Add(Patience))
	line, err := c.br.ReadString('\n')
	if err != nil {
		c.tb.Fatalf("reading a line: %v after %q", err, line)
	}
	return line
}

// ReadN reads exactly n bytes.
func (c *Conn) ReadN(n int) string {
	c.tb.Helper()
	c.SetReadDeadline(time.Now().Add(Patience))
	buf := make([]byte, n)
	got, err := io.ReadFull(c.br, buf)
	if err != nil {
		c.tb.Fatalf("reading %d bytes: %v after %q", n, err, buf[:got])
	}
	return string(buf)
}

// Rest reads until the server closes the connection. A reset counts as closed.
func (c *Conn) Rest() string {
	c.tb.Helper()
	c.SetReadDeadline(time.Now().Add(Patience))
	rest, err := io.ReadAll(c.br)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		c.tb.Fatalf("reading to the end: %v after %q", err, rest)
	}
	return string(rest)
}

// WaitClosed fails the test unless the server closes the connection without
// sending anything more.
func (c *Conn) WaitClosed() {
	c.tb.Helper()
	if rest := c.Rest(); rest != "" {
		c.tb.Errorf("got %q before the connection was closed, want nothing", rest)
	}
}

// Reset closes the connection so that the server gets a reset, not a FIN.
func (c *Conn) Reset() {
	c.tb.Helper()
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}

// CloseWrite sends a FIN and leaves the reading side open.
func (c *Conn) CloseWrite() {
	c.tb.Helper()
	if err := c.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		c.tb.Fatal(err)
	}
}
