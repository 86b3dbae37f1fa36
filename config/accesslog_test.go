package config

import "testing"

func TestParseAccessLogFormat(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, format, reason string }{
		{"default", DefaultAccessLogFormat, ""},
		{"empty", "", ""},
		{"text only", "request", ""},
		{"every atom", "%(h)s%(l)s%(u)s%(t)s%(r)s%(s)s%(m)s%(U)s%(q)s%(H)s%(B)s%(b)s%(f)s%(a)s%(T)s%(D)s%(M)s%(L)s%(p)s", ""},
		{"numbers as d", "%(B)d %(T)d %(M)d %(D)d", ""},
		{"fields", "%({X-Request-Id}i)s %({server-timing}o)s %({REMOTE_USER}e)s", ""},
		{"percent sign", "100%% %(s)s%%", ""},
		{"json", `{"ip": "%(h)s", "ms": %(M)s}`, ""},

		{"unknown letter", "%(h)s %(x)s", "unknown atom '%(x)'"},
		{"unknown word", "%(host)s", "unknown atom '%(host)'"},
		{"no name", "%()s", "unknown atom '%()'"},
		{"field of no kind", "%({x})s", "unknown atom '%({x})'"},
		{"field of another kind", "%({x}q)s", "unknown atom '%({x}q)'"},
		{"field without a name", "%({}i)s", "unknown atom '%({}i)'"},
		{"no braces", "%(xi)s", "unknown atom '%(xi)'"},
		{"braces late", "%(a{x}i)s", "unknown atom '%(a{x}i)'"},
		{"Apache's form", "%h %l", "'%h' is no atom: write %(h)s, or %% for a percent sign"},
		{"ends in percent", "%(h)s %", "'%' is no atom: write %(h)s, or %% for a percent sign"},
		{"not closed", "%(h", "no ) after '%(h'"},
		{"no conversion", "%(h)", "'%(h)' must end in s"},
		{"other conversion", "%(h)d", "'%(h)d' must end in s"},
		{"width", "%(D)09d", "'%(D)0' must end in s"},
		{"not ASCII", "%é", "'%é' is no atom: write %(h)s, or %% for a percent sign"},
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
