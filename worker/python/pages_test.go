package python

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestForgetFilePages: what is only read is given up and comes back; what has been
// written to stays as it is.
func TestForgetFilePages(t *testing.T) {
	const size = 1 << 20
	name := filepath.Join(t.TempDir(), "file with a blank")
	content := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var mapped [2][]byte
	for i := range mapped {
		m, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Munmap(m)
		mapped[i] = m
	}
	read, copied := mapped[0], mapped[1]
	copied[size/2] = 'X'
	for _, m := range mapped {
		if err := unix.Mprotect(m, unix.PROT_READ); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(read, content) {
		t.Fatal("the file is not what was written")
	}
	if n := resident(t, read); n < size {
		t.Fatalf("%d bytes are mapped of those read, want %d", n, size)
	}
	ForgetFilePages()
	if n := resident(t, read); n >= size/2 {
		t.Errorf("%d bytes are still mapped of those read", n)
	}
	if !bytes.Equal(read, content) {
		t.Error("what was given up does not come back")
	}
	if copied[size/2] != 'X' {
		t.Error("what was written is lost")
	}
}

// resident returns how many bytes of a mapping are mapped.
func resident(t *testing.T, m []byte) (kb int) {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	_, of, ok := strings.Cut(string(smaps), fmt.Sprintf("%x-", uintptr(unsafe.Pointer(unsafe.SliceData(m)))))
	_, of, found := strings.Cut(of, "\nRss:")
	if !ok || !found {
		t.Fatal("the mapping is not in smaps")
	}
	if _, err := fmt.Sscanf(of, "%d kB", &kb); err != nil {
		t.Fatal(err)
	}
	return kb << 10
}
