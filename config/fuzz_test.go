package config

import (
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzLoad: whatever the command line is, the answer is a configuration that
// survives its way to a worker, or an error of one printable line.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"app", "-w4 -b:9 app:make(1)", "--time=0.5 app", "-b unix:/x -b fd://3 -e A=1 app",
		"--preload", "--help", "-hv", "--worker 3", "-n 'a b' -- app", "--access-logformat '%({x}i)s %%' app",
		"--pythonpath a,,b --python ./x app", "-b [::1%x]:80 app", "-t 0x1p-2 app", "-test.v app", "-Z\n",
	} {
		f.Add(seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, line string) {
		args, err := splitWords(line)
		if err != nil {
			return
		}
		cmd, err := Load(args, environ(nil), dir)
		if err != nil {
			if text := err.Error(); text == "" || ExitCode(err) == 0 || strings.ContainsAny(text, "\n\r\x1b") || !utf8.ValidString(text) {
				t.Fatalf("got error %q, exit code %d", text, ExitCode(err))
			}
			return
		}
		if cmd.Config == nil {
			if cmd.Action != ActionHelp && cmd.Action != ActionVersion {
				t.Fatalf("no config for %v", cmd.Action)
			}
			return
		}
		checkLoaded(t, cmd.Config)
		cmd.Print(io.Discard)
	})
}

// checkLoaded checks what every configuration must have.
func checkLoaded(t *testing.T, c *Config) {
	t.Helper()
	if c.App.Module == "" || c.App.Attr == "" || c.ProcName == "" || c.Threads < 1 || c.Workers < 0 || len(c.Bind) == 0 ||
		c.Timeout < 0 || c.GracefulTimeout < 0 || c.KeepAlive < 0 || (c.Threads > 1 && c.WorkerClass != "gthread") {
		t.Fatalf("got %+v", c)
	}
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back Config
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*c, back) {
		t.Fatalf("got %+v after %s, want %+v", back, data, *c)
	}
}

// FuzzSplitWords: words that are quoted come back whole.
func FuzzSplitWords(f *testing.F) {
	f.Add("a b", `c'"\`)
	f.Add("", "\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		quoteWord := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
		got, err := splitWords(" " + quoteWord(a) + "\t" + quoteWord(b) + "\n")
		if want := []string{a, b}; err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	})
}
