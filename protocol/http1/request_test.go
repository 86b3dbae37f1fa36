package http1

import (
	"reflect"
	"testing"
	"unsafe"
)

// TestLayout: C code reads arrays of fields.
func TestLayout(t *testing.T) {
	t.Parallel()
	if got := unsafe.Sizeof(Span{}); got != 8 {
		t.Errorf("a Span takes %d bytes, want 8", got)
	}
	if got := unsafe.Offsetof(Span{}.Len); got != 4 {
		t.Errorf("Len is at %d, want 4", got)
	}
	if got := unsafe.Sizeof(Field{}); got != 16 {
		t.Errorf("a Field takes %d bytes, want 16", got)
	}
	if got := unsafe.Offsetof(Field{}.Value); got != 8 {
		t.Errorf("Value is at %d, want 8", got)
	}
}

func TestSpanOf(t *testing.T) {
	t.Parallel()
	b := []byte("abcdef")
	got := Span{Off: 1, Len: 2}.Of(b)
	if string(got) != "bc" {
		t.Errorf("got %q, want %q", got, "bc")
	}
	if _ = append(got, 'x'); string(b) != "abcdef" {
		t.Errorf("appending to a span changed the buffer: %q", b)
	}
}

// TestParseReuse: nothing of a request is left when the next one is parsed,
// and Fields stays where it is.
func TestParseReuse(t *testing.T) {
	t.Parallel()
	rules := Rules{Limits: defaultLimits.Normalize()}
	backing := make([]Field, 0, 20)
	r := Request{Fields: backing}
	full := "POST http://a/b?c HTTP/1.1\r\nHost: h\r\nConnection: close, upgrade\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
	bad := "POST /b?c HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: upgrade\r\nA\r\n\r\n"
	for _, before := range []string{full, browserHead, bad} {
		_ = r.Parse([]byte(before), &rules)
		if err := r.Parse([]byte(minimalHead), &rules); err != nil {
			t.Fatal(err)
		}
		want := Request{Fields: make([]Field, 0, 1)}
		if err := want.Parse([]byte(minimalHead), &rules); err != nil {
			t.Fatal(err)
		}
		if &r.Fields[:1][0] != &backing[:1][0] || cap(r.Fields) != cap(backing) {
			t.Error("Fields moved")
		}
		if !reflect.DeepEqual(r, want) {
			t.Errorf("after %q:\ngot  %+v\nwant %+v", before, r, want)
		}
	}
	r.Reset()
	if want := (Request{Fields: backing, ContentLength: -1}); !reflect.DeepEqual(r, want) {
		t.Errorf("after Reset: %+v", r)
	}
}

// TestParseCapacity: the capacity of Fields is a limit like the others.
func TestParseCapacity(t *testing.T) {
	t.Parallel()
	rules := Rules{Limits: defaultLimits.Normalize()}
	head := []byte("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n")
	for _, c := range []struct {
		capacity, limit int
		want            *Error
	}{
		{0, 100, errManyFields}, {1, 100, errManyFields}, {2, 100, nil}, {3, 100, nil},
		{10, 2, nil}, {10, 1, errManyFields},
	} {
		r := Request{Fields: make([]Field, 0, c.capacity)}
		rules.Fields = c.limit
		if err := r.Parse(head, &rules); err != c.want {
			t.Errorf("room for %d, limit %d: got %v, want %v", c.capacity, c.limit, err, c.want)
		}
	}
}

// TestParseAlone: Parse refuses what is not one whole head, though Scan never
// gives it that.
func TestParseAlone(t *testing.T) {
	t.Parallel()
	rules := Rules{Limits: defaultLimits.Normalize()}
	for _, c := range []struct {
		head string
		want *Error
	}{
		{"", errIncomplete},
		{"\r\n", errIncomplete},
		{"\n", errIncomplete},
		{"GET / HTTP/1.1", errIncomplete},
		{"GET / HTTP/1.1\n", errBareLF},
		{"GET / HTTP/1.1\r\n", errIncomplete},
		{"GET / HTTP/1.1\r\nHost: h", errIncomplete},
		{"GET / HTTP/1.1\r\nHost: h\n\r\n", errBareLF},
		{"GET / HTTP/1.1\r\nHost: h\r\n", errIncomplete},
		{"GET / HTTP/1.1\r\nHost: h\r\n\n", errBareLF},
		{minimalHead + "x", errIncomplete},
		{"GET / HTTP/1.1\r\nHost: h\r\nA: \x00\r\n\r\n", errFieldValue},
		{"GET /\x00 HTTP/1.1\r\nHost: h\r\n\r\n", errTarget},
	} {
		r := Request{Fields: make([]Field, 0, 5)}
		if err := r.Parse([]byte(c.head), &rules); err != c.want {
			t.Errorf("%q: got %v, want %v", c.head, err, c.want)
		}
	}
}

// TestParseErrorKeepsTarget: a log line about a refused head can name method
// and target as far as they were understood.
func TestParseErrorKeepsTarget(t *testing.T) {
	t.Parallel()
	rules := Rules{Limits: defaultLimits.Normalize()}
	for _, c := range []struct{ head, method, target string }{
		{"GET /a HTTP/1.1\r\nHost : h\r\n\r\n", "GET", "/a"},
		{"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "/a#b"},
		{"GET /a HTTP/9.9\r\n\r\n", "GET", "/a"},
		{"get /a HTTP/1.1\r\n\r\n", "", ""},
	} {
		r := Request{Fields: make([]Field, 0, 5)}
		head := []byte(c.head)
		if err := r.Parse(head, &rules); err == nil {
			t.Errorf("%q was accepted", head)
		}
		if m, g := string(r.Method.Of(head)), string(r.Target.Of(head)); m != c.method || g != c.target {
			t.Errorf("%q: got %q and %q, want %q and %q", head, m, g, c.method, c.target)
		}
	}
}

func TestFormString(t *testing.T) {
	t.Parallel()
	for f, want := range map[Form]string{
		Origin: "origin-form", Absolute: "absolute-form", Authority: "authority-form",
		Asterisk: "asterisk-form", 99: "unknown form",
	} {
		if got := f.String(); got != want {
			t.Errorf("%d: got %q, want %q", f, got, want)
		}
	}
}
