package http1

import (
	"bytes"
	"testing"
)

// TestDecodeCounts: what is consumed and written is exact, and the end is
// found without a byte too many.
func TestDecodeCounts(t *testing.T) {
	t.Parallel()
	var d ChunkDecoder
	src := []byte("5\r\nhello\r\n3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\nGET /")
	dst := make([]byte, 4)
	for _, c := range []struct {
		name string
		room int
		want string
		used int
		done bool
	}{
		{"no room: up to the data", 0, "", 3, false},
		{"no room again", 0, "", 0, false},
		{"less room than data", 4, "hell", 4, false},
		{"the rest and half of the next chunk", 3, "oab", 1 + 2 + 7 + 2, false},
		{"the end, exactly", 1, "c", 1 + 2 + 3 + 6 + 2, true},
		{"behind the end", 4, "", 0, true},
	} {
		n, used, done, err := d.Decode(dst[:c.room], src)
		if err != nil || string(dst[:n]) != c.want || used != c.used || done != c.done {
			t.Errorf("%s: got %q, %d, %t, %v, want %q, %d, %t", c.name, dst[:n], used, done, err, c.want, c.used, c.done)
		}
		src = src[used:]
	}
	if string(src) != "GET /" {
		t.Errorf("%q is left, want %q", src, "GET /")
	}
}

// TestDecodeEmpty: no bytes, no progress.
func TestDecodeEmpty(t *testing.T) {
	t.Parallel()
	var d ChunkDecoder
	if n, used, done, err := d.Decode(nil, nil); n != 0 || used != 0 || done || err != nil {
		t.Errorf("got %d, %d, %t, %v", n, used, done, err)
	}
}

// TestDecodeAfterError: data before the mistake is there, the mistake is not
// consumed, and nothing is decoded after it until Reset.
func TestDecodeAfterError(t *testing.T) {
	t.Parallel()
	var d ChunkDecoder
	dst := make([]byte, 10)
	n, used, done, err := d.Decode(dst, []byte("2\r\nabX"))
	if string(dst[:n]) != "ab" || used != 5 || done || err != errChunkData {
		t.Errorf("got %q, %d, %t, %v", dst[:n], used, done, err)
	}
	for _, src := range []string{"\r\n0\r\n\r\n", ""} {
		if n, used, done, err := d.Decode(dst, []byte(src)); n != 0 || used != 0 || done || err != errChunkBroken {
			t.Errorf("%q: got %d, %d, %t, %v", src, n, used, done, err)
		}
	}
	d.Reset()
	if _, used, done, err := d.Decode(dst, []byte("0\r\n\r\n")); used != 5 || !done || err != nil {
		t.Errorf("after Reset: got %d, %t, %v", used, done, err)
	}
}

// TestDecodeLarge: the sizes of chunks may be larger than memory.
func TestDecodeLarge(t *testing.T) {
	t.Parallel()
	var d ChunkDecoder
	dst, zeros := make([]byte, 1<<16), make([]byte, 1<<16)
	if _, used, _, err := d.Decode(dst, []byte("fffffffffffffff\r\n")); used != 17 || err != nil {
		t.Fatal(used, err)
	}
	for range 3 {
		n, used, done, err := d.Decode(dst, zeros)
		if n != len(zeros) || used != n || done || err != nil {
			t.Fatal(n, used, done, err)
		}
	}
	if want := int64(1<<60 - 1 - 3*1<<16); d.left != want {
		t.Errorf("%d bytes left, want %d", d.left, want)
	}
}

// TestDecodeInPlace: dst may be the memory of src.
func TestDecodeInPlace(t *testing.T) {
	t.Parallel()
	buf := chunkedContent(300, 20)
	var d ChunkDecoder
	n, used, done, err := d.Decode(buf, buf)
	if !bytes.Equal(buf[:n], bytes.Repeat([]byte("x"), 6000)) || used != len(buf) || !done || err != nil {
		t.Errorf("got %d, %d, %t, %v", n, used, done, err)
	}
}
