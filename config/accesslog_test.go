package config

import (
	"slices"
	"testing"
)

func TestParseAccessLogFormat(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, format, reason string }{
		{"default", DefaultAccessLogFormat, ""},
		{"json", "json", ""},
		{"Apache's form", "%h %l", "'%h' is no atom: write %(h)s, or %% for a percent sign"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseAccessLogFormat(tt.format)
			if reasonOf(err) != tt.reason || err == nil && got != tt.format {
				t.Errorf("%q: got %q, %v, want %s", tt.format, got, err, tt.reason)
			}
		})
	}
}

// TestUnknownAtoms: gunicorn logs a dash for an atom it does not know, and so does
// gowsgi, but it says so.
func TestUnknownAtoms(t *testing.T) {
	t.Parallel()
	cmd, err := Load([]string{"--access-logformat", "%(h)s %(Z)s %({x}q)s", "app"}, environ(nil), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`access_log_format: unknown atom %(Z)s is logged as "-"`,
		`access_log_format: unknown atom %({x}q)s is logged as "-"`,
	}
	if !slices.Equal(cmd.Warnings, want) {
		t.Errorf("got %q, want %q", cmd.Warnings, want)
	}
}
