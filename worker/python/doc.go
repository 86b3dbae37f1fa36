// Package python hosts CPython in the worker process: it loads libpython at run
// time, starts the interpreter, imports the application, and runs requests
// through it. It is the only package that imports "C". It does no I/O of its own
// and knows nothing of sockets: a response leaves through a Handler.
//
// Only OS threads that belong to Python call in: the process's main thread, and
// the threading.Thread objects RunThreads starts. README.md beside this file is
// the ownership table.
package python

// The flags stand here and nowhere else. Only the dynamic loader's library is
// linked; CPython's headers are not needed.

/*
#cgo CFLAGS: -std=gnu11 -O2 -Wall -Wextra -Werror -Wno-unused-parameter -fvisibility=hidden
#cgo LDFLAGS: -ldl -lpthread
#include <stdlib.h>
#include "bridge.h"
*/
import "C"
