package python

/*
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"unsafe"
)

//go:embed helper.py
var helperSource string

// Options say how CPython is started.
type Options struct {
	// Library is the path of the shared libpython, Executable the interpreter it
	// stands for: sys.prefix, the virtual environment and site-packages follow
	// from it as if that program had been started. Neither matters where an
	// interpreter hosts the server (see Host).
	Library, Executable string
	// Argv becomes sys.argv.
	Argv []string
	// Path is inserted at the front of sys.path, each before the one before it,
	// as gunicorn does (--chdir, then --pythonpath in order).
	Path []string
	// FaultFD is where stacks are written when the process gets a fatal signal
	// (SIGSEGV, SIGABRT and the like).
	FaultFD int
	// ForkClose lists descriptors that are closed in every child the application
	// forks, so that none of them outlives the server.
	ForkClose []int
	// LogLevel is the least severe level that is logged.
	LogLevel string
	// Log gets what hooks log, and what is logged to Python's loggers of the server
	// (gunicorn.error): level is debug, info, warning, error or critical.
	// Signalled gets signals that a hook has seen. Both are called on any thread,
	// with the GIL held, and must not block. Both may be nil.
	Log       func(level, message, traceback string)
	Signalled func(number int)
}

// Error is a failure of the application to load.
type Error struct {
	// Code is the exit code it stands for: 3, or 4 when the module holds no
	// application (gunicorn: Arbiter.WORKER_BOOT_ERROR, APP_LOAD_ERROR).
	Code int
	// Message is one line, Traceback Python's text or "".
	Message, Traceback string
}

func (e *Error) Error() string { return e.Message }

// Start starts CPython, or takes over the one that a spawner has started (see
// Spawned): then all of o but FaultFD and ForkClose has been seen to. It must be
// called on the process's main OS thread, with the goroutine locked to it, once;
// that thread then holds the GIL until DetachMain. CPython ends the process
// itself, with a message on standard error and exit code 1, when its standard
// library cannot be found.
func Start(o Options) error {
	logHook, signalled = o.Log, o.Signalled
	C.gw_go_runs()
	if !Spawned() {
		if err := begin(o); err != nil {
			return err
		}
	} else if C.gw_adopt() != 0 {
		return errors.New("taking over CPython: its signal handlers cannot be put back")
	}
	if C.gw_stacks_begin(C.int(o.FaultFD)) != 0 {
		return errors.New("starting CPython: faulthandler cannot be enabled")
	}
	return guardFork(o.ForkClose)
}

// begin starts CPython in a process that has none, or makes a worker of the one that
// hosts the server.
func begin(o Options) error {
	var errbuf [512]C.char
	var lib *C.char
	if C.gw_hosted == 0 {
		lib = C.CString(o.Library)
		defer C.free(unsafe.Pointer(lib))
	}
	prog := C.CString(o.Executable)
	defer C.free(unsafe.Pointer(prog))
	helper := C.CString(helperSource)
	defer C.free(unsafe.Pointer(helper))
	if C.gw_start(lib, prog, helper, &errbuf[0], C.size_t(len(errbuf))) != 0 {
		return fmt.Errorf("starting CPython: %s", C.GoString(&errbuf[0]))
	}
	level := C.CString(o.LogLevel)
	defer C.free(unsafe.Pointer(level))
	if C.gw_set_loglevel(level) != 0 {
		return errors.New("starting CPython: the loggers cannot be made")
	}
	argv := cstrings(o.Argv)
	defer argv.free()
	C.gw_set_argv(argv.ptr(), C.int(len(o.Argv)))
	for _, dir := range o.Path {
		d := C.CString(dir)
		r := C.gw_insert_path(d)
		C.free(unsafe.Pointer(d))
		if r != 0 {
			return fmt.Errorf("putting %q on sys.path: refused by Python", dir)
		}
	}
	return nil
}

// Forks returns where the number of children the application has forked is kept.
// They hold copies of whatever was open then.
func Forks() *uint32 { return (*uint32)(unsafe.Pointer(C.gw_forks())) }

// WakeupFD makes Python write a byte to fd, which must be non-blocking, when a
// signal has come that a Python handler waits for (signal.set_wakeup_fd). The
// caller holds the GIL, on the main thread.
func WakeupFD(fd int) error {
	if C.gw_wakeup_fd(C.int(fd)) != 0 {
		return errors.New("setting the wakeup descriptor for signals: refused by Python")
	}
	return nil
}

func guardFork(fds []int) error {
	list := make([]C.int, len(fds)+1)
	for i, fd := range fds {
		list[i] = C.int(fd)
	}
	if C.gw_fork_guard(&list[0], C.int(len(fds))) != 0 {
		return errors.New("guarding against fork: out of memory")
	}
	return nil
}

// Load imports the application: attr is a name in the module or a call of one
// with literal arguments. The error is an *Error.
func Load(module, attr string) error {
	m, a := C.CString(module), C.CString(attr)
	defer C.free(unsafe.Pointer(m))
	defer C.free(unsafe.Pointer(a))
	var line, traceback *C.char
	return loadError(C.gw_load_application(m, a, &line, &traceback), line, traceback)
}

// loadError makes the error of a code that C returned, and frees the texts.
func loadError(code C.int, line, traceback *C.char) error {
	if code == 0 {
		return nil
	}
	defer C.free(unsafe.Pointer(line))
	defer C.free(unsafe.Pointer(traceback))
	return &Error{Code: int(code), Message: C.GoString(line), Traceback: C.GoString(traceback)}
}

// Base is what the environ of every request on one listener has in common.
type Base struct {
	// Vars are CGI variables, SERVER_NAME and the like.
	Vars map[string]string
	// Multithread and Multiprocess are wsgi.multithread and wsgi.multiprocess.
	Multithread, Multiprocess bool
	// ErrorFD is where wsgi.errors writes.
	ErrorFD int
}

// SetBases gives the environs of all listeners.
func SetBases(bases []Base) error {
	for i, b := range bases {
		var pairs []string
		for k, v := range b.Vars {
			pairs = append(pairs, k, v)
		}
		p := cstrings(pairs)
		r := C.gw_set_base_environ(C.uint32_t(len(bases)), C.uint32_t(i), p.ptr(), C.int(len(pairs)/2),
			cbool(b.Multithread), cbool(b.Multiprocess), C.int(b.ErrorFD))
		p.free()
		if r != 0 {
			return errors.New("making the base environ: out of memory")
		}
	}
	return nil
}

// SetWanted names environ keys whose values Handler.Environ gets after each call.
// A key that is not found as given is looked for in upper case.
func SetWanted(keys []string) error {
	var pairs []string
	for _, k := range keys {
		pairs = append(pairs, k, strings.ToUpper(k))
	}
	c := cstrings(pairs)
	defer c.free()
	if C.gw_set_wanted(c.ptr(), C.int(len(keys))) != 0 {
		return errors.New("interning environ keys: out of memory")
	}
	return nil
}

// UseSendfile lets Handler.SendFile send what an application gives to
// wsgi.file_wrapper, where that is a file. The caller holds the GIL.
func UseSendfile() error {
	if C.gw_use_sendfile() != 0 {
		return errors.New("looking up wsgi.file_wrapper: refused by Python")
	}
	return nil
}

// ReportModules starts a Python thread that writes the paths of imported modules to
// fd, a line each, for as long as the process lives. The caller holds the GIL.
func ReportModules(fd int) error {
	if C.gw_report_modules(C.int(fd)) != 0 {
		return errors.New("starting the thread that follows imports: refused by Python")
	}
	return nil
}

// RunThreads starts n threading.Thread objects. Each calls the Run of the
// handler registered under its number, without the GIL, and ends when that
// returns. It returns when all have been started. The caller holds the GIL.
func RunThreads(n int) error {
	if C.gw_start_threads(C.int(n)) != 0 {
		return errors.New("starting the application's threads: refused by Python")
	}
	return nil
}

// Parallel reports whether several threads run Python code at the same time: a
// free-threaded CPython whose GIL is off (PEP 703). It is asked when the application
// has been loaded, because a module that is not made for that turns the GIL on. The
// caller holds the thread state.
func Parallel() bool { return C.gw_parallel() != 0 }

// cstringList is an array of C strings for the length of one call.
type cstringList struct{ p []*C.char }

func cstrings(list []string) cstringList {
	c := cstringList{p: make([]*C.char, len(list)+1)}
	for i, s := range list {
		c.p[i] = C.CString(s)
	}
	return c
}

// ptr returns the array. C does not keep it.
func (c cstringList) ptr() **C.char { return &c.p[0] }

func (c cstringList) free() {
	for _, s := range c.p {
		C.free(unsafe.Pointer(s))
	}
}

func cbool(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
