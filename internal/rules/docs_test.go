package rules

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	adrName = regexp.MustCompile(`^(\d{4})-[a-z0-9-]+\.md$`)
	// adrLink is one decision referred to by its number: [ADR 4](0004-name.md).
	adrLink = regexp.MustCompile(`\[ADR (\d+)\]\(([^)]*)\)`)
)

// TestDecisions: every decision in docs/adr has a number of its own, which its
// title repeats, and no number is left out.
func TestDecisions(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("../../docs/adr")
	if err != nil || len(entries) == 0 {
		t.Fatalf("got %d decisions, %v", len(entries), err)
	}
	for i, e := range entries {
		m := adrName.FindStringSubmatch(e.Name())
		if m == nil || m[1] != fmt.Sprintf("%04d", i+1) {
			t.Errorf("got %s, want number %04d", e.Name(), i+1)
			continue
		}
		text, err := os.ReadFile(filepath.Join("../../docs/adr", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("# %d. ", i+1); !strings.HasPrefix(string(text), want) {
			t.Errorf("%s does not begin with %q", e.Name(), want)
		}
	}
}

// TestLinksToDecisions: a link says the number of the decision it leads to.
func TestLinksToDecisions(t *testing.T) {
	t.Parallel()
	found := 0
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../docs/adr/*.md"} {
		pages, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range pages {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range adrLink.FindAllStringSubmatch(string(text), -1) {
				found++
				if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[2])); err != nil {
					t.Errorf("%s: %v", page, err)
				}
				if number := strings.TrimLeft(filepath.Base(m[2])[:4], "0"); number != m[1] {
					t.Errorf("%s: %s leads to number %s", page, m[0], number)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no link is found: they are not written as this test reads them")
	}
}
