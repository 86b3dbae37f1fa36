package rules

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the module path, by which packages of our own are told.
const module = "gowsgi"

// file is one Go source file that is not a test. All build constraints are
// ignored: a rule holds on every platform.
type file struct {
	// path is relative to the root of the module, pkg the directory of it.
	path, pkg string
	imports   []string
	ast       *ast.File
}

// source returns every file of the module.
func source(t *testing.T) []file {
	t.Helper()
	const root = "../.."
	var files []file
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case d.IsDir() && rel != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || rel == "build"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go"):
			return nil
		}
		f, err := parse(name, rel)
		files = append(files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("got %d source files: this is not the root of the module", len(files))
	}
	return files
}

func parse(name, rel string) (file, error) {
	f := file{path: rel, pkg: path.Dir(rel)}
	var err error
	f.ast, err = parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		return f, err
	}
	for _, spec := range f.ast.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return f, fmt.Errorf("%s: %w", rel, err)
		}
		f.imports = append(f.imports, name)
	}
	return f, nil
}

// within reports whether the slash-separated name is one of the trees, or in one.
func within(name string, trees ...string) bool {
	return slices.ContainsFunc(trees, func(tree string) bool {
		return name == tree || strings.HasPrefix(name, tree+"/")
	})
}

// TestOnlyIn: some imports belong to some packages, for the reasons given.
func TestOnlyIn(t *testing.T) {
	t.Parallel()
	for _, rule := range []struct {
		imported string
		allowed  []string
		because  string
	}{
		{"C", []string{"worker/python"}, "Python lives in one package"},
		{"github.com/rs/zerolog", []string{"cmd", "master", "worker", "internal/logging"}, "the two processes log, libraries return errors"},
		{"github.com/spf13/pflag", []string{"cmd", "config"}, "settings come from one table"},
		{"github.com/BurntSushi/toml", []string{"config"}, "one package reads settings"},
		{"golang.org/x/sys", []string{"master", "worker", "protocol/ipc", "internal"}, "system calls are made at the edges"},
	} {
		used := false
		for _, f := range source(t) {
			for _, name := range f.imports {
				if !within(name, rule.imported) {
					continue
				}
				used = true
				if !within(f.pkg, rule.allowed...) {
					t.Errorf("%s imports %q, which belongs to %q only: %s", f.path, name, rule.allowed, rule.because)
				}
			}
		}
		if !used {
			t.Errorf("nothing imports %q: the rule is out of date", rule.imported)
		}
	}
}

// TestPython: zerolog, sockets and processes are the worker's business, not the
// bridge's.
func TestPython(t *testing.T) {
	t.Parallel()
	forbid(t, "worker/python", "it hosts the interpreter and does no I/O",
		"net", "os/exec", "github.com/rs/zerolog", "golang.org/x/sys")
}

// TestPure: the protocol packages do no I/O, so that they can be fuzzed and fed
// byte by byte.
func TestPure(t *testing.T) {
	t.Parallel()
	for _, pkg := range []string{"protocol/http1", "protocol/wsgi", "protocol/proxy"} {
		forbid(t, pkg, "bytes in, bytes out",
			"net", "os", "io/fs", "syscall", "golang.org/x/sys", "time", "sync", "C", "unsafe")
	}
}

// forbid checks that no file of pkg itself imports any of the trees.
func forbid(t *testing.T, pkg, because string, trees ...string) {
	t.Helper()
	seen := false
	for _, f := range source(t) {
		if f.pkg != pkg {
			continue
		}
		seen = true
		for _, name := range f.imports {
			// An address is a value: net/netip does no I/O.
			if within(name, trees...) && name != "net/netip" {
				t.Errorf("%s imports %q: %s", f.path, name, because)
			}
		}
	}
	if !seen {
		t.Errorf("there is no package %s: the rule is out of date", pkg)
	}
}

// TestDirections: imports go down only, by whatever way.
func TestDirections(t *testing.T) {
	t.Parallel()
	direct := map[string][]string{}
	for _, f := range source(t) {
		if direct[f.pkg] == nil {
			direct[f.pkg] = []string{}
		}
		for _, name := range f.imports {
			if own, ok := strings.CutPrefix(name, module+"/"); ok {
				direct[f.pkg] = append(direct[f.pkg], own)
			}
		}
	}
	for _, rule := range []struct {
		from    string
		never   []string
		because string
	}{
		{"master", []string{"worker", "protocol/http1", "protocol/wsgi", "protocol/proxy", "cmd"}, "the master has no Python and reads no requests"},
		{"worker", []string{"master", "cmd"}, "what the two share is protocol/ipc"},
		{"config", []string{"master", "worker", "protocol", "cmd"}, "settings know nothing of who reads them"},
		{"protocol", []string{"master", "worker", "config", "cmd", "internal"}, "protocols know nothing of processes"},
		{"internal", []string{"master", "worker", "config", "cmd"}, "helpers know nothing of who uses them"},
		{"worker/python", []string{"config", "internal", "protocol/ipc"}, "the bridge knows requests and nothing else"},
	} {
		seen := false
		for pkg := range direct {
			if !within(pkg, rule.from) {
				continue
			}
			seen = true
			for _, via := range reach(direct, pkg) {
				if within(via[len(via)-1], rule.never...) {
					t.Errorf("%s: %s", strings.Join(via, " imports "), rule.because)
				}
			}
		}
		if !seen {
			t.Errorf("there is no package %s: the rule is out of date", rule.from)
		}
	}
}

// reach returns the shortest way from pkg to each package it imports, directly or
// not.
func reach(direct map[string][]string, pkg string) (ways [][]string) {
	seen := map[string]bool{pkg: true}
	for queue := [][]string{{pkg}}; len(queue) > 0; queue = queue[1:] {
		for _, next := range direct[queue[0][len(queue[0])-1]] {
			if seen[next] {
				continue
			}
			seen[next] = true
			way := append(slices.Clone(queue[0]), next)
			ways, queue = append(ways, way), append(queue, way)
		}
	}
	return ways
}

// TestExit: a process ends where its life is told, so that what must be done
// before is done.
func TestExit(t *testing.T) {
	t.Parallel()
	seen := false
	for _, f := range source(t) {
		allowed := within(f.pkg, "cmd") || f.path == "worker/worker.go"
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			switch pkg.Name + "." + sel.Sel.Name {
			case "os.Exit", "syscall.Exit", "unix.Exit", "log.Fatal", "log.Fatalf", "log.Fatalln":
				seen = true
				if !allowed {
					t.Errorf("%s uses %s.%s; return an error instead", f.path, pkg.Name, sel.Sel.Name)
				}
			}
			return true
		})
	}
	if !seen {
		t.Error("nothing ends the process: the rule is out of date")
	}
}

// TestInit: what happens at start happens in main, in sight. Its own init keeps
// the main goroutine on the main thread, for which there is no later moment.
func TestInit(t *testing.T) {
	t.Parallel()
	for _, f := range source(t) {
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if ok && fn.Recv == nil && fn.Name.Name == "init" && f.pkg != "cmd/gowsgi" {
				t.Errorf("%s has an init function", f.path)
			}
		}
	}
}
