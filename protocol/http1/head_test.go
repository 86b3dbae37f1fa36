package http1

import (
	"bytes"
	"strings"
	"testing"
)

func TestNormalize(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		in, want Limits
	}{
		{"zero", Limits{}, Limits{0, 32768, 8190, 0}},
		{"negative", Limits{-1, -1, -1, -1}, Limits{8190, 32768, 8190, 0}},
		{"defaults", Limits{4094, 100, 8190, 0}, Limits{4094, 100, 8190, 0}},
		{"greatest", Limits{8190, 32768, 1 << 30, 1 << 40}, Limits{8190, 32768, 1 << 30, 1 << 40}},
		{"too great", Limits{8191, 32769, 1<<30 + 1, 0}, Limits{8190, 32768, 1 << 30, 0}},
		{"smallest", Limits{1, 1, 1, 0}, Limits{1, 1, 1, 0}},
	} {
		if got := c.in.Normalize(); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestHeadMax fills every limit to the last byte: that head takes HeadMax
// bytes, and one byte or one field more is refused.
func TestHeadMax(t *testing.T) {
	t.Parallel()
	head := func(line, fields, size int) []byte {
		return []byte("\r\nGET /" + strings.Repeat("a", line-len("GET / HTTP/1.1")) + " HTTP/1.1\r\n" +
			strings.Repeat("A:"+strings.Repeat("b", size-4)+"\r\n", fields) + "\r\n")
	}
	rules := Rules{Limits: Limits{RequestLine: 100, Fields: 5, FieldSize: 50}.Normalize()}
	for _, c := range []struct {
		name               string
		line, fields, size int
		want               *Error
	}{
		{"full", 100, 5, 50, nil},
		{"line", 101, 5, 50, errLongLine},
		{"fields", 100, 6, 50, errManyFields},
		{"size", 100, 5, 51, errLongField},
	} {
		buf := head(c.line, c.fields, c.size)
		var s HeadScanner
		n, err := s.Scan(buf, &rules)
		if err != c.want {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		if err == nil && (n != len(buf) || n != rules.HeadMax()) {
			t.Errorf("%s: a head of %d bytes, HeadMax is %d", c.name, n, rules.HeadMax())
		}
	}
}

// TestUnlimited goes to the bounds of what gunicorn calls unlimited.
func TestUnlimited(t *testing.T) {
	t.Parallel()
	rules := Rules{Limits: Limits{RequestLine: 0, Fields: 32768, FieldSize: 1 << 30}.Normalize()}
	if got := rules.HeadMax(); got != maxHead {
		t.Errorf("HeadMax is %d, want %d", got, maxHead)
	}
	for _, c := range []struct {
		name string
		line int
		want *Error
	}{
		{"1 MiB", 1 << 20, nil},
		{"one byte more", 1<<20 + 1, errLongLine},
	} {
		var s HeadScanner
		buf := append(bytes.Repeat([]byte("a"), c.line), "\r\n"...)
		if n, err := s.Scan(buf, &rules); n != 0 || err != c.want {
			t.Errorf("%s: got %d, %v, want %v", c.name, n, err, c.want)
		}
	}
}

// TestScanBoundedHead ends a head that no single limit ends.
func TestScanBoundedHead(t *testing.T) {
	t.Parallel()
	rules := Rules{Limits: Limits{RequestLine: 20, Fields: 2, FieldSize: 10}}
	s := HeadScanner{pos: 20, line: 20, state: scanFields}
	if at, err := s.window(20, 25, false, &rules.Limits); at != 25 || err != errLongHead {
		t.Errorf("got %d, %v, want 25, %v", at, err, errLongHead)
	}
}

// TestScanIsLinear: after each piece all of it has been looked at, so that no
// byte is looked at again with the next one.
func TestScanIsLinear(t *testing.T) {
	t.Parallel()
	rules := Rules{Limits: defaultLimits.Normalize()}
	for _, head := range []string{minimalHead, browserHead, "\r\n" + minimalHead} {
		var s HeadScanner
		buf := []byte(head)
		for end := 1; end < len(buf); end++ {
			if n, err := s.Scan(buf[:end], &rules); n != 0 || err != nil {
				t.Fatalf("%q: got %d, %v", buf[:end], n, err)
			}
			if int(s.pos) != end && end > 1 {
				t.Fatalf("%q: looked at %d of %d bytes", head, s.pos, end)
			}
		}
		for range 2 { // a finished scanner says the same again
			if n, err := s.Scan(append(buf, "more"...), &rules); n != len(buf) || err != nil {
				t.Errorf("%q: got %d, %v, want %d", head, n, err, len(buf))
			}
		}
	}
}

// TestCheckLine: a request line is judged when it is complete, before the rest of
// the head is there, and once.
func TestCheckLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want *Error
	}{
		{"", nil},
		{"SSH-2.0-OpenSSH_9.7", nil},
		{"SSH-2.0-OpenSSH_9.7\r\n", errRequestLine},
		{"\r\nEHLO example.org\r\n", errRequestLine},
		{"GET / HTTP/1.1\r\n", nil},
		{"GET / HTTP/1.1\r\nHost", nil},
		{"GET / HTTP/2.0\r\nHost", errMajor},
		{"GET / HTTP/1.1\r\n nonsense\r\n", nil}, // not the line's fault
		{"get / HTTP/1.1\r\nHost: h\r\n", errMethod},
		{"GET /#f HTTP/1.1\r\nHost: h\r\n\r\n", nil}, // complete: that is Parse's
	} {
		rules := Rules{Limits: defaultLimits.Normalize()}
		var s HeadScanner
		if _, err := s.Scan([]byte(c.in), &rules); err != nil {
			t.Fatalf("%q: %v", c.in, err)
		}
		if err := s.CheckLine([]byte(c.in), &rules); err != c.want {
			t.Errorf("%q: got %v, want %v", c.in, err, c.want)
		}
		if err := s.CheckLine([]byte(c.in), &rules); err != nil {
			t.Errorf("%q again: got %v", c.in, err)
		}
	}
}

// TestScanLooksOnlyAtHead: what follows the head is not judged with it.
func TestScanLooksOnlyAtHead(t *testing.T) {
	t.Parallel()
	rules := Rules{Limits: defaultLimits.Normalize()}
	var s HeadScanner
	buf := []byte(minimalHead + "\x00\n\r\x00")
	if n, err := s.Scan(buf, &rules); n != len(minimalHead) || err != nil {
		t.Errorf("got %d, %v, want %d", n, err, len(minimalHead))
	}
}
