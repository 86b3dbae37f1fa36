"""python -m gowsgi: the installed binary, with this interpreter."""

import os
import sys
import sysconfig

# Commands of the binary that load no application, and take no --python.
COMMANDS = ("stacks", "status")


def candidates():
    """Returns where pip may have put the binary, most likely first."""
    site = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    prefix = os.path.dirname(os.path.dirname(os.path.dirname(site)))
    return [
        # PREFIX/lib/pythonX.Y/site-packages: an environment, --user, --prefix.
        os.path.join(prefix, "bin", "gowsgi"),
        # --target DIR.
        os.path.join(site, "bin", "gowsgi"),
        # --editable: this file is elsewhere.
        os.path.join(sysconfig.get_path("scripts"), "gowsgi"),
    ]


def with_python(args):
    """Returns args with this interpreter, unless they say another."""
    if args[:1] and args[0] in COMMANDS or not sys.executable:
        return args
    if any(arg == "--python" or arg.startswith("--python=") for arg in args):
        return args
    return ["--python", sys.executable] + args


def main():
    paths = candidates()
    path = next((p for p in paths if os.path.isfile(p) and os.access(p, os.X_OK)), None)
    if path is None:
        sys.exit("gowsgi: the binary is not installed; looked for it at " + ", ".join(paths))
    # The binary takes the place of this process, which so gets the signals.
    os.execv(path, [path] + with_python(sys.argv[1:]))


if __name__ == "__main__":
    main()
