#include "bridge.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "_cgo_export.h"

/* The C side of hooks.py: hooks around a request, and what Python code of a
 * worker has to say to Go. */

/* Called before and after each request, strong references, NULL without hooks. */
static PyObject *before, *after;

/* There is one of them. */
int gw_hooked;

static PyObject *none(void) {
  py.Py_IncRef(py.None);
  return py.None;
}

static void replace(PyObject **place, PyObject *o) {
  PyObject *old = *place;
  if (o == py.None) o = NULL;
  py.Py_IncRef(o);
  *place = o;
  py.Py_DecRef(old);
}

/* set_request_hooks(before, after): each None or a callable,
 * before(environ) -> request, after(request, environ, status, headers, code, sent,
 * outcome): status and headers as start_response got them, then how the request
 * ended, see gw_ending. */
PyObject *gw_set_request_hooks(PyObject *self, PyObject *args) {
  (void)self;
  if (py.PyTuple_Size(args) != 2) {
    py.PyErr_SetString(py.PyExc_TypeError, "set_request_hooks takes (before, after)");
    return NULL;
  }
  replace(&before, py.PyTuple_GetItem(args, 0));
  replace(&after, py.PyTuple_GetItem(args, 1));
  gw_hooked = before || after;
  return none();
}

PyObject *gw_get_application(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  PyObject *app = gw_application ? gw_application : py.None;
  py.Py_IncRef(app);
  return app;
}

PyObject *gw_set_application(PyObject *self, PyObject *app) {
  (void)self;
  replace(&gw_application, app);
  return none();
}

static PyObject *or_none(PyObject *o) { return o ? o : py.None; }

static void run_after(gw_thread *t, int result) {
  gw_ending end;
  gwgoConclude(t->index, result, &end);
  PyObject *code = py.PyLong_FromLong(end.status), *sent = py.PyLong_FromLong((long)end.sent);
  PyObject *outcome = py.PyUnicode_InternFromString(end.outcome), *r = NULL;
  if (code && sent && outcome)
    r = py.PyObject_CallFunctionObjArgs(after, or_none(t->request), t->environ, or_none(t->status),
                                        or_none(t->sent_headers), code, sent, outcome, NULL);
  if (gw_in_forked_child()) gw_leave_forked_child();
  if (!r) gw_report(t, GW_IN_APPLICATION);
  py.Py_DecRef(r);
  py.Py_DecRef(outcome);
  py.Py_DecRef(sent);
  py.Py_DecRef(code);
}

/* gw_run_hooked is run with the hooks around it. A hook before the request that
 * raises is a failure of the application; one after it handles its own. */
int gw_run_hooked(gw_thread *t, int (*run)(gw_thread *)) {
  int r = GW_CALL_FAILED;
  if (before) t->request = py.PyObject_CallFunctionObjArgs(before, t->environ, NULL);
  if (gw_in_forked_child()) gw_leave_forked_child();
  if (!before || t->request) r = run(t);
  else gw_report(t, GW_IN_APPLICATION);
  if (after) run_after(t, r);
  py.Py_DecRef(t->request);
  py.Py_DecRef(t->status);
  py.Py_DecRef(t->sent_headers);
  t->request = t->status = t->sent_headers = NULL;
  return r;
}

/* gw_keep_response keeps what start_response got for the hook after it. */
void gw_keep_response(gw_thread *t, PyObject *status, PyObject *headers) {
  replace(&t->status, status);
  replace(&t->sent_headers, headers);
}

/* text borrows a str's UTF-8; one that has none is replaced. */
static gw_bytes text(PyObject *s) {
  Py_ssize_t n;
  const char *p = py.PyUnicode_AsUTF8AndSize(s, &n);
  if (!p) {
    py.PyErr_Clear();
    p = "(text that is not Unicode)";
    n = (Py_ssize_t)strlen(p);
  }
  return (gw_bytes){p, (size_t)n};
}

/* Go has been started in this process. */
static int go_runs;

void gw_go_runs(void) { go_runs = 1; }

/* log(level, message, traceback) writes a line to the error log. In a child the
 * application forked, and before Go runs, there is none. */
PyObject *gw_log(PyObject *self, PyObject *args) {
  (void)self;
  if (py.PyTuple_Size(args) != 3) {
    py.PyErr_SetString(py.PyExc_TypeError, "log takes (level, message, traceback)");
    return NULL;
  }
  gw_bytes message = text(py.PyTuple_GetItem(args, 1));
  if (!go_runs || gw_in_forked_child()) {
    if (write(2, message.p, message.len) >= 0 && write(2, "\n", 1) >= 0) return none();
    return none();
  }
  gwgoLog(text(py.PyTuple_GetItem(args, 0)), message, text(py.PyTuple_GetItem(args, 2)));
  return none();
}

/* signalled(number) gives a signal to Go that Python has handled. */
PyObject *gw_signalled(PyObject *self, PyObject *number) {
  (void)self;
  Py_ssize_t n = py.PyLong_AsSsize_t(number);
  if (n > 0 && !gw_in_forked_child()) gwgoSignalled((int)n);
  return py.PyErr_Occurred() ? NULL : none();
}

/* gw_hook runs a hook of a worker that was forked by a spawner. It returns 0, or
 * an exit code with *error and *traceback set, malloc'ed. */
int gw_hook(const char *name, char **error, char **traceback) {
  PyObject *module = py.PyImport_ImportModule("_gowsgi_spawner");
  PyObject *f = module ? py.PyObject_GetAttrString(module, "worker_hook") : NULL;
  PyObject *s = f ? py.PyUnicode_InternFromString(name) : NULL;
  PyObject *r = s ? py.PyObject_CallFunctionObjArgs(f, s, NULL) : NULL;
  int code = r ? 0 : gw_explain(error, traceback);
  py.Py_DecRef(r);
  py.Py_DecRef(s);
  py.Py_DecRef(f);
  py.Py_DecRef(module);
  return code;
}
