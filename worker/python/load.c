#define _GNU_SOURCE
#include "bridge.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

struct gw_api py;

/* gw_load opens libpython with RTLD_GLOBAL, because extension modules resolve
 * CPython's symbols in the global scope, and looks up everything in api.h. */
int gw_load(const char *library, char *err, size_t errlen) {
  void *handle = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
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
  /* The exception variables are filled by Py_InitializeEx; gw_start reads
   * them. */
  return 0;
}
