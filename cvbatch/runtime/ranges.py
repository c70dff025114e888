"""Unions of ranges of task numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ranges:
    """Disjoint half-open ranges in ascending order.

    >>> Ranges.of([(5, 7), (0, 3), (2, 4)]).missing(8)
    [(4, 5), (7, 8)]
    """

    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, ranges: Iterable[tuple[int, int]]) -> Ranges:
        """The union of ranges that may overlap."""
        merged: list[tuple[int, int]] = []
        for start, stop in sorted(ranges):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
            elif start < stop:
                merged.append((start, stop))
        return cls(tuple(merged))

    def __len__(self) -> int:
        """Numbers in all ranges."""
        return sum(stop - start for start, stop in self.ranges)

    def missing(self, count: int, first: int = 0) -> list[tuple[int, int]]:
        """The ranges of ``first`` to ``count`` that are not in the union."""
        edges = [first, *(edge for pair in self.ranges for edge in pair), count]
        gaps = zip(edges[::2], edges[1::2], strict=True)
        cut = [(max(start, first), min(stop, count)) for start, stop in gaps]
        return [(start, stop) for start, stop in cut if start < stop]


def runs_of(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers as the fewest ranges.

    >>> runs_of([1, 2, 3, 7])
    [(1, 4), (7, 8)]
    """
    return list(Ranges.of((number, number + 1) for number in numbers).ranges)
