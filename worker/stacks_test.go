package worker

import (
	"strings"
	"testing"
)

func TestWithoutWriter(t *testing.T) {
	const others = `Thread 0x00007f1 (most recent call first):
  File "app.py", line 3 in view

Thread 0x00007f3 (most recent call first):
  <no Python frame>
`
	for _, writer := range []string{
		"Current thread 0x00007f2 (most recent call first):\n  File \"<gowsgi>\", line 1 in write_stacks\n\n",
		"Current thread 0x00007f2 [Thread-1] (most recent call first):\n  <no Python frame>\n\n",
	} {
		if got := string(withoutWriter([]byte(writer + others))); got != others {
			t.Errorf("got:\n%s\nwant:\n%s", got, others)
		}
		i := strings.Index(others, "\n\n") + 2
		first, rest := others[:i], others[i:]
		if got := string(withoutWriter([]byte(first + writer + rest))); got != others {
			t.Errorf("in the middle, got:\n%s\nwant:\n%s", got, others)
		}
	}
}
