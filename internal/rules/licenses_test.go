package rules

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite THIRD_PARTY_LICENSES")

const (
	licensesPage = "../../THIRD_PARTY_LICENSES"
	licensesRule = "\n================================================================================\n"
)

// TestThirdPartyLicenses: what is linked into the binary is named with its version
// and its licence, which binary distributions have to repeat. The file is made by
// go test ./internal/rules -run ThirdParty -update.
func TestThirdPartyLicenses(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if .Version}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}", "./cmd/...")
	list.Dir = "../.."
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	var modules strings.Builder
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if seen[line] || strings.TrimSpace(line) == "" {
			continue
		}
		seen[line] = true
		path, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		version, dir, _ := strings.Cut(rest, " ")
		fmt.Fprint(&modules, licensesRule, path, " ", version, "\n\n", licence(t, dir))
	}
	if len(seen) == 0 {
		t.Fatal("no module found")
	}
	if *update {
		root, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			t.Fatal(err)
		}
		text := "What gowsgi's binaries contain besides its own code.\n" + licensesRule +
			"Go, its runtime and standard library\n\n" + licence(t, strings.TrimSpace(string(root))) + modules.String()
		if err := os.WriteFile(licensesPage, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(licensesPage)
	if err != nil {
		t.Fatal(err)
	}
	// The Go that builds need not be the one that the file was made with.
	if head, tail, ok := strings.Cut(string(text), "\n"+strings.TrimPrefix(modules.String(), "\n")); !ok || tail != "" || !strings.Contains(head, "The Go Authors") {
		t.Error("THIRD_PARTY_LICENSES is not what is linked; rewrite it with: go test ./internal/rules -run ThirdParty -update")
	}
}

// licence returns the text of the licence of the sources in dir.
func licence(t *testing.T, dir string) string {
	t.Helper()
	for _, name := range []string{"LICENSE", "LICENSE.txt", "LICENSE.md", "COPYING"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			return strings.TrimSpace(string(text)) + "\n"
		}
	}
	t.Errorf("no licence found in %s", dir)
	return ""
}
