package python_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"

	"gowsgi/worker/python"
)

// testForgetFilePages: what is only read of a library is given up and comes back.
func testForgetFilePages(t *testing.T, _ *interp) {
	// Nobody calculates here, so that nothing of it is used again meanwhile.
	code := codeOf(t, "/libm.so.6")
	read := func() (sum int) {
		for _, b := range code {
			sum += int(b)
		}
		return sum
	}
	want := read()
	if n := resident(t, code); n < len(code) {
		t.Fatalf("%d bytes are mapped of those read, want %d", n, len(code))
	}
	python.ForgetFilePages()
	if n := resident(t, code); n > len(code)/4 {
		t.Errorf("%d bytes are still mapped of those read", n)
	}
	if got := read(); got != want {
		t.Errorf("what was given up comes back as something else: the sum is %d, want %d", got, want)
	}
}

// codeOf returns the memory that the code of a library is in.
func codeOf(t *testing.T, name string) []byte {
	t.Helper()
	for line := range strings.Lines(smaps(t)) {
		var start, end uintptr
		if f := strings.Fields(line); len(f) == 6 && f[1] == "r-xp" && strings.HasSuffix(f[5], name) {
			if _, err := fmt.Sscanf(f[0], "%x-%x", &start, &end); err != nil {
				t.Fatal(err)
			}
			return unsafe.Slice((*byte)(unsafe.Add(nil, start)), end-start)
		}
	}
	t.Fatalf("%s is not loaded", name)
	return nil
}

func smaps(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// resident returns how many bytes of a mapping are mapped.
func resident(t *testing.T, m []byte) (kb int) {
	t.Helper()
	_, of, ok := strings.Cut(smaps(t), fmt.Sprintf("%x-", uintptr(unsafe.Pointer(unsafe.SliceData(m)))))
	_, of, found := strings.Cut(of, "\nRss:")
	if !ok || !found {
		t.Fatal("the mapping is not in smaps")
	}
	if _, err := fmt.Sscanf(of, "%d kB", &kb); err != nil {
		t.Fatal(err)
	}
	return kb << 10
}
