#include "bridge.h"

/* Lines of the server's log on their way to Python's logging, see logs.py. */

/* gw_feed gives a line to _gowsgi.feed, which handles its own exceptions. The
 * calling OS thread is one of Go's that does not hold the GIL. */
void gw_feed(const char *level, const char *text, size_t n) {
  int state = py.PyGILState_Ensure();
  PyObject *feed = gw_helper("feed");
  PyObject *l = py.PyUnicode_InternFromString(level);
  PyObject *t = py.PyBytes_FromStringAndSize(text, (Py_ssize_t)n);
  PyObject *r = feed && l && t ? py.PyObject_CallFunctionObjArgs(feed, l, t, NULL) : NULL;
  py.Py_DecRef(r);
  py.Py_DecRef(t);
  py.Py_DecRef(l);
  py.Py_DecRef(feed);
  py.PyErr_Clear();
  py.PyGILState_Release(state);
}
