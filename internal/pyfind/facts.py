import sys
# -c puts the current directory, the application's, before the standard library.
if sys.path and sys.path[0] == "":
    del sys.path[0]
import json
import os
import sysconfig
implementation = getattr(sys, "implementation", None)
if implementation is not None:
    name = implementation.name
elif "PyPy" in sys.version:
    name = "pypy"
else:
    name = "cpython"
try:
    libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
except (AttributeError, OSError, ValueError):
    libc = ""
def var(key):
    return str(sysconfig.get_config_var(key) or "")
sys.stdout.write("\n" + json.dumps({
    "implementation": name,
    "version": sys.version.split()[0],
    "version_info": list(sys.version_info[:2]),
    "executable": sys.executable or "",
    "base_prefix": getattr(sys, "base_prefix", sys.prefix),
    "ldlibrary": var("LDLIBRARY"),
    "instsoname": var("INSTSONAME"),
    "libdir": var("LIBDIR"),
    "multiarch": var("MULTIARCH"),
    "abiflags": getattr(sys, "abiflags", ""),
    "libc": libc,
}) + "\n")
