// Package version is the one place that says which gowsgi this is.
package version

import "runtime/debug"

// Number is the released version, semver without a leading "v".
const Number = "0.1.0"

// built is what Commit returns if the build said so (go build -ldflags=-X): that of
// a wheel, which may be made from an archive of the sources.
var built string

// Commit returns the first twelve digits of the commit this binary was built
// from, with "+dirty" if the tree had changes, or "" if the build did not
// record one (go test, go build -buildvcs=false).
func Commit() string {
	if built != "" {
		return built
	}
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

// Begin and end of LibraryStamp.
const (
	StampBegin = "gowsgi library version "
	StampEnd   = ";"
)

// LibraryStamp is in the file of the library that hosted workers load, and there
// only, so that its version can be read without loading it.
const LibraryStamp = StampBegin + Number + StampEnd

// Full returns the version and, if the build recorded one, the commit: "0.1.0
// (0123456789ab)".
func Full() string {
	info, _ := debug.ReadBuildInfo()
	return FullOf(Number, info)
}

// FullOf is Full of another program, whose Number and build information these are.
func FullOf(number string, info *debug.BuildInfo) string {
	if info == nil {
		return number
	}
	if c := commit(info.Settings); c != "" {
		return number + " (" + c + ")"
	}
	return number
}
