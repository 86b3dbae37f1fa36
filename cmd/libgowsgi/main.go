// Command libgowsgi is a worker as a library, for interpreters that are no library
// themselves (go build -buildmode=c-shared). What it has in common with cmd/gowsgi is
// package worker; of the master it has nothing.
package main

import (
	"os"

	"gowsgi/internal/sys"
	"gowsgi/internal/version"
	"gowsgi/worker"
	"gowsgi/worker/python"
)

// A library's main is never called. The interpreter's main thread comes in by
// python.Host, and its goroutine stays on it, as C's calls of Go do.
var _ = python.Host(func(mark string) {
	sys.SetThreadName("gowsgi")
	os.Exit(worker.Run(mark))
})

func main() {
	// Never called; it keeps the stamp in the file, by which a master knows the
	// library for its own.
	os.Stdout.WriteString(version.LibraryStamp)
}
