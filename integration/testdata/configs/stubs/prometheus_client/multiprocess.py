import os


def mark_process_dead(pid):
    directory = os.environ["PROMETHEUS_MULTIPROC_DIR"]
    open(os.path.join(directory, "dead-%d" % pid), "w").close()
