package sys

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// envTitle makes the test binary a helper that shows a title and its own
// command line.
const envTitle = "GOWSGI_TEST_TITLE"

func TestMain(m *testing.M) {
	if title, ok := os.LookupEnv(envTitle); ok {
		os.Exit(titleHelper(title))
	}
	os.Exit(m.Run())
}

func titleHelper(title string) int {
	t := OwnTitle()
	t.Set("something much longer than " + strings.Repeat("the final title ", 20))
	t.Set(title)
	cmdline, err := os.ReadFile("/proc/self/cmdline")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Printf("%q\n%q\n", bytes.TrimRight(cmdline, "\x00"), os.Args[1:])
	return 0
}

func TestTitle(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		args  []string
		title string
		want  string
	}{
		{"shorter than the arguments", []string{"-w", "4", strings.Repeat("x", 30)}, "gowsgi: master [app]", "gowsgi: master [app]"},
		{"longer is cut", nil, strings.Repeat("m", 300), ""},
		{"empty arguments", []string{"-n", "", "x", ""}, "t", "t"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], tt.args...)
			cmd.Env = append(os.Environ(), envTitle+"="+tt.title, "AFTER=must not show")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			want := tt.want
			if want == "" {
				want = tt.title[:len(os.Args[0])]
			}
			lines := strings.Split(string(out), "\n")
			if got := fmt.Sprintf("%q", want); lines[0] != got {
				t.Errorf("title %s, want %s", lines[0], got)
			}
			if got := fmt.Sprintf("%q", tt.args); lines[1] != got {
				t.Errorf("os.Args %s, want %s", lines[1], got)
			}
		})
	}
}

func TestTitleOfNothing(t *testing.T) {
	t.Parallel()
	(&Title{}).Set("x")
	if b := argBlock(nil); b != nil {
		t.Errorf("block of no arguments = %q", b)
	}
}

func TestSealedFile(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("boot "), 100_000)
	fd, err := SealedFile("test", content)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "test")
	defer f.Close()
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("F_GETFD = %#x, %v: want FD_CLOEXEC", flags, err)
	}
	got, err := io.ReadAll(f)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("read %d bytes, %v, want all %d from the start", len(got), err, len(content))
	}
	if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("write: %v, want EPERM", err)
	}
	if err := f.Truncate(0); !errors.Is(err, unix.EPERM) {
		t.Errorf("truncate: %v, want EPERM", err)
	}
}

func TestReapNoSuchChild(t *testing.T) {
	t.Parallel()
	// Not -1: other tests have children.
	if _, err := Reap(os.Getpid()); !errors.Is(err, unix.ECHILD) {
		t.Errorf("Reap: %v, want ECHILD", err)
	}
}

func TestIgnoringEINTR(t *testing.T) {
	t.Parallel()
	tries := 0
	v, err := IgnoringEINTR(func() (int, error) {
		if tries++; tries < 3 {
			return -1, unix.EINTR
		}
		return 7, nil
	})
	if v != 7 || err != nil || tries != 3 {
		t.Errorf("got %d, %v after %d tries, want 7, nil after 3", v, err, tries)
	}
}

func TestPipeIsCloseOnExec(t *testing.T) {
	t.Parallel()
	r, w, err := Pipe()
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range []int{r, w} {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("F_GETFD = %#x, %v: want FD_CLOEXEC", flags, err)
		}
		unix.Close(fd)
	}
}
