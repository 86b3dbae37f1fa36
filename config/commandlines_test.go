package config

import (
	"bufio"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// otherwise are command lines of testdata/commandlines.txt, which commandlines.py
// makes, that end differently here, and why.
var otherwise = map[string]string{
	`["--workers=0x10", "app"]`:       "a file may say 0x10, and then so may a flag",
	`["app", "--workers=4", "other"]`: "further positional arguments are ignored wherever they stand",
	`[""]`:                            "an application without a name is an error here, not in the worker",
	`["--name=", "app"]`:              "an empty name is no name",
	`["-n", "", "app"]`:               "an empty name is no name",
	`["-p", "", "app"]`:               "an empty path is no path",
	`["--backlog", "0b11", "app"]`:    "a file may say 0b11, and then so may a flag",
	`["--chdir", "", "app"]`:          "the start directory is shown",
	`["--threads", "0", "app"]`:       "shown as what it means, 1",
	`["--version"]`:                   "the version has its own test",
	`["-v"]`:                          "the version has its own test",
}

// TestCommandLines: command lines mean what they mean to gunicorn.
func TestCommandLines(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/commandlines.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var line string
	want := map[string][]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "\t"); ok {
			want[line] = append(want[line], text)
		} else {
			line = lines.Text()
		}
	}
	if len(want) < 80 {
		t.Fatalf("only %d command lines in the file", len(want))
	}
	for line := range otherwise {
		if want[line] == nil {
			t.Errorf("%s is not in the file", line)
		}
	}
	for line, want := range want {
		if otherwise[line] != "" {
			continue
		}
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			var args []string
			if err := json.Unmarshal([]byte(line), &args); err != nil {
				t.Fatal(err)
			}
			cmd, err := Load(args, environ(nil), t.TempDir())
			if err != nil {
				if want := strings.Fields(want[0]); want[0] != "exit" || want[1] != strconv.Itoa(ExitCode(err))+":" {
					t.Errorf("got exit %d: %v, want %s", ExitCode(err), err, want)
				}
				return
			}
			got := map[string]string{}
			for s, origin := range cmd.origins {
				if v := pyStr(s.value(cmd.Config)); origin == originFlags && (s.name == "wsgi_app" || v != strings.Join(s.defaults, "")) {
					got[s.name] = v
				}
			}
			for _, name := range slices.Sorted(maps.Keys(got)) {
				if line := name + " = " + got[name]; !slices.Contains(want, line) {
					t.Errorf("got %s, want one of %q", line, want)
				}
			}
			if len(got) != len(want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
