import unittest

from harness import goals, scenarios, servers
from harness.measure import Cell, Round
from harness.stats import Spread


def cell(server, p99=0.5, cpu=10, slow=30, ratio=None, **kw):
    r = Round(0, 1000, 0.1, 0.2, p99, cpu, 0, 12 << 20, 0.5, 0, 1000, slow_rate=slow)
    return Cell(server, rounds=[r], ratio=ratio and Spread(ratio, ratio, ratio), **kw)


class GoalsTest(unittest.TestCase):
    def judge(self, scenario, text, *cells):
        for goal, seen, good in goals.judged({scenario: list(cells)}):
            if goal.text == text:
                return seen, good
        return None

    def test_ratio(self):
        for ratio, want in [(1.31, True), (1.3, True), (1.29, False)]:
            got = self.judge("hello-c32", "1.3 x granian", cell("gowsgi"),
                             cell("granian", ratio=ratio))
            self.assertEqual(got[1], want)

    def test_without_figures_no_verdict(self):
        bad = cell("granian", ratio=2, fault="read errors")
        self.assertIsNone(self.judge("hello-c32", "1.3 x granian", cell("gowsgi"), bad))
        self.assertEqual(goals.judged({}), [])
        self.assertEqual(goals.judged({"mixed": [], "idle": []}), [])

    def test_the_best_peer_counts_and_a_reference_is_none(self):
        cells = [cell("gowsgi"), cell("bjoern", ratio=3), cell("granian", ratio=0.9),
                 cell("floor", ratio=0.1, reference=True)]
        seen, good = self.judge("up1m", "1.0 x the best peer", *cells)
        self.assertFalse(good)
        self.assertIn("granian", seen)

    def test_bounds(self):
        text = "p99 of the fast at most 1 ms"
        for p99, want in [(0.9, True), (1.1, False)]:
            self.assertEqual(self.judge("mixed", text, cell("gowsgi", p99=p99))[1], want)
        text = "the slow not slowed: 95% of 30/s"
        for slow, want in [(29.2, True), (20, False)]:
            self.assertEqual(self.judge("mixed", text, cell("gowsgi", slow=slow))[1], want)

    def test_least_cpu(self):
        text = "the least CPU per request"
        for cpu, want in [(9, True), (11, False)]:
            got = self.judge("flask-c32", text, cell("gowsgi", cpu=cpu), cell("bjoern", cpu=10))
            self.assertEqual(got[1], want)
        self.assertIsNone(self.judge("flask-c32", text, cell("gowsgi")))

    def test_goals_name_scenarios_that_are_there(self):
        self.assertLessEqual({g.scenario for g in goals.GOALS},
                             {s.name for s in scenarios.SCENARIOS})
        self.assertIn("gowsgi", {s.name for s in servers.SERVERS})
