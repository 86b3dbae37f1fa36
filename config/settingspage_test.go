package config

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/settings.md and testdata/print.txt")

// TestSettingsPage keeps docs/settings.md what the table says.
func TestSettingsPage(t *testing.T) {
	path := filepath.Join("..", "docs", "settings.md")
	want := settingsPage()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("there is no docs/settings.md; make it with: go test ./config -run SettingsPage -update")
	}
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/settings.md is not what the table says; rewrite it with: go test ./config -run SettingsPage -update")
	}
}

// settingsPage renders the table as Markdown.
func settingsPage() string {
	var b strings.Builder
	b.WriteString(`# Settings

Written by ` + "`go test ./config -run SettingsPage -update`" + ` from the table in config/table.go.

Sources, weakest first; each replaces the whole value of a weaker one:

1. the default, or the variable named with it;
2. the configuration file;
`)
	for i, name := range argumentVariables {
		fmt.Fprintf(&b, "%d. the arguments in `%s`;\n", i+3, name)
	}
	fmt.Fprintf(&b, "%d. the command line.\n", len(argumentVariables)+3)
	section := ""
	for i := range table {
		s := &table[i]
		if s.section != section {
			section = s.section
			fmt.Fprintf(&b, "\n## %s\n", section)
		}
		flags := "Configuration file only"
		if !s.fileOnly() {
			flags = "`" + s.helpFlags() + "`"
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n%s\n", s.name, flags, s.doc)
		writeFacts(&b, s)
	}
	writeRefusals(&b)
	return b.String()
}

// writeFacts lists what a setting has besides its document.
func writeFacts(b *strings.Builder, s *setting) {
	var facts []string
	for _, d := range s.defaults {
		facts = append(facts, "Default: `"+strings.TrimSpace(d+" "+s.unit)+"`")
	}
	if s.env != "" {
		facts = append(facts, "Environment: `"+s.env+"`")
	}
	if s.ours {
		facts = append(facts, "Not a setting of gunicorn; the flag must be spelled in full")
	}
	if len(facts) > 0 {
		b.WriteString("\n- " + strings.Join(facts, "\n- ") + "\n")
	}
}

// writeRefusals lists the settings of gunicorn that are not here.
func writeRefusals(b *strings.Builder) {
	for _, group := range []struct {
		title string
		noop  bool
	}{
		{"Settings of gunicorn that are refused", false},
		{"Settings of gunicorn that have no effect", true},
	} {
		fmt.Fprintf(b, "\n## %s\n\n", group.title)
		for i := range refusals {
			r := &refusals[i]
			if r.noop != group.noop {
				continue
			}
			hint := r.hint
			if hint == "" {
				hint = "not yet"
			}
			fmt.Fprintf(b, "- `%s`: %s\n", r.display(), hint)
		}
	}
}
