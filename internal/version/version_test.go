package version

import (
	"regexp"
	"runtime/debug"
	"testing"
)

func TestNumberIsSemver(t *testing.T) {
	t.Parallel()
	if !regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9a-z.]+)?$`).MatchString(Number) {
		t.Errorf("Number = %q, want a semantic version", Number)
	}
}

func TestCommit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		settings []debug.BuildSetting
		want     string
	}{
		{"no vcs", nil, ""},
		{"clean", []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "false"}}, "0123456789ab"},
		{"dirty", []debug.BuildSetting{{Key: "vcs.modified", Value: "true"}, {Key: "vcs.revision", Value: "0123456789abcdef"}}, "0123456789ab+dirty"},
		{"short", []debug.BuildSetting{{Key: "vcs.revision", Value: "0123"}}, "0123"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := commit(tt.settings); got != tt.want {
				t.Errorf("commit = %q, want %q", got, tt.want)
			}
		})
	}
}
