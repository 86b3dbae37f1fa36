/* The part of CPython's C API the bridge uses, without CPython's headers.
 *
 * Every function here is in the stable ABI or has been exported unchanged by
 * every CPython since 3.8, so one binary serves them all. Objects are opaque:
 * no macro, no struct layout of CPython's own objects is used. The few structs
 * below (method and type definitions) are inputs whose layout the stable ABI
 * fixes. The functions are looked up by name at run time (load.c). */
#ifndef GW_API_H
#define GW_API_H

#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

typedef struct gw_object PyObject;
typedef struct gw_tstate PyThreadState;
typedef ptrdiff_t Py_ssize_t;

typedef struct {
  const char *ml_name;
  PyObject *(*ml_meth)(PyObject *self, PyObject *arg);
  int ml_flags;
  const char *ml_doc;
} PyMethodDef;

enum { METH_VARARGS = 1, METH_NOARGS = 4, METH_O = 8 };

typedef struct {
  int slot;
  void *pfunc;
} PyType_Slot;

typedef struct {
  const char *name;
  int basicsize;
  int itemsize;
  unsigned int flags;
  PyType_Slot *slots;
} PyType_Spec;

enum { Py_tp_call = 50, Py_tp_doc = 56 };
enum { Py_TPFLAGS_DEFAULT = 1u << 18 };
enum { Py_file_input = 257 };

/* X(result, name, arguments) */
#define GW_FUNCTIONS(X)                                                        \
  X(void, Py_SetProgramName, (const wchar_t *))                                \
  X(void, Py_InitializeEx, (int))                                              \
  X(int, Py_IsInitialized, (void))                                             \
  X(int, Py_FinalizeEx, (void))                                                \
  X(wchar_t *, Py_DecodeLocale, (const char *, size_t *))                      \
  X(void, Py_IncRef, (PyObject *))                                             \
  X(void, Py_DecRef, (PyObject *))                                             \
  X(PyObject *, Py_CompileString, (const char *, const char *, int))           \
  X(PyObject *, PyEval_EvalCode, (PyObject *, PyObject *, PyObject *))         \
  X(PyThreadState *, PyEval_SaveThread, (void))                                \
  X(void, PyEval_RestoreThread, (PyThreadState *))                             \
  X(PyObject *, PyImport_AddModule, (const char *))                            \
  X(PyObject *, PyImport_ImportModule, (const char *))                         \
  X(PyObject *, PyModule_GetDict, (PyObject *))                                \
  X(int, PySys_SetObject, (const char *, PyObject *))                          \
  X(PyObject *, PyObject_Type, (PyObject *))                                   \
  X(PyObject *, PyObject_GetAttr, (PyObject *, PyObject *))                    \
  X(PyObject *, PyObject_GetAttrString, (PyObject *, const char *))            \
  X(PyObject *, PyObject_Str, (PyObject *))                                    \
  X(PyObject *, PyObject_CallFunctionObjArgs, (PyObject *, ...))               \
  X(int, PyObject_IsTrue, (PyObject *))                                        \
  X(PyObject *, PyObject_GetIter, (PyObject *))                                \
  X(PyObject *, PyIter_Next, (PyObject *))                                     \
  X(PyObject *, PySequence_List, (PyObject *))                                 \
  X(PyObject *, PySequence_Tuple, (PyObject *))                                \
  X(PyObject *, PyDict_New, (void))                                            \
  X(PyObject *, PyDict_Copy, (PyObject *))                                     \
  X(int, PyDict_SetItem, (PyObject *, PyObject *, PyObject *))                 \
  X(int, PyDict_SetItemString, (PyObject *, const char *, PyObject *))         \
  X(PyObject *, PyDict_GetItemString, (PyObject *, const char *))              \
  X(PyObject *, PyDict_GetItemWithError, (PyObject *, PyObject *))             \
  X(Py_ssize_t, PyDict_Size, (PyObject *))                                     \
  X(PyObject *, PyList_New, (Py_ssize_t))                                      \
  X(int, PyList_Append, (PyObject *, PyObject *))                              \
  X(Py_ssize_t, PyList_Size, (PyObject *))                                     \
  X(PyObject *, PyList_GetItem, (PyObject *, Py_ssize_t))                      \
  X(Py_ssize_t, PyTuple_Size, (PyObject *))                                    \
  X(PyObject *, PyTuple_New, (Py_ssize_t))                                     \
  X(int, PyTuple_SetItem, (PyObject *, Py_ssize_t, PyObject *))                \
  X(PyObject *, PyTuple_GetItem, (PyObject *, Py_ssize_t))                     \
  X(PyObject *, PyUnicode_DecodeFSDefault, (const char *))                     \
  X(PyObject *, PyUnicode_InternFromString, (const char *))                    \
  X(PyObject *, PyUnicode_DecodeLatin1,                                        \
    (const char *, Py_ssize_t, const char *))                                  \
  X(PyObject *, PyUnicode_AsLatin1String, (PyObject *))                        \
  X(PyObject *, PyUnicode_AsEncodedString,                                     \
    (PyObject *, const char *, const char *))                                  \
  X(PyObject *, PyUnicode_Concat, (PyObject *, PyObject *))                    \
  X(const char *, PyUnicode_AsUTF8AndSize, (PyObject *, Py_ssize_t *))         \
  X(Py_ssize_t, PyUnicode_GetLength, (PyObject *))                             \
  X(PyObject *, PyBytes_FromStringAndSize, (const char *, Py_ssize_t))         \
  X(int, PyBytes_AsStringAndSize, (PyObject *, char **, Py_ssize_t *))         \
  X(int, _PyBytes_Resize, (PyObject **, Py_ssize_t))                           \
  X(PyObject *, PyLong_FromLong, (long))                                       \
  X(Py_ssize_t, PyLong_AsSsize_t, (PyObject *))                                \
  X(PyObject *, PyBool_FromLong, (long))                                       \
  X(PyObject *, PyFloat_FromDouble, (double))                                  \
  X(PyObject *, PyCFunction_NewEx, (PyMethodDef *, PyObject *, PyObject *))    \
  X(PyObject *, PyType_FromSpec, (PyType_Spec *))                              \
  X(PyObject *, PyType_GenericAlloc, (PyObject *, Py_ssize_t))                 \
  X(PyObject *, PyErr_Occurred, (void))                                        \
  X(void, PyErr_Clear, (void))                                                 \
  X(void, PyErr_Fetch, (PyObject **, PyObject **, PyObject **))                \
  X(void, PyErr_NormalizeException, (PyObject **, PyObject **, PyObject **))   \
  X(int, PyException_SetTraceback, (PyObject *, PyObject *))                   \
  X(void, PyErr_SetString, (PyObject *, const char *))                         \
  X(PyObject *, PyErr_Format, (PyObject *, const char *, ...))                 \
  X(int, PyErr_ExceptionMatches, (PyObject *))                                 \
  X(int, PyErr_CheckSignals, (void))                                           \
  X(int, PyGILState_Ensure, (void))                                            \
  X(void, PyGILState_Release, (int))                                           \
  X(unsigned long, PyThread_get_thread_ident, (void))                          \
  X(int, PyThreadState_SetAsyncExc, (unsigned long, PyObject *))                                           \
  X(void, PyOS_BeforeFork, (void))                                             \
  X(void, PyOS_AfterFork_Parent, (void))                                       \
  X(void, PyOS_AfterFork_Child, (void))

/* Data symbols: variables that hold an object. */
#define GW_OBJECTS(X)                                                          \
  X(PyExc_TypeError)                                                           \
  X(PyExc_ValueError)                                                          \
  X(PyExc_AssertionError)                                                      \
  X(PyExc_RuntimeError)                                                        \
  X(PyExc_AttributeError)                                                      \
  X(PyExc_ImportError)                                                         \
  X(PyExc_ConnectionResetError)

struct gw_api {
#define X(result, name, args) result(*name) args;
  GW_FUNCTIONS(X)
#undef X
#define X(name) PyObject *name;
  GW_OBJECTS(X)
#undef X
  PyObject *None; /* borrowed for ever: &_Py_NoneStruct */
};

/* Filled once by gw_load, before any thread but the main one exists. */
extern struct gw_api py;

#endif
