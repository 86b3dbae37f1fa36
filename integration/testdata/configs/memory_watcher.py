# A thread beside the arbiter ends workers that have grown too large.
import os
import signal
import threading
import time

workers = 2
LIMIT = int(os.environ.get("MAX_RSS_MB", "72")) * 1024 * 1024
PAGE = os.sysconf("SC_PAGE_SIZE")


def rss(pid):
    with open("/proc/%d/statm" % pid) as f:
        return int(f.read().split()[1]) * PAGE


class MemoryWatcher(threading.Thread):
    def __init__(self, server):
        super().__init__(daemon=True, name="memory watcher")
        self.server = server

    def run(self):
        while True:
            for pid, worker in list(self.server.WORKERS.items()):
                try:
                    used = rss(pid)
                except OSError:
                    continue
                if used > LIMIT:
                    self.server.log.warning("worker %s (age %d) uses %d MB", pid, worker.age, used >> 20)
                    self.server.kill_worker(pid, signal.SIGTERM)
            time.sleep(0.2)


def when_ready(server):
    server.log.info("Server is ready. Spawning workers")
    MemoryWatcher(server).start()
