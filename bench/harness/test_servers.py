import dataclasses
import os
import sys
import time
import unittest
from unittest import mock

from harness import procfs, scenarios, servers, setup

# A server that ignores SIGTERM and has a child in a session of its own.
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
os.write(1, b"up\\n")
time.sleep(60)
"""


class StopTest(unittest.TestCase):
    def setUp(self):
        setup.files()
        for name, value in [("STOP", 0.2), ("APPS", "/")]:
            patch = mock.patch.object(servers, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def running(self, code):
        server = servers.Server("test", lambda s, port: [sys.executable, "-c", code])
        r = servers.Running(server, scenarios.SCENARIOS[0])
        self.addCleanup(r.log.unlink)
        self.addCleanup(r.stop)
        return r

    def test_a_stubborn_server_ends_with_its_children(self):
        r = self.running(STUBBORN)
        deadline = time.monotonic() + 20
        while r.log.read_text() != "up\nup\n":
            self.assertLess(time.monotonic(), deadline, r.log_end())
            time.sleep(0.01)
        tree = procfs.tree(r.pid, procfs.processes())
        self.assertEqual(len(tree), 2)
        r.stop()
        left = {(p.pid, p.started) for p in procfs.processes() if p.state != "Z"}
        self.assertFalse(left & {(p.pid, p.started) for p in tree})

    def test_a_server_that_exits_is_told_with_its_last_words(self):
        r = self.running("import sys; sys.exit('no such app')")
        with self.assertRaisesRegex(servers.ServerError, "exited 1: no such app"):
            r.wait_ready()

    def test_stop_twice(self):
        r = self.running("import time; time.sleep(60)")
        r.stop()
        with mock.patch.object(os, "kill") as kill:
            r.stop()
        kill.assert_not_called()


ANSWERS = """
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({status})
        self.end_headers()
        self.wfile.write({content!r})
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
"""


KEEPS = """
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "13")
        self.end_headers()
        self.wfile.write(b"Hello, World!")
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
"""


class CheckTest(unittest.TestCase):
    def test_check(self):
        setup.files()
        for name, status, content, want in [
            ("right", 200, b"Hello, World!", None),
            ("status", 500, b"Hello, World!", "answered 500"),
            ("length", 200, b"Hello", "5 bytes, not 13"),
            ("content", 200, b"Hello, Earth!", "Hello, Earth!"),
        ]:
            with self.subTest(name):
                code = ANSWERS.format(status=status, content=content)
                server = servers.Server("test", lambda s, port, code=code: [
                    sys.executable, "-c", code, str(port)])
                with servers.Running(server, scenarios.SCENARIOS[0]) as r:
                    self.addCleanup(r.log.unlink, missing_ok=True)
                    if want is None:
                        r.wait_ready()
                        self.assertFalse(r.kept_alive)  # HTTP/1.0
                        continue
                    with self.assertRaisesRegex(servers.ServerError, want):
                        r.wait_ready()


class SelectTest(unittest.TestCase):
    def test_select(self):
        got = servers.select(["waitress", "gowsgi"])
        self.assertEqual([s.name for s in got], ["gowsgi", "waitress"])
        with self.assertRaisesRegex(ValueError, "no server 'nginx'"):
            servers.select(["nginx"])

    def test_skips(self):
        lacking = {"floor", "baseline", "bjoern", "fastwsgi", "gunicorn-sync"}
        for scenario, want in [
            ("hello-c32", {"baseline"}),
            ("flask-c32", {"baseline", "floor"}),
            ("sleep", lacking),
            ("threads", lacking - {"baseline"}),
            ("stream", {"baseline", "floor", "uwsgi"}),
        ]:
            with self.subTest(scenario):
                s = scenarios.select([scenario])[0]
                self.assertEqual({x.name for x in servers.SERVERS if x.skips(s)}, want)

    def test_the_baseline_lacks_the_feature(self):
        baseline = servers.select(["baseline"])[0]
        for name in ("threads", "accesslog", "idle"):
            s = scenarios.select([name])[0]
            with self.subTest(name):
                self.assertTrue(s.needs)
                self.assertFalse(baseline.runs(s).needs)
                self.assertEqual(baseline.runs(s).workers, s.workers)


class HoldTest(unittest.TestCase):
    def held(self, code):
        setup.files()
        server = servers.Server("test", lambda s, port: [sys.executable, "-c", code, str(port)])
        s = dataclasses.replace(scenarios.SCENARIOS[0], idle=3)
        r = servers.Running(server, s)
        self.addCleanup(r.log.unlink, missing_ok=True)
        self.addCleanup(r.stop)
        r.wait_ready()
        r.hold()
        return r

    def test_connections_stay(self):
        self.assertEqual(self.held(KEEPS).release(), 0)

    def test_a_server_that_closes_is_told(self):
        r = self.held(ANSWERS.format(status=200, content=b"Hello, World!"))
        self.assertEqual(r.release(), 3)
