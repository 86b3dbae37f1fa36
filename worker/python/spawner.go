package python

/*
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	_ "embed"
	"os"
	"strings"
	"unsafe"
)

var (
	//go:embed spawner.py
	spawnerSource string
	//go:embed hooks.py
	hooksSource string
	//go:embed cfg.py
	cfgSource string
	//go:embed objects.py
	objectsSource string
	//go:embed logs.py
	logsSource string
)

// sources are the parts of the server that a spawner makes modules of: the helper,
// the spawner's own, the hooks and the logs.
func sources() []string {
	return []string{helperSource, spawnerSource, hooksSource + cfgSource + objectsSource, logsSource}
}

// SpawnerImage returns what a spawner, a process of this binary, reads to start
// CPython: see spawn.c. The arguments are those of Options.
func SpawnerImage(library, executable string) []byte {
	return []byte(strings.Join(append([]string{library, executable}, sources()...), "\x00"))
}

// Spawned reports whether a spawner has forked this process, so that CPython runs
// already.
func Spawned() bool { return C.gw_spawned() != 0 }

// Preloaded reports whether an application is loaded: by the spawner, or by Load.
func Preloaded() bool { return C.gw_preloaded() != 0 }

// Hook runs the hook of that name of the configuration file, which the process
// must have been forked with, on the main thread, whose GIL the caller holds.
// Without such a hook it does nothing. "post_fork" comes first, before any other
// code of the application; it also makes what hooks log arrive at Options.Log.
// The error is an *Error.
func Hook(name string) error {
	if !Spawned() {
		return nil
	}
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	var line, traceback *C.char
	return loadError(C.gw_hook(n, &line, &traceback), line, traceback)
}

// AdoptEnviron makes the environment of a process that Spawned known to Go. Go
// reads the block the process was executed with, and what Python assigned since
// is elsewhere. To be called before anything else uses the environment.
func AdoptEnviron() error {
	var entries []string
	block := C.gw_environment()
	for p := block; p != nil && *p != nil; p = (**C.char)(unsafe.Add(unsafe.Pointer(p), unsafe.Sizeof(*p))) {
		entries = append(entries, C.GoString(*p))
	}
	known := make(map[string]bool, len(entries))
	for _, entry := range entries {
		name, value, ok := strings.Cut(entry, "=")
		if !ok || name == "" {
			continue
		}
		known[name] = true
		if old, ok := os.LookupEnv(name); ok && old == value {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); !known[name] {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}
	return nil
}
