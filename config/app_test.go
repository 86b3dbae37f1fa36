package config

import "testing"

func TestParseApp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, module, attr, reason string }{
		{"mod", "mod", "application", ""},
		{"pkg.mod", "pkg.mod", "application", ""},
		{"mod:app", "mod", "app", ""},
		{"mod:make()", "mod", "make()", ""},
		{`mod:make("a:b", debug=True)`, "mod", `make("a:b", debug=True)`, ""},
		// The worker explains these.
		{"file.py", "file.py", "application", ""},
		{"mod:a.b", "mod", "a.b", ""},
		{"mod:1+1", "mod", "1+1", ""},

		{"", "", "", "no module name: want MODULE[:VARIABLE]"},
		{" ", "", "", "no module name: want MODULE[:VARIABLE]"},
		{":app", "", "", "no module name: want MODULE[:VARIABLE]"},
		{"mod:", "", "", "no variable name after the colon: want MODULE[:VARIABLE]"},
		{"mod: ", "", "", "no variable name after the colon: want MODULE[:VARIABLE]"},
	} {
		got, err := parseApp(tt.text)
		want := AppSpec{Module: tt.module, Attr: tt.attr}
		if tt.reason == "" {
			want.Text = tt.text
		}
		if got != want || reasonOf(err) != tt.reason {
			t.Errorf("%q: got %+v, %v, want %+v, %s", tt.text, got, err, want, tt.reason)
		}
	}
}
