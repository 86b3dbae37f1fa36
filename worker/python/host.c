#define _GNU_SOURCE
#include "bridge.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "_cgo_export.h"

/* The other way in. Where CPython is not a library but a program, that program is
 * the worker: host.py runs in it and loads this code, built as a library, as it
 * would load an extension module. The symbols of CPython are then those of the
 * process.
 *
 *   python -c, host.py                      this library
 *   ------------------------------------    -----------------------------------------
 *   _imp.create_dynamic                 ->  constructors: the Go runtime starts
 *                                           PyInit__gowsgi_host: the C API is looked up
 *   ImportError; the module has "work"  <-
 *   work(mark, title, ...)              ->  gwgoHost: the life of a worker
 *                                           the process ends in it
 */

int gw_hosted;

/* Signals that host.py has blocked, and that came. Go unblocks a signal before it sets
 * its handler, so one that waits needs another handler until then. */
static volatile sig_atomic_t held[NSIG];

static void hold(int sig) { held[sig] = 1; }

int gw_held(int sig) { return sig > 0 && sig < NSIG && held[sig]; }

static int hold_signals(PyObject *numbers) {
  Py_ssize_t n = py.PyTuple_Size(numbers);
  struct sigaction sa;
  memset(&sa, 0, sizeof sa);
  sa.sa_handler = hold;
  sa.sa_flags = SA_RESTART | SA_ONSTACK;
  for (Py_ssize_t i = 0; i < n; i++)
    sigaction((int)py.PyLong_AsSsize_t(py.PyTuple_GetItem(numbers, i)), &sa, NULL);
  return n < 0 ? -1 : 0;
}

/* work(mark, title, signals, forked, application) is the rest of the process; it
 * returns only with an exception. The signals are blocked. forked says that a spawner
 * has forked it, which has made the module _gowsgi and perhaps loaded the application,
 * None if not. */
static PyObject *work(PyObject *self, PyObject *args) {
  (void)self;
  char *mark, *title;
  Py_ssize_t mark_size, title_size;
  PyObject *item[5];
  for (Py_ssize_t i = 0; i < 5; i++)
    if (!(item[i] = py.PyTuple_GetItem(args, i))) return NULL; /* borrowed */
  PyObject *forked = item[3], *app = item[4];
  if (hold_signals(item[2]) != 0 ||
      py.PyBytes_AsStringAndSize(item[0], &mark, &mark_size) != 0 ||
      py.PyBytes_AsStringAndSize(item[1], &title, &title_size) != 0)
    return NULL;
  /* Go makes a signal stack that it finds its own, and Python, when it ends, takes
   * away one that it has set before: Go's is to be another. */
  stack_t none = {.ss_flags = SS_DISABLE};
  sigaltstack(&none, NULL);
  gw_set_title(title, (size_t)title_size);
  if (py.PyObject_IsTrue(forked) == 1 && gw_take_over(app) != 0) return NULL;
  gw_hosted = 1;
  gwgoHost((gw_bytes){mark, (size_t)mark_size});
  py.PyErr_SetString(py.PyExc_RuntimeError, "the library does not know what a worker does");
  return NULL;
}

static PyMethodDef entry = {"work", work, METH_VARARGS, NULL};

/* CPython calls this when it has loaded the library. It returns no module: what a
 * PyModuleDef looks like depends on how CPython was built. "work" is put into the
 * module of that name, and an exception is the way out that needs no structure. It
 * also leaves the GIL off where it is off. */
__attribute__((visibility("default"))) PyObject *PyInit__gowsgi_host(void) {
  char err[512];
  if (gw_load(NULL, err, sizeof err) != 0 || gw_load_objects(err, sizeof err) != 0) {
    fprintf(stderr, "gowsgi: this Python is not known: %s\n", err);
    return NULL;
  }
  PyObject *module = py.PyImport_AddModule("_gowsgi_host"); /* borrowed, as its dict */
  PyObject *dict = module ? py.PyModule_GetDict(module) : NULL;
  PyObject *f = dict ? py.PyCFunction_NewEx(&entry, NULL, NULL) : NULL;
  if (f && py.PyDict_SetItemString(dict, entry.ml_name, f) == 0)
    py.PyErr_SetString(py.PyExc_ImportError, "loaded: see host.c");
  py.Py_DecRef(f);
  return NULL;
}
