"""From receipts to speed over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from cvbatch.inspect.report.data import Timeline

MOST_BINS = 100
# Widths of bins, in seconds, that can be read off an axis.
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
# Nobody worked where nothing was done for so long, and for longer than a few receipts take.
PAUSE_SECONDS = 60.0
PAUSE_RECEIPTS = 3.0


@dataclass(frozen=True)
class Finish:
    """A receipt as the timeline sees it.

    ``at`` is in seconds since 1970, ``longest`` and ``total`` are of its tasks' seconds, ``nbytes`` their voxels.
    """

    worker: str
    at: float
    longest: float
    total: float
    nbytes: int


def seconds_of(text: str) -> float:
    """A time of ISO 8601 in seconds since 1970; without a zone it is UTC."""
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def timeline(finishes: Sequence[Finish]) -> Timeline | None:
    """The speed over time, None where nothing was finished.

    A receipt tells when its tasks were over and how long each took, not when each began: their voxels are spread evenly
    over the time that they took together.
    """
    if not finishes:
        return None
    stops = np.array([each.at for each in finishes])
    starts = stops - _durations(finishes)
    nbytes = np.array([each.nbytes for each in finishes], np.float64)
    timed = bool((stops > starts).any())
    first, last = float(starts.min()), float(stops.max())
    bins = MOST_BINS if timed else min(MOST_BINS, len(finishes))
    step = bin_width(last - first, bins)
    return Timeline(
        _text(first),
        _text(last),
        round(last - first, 3),
        round(_working(starts, stops), 3) if timed else round(last - first, 3),
        step,
        tuple(round(rate, 1) for rate in _rates(starts, stops, nbytes, step)),
    )


def bin_width(seconds: float, most: int) -> float:
    """The finest width with which there are at most so many bins.

    >>> bin_width(3.2, 100), bin_width(3600, 100)
    (1, 60)
    """
    for step in STEPS:
        if seconds <= step * most:
            return step
    return STEPS[-1] * -(-seconds // (STEPS[-1] * most))


def _durations(finishes: Sequence[Finish]) -> NDArray[np.float64]:
    """How long the tasks of each receipt took together, which run several at a time."""
    at_once = {worker: _tasks_at_once(own) for worker, own in _by_worker(finishes).items()}
    return np.array(
        [max(each.longest, each.total / at_once[each.worker]) if each.longest else 0.0 for each in finishes]
    )


def _by_worker(finishes: Iterable[Finish]) -> dict[str, list[Finish]]:
    found: dict[str, list[Finish]] = {}
    for each in finishes:
        found.setdefault(each.worker, []).append(each)
    return found


def _tasks_at_once(own: Sequence[Finish]) -> float:
    """How many tasks a worker had under way on average."""
    first = min(own, key=lambda each: each.at)
    span = max(each.at for each in own) - first.at
    total = sum(each.total for each in own)
    if span < 1:  # Times are to the second: all at once, for what can be told.
        return max(1.0, total / max((each.longest for each in own), default=1.0)) if total else 1.0
    return max(1.0, (total - first.total) / span)


def _working(starts: NDArray[np.float64], stops: NDArray[np.float64]) -> float:
    """Seconds from first to last without pauses."""
    order = np.argsort(starts)
    starts, reached = starts[order], np.maximum.accumulate(stops[order])
    gaps = starts[1:] - reached[:-1]
    pause = max(PAUSE_SECONDS, PAUSE_RECEIPTS * float((stops[order] - starts).max()))
    return float(reached[-1] - starts[0] - gaps[gaps > pause].sum())


def _rates(
    starts: NDArray[np.float64], stops: NDArray[np.float64], nbytes: NDArray[np.float64], step: float
) -> list[float]:
    """Bytes a second in each bin; a last one that is short is part of the one before."""
    first, last = starts.min(), stops.max()
    wall = max(last - first, 1e-3)
    whole = max(1, round(wall / step))
    edges = first + np.append(np.arange(whole) * step, wall)
    # What has no duration is done within a moment.
    starts = np.minimum(starts, stops - 1e-3)
    widths = stops - starts
    done = [float((nbytes * np.clip((edge - starts) / widths, 0, 1)).sum()) for edge in edges]
    done[0] = 0.0
    return [float(rate) for rate in np.diff(done) / np.diff(edges)]


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
