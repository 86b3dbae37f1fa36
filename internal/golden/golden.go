// Package golden runs test scripts: files of cases, each of which says what is
// put in and what must come out. It is for tests only.
//
// A script is a text file. Lines that start with "#" and empty lines are
// between cases. A case is
//
//	command key=value ...
//	input
//	----
//	output
//
// and ends at an empty line or at the end of the file. The lines of the input
// are joined without their line ends; the escapes of Go's interpreted strings
// stand for all bytes that matter, so the input is exact. Two more forms keep
// long inputs short: \{3:abc} stands for "abcabcabc", and a line that starts
// with a space continues after it.
//
// With the flag -update the outputs are rewritten to what came out. Read the
// difference before it is committed.
package golden

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the outputs of golden scripts")

// separator is the line between input and output.
const separator = "----"

// Case is one case of a script.
type Case struct {
	// Command is the first word of the first line.
	Command string
	// Input is the unescaped input.
	Input []byte
	// Where is "file:line" of the case, for messages.
	Where string

	args map[string]string
}

// Int returns the argument key as a number, or def if the case does not have it.
func (c *Case) Int(t testing.TB, key string, def int) int {
	t.Helper()
	s, ok := c.args[key]
	if !ok {
		return def
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s: argument %s: %v", c.Where, key, err)
	}
	return n
}

// Run gives every case of the scripts that pattern (see filepath.Glob) names
// to f, each script in a subtest of its own, and compares what f returns with
// the expected output. It fails if there is no script.
func Run(t *testing.T, pattern string, f func(t *testing.T, c *Case) string) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatalf("no script matches %s", pattern)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runFile(t, path, f)
		})
	}
}

// Inputs returns the inputs of all cases of the scripts that pattern names,
// for instance as seeds of a fuzz target.
func Inputs(t testing.TB, pattern string) [][]byte {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var inputs [][]byte
	for _, path := range paths {
		lines := readLines(t, path)
		for at := 0; at < len(lines); {
			if !startsCase(lines[at]) {
				at++
				continue
			}
			c, _, next := parseCase(t, path, lines, at)
			inputs = append(inputs, c.Input)
			at = next
		}
	}
	return inputs
}

func runFile(t *testing.T, path string, f func(t *testing.T, c *Case) string) {
	lines := readLines(t, path)
	var out []string
	cases := 0
	for at := 0; at < len(lines); {
		if !startsCase(lines[at]) {
			out = append(out, lines[at])
			at++
			continue
		}
		c, want, next := parseCase(t, path, lines, at)
		cases++
		got := strings.TrimSuffix(f(t, c), "\n")
		if got != want && !*update {
			t.Errorf("%s: input %q\ngot:\n%s\nwant:\n%s", c.Where, c.Input, got, want)
		}
		for lines[at] != separator {
			out = append(out, lines[at])
			at++
		}
		out = append(out, separator)
		if got != "" {
			out = append(out, strings.Split(got, "\n")...)
		}
		at = next
	}
	if cases == 0 {
		t.Errorf("%s has no case", path)
	}
	if *update {
		if err := os.WriteFile(path, []byte(strings.Join(out, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func readLines(t testing.TB, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func startsCase(line string) bool { return line != "" && line[0] != '#' }

// parseCase parses the case that starts at lines[at]. next is the line after
// its last.
func parseCase(t testing.TB, path string, lines []string, at int) (c *Case, want string, next int) {
	t.Helper()
	c = &Case{Where: fmt.Sprintf("%s:%d", path, at+1), args: map[string]string{}}
	words := strings.Fields(lines[at])
	c.Command = words[0]
	for _, w := range words[1:] {
		key, value, ok := strings.Cut(w, "=")
		if !ok {
			t.Fatalf("%s: argument %q is not key=value", c.Where, w)
		}
		c.args[key] = value
	}
	var input strings.Builder
	for at++; at < len(lines) && lines[at] != separator; at++ {
		input.WriteString(strings.TrimPrefix(lines[at], " "))
	}
	if at == len(lines) {
		t.Fatalf("%s: no %s", c.Where, separator)
	}
	for next = at + 1; next < len(lines) && lines[next] != ""; next++ {
	}
	in, err := Unescape(input.String())
	if err != nil {
		t.Fatalf("%s: %v", c.Where, err)
	}
	c.Input = in
	return c, strings.Join(lines[at+1:next], "\n"), next
}

// Unescape returns the bytes that the input text s stands for.
func Unescape(s string) ([]byte, error) {
	var out []byte
	for s != "" {
		if !strings.HasPrefix(s, `\{`) {
			r, multibyte, rest, err := strconv.UnquoteChar(s, 0)
			if err != nil {
				return nil, fmt.Errorf("escape at %.10q: %w", s, err)
			}
			if multibyte {
				out = append(out, string(r)...)
			} else {
				out = append(out, byte(r))
			}
			s = rest
			continue
		}
		repeat, rest, ok := strings.Cut(s[2:], "}")
		number, text, okText := strings.Cut(repeat, ":")
		n, err := strconv.Atoi(number)
		if !ok || !okText || err != nil {
			return nil, fmt.Errorf("repetition at %.10q", s)
		}
		piece, err := Unescape(text)
		if err != nil {
			return nil, err
		}
		for range n {
			out = append(out, piece...)
		}
		s = rest
	}
	return out, nil
}
