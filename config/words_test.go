package config

import (
	"slices"
	"testing"
)

// TestSplitWords has what Python's shlex.split returns on the right.
func TestSplitWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"  \t\n ", nil},
		{"-w 4  -b :80", []string{"-w", "4", "-b", ":80"}},
		{`a'b c'd`, []string{"ab cd"}},
		{`--name "my app"`, []string{"--name", "my app"}},
		{`'' ""`, []string{"", ""}},
		{`a\ b`, []string{"a b"}},
		{`\\ \' \"`, []string{`\`, `'`, `"`}},
		{`'a\b'`, []string{`a\b`}},
		{`"a\b\\\""`, []string{`a\b\"`}},
		{`"it's" '"'`, []string{"it's", `"`}},
		{`a#b #c`, []string{"a#b", "#c"}},
		{"$HOME `x` *", []string{"$HOME", "`x`", "*"}},
		{"é 'ü ö'", []string{"é", "ü ö"}},
	} {
		got, err := splitWords(tt.text)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q: got %q, %v, want %q", tt.text, got, err, tt.want)
		}
	}
	for text, want := range map[string]string{
		`a\`:      "no character after the last backslash",
		`'a`:      "no closing quotation mark",
		`"a`:      "no closing quotation mark",
		`"a\"`:    "no closing quotation mark",
		`a 'b" c`: "no closing quotation mark",
	} {
		if got, err := splitWords(text); reasonOf(err) != want {
			t.Errorf("%q: got %q, %v, want %s", text, got, err, want)
		}
	}
}
