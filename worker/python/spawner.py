"""The spawner's side in Python: takes orders from the master, forks workers.

It runs as the module _gowsgi_spawner, before there is any Go in the process; the
functions of spawn.c have been put into it before. Each order is one message of a
SOCK_SEQPACKET socket, a JSON object; see ipc.Order and ipc.Report.
"""

import _socket
import json
import os
import sys

import _gowsgi

# As large as a message can be: the kernel bounds it by net.core.wmem_max.
_MAX_MESSAGE = 1 << 18
_MAX_FDS = 64

_control = None


def _report(kind, **fields):
    """Tells the master something. One that is gone is noticed by serve."""
    fields["kind"] = kind
    try:
        _control.send(json.dumps(fields).encode())
    except OSError:
        pass


def _report_exception(exception, **fields):
    code, line, traceback = _gowsgi.describe(exception)
    # The end of a traceback says more than its beginning.
    _report("failed", code=code, error=line[-1000:], traceback=traceback[-50000:], **fields)


def _receive_descriptors():
    """Takes the message with descriptors that follows an order to fork."""
    _, ancillary, _, _ = _control.recvmsg(
        1, _socket.CMSG_SPACE(4 * _MAX_FDS), _socket.MSG_CMSG_CLOEXEC
    )
    fds = []
    for level, kind, data in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            for i in range(0, len(data) - 3, 4):
                fds.append(int.from_bytes(data[i : i + 4], sys.byteorder))
    return tuple(fds)


def _threads():
    """Returns the names of the threads that workers will not have."""
    threading = sys.modules.get("threading")
    if threading is None:
        return []
    main = threading.main_thread()
    return [t.name for t in threading.enumerate() if t is not main]


def _assume(uid, gid, groups):
    """Gives the master's rights up for good, so that nothing of the application
    ever runs with them."""
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _prepare(order):
    """Makes the process what a worker is before it loads the application, and
    loads it if that is wanted."""
    sys.argv = order["argv"]
    os.chdir(order["chdir"])
    for directory in [order["chdir"]] + (order.get("pythonpath", [])):
        if directory not in sys.path:
            sys.path.insert(0, directory)
    for entry in order.get("env", []):
        name, _, value = entry.partition("=")
        os.environ[name] = value
    catch_signals()  # noqa: F821 (from spawn.c)
    if order.get("identity"):
        _assume(**order["identity"])
    if order.get("preload"):
        set_application(_gowsgi.load(order["module"], order["attr"]))  # noqa: F821


def _share():
    """Keeps the collector from writing to what workers share. Objects made by now
    are not looked at any more."""
    import gc

    gc.collect()
    gc.freeze()


class _Spawner:
    """What the orders are, by name. A method returns true in a worker."""

    def __init__(self):
        self.shared = False
        self.worker_title = b""

    def prepare(self, order):
        try:
            _prepare(order)
        except BaseException as e:
            _report_exception(e, order="prepare")
            return
        self.worker_title = order["worker_title"].encode("utf-8", "surrogateescape")
        set_title(order["title"].encode("utf-8", "surrogateescape"))  # noqa: F821
        _report("done", order="prepare", threads=_threads())

    def fork(self, order):
        if not self.shared:
            self.shared = True
            _share()
        try:
            if fork_worker(_receive_descriptors()):  # noqa: F821
                return False
        except Exception as e:
            _report_exception(e, order="fork")
            return False
        set_title(self.worker_title)  # noqa: F821
        return True


def serve(control, master):
    """Obeys until the master is gone. It also returns in each worker."""
    global _control
    _control = _socket.socket(fileno=control)
    spawner = _Spawner()
    while True:
        message = _control.recv(_MAX_MESSAGE)
        if not message:
            return
        order = json.loads(message)
        if getattr(spawner, order["order"])(order):
            _control.detach()  # closed already
            return
