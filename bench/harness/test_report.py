import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from harness import plot, report, scenarios
from harness.measure import Cell, Round
from harness.stats import Spread


def cell(server, rates, **kw):
    rounds = [Round(n, rate, 0.5, 0.7, 2.0, 12.5, 8 << 20, 9 << 20, 0.5, 0.0, 1000)
              for n, rate in enumerate(rates)]
    return Cell(server, rounds=rounds, command=[server, "app"], kept_alive=True, **kw)


def run(*cells):
    return {"command": "bench/run", "machine": {"CPU": "one"}, "rounds": 3, "seconds": 3,
            "cells": {"hello-c32": list(cells)}}


class MarkdownTest(unittest.TestCase):
    def row(self, c):
        text = report.markdown("x", run(c))
        return next(line for line in text.splitlines() if line.startswith(f"| {c.server} "))

    def test_figures(self):
        got = self.row(cell("bjoern", [100, 300, 200], ratio=Spread(1.5, 1.25, 2)))
        self.assertEqual(got, "| bjoern | 200 | 100 | 300 | 1.50 (1.25-2.00) | 0.50 | 0.70 | 2.00"
                              " | 12.5 | 8.0 | 9.0 | yes |  |")

    def test_a_faulty_cell_shows_no_figure_in_its_columns(self):
        got = self.row(cell("bjoern", [100], fault="3 read errors"))
        self.assertIn("| bjoern | - |", got)
        self.assertIn("invalid: 3 read errors (100 req/s do not count)", got)

    def test_remarks(self):
        c = cell("bjoern", [100])
        c.rounds[0].foreign, c.rounds[0].client, c.rounds[0].slow_rate = 0.3, 0.99, 29.5
        got = self.row(c)
        for part in ("30% of the machine", "wrk at its limit", "slow ones 29.5/s"):
            self.assertIn(part, got)

    def test_memory_of_idle_connections(self):
        self.assertIn("1.50 KiB per idle", self.row(cell("bjoern", [100], idle_bytes=1536)))

    def test_bars_in_a_message_do_not_break_the_table(self):
        got = self.row(Cell("bjoern", fault="a | b\nc"))
        self.assertIn("a \\| b c", got)


class WriteTest(unittest.TestCase):
    def test_three_files_and_exists(self):
        with tempfile.TemporaryDirectory() as d:
            path = Path(d, "2024-01-01-v1.2")
            self.assertFalse(report.exists(path))
            report.write(path, run(cell("gowsgi", [1]), Cell("bjoern", fault="no <port> & \"x\"")))
            self.assertTrue(report.exists(path))
            self.assertEqual(len(list(Path(d).iterdir())), 3)
            ElementTree.parse(path.with_name(path.name + ".svg"))


class ReadTest(unittest.TestCase):
    def test_what_was_written(self):
        cells = [cell("gowsgi", [1, 2]), cell("bjoern", [4], ratio=Spread(1.5, 1, 2)),
                 Cell("floor", fault="no", reference=True)]
        with tempfile.TemporaryDirectory() as d:
            path = Path(d, "2024-01-01-v1.2")
            report.write(path, run(*cells))
            self.assertEqual(report.read(path), run(*cells))


class PlotTest(unittest.TestCase):
    def test_bars_are_to_scale_and_the_longest_fits(self):
        picture = plot.svg([("a < b", [("x", Spread(50, 40, 100), False),
                                       ("y", Spread(25, 25, 25), True), ("z", None, False)])])
        root = ElementTree.fromstring(picture)
        space = "{http://www.w3.org/2000/svg}"
        widths = [float(r.get("width")) for r in root.iter(space + "rect")][1:]
        self.assertAlmostEqual(widths[0], 2 * widths[1], delta=0.2)
        self.assertLess(plot.LABEL + 2 * widths[0], plot.WIDTH)
        self.assertIn("no valid figure", "".join(root.itertext()))


    def test_panels_stand_in_columns(self):
        panels = [(str(i), [("x", Spread(1, 1, 1), False)] * i) for i in (1, 3, 2)]
        root = ElementTree.fromstring(plot.svg(panels))
        at = [g.get("transform") for g in root.iter("{http://www.w3.org/2000/svg}g")]
        lower = plot.MARGIN + plot.TITLE + 3 * (plot.BAR + plot.GAP) + plot.MARGIN
        self.assertEqual(at, [f"translate(0 {plot.MARGIN})",
                              f"translate({plot.WIDTH} {plot.MARGIN})", f"translate(0 {lower})"])


class SelectTest(unittest.TestCase):
    def test_select(self):
        for name, patterns, want in [
            ("exact name wins over a prefix", ["stream"], ["stream"]),
            ("prefix, in the table's order", ["up", "down1"],
             ["down10k", "down1m", "up10k", "up1m"]),
        ]:
            with self.subTest(name):
                self.assertEqual([s.name for s in scenarios.select(patterns)], want)
        self.assertEqual(scenarios.select([]), scenarios.SCENARIOS)
        with self.assertRaisesRegex(ValueError, "no scenario 'nope'"):
            scenarios.select(["nope"])

    def test_a_browser_sends_16_fields(self):
        self.assertEqual(len(scenarios.BROWSER) + 1, 16)  # wrk adds Host
