package http1

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestError(t *testing.T) {
	t.Parallel()
	var err error = errNoHost
	if got := err.Error(); got != "http1: no Host" {
		t.Errorf("got %q", got)
	}
	var e *Error
	if !errors.As(err, &e) || e.Status != 400 {
		t.Errorf("got %+v", e)
	}
}

// TestReasons: every reason for which a request is refused is its own, has a
// status with a text, and is shown in a script, but for the few that no
// stream of bytes can lead to.
func TestReasons(t *testing.T) {
	t.Parallel()
	elsewhere := map[string]bool{
		errIncomplete.Reason:  true, // TestParseAlone
		errLongHead.Reason:    true, // TestScanBoundedHead
		errChunkBroken.Reason: true, // TestDecodeAfterError
	}
	scripts := ""
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		scripts += string(text)
	}
	seen := map[string]bool{}
	for _, e := range declaredErrors(t) {
		if seen[e.Reason] {
			t.Errorf("%q is used twice", e.Reason)
		}
		seen[e.Reason] = true
		if StatusText(e.Status) == "" {
			t.Errorf("%q: status %d has no text", e.Reason, e.Status)
		}
		line := "\nerror " + strconv.Itoa(e.Status) + " " + e.Reason + "\n"
		if !elsewhere[e.Reason] && !strings.Contains(scripts, line) {
			t.Errorf("%d %q is in no script", e.Status, e.Reason)
		}
	}
	if len(seen) < 40 {
		t.Errorf("found %d reasons only", len(seen))
	}
}

// declaredErrors reads the literals of errors.go.
func declaredErrors(t *testing.T) (list []Error) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok || len(lit.Elts) != 2 {
			return true
		}
		status, err := strconv.Atoi(lit.Elts[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		reason, err := strconv.Unquote(lit.Elts[1].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, Error{status, reason})
		return true
	})
	return list
}

func TestStatusText(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]string{
		100: "Continue", 400: "Bad Request", 414: "URI Too Long", 431: "Request Header Fields Too Large",
		501: "Not Implemented", 505: "HTTP Version Not Supported", 200: "", 0: "", -1: "",
	} {
		if got := StatusText(code); got != want {
			t.Errorf("%d: got %q, want %q", code, got, want)
		}
	}
}
