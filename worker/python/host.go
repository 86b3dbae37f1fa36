package python

/*
#include "bridge.h"
*/
import "C"

import (
	_ "embed"
	"encoding/json"
)

//go:embed host.py
var hostSource string

// hosted is what Host was given.
var hosted func(mark string)

// Host says what a process does whose interpreter has loaded this program as a
// library, see host.c: run is called with the mark of its master, on the main thread,
// which holds the GIL, and must end the process. It is for a package variable of a
// main package, because main is not called there; the result means nothing.
func Host(run func(mark string)) struct{} {
	hosted = run
	return struct{}{}
}

// HostImage returns the program that an interpreter executes to become a worker, or
// a spawner, that hosts the server.
func HostImage() []byte {
	// JSON of strings is Python.
	texts, err := json.Marshal(sources())
	if err != nil {
		panic(err) // strings can be encoded
	}
	return []byte("SOURCES = " + string(texts) + "\n" + hostSource)
}

// Held reports whether the signal came before there was anything to handle it, in a
// process that hosts the server.
func Held(number int) bool { return C.gw_held(C.int(number)) != 0 }

// Running reports whether CPython was there before Go: in a worker that a spawner
// has forked, and where an interpreter hosts the server.
func Running() bool { return C.gw_hosted != 0 || Spawned() }
