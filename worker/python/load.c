#define _GNU_SOURCE
#include "bridge.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

struct gw_api py;

/* gw_load opens libpython with RTLD_GLOBAL, because extension modules resolve
 * CPython's symbols in the global scope, and looks up all functions in api.h.
 * Without a library they are those of the process. */
int gw_load(const char *library, char *err, size_t errlen) {
  void *handle = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
  if (!library) library = "the program";
  if (!handle) {
    snprintf(err, errlen, "loading %s: %s", library, dlerror());
    return -1;
  }
#define X(result, name, args)                                                  \
  *(void **)&py.name = dlsym(handle, #name);                                   \
  if (!py.name) {                                                              \
    snprintf(err, errlen, "%s has no function %s", library, #name);            \
    return -1;                                                                 \
  }
  GW_FUNCTIONS(X)
#undef X
  py.None = dlsym(handle, "_Py_NoneStruct");
  if (!py.None) {
    snprintf(err, errlen, "%s has no object None", library);
    return -1;
  }
  return 0;
}

/* gw_load_objects reads the variables in api.h, which Py_InitializeEx has filled. */
int gw_load_objects(char *err, size_t errlen) {
#define X(name)                                                                \
  {                                                                            \
    PyObject **p = dlsym(RTLD_DEFAULT, #name);                                 \
    if (!p || !*p) {                                                           \
      snprintf(err, errlen, "libpython has no object " #name);                 \
      return -1;                                                               \
    }                                                                          \
    py.name = *p;                                                              \
  }
  GW_OBJECTS(X)
#undef X
  return 0;
}
