#define _GNU_SOURCE /* POLLRDHUP */
#include "bridge.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "_cgo_export.h"

/* One request: the environ, the application, start_response, the iterable. */

/* Call is the start_response callable of one request. It outlives the request if
 * the application keeps it; then `thread` is NULL and every use is refused. Its
 * fields follow whatever this CPython's object header is. Both are used with
 * atomic operations, for not every CPython has a GIL. */
struct call {
  gw_thread *thread;
  uint32_t busy; /* what threads are doing with the request: GW_READING, GW_WRITING */
};

enum { GW_READING = 1, GW_WRITING = 2 };

static PyObject *call_type;
static PyObject *list_type, *tuple_type, *str_type;
static size_t call_offset;
static PyObject *str_close;

/* The type whose iterables may be sent as files, and what tells whether one may;
 * NULL: none. */
static PyObject *file_wrapper, *whole_file;

/* Keys of the environ that the access log wants: as given and, since gunicorn
 * ignores their case, in upper case. */
static PyObject *(*wanted)[2];
static int nwanted;

int gw_no_gil;

/* The request this OS thread runs, for callables shared by all requests. */
static __thread gw_thread *current;

static struct call *call_of(PyObject *o) { return (struct call *)((char *)o + call_offset); }

/* A forked child that comes back to the server has no Go to run in. */
void gw_leave_forked_child(void) {
  static const char text[] =
      "gowsgi: a child that the application forked returned into the server; it ends here\n";
  if (write(2, text, sizeof text - 1) < 0) _exit(70);
  _exit(70);
}

/* thread_of returns the thread whose request o belongs to, or NULL with an
 * exception when the request is over. */
static gw_thread *thread_of(PyObject *o) {
  if (gw_in_forked_child()) {
    py.PyErr_SetString(py.PyExc_RuntimeError, "this request belongs to the parent process");
    return NULL;
  }
  gw_thread *t = __atomic_load_n(&call_of(o)->thread, __ATOMIC_SEQ_CST);
  if (!t) py.PyErr_SetString(py.PyExc_RuntimeError, "the request is over");
  return t;
}

/* claim takes the right to read or to write for the calling thread, until
 * unclaim. It returns 0 when another thread has it. */
static int claim(PyObject *o, uint32_t what) {
  return !(__atomic_fetch_or(&call_of(o)->busy, what, __ATOMIC_SEQ_CST) & what);
}

static void unclaim(PyObject *o, uint32_t what) {
  __atomic_fetch_and(&call_of(o)->busy, ~what, __ATOMIC_SEQ_CST);
}

/* claimed is thread_of for any thread of the application: the request does not end
 * before unclaim. On NULL there is an exception and no claim. */
static gw_thread *claimed(PyObject *o, uint32_t what, const char *taken) {
  if (!claim(o, what)) {
    py.PyErr_SetString(py.PyExc_RuntimeError, taken);
    return NULL;
  }
  gw_thread *t = thread_of(o); /* only now: release waits for claims */
  if (!t) unclaim(o, what);
  return t;
}

static const char writing_already[] = "another thread is writing this response";

/* latin1 borrows the bytes of a native string (PEP 3333, Unicode Issues: a str
 * that holds only latin-1). A string that is not plain ASCII is encoded into
 * *temp, which the caller releases. */
static int latin1(PyObject *s, const char *what, gw_bytes *out, PyObject **temp) {
  Py_ssize_t n;
  *temp = NULL;
  const char *p = py.PyUnicode_AsUTF8AndSize(s, &n);
  if (!p) {
    if (py.PyErr_ExceptionMatches(py.PyExc_TypeError)) {
      PyObject *type = py.PyObject_Type(s);
      py.PyErr_Format(py.PyExc_TypeError, "%s must be a str, not %R", what, type);
      py.Py_DecRef(type);
    }
    return -1;
  }
  if (py.PyUnicode_GetLength(s) != n) {
    char *q;
    *temp = py.PyUnicode_AsLatin1String(s);
    if (!*temp || py.PyBytes_AsStringAndSize(*temp, &q, &n) != 0) return -1;
    p = q;
  }
  out->p = p;
  out->len = (size_t)n;
  return 0;
}

static int is_type(PyObject *o, PyObject *type) {
  PyObject *t = py.PyObject_Type(o);
  py.Py_DecRef(t); /* o keeps it alive */
  return t == type;
}

/* tuples returns the headers as a list of tuples of two: a new reference. It is
 * the list itself where that is one already, as it nearly always is; for others
 * Python code may run here. */
static PyObject *tuples(PyObject *headers) {
  PyObject *list = py.PySequence_List(headers);
  Py_ssize_t n = list ? py.PyList_Size(list) : -1;
  if (n < 0) return NULL;
  PyObject *out = py.PyList_New(0);
  for (Py_ssize_t i = 0; out && i < n; i++) {
    PyObject *item = py.PyList_GetItem(list, i); /* borrowed */
    PyObject *tuple = is_type(item, str_type) ? NULL : py.PySequence_Tuple(item);
    int ok = tuple && py.PyTuple_Size(tuple) == 2 && py.PyList_Append(out, tuple) == 0;
    py.Py_DecRef(tuple);
    if (ok) continue;
    py.Py_DecRef(out);
    out = NULL;
    py.PyErr_Clear();
    py.PyErr_SetString(py.PyExc_TypeError, "response headers must be (name, value) tuples");
  }
  py.Py_DecRef(list);
  return out;
}

/* header_list is tuples, without a copy in the usual case; without a GIL another
 * thread could change the list. */
static PyObject *header_list(PyObject *headers) {
  if (gw_no_gil || !is_type(headers, list_type)) return tuples(headers);
  Py_ssize_t n = py.PyList_Size(headers);
  for (Py_ssize_t i = 0; i < n; i++) {
    PyObject *item = py.PyList_GetItem(headers, i); /* borrowed */
    if (!is_type(item, tuple_type) || py.PyTuple_Size(item) != 2) return tuples(headers);
  }
  py.Py_IncRef(headers);
  return headers;
}

/* keep holds a temporary object, which may be NULL, in *keeper. */
static int keep(PyObject **keeper, PyObject *o) {
  if (!o) return 0;
  if (!*keeper) *keeper = py.PyList_New(0);
  int r = *keeper ? py.PyList_Append(*keeper, o) : -1;
  py.Py_DecRef(o);
  return r;
}

/* collect_headers points t->headers at the names and values of a header_list.
 * They are owned by the list or by *keeper. No Python code runs meanwhile, nor
 * until the callback that uses them, so nothing can change under it. */
static Py_ssize_t collect_headers(gw_thread *t, PyObject *list, PyObject **keeper) {
  Py_ssize_t n = py.PyList_Size(list);
  if ((size_t)n > t->headers_cap) {
    gw_header *grown = realloc(t->headers, sizeof *grown * (size_t)n);
    if (!grown) {
      py.PyErr_SetString(py.PyExc_RuntimeError, "out of memory for response headers");
      return -1;
    }
    t->headers = grown;
    t->headers_cap = (size_t)n;
  }
  for (Py_ssize_t i = 0; i < n; i++) {
    PyObject *tuple = py.PyList_GetItem(list, i), *temp = NULL; /* borrowed */
    int r = latin1(py.PyTuple_GetItem(tuple, 0), "a response header's name",
                   &t->headers[i].name, &temp);
    if (keep(keeper, temp) != 0 || r != 0) return -1;
    r = latin1(py.PyTuple_GetItem(tuple, 1), "a response header's value", &t->headers[i].value,
               &temp);
    if (keep(keeper, temp) != 0 || r != 0) return -1;
  }
  return n;
}

/* reraise raises exc_info again: the response has begun (PEP 3333, The
 * start_response Callable). */
static void reraise(PyObject *exc_info) {
  PyObject *f = gw_helper("reraise");
  PyObject *r = f ? py.PyObject_CallFunctionObjArgs(f, exc_info, NULL) : NULL;
  py.Py_DecRef(r); /* it never returns one */
  py.Py_DecRef(f);
}

static int refuse(int code, const char *err, PyObject *exc_info) {
  switch (code) {
  case GW_OK:
    return 0;
  case GW_TWICE:
    py.PyErr_SetString(py.PyExc_AssertionError,
                       "start_response was called twice without exc_info");
    break;
  case GW_SENT:
    reraise(exc_info);
    break;
  default:
    py.PyErr_SetString(py.PyExc_ValueError, err);
  }
  return -1;
}

static PyObject *write_callable(PyObject *self, PyObject *data);
static PyMethodDef write_def = {"write", write_callable, METH_O,
                                "Sends bytes to the client (PEP 3333, The write() Callable)."};

static PyObject *start(PyObject *self, PyObject *status, PyObject *headers, PyObject *exc_info) {
  PyObject *keeper = NULL, *temp = NULL, *ret = NULL;
  gw_bytes line;
  gw_thread *t = NULL;
  int code = -1;
  char err[GW_ERR];
  PyObject *list = header_list(headers); /* gunicorn takes any iterable, too */
  if (!list || latin1(status, "the status", &line, &temp) != 0) goto out;
  t = claimed(self, GW_WRITING, writing_already);
  Py_ssize_t n = t ? collect_headers(t, list, &keeper) : -1;
  if (n >= 0) code = gwgoStartResponse(t->index, line, t->headers, (size_t)n, exc_info != NULL, err);
  if (code == GW_OK && gw_hooked) gw_keep_response(t, status, list);
  if (t) unclaim(self, GW_WRITING);
  if (n < 0 || refuse(code, err, exc_info) != 0) goto out;
  ret = py.PyCFunction_NewEx(&write_def, self, NULL);
out:
  py.Py_DecRef(list);
  py.Py_DecRef(keeper);
  py.Py_DecRef(temp);
  return ret;
}

/* argument returns the i-th positional argument or the keyword of that name,
 * borrowed; NULL if it is missing or None. */
static PyObject *argument(PyObject *args, PyObject *kwargs, Py_ssize_t i, const char *name) {
  PyObject *o = NULL;
  if (i < py.PyTuple_Size(args)) o = py.PyTuple_GetItem(args, i);
  else if (kwargs) o = py.PyDict_GetItemString(kwargs, name);
  return o == py.None ? NULL : o;
}

/* unknown_keyword reports whether kwargs holds anything but the arguments that are
 * not given by position. */
static int unknown_keyword(PyObject *args, PyObject *kwargs) {
  static const char *const names[][2] = {
      {"status", NULL}, {"response_headers", "headers"}, {"exc_info", NULL}};
  Py_ssize_t known = 0;
  for (Py_ssize_t i = py.PyTuple_Size(args); i < 3; i++)
    for (int j = 0; j < 2 && names[i][j]; j++)
      if (py.PyDict_GetItemString(kwargs, names[i][j])) {
        known++;
        break;
      }
  return known != py.PyDict_Size(kwargs);
}

/* start_response(status, response_headers, exc_info=None) */
static PyObject *start_response(PyObject *self, PyObject *args, PyObject *kwargs) {
  if (!thread_of(self)) return NULL;
  Py_ssize_t n = py.PyTuple_Size(args) + (kwargs ? py.PyDict_Size(kwargs) : 0);
  PyObject *status = argument(args, kwargs, 0, "status");
  PyObject *headers = argument(args, kwargs, 1, "response_headers");
  PyObject *exc_info = argument(args, kwargs, 2, "exc_info");
  if (!headers && kwargs) headers = argument(args, kwargs, 1, "headers");
  if (!status || !headers || n > 3 || (kwargs && unknown_keyword(args, kwargs))) {
    py.PyErr_SetString(py.PyExc_TypeError,
                       "start_response takes (status, response_headers, exc_info=None)");
    return NULL;
  }
  return start(self, status, headers, exc_info);
}

/* send_bytes gives one part of the body to Go; the caller has claimed the right to
 * write. Small ones are written with the GIL held, for giving it away costs more;
 * Go never blocks then. */
static int send_bytes(gw_thread *t, const char *p, size_t n, int last, char *err) {
  gw_bytes b = {p, n};
  int code = GW_WAIT, small = n <= GW_WRITE_INLINE;
  if (small) code = gwgoWrite(t->index, b, last, 0, err);
  if (code != GW_WAIT) return code;
  PyThreadState *ts = py.PyEval_SaveThread();
  code = small ? gwgoFlush(t->index) : gwgoWrite(t->index, b, last, 1, err);
  py.PyEval_RestoreThread(ts);
  return code;
}

/* bytes_of borrows the content of a bytes object. */
static int bytes_of(PyObject *o, gw_bytes *b) {
  char *p;
  Py_ssize_t n;
  PyObject *type = py.PyObject_Type(o);
  py.Py_DecRef(type); /* o keeps it alive */
  if (py.PyBytes_AsStringAndSize(o, &p, &n) != 0) {
    py.PyErr_Format(py.PyExc_TypeError, "the application must send bytes, not %R", type);
    return -1;
  }
  b->p = p;
  b->len = (size_t)n;
  return 0;
}

/* raise_code turns a refusal of gwgoWrite into an exception. */
static void raise_code(int code, const char *err) {
  if (code == GW_GONE)
    py.PyErr_SetString(py.PyExc_ConnectionResetError, "the client closed the connection");
  else
    py.PyErr_SetString(py.PyExc_AssertionError, err);
}

static PyObject *write_callable(PyObject *self, PyObject *data) {
  gw_bytes b;
  char err[GW_ERR];
  if (!thread_of(self) || bytes_of(data, &b) != 0) return NULL;
  gw_thread *t = claimed(self, GW_WRITING, writing_already);
  if (!t) return NULL;
  int code = send_bytes(t, b.p, b.len, 0, err);
  unclaim(self, GW_WRITING);
  if (code != GW_OK) {
    raise_code(code, err);
    return NULL;
  }
  py.Py_IncRef(py.None);
  return py.None;
}

/* read_body(call, n) returns at most n bytes of the content, b"" at its end. */
PyObject *gw_read_body(PyObject *self, PyObject *args) {
  (void)self;
  if (py.PyTuple_Size(args) != 2) {
    py.PyErr_SetString(py.PyExc_TypeError, "read_body takes (call, n)");
    return NULL;
  }
  PyObject *call = py.PyTuple_GetItem(args, 0); /* borrowed */
  Py_ssize_t n = thread_of(call) ? py.PyLong_AsSsize_t(py.PyTuple_GetItem(args, 1)) : -1;
  if (n < 0) return NULL;
  PyObject *bytes = py.PyBytes_FromStringAndSize(NULL, n);
  char *p;
  Py_ssize_t size;
  if (!bytes || py.PyBytes_AsStringAndSize(bytes, &p, &size) != 0) {
    py.Py_DecRef(bytes);
    return NULL;
  }
  gw_thread *t = claimed(call, GW_READING, "another thread is reading this content");
  if (!t) {
    py.Py_DecRef(bytes);
    return NULL;
  }
  char err[GW_ERR];
  PyThreadState *ts = py.PyEval_SaveThread();
  long got = gwgoReadBody(t->index, p, (size_t)n, err);
  py.PyEval_RestoreThread(ts);
  unclaim(call, GW_READING);
  if (got < 0) {
    py.Py_DecRef(bytes);
    py.PyErr_SetString(py.PyExc_ConnectionResetError, err);
    return NULL;
  }
  /* On failure bytes is NULL and the exception set. */
  if (got < n) py._PyBytes_Resize(&bytes, got);
  return bytes;
}

/* early_hints(headers) sends a 103 response (RFC 8297), as gunicorn's does. */
PyObject *gw_early_hints(PyObject *self, PyObject *headers) {
  (void)self;
  gw_thread *t = current;
  if (!t || gw_in_forked_child()) {
    py.PyErr_SetString(py.PyExc_RuntimeError, "early_hints outside of a request");
    return NULL;
  }
  PyObject *keeper = NULL, *list = header_list(headers);
  char err[GW_ERR];
  if (!list || !claimed(t->call, GW_WRITING, writing_already)) {
    py.Py_DecRef(list);
    return NULL;
  }
  Py_ssize_t n = collect_headers(t, list, &keeper);
  int ok = n >= 0;
  if (ok && gwgoEarlyHints(t->index, t->headers, (size_t)n, err) == GW_INVALID) {
    py.PyErr_SetString(py.PyExc_ValueError, err);
    ok = 0;
  }
  unclaim(t->call, GW_WRITING);
  py.Py_DecRef(keeper);
  py.Py_DecRef(list);
  if (!ok) return NULL;
  py.Py_IncRef(py.None);
  return py.None;
}

/* client_disconnected() tells whether the client has closed its end of the
 * connection whose request this OS thread runs. It asks the kernel, and only
 * when it is called. */
PyObject *gw_client_disconnected(PyObject *self, PyObject *none) {
  (void)self;
  (void)none;
  if (!current || gw_in_forked_child()) {
    py.PyErr_SetString(py.PyExc_RuntimeError, "gowsgi.client_disconnected outside of a request");
    return NULL;
  }
  struct pollfd p = {current->req.fd, POLLRDHUP, 0};
  return py.PyBool_FromLong(poll(&p, 1, 0) > 0);
}

/* client_fd(call, how) returns the descriptor of a request's connection, the one
 * this OS thread runs if call is None: for how 0 the server's own, to look at; for 1
 * a copy; for 2 a copy too, and the connection is the application's from here on:
 * the server writes nothing more and closes its own descriptor afterwards. */
PyObject *gw_client_fd(PyObject *self, PyObject *args) {
  (void)self;
  PyObject *call = py.PyTuple_GetItem(args, 0); /* borrowed, as is the next */
  Py_ssize_t how = py.PyLong_AsSsize_t(py.PyTuple_GetItem(args, 1));
  if (call == py.None) {
    if (!current || gw_in_forked_child()) {
      py.PyErr_SetString(py.PyExc_RuntimeError, "gunicorn.socket outside of a request");
      return NULL;
    }
    call = current->call;
  }
  if (how == 0) {
    gw_thread *t = thread_of(call);
    return t ? py.PyLong_FromLong(t->req.fd) : NULL;
  }
  gw_thread *t = claimed(call, GW_WRITING, writing_already);
  if (!t) return NULL;
  if (how == 2 && !t->taken) {
    PyThreadState *ts = py.PyEval_SaveThread();
    gwgoTake(t->index);
    py.PyEval_RestoreThread(ts);
    t->taken = 1;
  }
  int fd = fcntl(t->req.fd, F_DUPFD_CLOEXEC, 0);
  unclaim(call, GW_WRITING);
  if (fd >= 0) return py.PyLong_FromLong(fd);
  py.PyErr_SetString(py.PyExc_RuntimeError, "gunicorn.socket: no descriptor left");
  return NULL;
}

/* gw_report takes the pending exception away and logs it. */
void gw_report(gw_thread *t, int phase) {
  char *text = gw_format_exception(NULL);
  if (gw_in_forked_child()) gw_leave_forked_child();
  gwgoError(t->index, phase, (gw_bytes){text, strlen(text)});
  free(text);
}

/* one_part returns the only item of a list or tuple of length one, a new reference:
 * then the whole body is known before anything is sent. The application may change
 * its list while the part is written, and without a GIL at any time. */
static PyObject *one_part(PyObject *iterable, PyObject *type) {
  PyObject *only = NULL, *tuple = NULL;
  if (type == list_type && py.PyList_Size(iterable) == 1) {
    if (gw_no_gil) tuple = py.PySequence_Tuple(iterable);
    else only = py.PyList_GetItem(iterable, 0);
  } else if (type == tuple_type && py.PyTuple_Size(iterable) == 1) {
    only = py.PyTuple_GetItem(iterable, 0);
  }
  if (tuple && py.PyTuple_Size(tuple) == 1) only = py.PyTuple_GetItem(tuple, 0);
  py.Py_IncRef(only);
  py.Py_DecRef(tuple);
  return only;
}

/* write_part sends bytes for the thread that runs the request. */
static int write_part(gw_thread *t, const char *p, size_t n, int last) {
  char err[GW_ERR];
  if (!claimed(t->call, GW_WRITING, writing_already)) return GW_CALL_FAILED;
  int code = send_bytes(t, p, n, last, err);
  unclaim(t->call, GW_WRITING);
  if (code == GW_GONE) return GW_CALL_GONE;
  if (code == GW_OK) return GW_CALL_OK;
  raise_code(code, err);
  return GW_CALL_FAILED;
}

/* send_part sends one item of the iterable. An empty one sends nothing. */
static int send_part(gw_thread *t, PyObject *item, int last) {
  gw_bytes b;
  if (bytes_of(item, &b) != 0) return GW_CALL_FAILED;
  if (!b.len && !last) return GW_CALL_OK;
  return write_part(t, b.p, b.len, last);
}

static int send_all(gw_thread *t, PyObject *iterable, PyObject *type) {
  PyObject *only = one_part(iterable, type);
  if (only) {
    int r = send_part(t, only, 1);
    py.Py_DecRef(only);
    return r;
  }
  PyObject *it = py.PyObject_GetIter(iterable);
  if (!it) return GW_CALL_FAILED;
  int r = GW_CALL_OK;
  PyObject *item;
  while (r == GW_CALL_OK && (item = py.PyIter_Next(it))) {
    r = gw_in_forked_child() ? GW_CALL_FAILED : send_part(t, item, 0);
    py.Py_DecRef(item);
  }
  py.Py_DecRef(it);
  if (r == GW_CALL_OK && py.PyErr_Occurred()) return GW_CALL_FAILED;
  if (r != GW_CALL_OK || gw_in_forked_child()) return r;
  t->exhausted = 1;
  if (t->whole) return r;
  return write_part(t, NULL, 0, 1);
}

/* send_file sends what a wsgi.file_wrapper holds without reading it, if it is a
 * file: GW_ITERATE if not. The copy of the descriptor is Go's, so the
 * application may close its own at once. */
static int send_file(gw_thread *t, PyObject *wrapper) {
  PyObject *file = py.PyObject_CallFunctionObjArgs(whole_file, wrapper, NULL);
  if (gw_in_forked_child()) gw_leave_forked_child();
  if (!file) return GW_CALL_FAILED;
  int fd = -1;
  Py_ssize_t off = 0, size = 0;
  if (file != py.None) {
    off = py.PyLong_AsSsize_t(py.PyTuple_GetItem(file, 1));
    size = py.PyLong_AsSsize_t(py.PyTuple_GetItem(file, 2));
    fd = fcntl((int)py.PyLong_AsSsize_t(py.PyTuple_GetItem(file, 0)), F_DUPFD_CLOEXEC, 0);
  }
  py.Py_DecRef(file);
  if (fd < 0) return GW_ITERATE;
  if (!claimed(t->call, GW_WRITING, writing_already)) {
    close(fd);
    return GW_CALL_FAILED;
  }
  char err[GW_ERR];
  PyThreadState *ts = py.PyEval_SaveThread();
  int code = gwgoSendFile(t->index, fd, off, size, err);
  py.PyEval_RestoreThread(ts);
  unclaim(t->call, GW_WRITING);
  if (code == GW_OK) return GW_CALL_OK;
  if (code == GW_GONE) return GW_CALL_GONE;
  if (code == GW_ITERATE) return GW_ITERATE;
  raise_code(code, err);
  return GW_CALL_FAILED;
}

/* close_iterable calls the iterable's close method, if it has one, whatever
 * happened before (PEP 3333, Specification Details). */
static int close_iterable(gw_thread *t, PyObject *iterable) {
  PyObject *close = py.PyObject_GetAttr(iterable, str_close);
  if (!close) {
    if (py.PyErr_ExceptionMatches(py.PyExc_AttributeError)) {
      py.PyErr_Clear();
      return GW_CALL_OK;
    }
    gw_report(t, GW_IN_CLOSE);
    return GW_CALL_FAILED;
  }
  PyObject *r = py.PyObject_CallFunctionObjArgs(close, NULL);
  py.Py_DecRef(close);
  if (!r) {
    gw_report(t, GW_IN_CLOSE);
    return GW_CALL_FAILED;
  }
  py.Py_DecRef(r);
  return GW_CALL_OK;
}

static void give_wanted(gw_thread *t) {
  for (int i = 0; i < nwanted; i++) {
    PyObject *v = py.PyDict_GetItemWithError(t->environ, wanted[i][0]); /* borrowed */
    if (!v) v = py.PyDict_GetItemWithError(t->environ, wanted[i][1]);
    if (!v) continue;
    char *text = gw_text(v);
    gwgoEnviron(t->index, i, (gw_bytes){text, strlen(text)});
    free(text);
  }
  py.PyErr_Clear();
}

static int run(gw_thread *t) {
  PyObject *iterable =
      py.PyObject_CallFunctionObjArgs(gw_application, t->environ, t->call, NULL);
  if (gw_in_forked_child()) gw_leave_forked_child();
  if (!iterable) {
    gw_report(t, GW_IN_APPLICATION);
    return GW_CALL_FAILED;
  }
  PyObject *type = py.PyObject_Type(iterable);
  int r = type == file_wrapper ? send_file(t, iterable) : GW_ITERATE;
  if (r == GW_ITERATE) r = send_all(t, iterable, type);
  if (gw_in_forked_child()) gw_leave_forked_child();
  if (r == GW_CALL_FAILED) gw_report(t, GW_IN_APPLICATION);
  if (type != list_type && type != tuple_type) {
    int c = close_iterable(t, iterable);
    if (r == GW_CALL_OK) r = c;
  }
  if (gw_in_forked_child()) gw_leave_forked_child();
  py.Py_DecRef(type);
  py.Py_DecRef(iterable);
  return r;
}

/* release ends every use of the request by what the application keeps of it, and
 * waits until no other thread of the application is inside a read or a write. They
 * are made to return by cutting the connection. */
static void release(gw_thread *t) {
  struct call *c = call_of(t->call);
  __atomic_store_n(&c->thread, NULL, __ATOMIC_SEQ_CST);
  if (!__atomic_load_n(&c->busy, __ATOMIC_SEQ_CST)) return;
  gwgoCut(t->index);
  while (__atomic_load_n(&c->busy, __ATOMIC_SEQ_CST)) {
    PyThreadState *ts = py.PyEval_SaveThread();
    usleep(500);
    py.PyEval_RestoreThread(ts);
  }
}

/* gw_interrupt raises RequestTimeout in the thread, if its request is still the one
 * with that serial: when it runs Python code next, which it does not while it waits
 * in C code. The calling thread is nobody Python knows. It blocks until it has the
 * GIL, for ever if C code keeps that. */
void gw_interrupt(gw_thread *t, uint32_t serial) {
  int state = py.PyGILState_Ensure();
  PyObject *exception = gw_helper("RequestTimeout");
  if (exception && t->call && t->serial == serial) {
    t->interrupted = 1;
    py.PyThreadState_SetAsyncExc(t->ident, exception);
  }
  py.Py_DecRef(exception);
  py.PyErr_Clear();
  py.PyGILState_Release(state);
}

/* gw_call runs t's request through the application. It takes the GIL and gives
 * it away again; everything it made is released, except what the application
 * keeps. */
int gw_call(uintptr_t thread) {
  gw_thread *t = (gw_thread *)thread;
  int r = GW_CALL_FAILED;
  gw_watch_wake();
  py.PyEval_RestoreThread(t->tstate);
  current = t;
  t->taken = t->whole = t->exhausted = 0;
  t->ident = py.PyThread_get_thread_ident();
  t->call = py.PyType_GenericAlloc(call_type, 0);
  if (t->call) {
    call_of(t->call)->thread = t;
    t->environ = gw_environ(t);
  }
  if (t->environ) {
    if (!gw_hooked) r = run(t);
    else r = gw_run_hooked(t, run);
    if (nwanted) give_wanted(t);
  } else {
    gw_report(t, GW_IN_APPLICATION);
  }
  if (t->call) release(t);
  if (t->interrupted) { /* perhaps too late for this request: not for the next */
    py.PyThreadState_SetAsyncExc(t->ident, NULL);
    t->interrupted = 0;
  }
  py.Py_DecRef(t->environ);
  py.Py_DecRef(t->call);
  t->environ = t->call = NULL;
  current = NULL;
  t->tstate = py.PyEval_SaveThread();
  return r;
}

static PyObject *builtin(const char *name) {
  PyObject *builtins = py.PyImport_ImportModule("builtins");
  PyObject *o = builtins ? py.PyObject_GetAttrString(builtins, name) : NULL;
  py.Py_DecRef(builtins);
  return o;
}

static int make_call_type(void) {
  PyObject *object = builtin("object");
  PyObject *size = object ? py.PyObject_GetAttrString(object, "__basicsize__") : NULL;
  Py_ssize_t base = size ? py.PyLong_AsSsize_t(size) : -1;
  py.Py_DecRef(size);
  py.Py_DecRef(object);
  if (base < 0) return -1;
  call_offset = (size_t)base;
  PyType_Slot slots[] = {
      {Py_tp_call, (void *)start_response},
      {Py_tp_doc, "start_response of one request (PEP 3333)."},
      {0, NULL},
  };
  PyType_Spec spec = {"_gowsgi.start_response", (int)(base + (Py_ssize_t)sizeof(struct call)), 0,
                      Py_TPFLAGS_DEFAULT, slots};
  call_type = py.PyType_FromSpec(&spec);
  return call_type ? 0 : -1;
}

/* gw_request_setup makes what requests need. */
int gw_request_setup(void) {
  list_type = builtin("list");
  tuple_type = builtin("tuple");
  str_type = builtin("str");
  str_close = py.PyUnicode_InternFromString("close");
  if (!list_type || !tuple_type || !str_type || !str_close) return -1;
  return make_call_type() == 0 && gw_environ_setup() == 0 ? 0 : -1;
}

/* gw_use_sendfile has files sent by gwgoSendFile. */
int gw_use_sendfile(void) {
  file_wrapper = gw_helper("FileWrapper");
  whole_file = gw_helper("whole_file");
  return file_wrapper && whole_file ? 0 : -1;
}

/* gw_set_wanted names the environ keys that gwgoEnviron gets after each call:
 * pairs of a key and its upper-case form. */
int gw_set_wanted(char **keys, int n) {
  wanted = calloc((size_t)(n > 0 ? n : 1), sizeof *wanted);
  if (!wanted) return -1;
  for (int i = 0; i < n; i++) {
    for (int j = 0; j < 2; j++) {
      wanted[i][j] = py.PyUnicode_InternFromString(keys[2 * i + j]);
      if (!wanted[i][j]) return -1;
    }
    nwanted = i + 1;
  }
  return 0;
}
