package rules

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// conformance is the page whose rows name the tests that show them.
const conformance = "../../docs/conformance.md"

// testDirs are the packages by the names the page has for them.
var testDirs = map[string]string{
	"http1":       "../../protocol/http1",
	"wsgi":        "../../protocol/wsgi",
	"proxy":       "../../protocol/proxy",
	"worker":      "../../worker",
	"python":      "../../worker/python",
	"integration": "../../integration",
}

// scripted are those whose tests are scripts as well.
var scripted = []string{"http1", "proxy"}

var quoted = regexp.MustCompile("`([^`]+)`")

// TestConformancePage: every row names a test, every test that is named exists,
// and every script of the parsers is named.
func TestConformancePage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(conformance)
	if err != nil {
		t.Fatal(err)
	}
	rows, named := 0, map[string]bool{}
	packages := map[string]map[string]*ast.FuncDecl{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < 3 || strings.HasPrefix(line, "|---") || strings.TrimSpace(cells[len(cells)-2]) == "test" {
			continue
		}
		rows++
		tests := quoted.FindAllStringSubmatch(cells[len(cells)-2], -1)
		if len(tests) == 0 {
			t.Errorf("no test in the row %q", line)
		}
		for _, m := range tests {
			pkg, name, _ := strings.Cut(m[1], " ")
			dir, ok := testDirs[pkg]
			if !ok {
				t.Errorf("%q names no package", m[1])
				continue
			}
			if packages[pkg] == nil {
				packages[pkg] = testFunctions(t, dir)
			}
			if unicode.IsLower(rune(name[0])) && slices.Contains(scripted, pkg) {
				named[pkg+" "+name] = true
				if _, err := os.Stat(filepath.Join(dir, "testdata", name+".txt")); err != nil {
					t.Error(err)
				}
			} else if !hasTest(packages[pkg], name) {
				t.Errorf("there is no test %q", m[1])
			}
		}
	}
	if rows < 50 {
		t.Errorf("got %d rows: the page is not read as it is meant", rows)
	}
	for _, pkg := range scripted {
		scripts, err := filepath.Glob(filepath.Join(testDirs[pkg], "testdata", "*.txt"))
		if err != nil || len(scripts) == 0 {
			t.Fatal(pkg, scripts, err)
		}
		for _, path := range scripts {
			if name := strings.TrimSuffix(filepath.Base(path), ".txt"); !named[pkg+" "+name] {
				t.Errorf("the page does not name the script %s of %s", name, pkg)
			}
		}
	}
}

// testFunctions returns the functions in the test files of a directory by name.
func testFunctions(t *testing.T, dir string) map[string]*ast.FuncDecl {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(dir, err)
	}
	found := map[string]*ast.FuncDecl{}
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				found[f.Name.Name] = f
			}
		}
	}
	return found
}

// hasTest reports whether there is a function of that name or, if the name goes on
// behind a slash, one with the rest as a text in it.
func hasTest(functions map[string]*ast.FuncDecl, name string) bool {
	name, subtest, hasCase := strings.Cut(name, "/")
	f := functions[name]
	if f == nil || !hasCase {
		return f != nil
	}
	found := false
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			text, err := strconv.Unquote(lit.Value)
			found = found || err == nil && text == subtest
		}
		return !found
	})
	return found
}
