"""Figures of one cell: a server in a scenario, over all rounds."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """Median, minimum and maximum of a list of numbers."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values):
        """The spread of values, or None if there are none."""
        values = list(values)
        if not values:
            return None
        return cls(median(values), min(values), max(values))


def paired_ratio(ours, theirs):
    """The spread of ours/theirs round by round.

    Both are {round: requests per second}. A round one of them lacks is left
    out: the machine's mood of one round is shared only by its own cells.
    """
    common = [r for r in ours if r in theirs and theirs[r] > 0]
    return Spread.of(ours[r] / theirs[r] for r in common)


def rotated(items, by):
    """items in an order that starts with another one each round."""
    items = list(items)
    if not items:
        return items
    by %= len(items)
    return items[by:] + items[:by]
