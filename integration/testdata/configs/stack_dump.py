# Where every thread is when a worker is told to leave, or is stuck.
import sys
import threading
import traceback

timeout = 1
workers = 1


def _dump(worker, why):
    names = {t.ident: t.name for t in threading.enumerate()}
    lines = []
    for ident, frame in sys._current_frames().items():
        lines.append("# Thread: %s(%d)" % (names.get(ident, ""), ident))
        for filename, number, function, text in traceback.extract_stack(frame):
            lines.append('  %s: line %d, in %s: %s' % (filename, number, function, text))
    worker.log.info("%s\n%s", why, "\n".join(lines))


def pre_exec(server):
    server.log.info("Forked child, re-executing.")


def worker_int(worker):
    worker.log.info("worker received INT or QUIT signal")
    _dump(worker, "interrupted")


def worker_abort(worker):
    worker.log.info("worker received SIGABRT signal")
    _dump(worker, "aborted")
