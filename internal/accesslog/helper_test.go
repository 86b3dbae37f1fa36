package accesslog

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long something that must happen may take.
const patience = 30 * time.Second

// waitFor returns when ok does.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s takes too long", what)
		}
	}
}

// waitForText returns what is in the file once it contains text.
func waitForText(t *testing.T, path, text string) (content string) {
	t.Helper()
	waitFor(t, "waiting for "+text, func() bool {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		content = string(b)
		return strings.Contains(content, text)
	})
	return content
}

// writable reports whether fd takes something within that many milliseconds.
func writable(fd, ms int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(fds, ms)
	return err == nil && n > 0
}
