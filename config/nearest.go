package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// misspelled returns a warning for each name of a Python file that is no setting
// but nearly one. A file has variables of its own, and to warn of each of them
// would hide the ones that matter: nothing is said of a name that is near to no
// setting, of one whose nearest setting the file assigns too (workers = WORKERS),
// of one that begins with an underscore, and of functions, classes and modules.
func misspelled(file string, all map[string]any) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if _, isObject := all[name].(Object); isObject || strings.HasPrefix(name, "_") || isKnown(name) {
			continue
		}
		near := nearest(name)
		if _, assigned := all[near]; near != "" && !assigned {
			lines = append(lines, fmt.Sprintf("%s: there is no setting %s; did you mean %s?", file, quote(name), near))
		}
	}
	return lines
}

func isKnown(name string) bool {
	return settingNamed(name) != nil || hookNamed(name) != nil || refusalNamed(name) != nil
}

// nearest returns the setting or hook that was probably meant by name: the one
// whose flag it is, or the one with the fewest edits between them, if those are
// few. It returns "" if there is none.
func nearest(name string) string {
	name = strings.ToLower(strings.ReplaceAll(name, "-", "_"))
	best, least := "", maxEdits(name)+1
	consider := func(setting string, spellings ...string) {
		for _, s := range append(spellings, setting) {
			if n := edits(name, strings.ReplaceAll(s, "-", "_")); n < least {
				best, least = setting, n
			}
		}
	}
	for i := range table {
		if s := &table[i]; !s.isAction() {
			consider(s.name, s.names()...)
		}
	}
	for i := range hooks {
		consider(hooks[i].name)
	}
	for i := range refusals {
		consider(refusals[i].name(), refusals[i].names()...)
	}
	return best
}

// maxEdits is how many edits may lie between a name of that length and what was
// meant. Short names, "env" or "name", are ordinary variables and near to nothing
// (-1).
func maxEdits(name string) int {
	switch n := len(name); {
	case n < 5:
		return -1
	case n < 9:
		return 1
	}
	return 2
}

// edits returns the fewest insertions, deletions, replacements of a byte and
// exchanges of two neighbours that make b of a (optimal string alignment).
func edits(a, b string) int {
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, prev, row = prev, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
