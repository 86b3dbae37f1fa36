import unittest

from harness.stats import Spread, paired_ratio, rotated


class SpreadTest(unittest.TestCase):
    def test_of(self):
        for name, values, want in [
            ("one", [3], Spread(3, 3, 3)),
            ("odd count, unsorted", [5, 1, 9], Spread(5, 1, 9)),
            ("even count takes the middle", [1, 2, 4, 9], Spread(3, 1, 9)),
            ("an iterator", iter([2, 1]), Spread(1.5, 1, 2)),
            ("none", [], None),
        ]:
            with self.subTest(name):
                self.assertEqual(Spread.of(values), want)


class PairedRatioTest(unittest.TestCase):
    def test_pairs_by_round_not_by_median(self):
        # The medians' ratio would be 200/100; each pair says 1, 2 and 4.
        ours, theirs = {0: 100, 1: 200, 2: 400}, {0: 100, 1: 100, 2: 100}
        self.assertEqual(paired_ratio(ours, theirs), Spread(2, 1, 4))

    def test_slow_round_cancels_out(self):
        ours, theirs = {0: 100, 1: 10}, {0: 50, 1: 5}
        self.assertEqual(paired_ratio(ours, theirs), Spread(2, 2, 2))

    def test_rounds_one_lacks_are_left_out(self):
        self.assertEqual(paired_ratio({0: 9, 1: 6}, {1: 3, 2: 1}), Spread(2, 2, 2))

    def test_nothing_to_compare(self):
        self.assertIsNone(paired_ratio({0: 1}, {1: 1}))
        self.assertIsNone(paired_ratio({0: 1}, {0: 0}))


class RotatedTest(unittest.TestCase):
    def test_each_is_first_once(self):
        items = ["a", "b", "c"]
        self.assertEqual([rotated(items, n)[0] for n in range(4)], ["a", "b", "c", "a"])
        self.assertEqual(rotated(items, 1), ["b", "c", "a"])
        self.assertEqual(rotated([], 2), [])
        self.assertEqual(items, ["a", "b", "c"])
