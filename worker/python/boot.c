#define _GNU_SOURCE
#include "bridge.h"

#include <dlfcn.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

/* The application, a strong reference held to the end of the process. */
PyObject *gw_application;

/* The helper module's dict, borrowed from sys.modules. */
static PyObject *helper;

PyObject *gw_helper(const char *name) {
  PyObject *o = helper ? py.PyDict_GetItemString(helper, name) : NULL;
  if (!o) {
    py.PyErr_Format(py.PyExc_RuntimeError, "_gowsgi.%s is missing", name);
    return NULL;
  }
  py.Py_IncRef(o);
  return o;
}

/* gw_text returns a malloc'ed UTF-8 copy of str(s), never NULL; undecodable
 * parts are escaped. It leaves no exception behind. */
char *gw_text(PyObject *s) {
  char *copy = NULL;
  PyObject *str = s ? py.PyObject_Str(s) : NULL;
  PyObject *bytes = str ? py.PyUnicode_AsEncodedString(str, "utf-8", "backslashreplace") : NULL;
  char *p;
  Py_ssize_t n;
  if (bytes && py.PyBytes_AsStringAndSize(bytes, &p, &n) == 0) {
    copy = malloc((size_t)n + 1);
    if (copy) {
      memcpy(copy, p, (size_t)n);
      copy[n] = 0;
    }
  }
  py.Py_DecRef(bytes);
  py.Py_DecRef(str);
  py.PyErr_Clear();
  return copy ? copy : strdup("");
}

/* take_exception returns the pending exception, normalised, with its traceback
 * attached: a new reference. The error indicator is clear afterwards. */
static PyObject *take_exception(void) {
  PyObject *type, *value, *tb;
  py.PyErr_Fetch(&type, &value, &tb);
  py.PyErr_NormalizeException(&type, &value, &tb);
  if (value && tb) py.PyException_SetTraceback(value, tb);
  py.Py_DecRef(type);
  py.Py_DecRef(tb);
  py.PyErr_Clear();
  return value;
}

/* gw_format_exception takes the pending exception away and returns its
 * traceback as malloc'ed text. */
char *gw_format_exception(char **line) {
  PyObject *value = take_exception();
  PyObject *format = gw_helper("format_exception");
  PyObject *text = value && format ? py.PyObject_CallFunctionObjArgs(format, value, NULL) : NULL;
  py.PyErr_Clear();
  /* Formatting itself can fail, out of memory for one: then the bare message. */
  char *s = gw_text(text ? text : value);
  if (line) *line = gw_text(value);
  py.Py_DecRef(text);
  py.Py_DecRef(format);
  py.Py_DecRef(value);
  return s;
}

/* The bridge's functions as Python sees them. */

static PyObject *run_thread(PyObject *self, PyObject *arg) {
  (void)self;
  Py_ssize_t i = py.PyLong_AsSsize_t(arg);
  if (i < 0) return NULL;
  PyThreadState *ts = py.PyEval_SaveThread();
  gwgoThread((uint64_t)i, ts);
  py.PyEval_RestoreThread(ts);
  py.Py_IncRef(py.None);
  return py.None;
}

static PyMethodDef functions[] = {
    {"run_thread", run_thread, METH_O, NULL},
    {"read_body", gw_read_body, METH_VARARGS, NULL},
    {"client_fd", gw_client_fd, METH_VARARGS, NULL},
    {"client_disconnected", gw_client_disconnected, METH_NOARGS,
     "Tells whether the client of the request of this thread has gone."},
    {"early_hints", gw_early_hints, METH_O, "Sends a 103 response with these headers."},
    {"application", gw_get_application, METH_NOARGS, NULL},
    {"set_application", gw_set_application, METH_O, NULL},
    {"set_request_hooks", gw_set_request_hooks, METH_VARARGS, NULL},
    {"log", gw_log, METH_VARARGS, NULL},
    {"signalled", gw_signalled, METH_O, NULL},
    {"catch_abort", gw_catch_abort, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

/* gw_module runs source as the module `name`, into which the functions have been
 * put before, up to one without a name. Without a source they are put into a module
 * that is there. It returns the module's dict, borrowed from sys.modules, or NULL
 * with an exception. */
PyObject *gw_module(const char *name, PyMethodDef *defs, const char *source) {
  PyObject *module = py.PyImport_AddModule(name);
  if (!module) return NULL;
  PyObject *dict = py.PyModule_GetDict(module);
  for (; defs->ml_name; defs++) {
    PyObject *f = py.PyCFunction_NewEx(defs, NULL, NULL);
    if (!f || py.PyDict_SetItemString(dict, defs->ml_name, f) != 0) return NULL;
    py.Py_DecRef(f);
  }
  if (!source) return dict;
  PyObject *builtins = py.PyImport_ImportModule("builtins");
  if (!builtins || py.PyDict_SetItemString(dict, "__builtins__", builtins) != 0) return NULL;
  py.Py_DecRef(builtins);
  PyObject *file = py.PyUnicode_InternFromString("<gowsgi>");
  if (!file || py.PyDict_SetItemString(dict, "__file__", file) != 0) return NULL;
  py.Py_DecRef(file);
  PyObject *code = py.Py_CompileString(source, "<gowsgi>", Py_file_input);
  PyObject *result = code ? py.PyEval_EvalCode(code, dict, dict) : NULL;
  py.Py_DecRef(code);
  py.Py_DecRef(result);
  return result ? dict : NULL;
}

/* coerce_locale does what the python command does before it starts and an
 * embedder has to do itself (PEP 538, PEP 540): without a locale, text is UTF-8
 * and not ASCII. It reports whether Python's UTF-8 mode is to be on. */
static int coerce_locale(void) {
  const char *name = setlocale(LC_CTYPE, "");
  /* Not the C locale by name, nor one that is not installed, which is the same. */
  int legacy = !name || !strcmp(name, "C") || !strcmp(name, "POSIX");
  const char *all = getenv("LC_ALL"), *coerce = getenv("PYTHONCOERCECLOCALE");
  if (legacy && !(all && *all) && !(coerce && !strcmp(coerce, "0")))
    setenv("LC_CTYPE", "C.UTF-8", 1);
  const char *mode = getenv("PYTHONUTF8");
  if (mode && (!strcmp(mode, "1") || !strcmp(mode, "0"))) return *mode == '1';
  return legacy;
}

/* initialise loads libpython and starts CPython as `program` would. On success the
 * calling thread, the process's main one, holds the GIL. */
static int initialise(const char *library, const char *program, char *err, size_t errlen) {
  if (gw_load(library, err, errlen) != 0) return -1;
  int *utf8_mode = dlsym(RTLD_DEFAULT, "Py_UTF8Mode");
  if (coerce_locale() && utf8_mode) *utf8_mode = 1;
  wchar_t *name = py.Py_DecodeLocale(program, NULL); /* kept: CPython refers to it */
  if (!name) {
    snprintf(err, errlen, "the interpreter's path cannot be decoded");
    return -1;
  }
  py.Py_SetProgramName(name);
  py.Py_InitializeEx(0); /* ends the process with a message of its own when it cannot */
  return gw_load_objects(err, errlen);
}

/* gw_start makes a worker of the process: it starts CPython with initialise, or,
 * without a library, finds the calling thread in one that runs and holding its GIL
 * (host.c), and runs helper.py, the source. */
int gw_start(const char *library, const char *program, const char *source, char *err,
             size_t errlen) {
  gw_fault_before_python();
  if (library && initialise(library, program, err, errlen) != 0) return -1;
  helper = gw_module("_gowsgi", functions, source);
  if (!helper || gw_request_setup() != 0) {
    char *text = gw_format_exception(NULL);
    snprintf(err, errlen, "%s", text);
    free(text);
    return -1;
  }
  return 0;
}

/* gw_take_over is gw_start in a worker that host.py has forked: helper.py has run,
 * and the application, None or not, may be loaded. It returns -1 with an exception. */
int gw_take_over(PyObject *application) {
  helper = gw_module("_gowsgi", functions, NULL);
  if (!helper || gw_request_setup() != 0) return -1;
  py.Py_DecRef(gw_set_application(NULL, application));
  gw_set_spawned();
  return 0;
}

int gw_set_argv(char **argv, int n) {
  PyObject *list = py.PyList_New(0);
  for (int i = 0; list && i < n; i++) {
    PyObject *s = py.PyUnicode_DecodeFSDefault(argv[i]);
    if (!s || py.PyList_Append(list, s) != 0) {
      py.PyErr_Clear();
    }
    py.Py_DecRef(s);
  }
  int r = list ? py.PySys_SetObject("argv", list) : -1;
  py.Py_DecRef(list);
  return r;
}

/* gw_insert_path puts dir first on sys.path unless it is there already. */
int gw_insert_path(const char *dir) {
  PyObject *sys = py.PyImport_ImportModule("sys");
  PyObject *path = sys ? py.PyObject_GetAttrString(sys, "path") : NULL;
  PyObject *s = py.PyUnicode_DecodeFSDefault(dir);
  PyObject *contains = path ? py.PyObject_GetAttrString(path, "__contains__") : NULL;
  PyObject *insert = path ? py.PyObject_GetAttrString(path, "insert") : NULL;
  PyObject *zero = py.PyLong_FromLong(0);
  int ok = 0;
  if (s && contains && insert && zero) {
    PyObject *there = py.PyObject_CallFunctionObjArgs(contains, s, NULL);
    ok = there && py.PyObject_IsTrue(there) == 1;
    if (there && !ok) {
      PyObject *r = py.PyObject_CallFunctionObjArgs(insert, zero, s, NULL);
      ok = r != NULL;
      py.Py_DecRef(r);
    }
    py.Py_DecRef(there);
  }
  py.Py_DecRef(zero);
  py.Py_DecRef(insert);
  py.Py_DecRef(contains);
  py.Py_DecRef(s);
  py.Py_DecRef(path);
  py.Py_DecRef(sys);
  py.PyErr_Clear();
  return ok ? 0 : -1;
}

/* gw_explain turns the pending exception of a load into a code (3 or 4), one line
 * and a traceback, both malloc'ed. */
int gw_explain(char **error, char **traceback) {
  int code = 3;
  PyObject *value = take_exception();
  PyObject *describe = gw_helper("describe");
  PyObject *tuple = describe ? py.PyObject_CallFunctionObjArgs(describe, value, NULL) : NULL;
  if (tuple && py.PyTuple_Size(tuple) == 3) {
    code = (int)py.PyLong_AsSsize_t(py.PyTuple_GetItem(tuple, 0));
    *error = gw_text(py.PyTuple_GetItem(tuple, 1));
    *traceback = gw_text(py.PyTuple_GetItem(tuple, 2));
  } else {
    py.PyErr_Clear();
    *error = gw_text(value);
    *traceback = strdup("");
  }
  py.Py_DecRef(tuple);
  py.Py_DecRef(describe);
  py.Py_DecRef(value);
  return code;
}

/* gw_load_application imports the application. It returns 0, or the exit code
 * that says what was wrong, with *error and *traceback set. */
int gw_load_application(const char *module, const char *attr, char **error, char **traceback) {
  PyObject *load = gw_helper("load");
  PyObject *m = py.PyUnicode_DecodeFSDefault(module);
  PyObject *a = py.PyUnicode_DecodeFSDefault(attr);
  PyObject *app = load && m && a ? py.PyObject_CallFunctionObjArgs(load, m, a, NULL) : NULL;
  int code = app ? 0 : gw_explain(error, traceback);
  py.Py_DecRef(a);
  py.Py_DecRef(m);
  py.Py_DecRef(load);
  gw_application = app;
  return code;
}

/* call_helper calls a helper with an argument, of which it takes the reference. */
static int call_helper(const char *name, PyObject *a) {
  PyObject *f = gw_helper(name);
  PyObject *r = f && a ? py.PyObject_CallFunctionObjArgs(f, a, NULL) : NULL;
  int ok = r != NULL;
  if (!ok) py.PyErr_Clear();
  py.Py_DecRef(r);
  py.Py_DecRef(a);
  py.Py_DecRef(f);
  return ok ? 0 : -1;
}

int gw_enable_faulthandler(int fd) {
  int r = call_helper("enable_faulthandler", py.PyLong_FromLong(fd));
  gw_fault_after_python();
  return r;
}

int gw_set_loglevel(const char *name) {
  return call_helper("set_loglevel", py.PyUnicode_InternFromString(name));
}

int gw_wakeup_fd(int fd) { return call_helper("set_wakeup_fd", py.PyLong_FromLong(fd)); }

int gw_report_modules(int fd) { return call_helper("report_modules", py.PyLong_FromLong(fd)); }

int gw_start_threads(int n) { return call_helper("start_threads", py.PyLong_FromLong(n)); }

/* gw_parallel asks whether threads run Python code at the same time, which an
 * extension module may have ended by being imported (PEP 703). */
int gw_parallel(void) {
  PyObject *f = gw_helper("parallel");
  PyObject *r = f ? py.PyObject_CallFunctionObjArgs(f, NULL) : NULL;
  gw_no_gil = r && py.PyObject_IsTrue(r) == 1;
  if (!r) py.PyErr_Clear();
  py.Py_DecRef(r);
  py.Py_DecRef(f);
  return gw_no_gil;
}

/* gw_detach_main gives the GIL away; t is the main thread's from here on. */
void gw_detach_main(gw_thread *t) { t->tstate = py.PyEval_SaveThread(); }

void gw_attach_main(gw_thread *t) { py.PyEval_RestoreThread(t->tstate); }

/* gw_check_signals runs the Python signal handlers that wait for the main
 * thread. An exception of theirs has nobody to go to and is reported. */
int gw_check_signals(gw_thread *t) {
  py.PyEval_RestoreThread(t->tstate);
  int r = py.PyErr_CheckSignals();
  if (gw_in_forked_child()) gw_leave_forked_child();
  if (r != 0) gw_report(t, GW_IN_SIGNAL_HANDLER);
  t->tstate = py.PyEval_SaveThread();
  return r;
}

/* gw_finalize ends CPython: atexit handlers, non-daemon threads, buffers. The
 * calling thread is the main one and does not hold the GIL. */
void gw_finalize(gw_thread *t) {
  gw_stacks_end();
  py.PyEval_RestoreThread(t->tstate);
  py.Py_FinalizeEx();
}
