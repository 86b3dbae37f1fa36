package config

import (
	"bufio"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestEverySettingOfGunicorn: each name in testdata/gunicorn-settings.txt is a
// setting, a hook, or refused by name, and has all of its flags.
func TestEverySettingOfGunicorn(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/gunicorn-settings.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		seen++
		name, flags := words[0], words[1:]
		setting, refused := settingNamed(name), refusalNamed(name)
		var have []string
		switch {
		case setting != nil && refused != nil:
			t.Errorf("%s is a setting and refused", name)
		case setting != nil:
			have = allFlags(setting.short, setting.names())
		case refused != nil:
			have = allFlags(refused.short, refused.names())
		case hookNamed(name) == nil:
			t.Errorf("%s is neither a setting nor a hook nor refused", name)
		}
		for _, flag := range flags {
			if !slices.Contains(have, flag) {
				t.Errorf("%s: no %s, only %q", name, flag, have)
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d settings in the list", seen)
	}
}

func allFlags(short string, long []string) []string {
	var flags []string
	if short != "" {
		flags = append(flags, "-"+short)
	}
	for _, l := range long {
		flags = append(flags, "--"+l)
	}
	return flags
}
