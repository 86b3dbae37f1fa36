package http1

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
)

// outcome is what a server would have seen of a connection.
type outcome struct {
	events string // one line each
	err    *Error
	used   int // bytes of the complete requests
	// bodies are the contents of the complete requests, heads their heads.
	heads, bodies [][]byte
	ends          []int // where they end in the stream
}

// conn does what a connection of a server does with the types of this package:
// it keeps the bytes of the current request in a buffer that grows with each
// piece that arrives, and goes on with the next request when one is complete.
type conn struct {
	rules Rules
	scan  HeadScanner
	req   Request
	chunk ChunkDecoder

	fed    int // bytes so far
	buf    []byte
	inBody bool
	head   []byte
	body   []byte
	left   int64
	out    outcome
	events strings.Builder
}

func newConn(rules Rules) *conn {
	rules.Limits = rules.Normalize()
	return &conn{
		rules: rules,
		req:   Request{Fields: make([]Field, 0, rules.Fields)},
		chunk: ChunkDecoder{Limit: rules.Body},
	}
}

// feed takes the next piece of the stream.
func (c *conn) feed(piece []byte) {
	if c.out.err != nil {
		return
	}
	c.fed += len(piece)
	// A new array each time: nothing may depend on where the buffer is.
	c.buf = append(bytes.Clone(c.buf), piece...)
	for c.out.err == nil && c.step() {
	}
}

// step does one thing and reports whether there may be more to do.
func (c *conn) step() bool {
	if !c.inBody {
		n, err := c.scan.Scan(c.buf, &c.rules)
		if err == nil && n == 0 {
			return false
		}
		if err == nil {
			c.head = bytes.Clone(c.buf[:n])
			err = c.req.Parse(c.head, &c.rules)
		}
		if err != nil {
			c.fail(err)
			return false
		}
		if int(c.req.HeadLen) != n {
			panic(fmt.Sprintf("HeadLen %d of a head of %d bytes", c.req.HeadLen, n))
		}
		c.buf = c.buf[n:]
		c.checkAgain()
		c.inBody = true
		c.left = max(c.req.ContentLength, 0)
		c.describe()
	}
	if c.req.Chunked {
		return c.stepChunked()
	}
	n := min(c.left, int64(len(c.buf)))
	c.body = append(c.body, c.buf[:n]...)
	c.buf = c.buf[n:]
	c.left -= n
	if c.left > 0 {
		return false
	}
	c.finish()
	return len(c.buf) > 0
}

// checkAgain scans and parses the head once more, which Parse may have rewritten:
// whoever does so later must find the same request.
func (c *conn) checkAgain() {
	again, head := Request{Fields: make([]Field, 0, c.rules.Fields)}, bytes.Clone(c.head)
	var s HeadScanner
	n, err := s.Scan(head, &c.rules)
	if err == nil {
		err = again.Parse(head, &c.rules)
	}
	if err != nil || n != len(c.head) || !bytes.Equal(head, c.head) || !reflect.DeepEqual(again, c.req) {
		panic(fmt.Sprintf("%q parsed again: %d, %v, %q\n%+v\nat first:\n%+v", c.head, n, err, head, again, c.req))
	}
}

func (c *conn) stepChunked() bool {
	var dst [7]byte
	n, used, done, err := c.chunk.Decode(dst[:], c.buf)
	c.body = append(c.body, dst[:n]...)
	c.buf = c.buf[used:]
	switch {
	case err != nil:
		c.fail(err)
		return false
	case done:
		c.finish()
		return len(c.buf) > 0
	}
	return used > 0
}

func (c *conn) fail(err *Error) {
	c.out.err = err
	fmt.Fprintf(&c.events, "error %d %s\n", err.Status, err.Reason)
}

// finish ends the current request.
func (c *conn) finish() {
	if c.req.Chunked || c.req.ContentLength >= 0 {
		fmt.Fprintf(&c.events, "content %q\n", c.body)
	}
	c.out.heads = append(c.out.heads, c.head)
	c.out.bodies = append(c.out.bodies, c.body)
	c.out.used = c.fed - len(c.buf)
	c.out.ends = append(c.out.ends, c.out.used)
	c.inBody, c.head, c.body = false, nil, nil
	c.scan.Reset()
	c.chunk.Reset()
}

// describe writes down the request just parsed.
func (c *conn) describe() {
	r, of := &c.req, func(s Span) []byte { return s.Of(c.head) }
	w := &c.events
	fmt.Fprintf(w, "%s %s %s head=%d\n", of(r.Method), r.Form, of(r.Version), r.HeadLen)
	fmt.Fprintf(w, "target %q", of(r.Target))
	if r.Form != Authority {
		fmt.Fprintf(w, " path %q", of(r.Path))
	}
	if r.HasQuery {
		fmt.Fprintf(w, " query %q", of(r.Query))
	}
	fmt.Fprintf(w, " host %q\n", of(r.Host))
	for _, f := range r.Fields {
		fmt.Fprintf(w, "field %q = %q\n", of(f.Name), of(f.Value))
	}
	for _, flag := range []struct {
		set  bool
		name string
	}{
		{r.KeepAlive, "keep-alive"}, {!r.KeepAlive, "close"}, {r.Upgrade, "upgrade"},
		{r.ExpectContinue, "100-continue"}, {r.Chunked, "chunked"}, {r.Underscore, "underscore"},
	} {
		if flag.set {
			w.WriteString(flag.name + " ")
		}
	}
	if r.ContentLength >= 0 {
		fmt.Fprintf(w, "length=%d", r.ContentLength)
	}
	w.WriteString("\n")
}

// end returns the outcome; the peer sends no more.
func (c *conn) end() outcome {
	if c.out.err == nil && (c.inBody || len(c.buf) > 0) {
		c.events.WriteString("incomplete\n")
	}
	c.out.events = strings.ReplaceAll(c.events.String(), " \n", "\n")
	return c.out
}

// drive gives in to a connection, cut at the given places.
func drive(rules Rules, in []byte, cuts ...int) outcome {
	c := newConn(rules)
	at := 0
	for _, cut := range cuts {
		c.feed(in[at:cut])
		at = cut
	}
	c.feed(in[at:])
	return c.end()
}

// driveBytes gives in to a connection byte by byte.
func driveBytes(rules Rules, in []byte) outcome {
	c := newConn(rules)
	for i := range in {
		c.feed(in[i : i+1])
	}
	return c.end()
}
