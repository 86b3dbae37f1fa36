# Metrics of several processes in files of one directory; those of a worker that is
# gone are merged.
import os
import shutil

from prometheus_client import multiprocess

workers = 2


def on_starting(server):
    directory = os.environ["PROMETHEUS_MULTIPROC_DIR"]
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)


def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)
