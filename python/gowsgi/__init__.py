"""gowsgi is a program, not a library: this package only finds and starts it.

    python -m gowsgi -w 4 myapp:application
"""

__all__ = ["__version__"]


def __getattr__(name):
    if name == "__version__":
        from importlib.metadata import version

        return version("gowsgi")
    raise AttributeError("module %r has no attribute %r" % (__name__, name))
