// Package version is the one place that says which gowsgi this is.
package version

import "runtime/debug"

// Number is the released version, semver without a leading "v".
const Number = "0.1.0"

// Commit returns the first twelve digits of the commit this binary was built
// from, with "+dirty" if the tree had changes, or "" if the build did not
// record one (go test, go build -buildvcs=false).
func Commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return commit(info.Settings)
}

func commit(settings []debug.BuildSetting) string {
	var revision, modified string
	for _, s := range settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			modified = s.Value
		}
	}
	if revision == "" {
		return ""
	}
	revision = revision[:min(12, len(revision))]
	if modified == "true" {
		revision += "+dirty"
	}
	return revision
}
