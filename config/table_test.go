package config

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestTableCoversConfig: each field of Config belongs to exactly one row, which
// has the field's JSON name.
func TestTableCoversConfig(t *testing.T) {
	t.Parallel()
	c := new(Config)
	rows := map[any]*setting{}
	for i := range table {
		if s := &table[i]; !s.isAction() {
			if other := rows[s.ptr(c)]; other != nil {
				t.Errorf("%s and %s set the same field", s.name, other.name)
			}
			rows[s.ptr(c)] = s
		}
	}
	// Hooks are names of functions, which only a Python file can set; the directory
	// of the start is given.
	none := []string{"Hooks", "StartDir"}
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if slices.Contains(none, field.Name) {
			continue
		}
		s := rows[v.Field(i).Addr().Interface()]
		if s == nil {
			t.Errorf("no setting for Config.%s", field.Name)
			continue
		}
		want := field.Tag.Get("json")
		if want == "app" {
			want = "wsgi_app"
		}
		if s.name != want {
			t.Errorf("Config.%s: the setting is %s, the JSON name %s", field.Name, s.name, want)
		}
	}
	if fields := v.NumField() - len(none); len(rows) != fields {
		t.Errorf("%d settings for %d fields", len(rows), fields)
	}
}

// TestRows checks what every row must have.
func TestRows(t *testing.T) {
	t.Parallel()
	var names, flags, sections []string
	for i := range table {
		s := &table[i]
		names = append(names, s.name)
		flags = append(flags, s.names()...)
		flags = append(flags, s.short)
		if s.section == "" || !strings.HasSuffix(s.doc, ".") {
			t.Errorf("%s: section %q, doc %q", s.name, s.section, s.doc)
		}
		if len(sections) == 0 || sections[len(sections)-1] != s.section {
			sections = append(sections, s.section)
		}
		if s.isAction() == (s.action == ActionRun) {
			t.Errorf("%s must have either a value or an action", s.name)
		}
		if s.isAction() && s.takesValue() {
			t.Errorf("%s is an action with a value", s.name)
		}
		if len(s.defaults) > 0 {
			if err := s.set(new(Config), s.defaults); err != nil {
				t.Errorf("default of %s: %v", s.name, err)
			}
		}
	}
	for i := range refusals {
		flags = append(flags, refusals[i].names()...)
		flags = append(flags, refusals[i].short)
	}
	flags = slices.DeleteFunc(flags, func(f string) bool { return f == "" })
	for what, list := range map[string][]string{"setting": names, "flag": flags, "section": sections} {
		slices.Sort(list)
		for i := 1; i < len(list); i++ {
			if list[i] == list[i-1] {
				t.Errorf("%s %s twice", what, list[i])
			}
		}
	}
}

// TestHelpNamesEverything: --help shows flags, variables, defaults and documents
// of the table, in lines a terminal holds.
func TestHelpNamesEverything(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	Help(&b)
	text := b.String()
	if !strings.HasPrefix(text, "usage: gowsgi [flags] MODULE[:VARIABLE]\n") {
		t.Errorf("got first line %q", strings.SplitN(text, "\n", 2)[0])
	}
	words := strings.Join(strings.Fields(text), " ")
	for i := range table {
		s := &table[i]
		if s.fileOnly() {
			continue
		}
		want := []string{s.section + ":", s.helpFlags(), strings.Join(strings.Fields(s.doc), " ")}
		if s.env != "" {
			want = append(want, "Environment: "+s.env+".")
		}
		if len(s.defaults) > 0 {
			want = append(want, "["+strings.Join(s.defaults, ", "))
		}
		for _, w := range want {
			if !strings.Contains(words, w) {
				t.Errorf("%s: --help lacks %q", s.name, w)
			}
		}
	}
	for line := range strings.Lines(text) {
		if len(line) > helpWidth+1 {
			t.Errorf("line of %d columns: %q", len(line)-1, line)
		}
	}
}

// TestPrint compares with testdata/print.txt.
func TestPrint(t *testing.T) {
	t.Parallel()
	args := "--bind :80 -b unix:/run/x'y.sock -e A=1 --timeout 0.5 --pythonpath lib,/opt --chdir / app:make() -k gthread"
	src, err := Parse(strings.Fields(args), environ(map[string]string{
		"WEB_CONCURRENCY": "3", "GUNICORN_CMD_ARGS": "--access-logfile -", "GOWSGI_CMD_ARGS": "-t 9 --reuse-port",
	}), "/")
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := src.Load(&Values{File: "gunicorn.conf.py", Values: map[string]any{"keepalive": int64(5), "backlog": "0x10"}})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	cmd.Print(&b)
	const path = "testdata/print.txt"
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s\nafter a change of the table: go test ./config -run 'Print|SettingsPage' -update", b.String(), want)
	}
}

// TestJSON: workers get the configuration as JSON.
func TestJSON(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, `-b :80 -b [::1]:81 -b unix:/x -b fd://3 -e A=1 -t 0.25 --pythonpath a,b --reuse-port app`, nil)
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var got Config
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*c, got) {
		t.Errorf("got %+v, want %+v", got, *c)
	}
}

func TestActionString(t *testing.T) {
	t.Parallel()
	for a, want := range map[Action]string{ActionRun: "run", ActionCheck: "check", ActionPrint: "print",
		ActionVersion: "version", ActionHelp: "help"} {
		if a.String() != want {
			t.Errorf("got %s, want %s", a, want)
		}
	}
}
