import unittest
from unittest import mock

from harness import cli, machine, measure, scenarios, servers
from harness.measure import Cell, Plan, Round

HELLO = scenarios.SCENARIOS[0]


def a_round(n):
    return Round(n, 100.0 + n, 1, 1, 1, 1, 1, 1, 0, 0, 100)


class FakeRunning:
    """A server that was started: nothing runs."""

    def __init__(self, server, s):
        self.server, self.scenario = server, server.runs(s)
        self.command, self.kept_alive = [server.name], True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def wait_ready(self):
        pass

    def stop(self):
        pass

    def release(self):
        return 0


class ScenarioTest(unittest.TestCase):
    def setUp(self):
        self.timed = []
        for name, value in [("Running", FakeRunning), ("run", self.run_wrk)]:
            patch = mock.patch.object(measure, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def run_wrk(self, r, n, seconds):
        if seconds > 1:  # else the warm-up
            self.timed.append((n, r.server.name))
        return a_round(n)

    def measure(self, names, rounds, earlier=(), save=lambda cells: None):
        return measure.scenario(HELLO, servers.select(names), Plan(rounds, 2, 0),
                                lambda line: None, earlier, save)

    def test_every_server_in_every_round(self):
        saved = []
        cells = self.measure(["gowsgi", "bjoern"], 2, save=lambda c: saved.append(len(c[0].rounds)))
        self.assertEqual(self.timed, [(0, "gowsgi"), (0, "bjoern"), (1, "bjoern"), (1, "gowsgi")])
        self.assertEqual(saved, [1, 2])
        self.assertEqual(cells[1].ratio.median, 1)

    def test_only_missing_rounds_are_done_when_resumed(self):
        earlier = [Cell("gowsgi", rounds=[a_round(0), a_round(1)]),
                   Cell("bjoern", rounds=[a_round(0)]),  # interrupted before its second
                   Cell("fastwsgi", fault="broken")]
        cells = self.measure(["gowsgi", "bjoern", "fastwsgi", "waitress"], 2, earlier)
        self.assertEqual(sorted(self.timed), [(1, "bjoern"), (1, "gowsgi")])
        self.assertEqual([len(c.rounds) for c in cells], [2, 2, 0])

    def test_nothing_is_done_when_all_rounds_are_there(self):
        self.measure(["gowsgi"], 1, [Cell("gowsgi", rounds=[a_round(0)])])
        self.assertEqual(self.timed, [])

    def test_references_that_take_no_part_have_no_row(self):
        cells = self.measure(["gowsgi", "baseline"], 1)
        self.assertEqual([c.server for c in cells], ["gowsgi"])


class ContinuedTest(unittest.TestCase):
    def run_of(self, **kw):
        return dict({"command": "bench/run", "machine": {"CPU": "a", machine.LOAD: "1"},
                     "rounds": 5, "seconds": 2, "cells": {}}, **kw)

    def test_of_the_same_making(self):
        now = self.run_of(command="bench/run --resume", rounds=3,
                          machine={"CPU": "a", machine.LOAD: "2"})
        got = cli._continued(self.run_of(), now)
        self.assertEqual((got["rounds"], got["command"]), (5, "bench/run; bench/run --resume"))
        self.assertEqual(cli._continued(got, now)["command"], got["command"])

    def test_of_another_is_refused(self):
        for now in (self.run_of(seconds=3), self.run_of(machine={"CPU": "b"})):
            with self.assertRaises(cli.Refused):
                cli._continued(self.run_of(), now)
