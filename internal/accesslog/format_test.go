package accesslog

import (
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, format string
		atoms        []atom
		keys         []string
	}{
		{"empty", "", nil, nil},
		{"text", "text", []atom{{text: "text"}}, nil},
		{"percent", "%%", []atom{{text: "%"}}, nil},
		{"percent before an atom's name", "%%(h)s", []atom{{text: "%"}, {text: "(h)s"}}, nil},
		{"letter", "%(h)s", []atom{{kind: 'h'}}, nil},
		{"number", "%(Q)d", []atom{{kind: 'Q'}}, nil},
		{"of the ending", "%(B)d", []atom{{kind: 'B', ending: true}}, nil},
		{"text around", "a %(m)s b", []atom{{text: "a "}, {kind: 'm'}, {text: " b"}}, nil},
		{"side by side", "%(m)s%(U)s", []atom{{kind: 'm'}, {kind: 'U'}}, nil},
		{"conversion's letter in text", "%(h)ss", []atom{{kind: 'h'}, {text: "s"}}, nil},
		{"request field", "%({X-Name}i)s", []atom{{kind: requestField, text: "x-name"}}, nil},
		{"response field", "%({Set-Cookie}o)s", []atom{{kind: responseField, text: "set-cookie"}}, nil},
		{
			"environ keys", "%({REMOTE_USER}e)s %({wsgi.url_scheme}e)s %({REMOTE_USER}e)s",
			[]atom{{kind: environKey}, {text: " "}, {kind: environKey, index: 1}, {text: " "}, {kind: environKey}},
			[]string{"REMOTE_USER", "wsgi.url_scheme"},
		},
		{"end in percent", "a%%", []atom{{text: "a"}, {text: "%"}}, nil},
		{"width", "%(h)15s", []atom{{kind: 'h', width: 15}}, nil},
		{"width on the left", "%(m)-7s|", []atom{{kind: 'm', width: 7, left: true}, {text: "|"}}, nil},
		{"zeros", "%(Q)09d", []atom{{kind: 'Q', width: 9, zero: true}}, nil},
		{"zeros for text are spaces", "%(Q)09s", []atom{{kind: 'Q', width: 9}}, nil},
		{"left wins over zeros", "%(Q)0-9d", []atom{{kind: 'Q', width: 9, left: true}}, nil},
		{"widest", "%(h)1000s", []atom{{kind: 'h', width: 1000}}, nil},
		{"unknown", "%(Z)s", []atom{{text: "-"}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, err := Parse(tt.format)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(f.atoms, tt.atoms) || !slices.Equal(f.Keys(), tt.keys) {
				t.Errorf("got %+v, %q, want %+v, %q", f.atoms, f.Keys(), tt.atoms, tt.keys)
			}
		})
	}
}

// TestUnknown: what gunicorn writes a dash for.
func TestUnknown(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, format string
		unknown      []string
	}{
		{"every letter there is", "%(h)s%(l)s%(u)s%(t)s%(r)s%(s)s%(m)s%(U)s%(q)s%(H)s%(B)s%(b)s%(f)s%(a)s%(T)s%(D)s%(M)s%(L)s%(p)s%(Q)s%(A)s%(W)s%(X)s", nil},
		{"fields", "%({X-Request-Id}i)s %({server-timing}o)s %({REMOTE_USER}e)s", nil},
		{"letter", "%(h)s %(x)s", []string{"%(x)s"}},
		{"word", "%(host)s", []string{"%(host)s"}},
		{"no name", "%()s", []string{"%()s"}},
		{"field of no kind", "%({x})s", []string{"%({x})s"}},
		{"field of another kind", "%({x}q)s", []string{"%({x}q)s"}},
		{"field without a name", "%({}i)s", []string{"%({}i)s"}},
		{"no braces", "%(xi)s", []string{"%(xi)s"}},
		{"braces late", "%(a{x}i)s", []string{"%(a{x}i)s"}},
		{"several", "%(x)s %(y)s", []string{"%(x)s", "%(y)s"}},
	} {
		f, err := Parse(tt.format)
		if err != nil || !slices.Equal(f.Unknown(), tt.unknown) {
			t.Errorf("%s: got %q, %v, want %q", tt.name, f.Unknown(), err, tt.unknown)
		}
	}
}

// TestParseErrors: what gunicorn cannot log.
func TestParseErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, format, want string }{
		{"Apache's form", "%h %l", "'%h' is no atom: write %(h)s, or %% for a percent sign"},
		{"ends in percent", "%(h)s %", "'%' is no atom: write %(h)s, or %% for a percent sign"},
		{"not ASCII", "%é", "'%é' is no atom: write %(h)s, or %% for a percent sign"},
		{"not closed", "%(h", "no ) after '%(h'"},
		{"no conversion", "%(h)", "'%(h)' must end in s"},
		{"number for text", "%(h)d", "'%(h)d' must end in s"},
		{"number for the unknown", "%(x)d", "'%(x)d' must end in s"},
		{"other conversion", "%(D)x", "'%(D)x' must end in s"},
		{"width alone", "%(D)9", "'%(D)' must end in s"},
		{"too wide", "%(h)1001s", "'%(h)1' must not be wider than 1000"},
		{"much too wide", "%(h)99999999999999999999s", "'%(h)9' must not be wider than 1000"},
	} {
		if _, err := Parse(tt.format); err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestCheckExclude(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rule string
		ok   bool
	}{
		{"/", true}, {"/healthz", true}, {"/static/*", true}, {"/*", true}, {"/a%20b", true},
		{"", false}, {"*", false}, {"healthz", false}, {"/a*b", false}, {"/a**", false}, {"/a?b", false},
	} {
		if err := CheckExclude(tt.rule); (err == nil) != tt.ok {
			t.Errorf("%q: got %v, want it accepted: %t", tt.rule, err, tt.ok)
		}
	}
}
