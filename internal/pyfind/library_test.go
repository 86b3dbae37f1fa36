package pyfind

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gowsgi/protocol/ipc"
)

func mkfifo(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLibrary(t *testing.T) {
	t.Parallel()
	const so, soname = "libpython3.11.so", "libpython3.11.so.1.0"
	same, other := "\x7fELF\x003.11.7\x00", "\x7fELF\x003.11.2\x00"
	static := map[string]any{"ldlibrary": "libpython3.11.a", "instsoname": "libpython3.11.a"}
	for _, tt := range []struct {
		name    string
		changes map[string]any
		files   map[string]string
		want    string
	}{
		{"the soname", nil, map[string]string{"py/lib/" + soname: "", "py/lib/" + so: ""}, "py/lib/" + soname},
		{"only the development link", nil, map[string]string{"py/lib/" + so: ""}, "py/lib/" + so},
		{"multiarch", nil, map[string]string{"py/lib/x86_64-linux-gnu/" + soname: ""}, "py/lib/x86_64-linux-gnu/" + soname},
		{"moved installation", map[string]any{"libdir": "/install/lib"}, map[string]string{"py/lib/" + soname: ""}, "py/lib/" + soname},
		{"lib64", nil, map[string]string{"py/lib64/" + soname: ""}, "py/lib64/" + soname},
		{"conda: sysconfig says static", static, map[string]string{"py/lib/" + soname: ""}, "py/lib/" + soname},
		{"debug build", map[string]any{"abiflags": "d", "ldlibrary": "", "instsoname": ""},
			map[string]string{"py/lib/libpython3.11d.so.1.0": "", "py/lib/" + soname: ""}, "py/lib/libpython3.11d.so.1.0"},
		{"in the system", nil, map[string]string{"system/x86_64-linux-gnu/" + soname: same}, "system/x86_64-linux-gnu/" + soname},
		{"in LD_LIBRARY_PATH", nil, map[string]string{"path/" + soname: same}, "path/" + soname},
		{"another Python's in the system", nil, map[string]string{"system/" + soname: other}, ""},
		{"another minor version's", nil, map[string]string{"py/lib/libpython3.12.so.1.0": ""}, ""},
		{"only the static library", static, map[string]string{"py/lib/libpython3.11.a": ""}, ""},
		{"a directory of that name", nil, map[string]string{"py/lib/" + soname + "/x": ""}, ""},
		{"none", nil, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			for name, text := range tt.files {
				writeFile(t, filepath.Join(root, name), text)
			}
			path := fakePython(t, filepath.Join(root, "py"), tt.changes)
			f := testFinder(root, map[string]string{"LD_LIBRARY_PATH": ":relative:" + filepath.Join(root, "path")})
			f.system = []string{filepath.Join(root, "system")}
			p, err := f.find(context.Background(), ipc.Wanted{Python: path})
			if tt.want == "" {
				wantError(t, err, ErrNoLibrary, path, "3.11.7")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := filepath.Join(root, tt.want); p.Library != want {
				t.Errorf("got %s, want %s", p.Library, want)
			}
		})
	}
}

func TestNoLibraryHint(t *testing.T) {
	t.Parallel()
	t.Run("Debian", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		// Of /usr only what no installation has is looked for.
		v := map[string]any{"base_prefix": "/usr", "libdir": dir, "instsoname": "libpython3.99.so.1.0",
			"ldlibrary": "libpython3.99.so", "version": "3.99.1", "version_info": []int{3, 99}}
		path := fakePython(t, dir, v)
		_, err := testFinder(dir, nil).find(context.Background(), ipc.Wanted{Python: path})
		wantError(t, err, ErrNoLibrary, path, "apt-get install libpython3.99", "--python")
	})
	for _, tt := range []struct {
		name, prefix string
		env          map[string]string
		file         string
		names        []string
	}{
		{"pyenv", ".pyenv/versions/3.11.7", nil, "", []string{"PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install --force 3.11.7"}},
		{"conda", "conda", nil, "conda/conda-meta/history", []string{"conda install", "python=3.11"}},
		{"other", "opt", nil, "", []string{"--enable-shared", "--python"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			if tt.file != "" {
				writeFile(t, filepath.Join(root, tt.file), "")
			}
			path := fakePython(t, filepath.Join(root, tt.prefix), nil)
			_, err := testFinder(root, tt.env).find(context.Background(), ipc.Wanted{Python: path})
			wantError(t, err, ErrNoLibrary, append(tt.names, path)...)
		})
	}
	t.Run("PYENV_ROOT", func(t *testing.T) {
		t.Parallel()
		root := t.TempDir()
		path := fakePython(t, filepath.Join(root, "versions", "mine"), nil)
		_, err := testFinder(root, map[string]string{"PYENV_ROOT": root}).find(context.Background(), ipc.Wanted{Python: path})
		wantError(t, err, ErrNoLibrary, "pyenv install --force mine")
	})
}

// TestMode: how an interpreter with and without a shared libpython is used.
func TestMode(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	with, without := withLibrary(t, filepath.Join(root, "with")), fakePython(t, filepath.Join(root, "without"), nil)
	host, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	for _, tt := range []struct {
		name, path, mode, want string
		noHost                 bool
		why                    string
	}{
		{"shared", with, "", ipc.ModeDlopen, false, "has a shared libpython"},
		{"static", without, "auto", ipc.ModeHosted, false, "has no shared libpython"},
		{"shared, hosted", with, ipc.ModeHosted, ipc.ModeHosted, false, "python_mode is hosted"},
		{"shared, dlopen", with, ipc.ModeDlopen, ipc.ModeDlopen, true, "python_mode is dlopen"},
		{"static, dlopen", without, ipc.ModeDlopen, "", false, ""},
		{"static without the server's", without, "", "", true, ""},
		{"shared without the server's", with, "", ipc.ModeDlopen, true, "has a shared libpython"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := testFinder(root, nil)
			if !tt.noHost {
				f.host = func() (*os.File, error) { return host, nil }
			}
			p, err := f.find(context.Background(), ipc.Wanted{Python: tt.path, Mode: tt.mode})
			if tt.want == "" {
				names := []string{"no shared libpython", "--enable-shared"}
				if tt.noHost {
					names = append(names, errNoHost.Error())
				}
				wantError(t, err, ErrNoLibrary, names...)
				if errors.Is(err, errNoHost) != tt.noHost {
					t.Errorf("got %v, want the other library's absence in it: %v", err, tt.noHost)
				}
				return
			}
			if err != nil || p.Mode() != tt.want || (p.Library == "") != (tt.want == ipc.ModeHosted) || !strings.Contains(p.Why, tt.why) {
				t.Errorf("got %s (%s, library %q), %v, want %s (%s)", p.Mode(), p.Why, p.Library, err, tt.want, tt.why)
			}
		})
	}
	_, err = testFinder(root, nil).find(context.Background(), ipc.Wanted{Python: with, Mode: ipc.ModeHosted})
	if !errors.Is(err, errNoHost) {
		t.Errorf("got %v, want %v", err, errNoHost)
	}
}

// TestModeOfMusl: where the C library is not glibc a shared libpython is loaded, but
// nothing is hosted, and the line says why.
func TestModeOfMusl(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	musl := map[string]any{"libc": "", "multiarch": "x86_64-linux-musl"}
	without := fakePython(t, filepath.Join(root, "without"), musl)
	with := fakePython(t, filepath.Join(root, "with"), musl)
	writeFile(t, filepath.Join(root, "with", "lib", "libpython3.11.so.1.0"), "")
	f := testFinder(root, nil)
	f.host = func() (*os.File, error) {
		t.Error("the library was opened")
		return nil, errNoHost
	}
	if p := mustFind(t, f, with); p.Mode() != ipc.ModeDlopen {
		t.Errorf("got %s, want %s", p.Mode(), ipc.ModeDlopen)
	}
	_, err := f.find(context.Background(), ipc.Wanted{Python: without, Mode: ipc.ModeHosted})
	wantError(t, err, ErrUnsupported, without, "not glibc", "--python")
	_, err = f.find(context.Background(), ipc.Wanted{Python: without})
	wantError(t, err, ErrNoLibrary, without, "not glibc")
}
