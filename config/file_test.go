package config

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// TestFile: which file is read.
func TestFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"py/gunicorn.conf.py", "toml/gowsgi.toml", "both/gunicorn.conf.py", "both/gowsgi.toml", "py/x.toml", "none/.keep"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, tt := range []struct {
		name, dir string
		args      []string
		env       map[string]string
		want      File
		err       string
	}{
		{name: "none", dir: "none", want: File{Chdir: in("none")}},
		{name: "Python", dir: "py", want: File{Kind: FilePython, Text: "gunicorn.conf.py", Path: in("py/gunicorn.conf.py"), Chdir: in("py")}},
		{name: "TOML", dir: "toml", want: File{Kind: FileTOML, Text: "gowsgi.toml", Path: in("toml/gowsgi.toml"), Chdir: in("toml")}},
		{name: "both", dir: "both", err: "there is a gunicorn.conf.py and a gowsgi.toml: say by -c which to read"},
		{name: "one of both", dir: "both", args: []string{"-c", "gowsgi.toml"},
			want: File{Kind: FileTOML, Text: "gowsgi.toml", Path: in("both/gowsgi.toml"), Chdir: in("both")}},
		{name: "by a path", dir: "none", args: []string{"--config=../py/x.toml"},
			want: File{Kind: FileTOML, Text: "../py/x.toml", Path: in("py/x.toml"), Chdir: in("none")}},
		{name: "file:", dir: "none", args: []string{"-c", "file:" + in("none/.keep")},
			want: File{Kind: FilePython, Text: "file:" + in("none/.keep"), Path: in("none/.keep"), Chdir: in("none")}},
		{name: "python:", dir: "both", args: []string{"-cpython:pkg.conf"},
			want: File{Kind: FileModule, Text: "python:pkg.conf", Module: "pkg.conf", Chdir: in("both")}},
		{name: "no file wanted", dir: "both", args: []string{"-c", "/dev/null"},
			want: File{Text: "/dev/null", Path: "/dev/null", Chdir: in("both")}},
		{name: "missing", dir: "none", args: []string{"-c", "x.py"}, err: "'x.py' doesn't exist"},
		{name: "no name", dir: "none", args: []string{"-c", "file:"}, err: "'' doesn't exist"},
		{name: "missing, by a variable", dir: "py", env: map[string]string{"GUNICORN_CMD_ARGS": "-c file:x.py"}, err: "GUNICORN_CMD_ARGS: 'x.py' doesn't exist"},
		{name: "the command line first", dir: "none", args: []string{"-c", "python:a"}, env: map[string]string{"GUNICORN_CMD_ARGS": "-c python:b", "GOWSGI_CMD_ARGS": "-c python:c"},
			want: File{Kind: FileModule, Text: "python:a", Module: "a", Chdir: in("none")}},
		{name: "then GOWSGI_CMD_ARGS", dir: "none", args: []string{"-c", ""}, env: map[string]string{"GUNICORN_CMD_ARGS": "-c python:b", "GOWSGI_CMD_ARGS": "-c python:c"},
			want: File{Kind: FileModule, Text: "python:c", Module: "c", Chdir: in("none")}},
		{name: "with a mode", dir: "none", args: []string{"--python-mode", "hosted"}, env: map[string]string{"GOWSGI_PYTHON_MODE": "dlopen"},
			want: File{Chdir: in("none"), PythonMode: "hosted"}},
		{name: "with a mode by a variable", dir: "none", env: map[string]string{"GOWSGI_PYTHON_MODE": "dlopen"},
			want: File{Chdir: in("none"), PythonMode: "dlopen"}},
		{name: "not in chdir, which is told", dir: "none", args: []string{"--chdir", "../py", "--python", "./venv"},
			want: File{Chdir: in("py"), Python: in("none/venv")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			src, err := Parse(append(tt.args, "app"), environ(tt.env), in(tt.dir))
			if err != nil {
				t.Fatal(err)
			}
			got, err := src.File()
			if tt.err != "" {
				wantError(t, err, 1, tt.err)
				return
			}
			if tt.want.PythonMode == "" {
				tt.want.PythonMode = "auto"
			}
			if err != nil || !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestTOML(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		// What --print-config shows of workers, bind and timeout, or the error.
		want []string
		err  string
	}{
		{name: "settings", text: "workers = 4\nbind = [\":80\", \":81\"]\ntimeout = 2.5\n", want: []string{"4", "[':80', ':81']", "2.5"}},
		{name: "empty", text: "# nothing\n", want: []string{"1", "['127.0.0.1:8000']", "30"}},
		{name: "no effect", text: "worker_tmp_dir = \"/dev/shm\"\n", want: []string{"1", "['127.0.0.1:8000']", "30"}},
		{name: "misspelled", text: "wokers = 4\n", err: "gowsgi.toml: there is no setting 'wokers'; did you mean workers?"},
		{name: "unknown", text: "colour = 4\n", err: "gowsgi.toml: there is no setting 'colour'"},
		{name: "a table", text: "[server]\nworkers = 4\n", err: "gowsgi.toml: there is no setting 'server'"},
		{name: "wrong type", text: "workers = [1, 2]\n", err: "gowsgi.toml: invalid value for workers: [1, 2]: must be an int"},
		{name: "date", text: "workers = 2020-01-02\n", err: "gowsgi.toml: invalid value for workers: 2020-01-02 00:00:00: must be an int"},
		{name: "infinite", text: "timeout = inf\n", err: "gowsgi.toml: invalid value for timeout: +Inf: must be a number"},
		{name: "syntax", text: "workers = 4\nbind = :80\n", err: "gowsgi.toml: line 2: expected value but found ':' instead"},
		{name: "twice", text: "workers = 4\nworkers = 5\n", err: "gowsgi.toml: line 2: Key 'workers' has already been defined."},
		{name: "a hook", text: "post_fork = \"m.f\"\n", err: "gowsgi.toml: invalid value for post_fork: 'm.f': must be a function"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "gowsgi.toml"), []byte(tt.text), 0o644); err != nil {
				t.Fatal(err)
			}
			cmd, err := Load([]string{"app"}, environ(nil), dir)
			if tt.err != "" {
				wantError(t, err, 1, tt.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := []string{printed(cmd.Config, "workers"), printed(cmd.Config, "bind"), printed(cmd.Config, "timeout")}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	dir := t.TempDir()
	_, err := Load([]string{"-c", dir + "/x.toml", "app"}, environ(nil), dir)
	wantError(t, err, 1, "'"+dir+"/x.toml' doesn't exist")
	if err := os.Mkdir(filepath.Join(dir, "gowsgi.toml"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err = Load([]string{"app"}, environ(nil), dir)
	wantError(t, err, 1, "gowsgi.toml: is a directory")
}
