"""Starts the peers that have no command line, or none that takes what a
scenario needs: launch.py SERVER HOST PORT WORKERS THREADS MODULE:VARIABLE."""

import importlib
import logging
import os
import sys


def bjoern(app, host, port, workers, threads):
    """One process per worker on one listening socket, as its README shows."""
    import bjoern

    bjoern.listen(app, host, port)
    for _ in range(workers - 1):
        pid = os.fork()
        if pid == 0:
            break
    try:
        bjoern.run()
    except KeyboardInterrupt:
        pass


def fastwsgi(app, host, port, workers, threads):
    import fastwsgi

    # Off by default: answers written in two parts then wait for the client's ACK.
    fastwsgi.server.tcp_nodelay = 1
    fastwsgi.run(app, host, port, workers=workers)


def waitress(app, host, port, workers, threads):
    """One process: what the others do with workers it does with threads."""
    import waitress

    # It logs a warning for each request that finds all threads busy.
    logging.getLogger("waitress").setLevel(logging.ERROR)
    waitress.serve(app, host=host, port=port, threads=workers * threads)


def main():
    server, host, port, workers, threads, name = sys.argv[1:]
    module, _, variable = name.partition(":")
    app = getattr(importlib.import_module(module), variable)
    globals()[server](app, host, int(port), int(workers), int(threads))


# The directory of this script is first in sys.path and must not hide a peer.
sys.path.pop(0)
main()
