"""What an interpreter executes that hosts the server: it becomes a worker, or a
spawner of workers, as a process does that loads CPython as a library (host.c,
spawn.c). `python -c` runs it, with SOURCES before it: helper.py, spawner.py,
hooks.py and logs.py. Of sys.argv it takes: the descriptor this text came on, the
role, the descriptor of the server's library, the mark, the title; see ipc.HostArgs.

A spawner loads the library in the workers only: the Go runtime in it would not live
through a fork.
"""

import _imp
import _signal
import os
import sys

# As in spawn.c.
FIRST, RESERVED = 3, 64
STATUS = 4
ORPHAN_SECONDS = 3

# What the server handles in a worker, and ipc.HeldSignals: blocked until it does.
HELD = tuple(
    getattr(_signal, name)
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGWINCH")
)
# What a spawner does not heed.
CAUGHT = HELD + (_signal.SIGTTIN, _signal.SIGTTOU)


def undo():
    """Takes back what python does for -c and not where CPython is a library."""
    if sys.path[:1] == [""] and not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    sys.argv = [""]
    if hasattr(sys, "orig_argv"):
        sys.orig_argv = []
    # No KeyboardInterrupt.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


def load(library):
    """Loads the server's library and returns work, see host.c."""
    from importlib.machinery import ModuleSpec

    path = "/proc/self/fd/%d" % library
    try:
        _imp.create_dynamic(ModuleSpec("_gowsgi_host", None, origin=path))
    except (ImportError, SystemError) as e:
        module = sys.modules.pop("_gowsgi_host", None)
        if hasattr(module, "work"):
            os.close(library)
            return module.work
        reason = str(e)
    import json

    error = "loading %s: %s" % (os.readlink(path), reason)
    message = {"kind": "boot_failed", "code": 3, "error": error}
    os.write(STATUS, json.dumps(message).encode() + b"\n")
    os._exit(3)


def module(name, source, **names):
    """Makes a module of a part of the server, with names in it that it uses."""
    made = sys.modules[name] = type(sys)(name)
    vars(made).update(names, __file__="<gowsgi>")
    exec(compile(source, "<gowsgi>", "exec"), vars(made))
    return made


def fork():
    """os.fork, also if the thread that watches the master counts as a reason to
    warn."""
    if sys.version_info < (3, 12):
        return os.fork()
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


class Callbacks:
    """The callables of os.register_at_fork, which are to see one fork where there
    are two. CPython keeps them in lists that nothing names; they are found by what
    was put into them. Where they are not, the callables run twice."""

    KINDS = ("before", "after_in_parent", "after_in_child")

    def __init__(self):
        import gc

        probes = {kind: lambda: None for kind in self.KINDS}
        os.register_at_fork(**probes)
        self.lists = {}
        for kind, probe in probes.items():
            found = [o for o in gc.get_referrers(probe) if type(o) is list and o[-1:] == [probe]]
            self.lists[kind] = found[0] if len(found) == 1 else []
            self.lists[kind][-1:] = []
        self.held = {}

    def hold(self, *kinds):
        """Keeps these from running at the next fork."""
        for kind in kinds:
            self.held[kind] = self.lists[kind][:]
            self.lists[kind].clear()

    def release(self):
        for kind, held in self.held.items():
            self.lists[kind][:0] = held
        self.held.clear()


def fork_twice(callbacks):
    """Forks a child whose parent is gone, so that the master becomes it. Returns 0 in
    the child, its pid in the parent."""
    reading, writing = os.pipe()
    callbacks.hold("after_in_child")
    try:
        middle = fork()
        if middle != 0:
            # The middle one's end of the pipe closes with it, whatever it came to.
            os.waitpid(middle, 0)
            os.set_blocking(reading, False)
            pid = int.from_bytes(os.read(reading, 8), sys.byteorder, signed=True)
            if pid < 0:
                raise OSError(-pid, os.strerror(-pid))
            return pid
        callbacks.release()
        callbacks.hold("before", "after_in_parent")
        try:
            pid = fork()
        except OSError as e:
            pid = -e.errno
        if pid != 0:
            os.write(writing, pid.to_bytes(8, sys.byteorder, signed=True))
            os._exit(0)
        return 0
    finally:
        callbacks.release()
        os.close(reading)
        os.close(writing)


def ignore(number, frame):
    """Heeds nothing; what is ignored would stay so in programs that are started."""


class Spawner:
    """The functions of spawn.c for spawner.py."""

    def __init__(self, control):
        self.control = control
        self.pid, self.master = os.getpid(), os.getppid()
        self.title = b""
        self.app = None
        self.kill = os.kill
        self.callbacks = Callbacks()

    def application(self):
        return self.app

    def set_application(self, app):
        self.app = app

    def log(self, level, message, traceback):
        os.write(2, message.encode("utf-8", "backslashreplace") + b"\n")

    def watch(self):
        """Ends a spawner whose master is gone while it does something that never
        ends. That it is the GIL that never comes is beyond it."""
        import select
        import time

        _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
        gone = select.poll()
        gone.register(self.control, 0)
        gone.poll()
        time.sleep(ORPHAN_SECONDS)
        os._exit(1)

    def catch_signals(self):
        for number in CAUGHT:
            _signal.signal(number, ignore)
            _signal.siginterrupt(number, False)
        os.kill = self.kill_master

    def kill_master(self, pid, number):
        """os.kill; but signals that the spawner sends to itself are meant for the
        master: hooks know one process of that kind only."""
        if pid == self.pid == os.getpid() and number in CAUGHT:
            pid = self.master
        return self.kill(pid, number)

    def fill_holes(self, pools):
        """Nothing: what holes.c does is out of Python's reach."""

    def fork_worker(self, fds):
        """Makes a worker with these descriptors, from FIRST on. Returns 0 in it and
        its pid in the spawner, which has closed them."""
        if not 0 < len(fds) <= RESERVED:
            raise ValueError("bad descriptors for a worker")
        old = _signal.pthread_sigmask(_signal.SIG_BLOCK, HELD)
        try:
            pid = fork_twice(self.callbacks)
        except OSError as e:
            raise RuntimeError("fork: %s" % e.strerror) from None
        finally:
            if os.getpid() == self.pid:
                _signal.pthread_sigmask(_signal.SIG_SETMASK, old)
                for fd in fds:
                    os.close(fd)
        if pid == 0:
            self.become_worker(fds)
        return pid

    def become_worker(self, fds):
        for i, fd in enumerate(fds):
            os.dup2(fd, FIRST + i, inheritable=False)
            os.close(fd)
        os.closerange(FIRST + len(fds), FIRST + RESERVED)
        os.close(self.control)
        for number in CAUGHT:
            if _signal.getsignal(number) is ignore:
                _signal.signal(number, _signal.SIG_DFL)
        if os.kill == self.kill_master:
            os.kill = self.kill
        os.write(STATUS, b'{"kind":"started","pid":%d}\n' % os.getpid())

    def set_title(self, title):
        """Shows the process as that, cut to the room there is. In a worker the
        library does."""
        self.title = title
        if os.getpid() != self.pid:
            return
        try:
            with open("/proc/self/stat", "rb") as f:
                fields = f.read().rpartition(b")")[2].split()
            start, end = int(fields[48 - 3]), int(fields[49 - 3])  # arg_start, arg_end
            memory = os.open("/proc/self/mem", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            os.pwrite(memory, title[: end - start - 1].ljust(end - start, b"\0"), start)
        except OSError:
            pass  # a kernel that does not let processes do that
        finally:
            os.close(memory)


def serve(control):
    """Is a spawner until the master is gone, then ends the process; it returns, what
    it was, in workers."""
    import _thread

    # Of the descriptors that workers will have, all are something harmless.
    for fd in range(FIRST, control + 1):
        os.set_inheritable(fd, False)
    with open("/proc/self/comm", "w") as f:
        f.write("gowsgi-spawner")
    helper, spawner, hooks, logs = SOURCES  # noqa: F821
    host = Spawner(control)
    _thread.start_new_thread(host.watch, ())
    bridge = module(
        "_gowsgi",
        helper,
        application=host.application,
        set_application=host.set_application,
        log=host.log,
    )
    try:
        bridge.enable_faulthandler(2)
        orders = module(
            "_gowsgi_spawner",
            spawner,
            catch_signals=host.catch_signals,
            fill_holes=host.fill_holes,
            fork_worker=host.fork_worker,
            set_title=host.set_title,
        )
        orders.serve(control, host.master, hooks, logs)
    except BaseException as e:
        text = "gowsgi: spawner: %s\n" % bridge.format_exception(e)
        os.write(2, text.encode("utf-8", "backslashreplace"))
        if os.getpid() == host.pid:
            raise SystemExit(1) from None
        os._exit(1)  # a worker whose Python side is not whole must not serve
    if os.getpid() == host.pid:
        raise SystemExit(0)
    return host


image, role, library, mark, title = sys.argv[1:6]
undo()
os.close(int(image))
if role == "worker":
    load(int(library))(mark.encode(), os.fsencode(title), HELD, False, None)
else:
    host = serve(control=int(role))
    load(int(library))(mark.encode(), host.title, HELD, True, host.app)
