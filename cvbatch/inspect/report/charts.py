"""Charts as inline SVG, without scripts. Colours are classes of the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from cvbatch.inspect.report.data import Timeline
from cvbatch.inspect.report.grids import GridView, Slab
from cvbatch.inspect.report.text import human_bytes, human_seconds, share, text

# Widths of a chart on a desk and on a phone, in pixels: letters are of one size on both.
WIDE, NARROW = 920, 340
HEIGHT = 240
# What can be read off an axis of time, in seconds.
TIME_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
# Slabs: the longer side of one in pixels, by how many there are.
SLAB_SIDES = ((1, 280), (3, 210), (8, 170), (24, 150))
FLATTEST = 8
# A cell is at most so many pixels wide and high.
LARGEST_CELL = 90


def both_widths(draw: Callable[[int], str]) -> str:
    """A chart twice; the style sheet shows the one that fits."""
    return f'<div class="wide">{draw(WIDE)}</div><div class="narrow">{draw(NARROW)}</div>'


def nice_ticks(most: float, about: int) -> list[float]:
    """Round numbers from 0 to at least ``most``.

    >>> nice_ticks(37, 4)
    [0, 10, 20, 30, 40]
    """
    if most <= 0:
        return [0, 1]
    raw = most / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * n for n in (1, 2, 2.5, 5, 10) if power * n >= raw * 0.999)
    return [_whole(step * i) for i in range(math.ceil(most / step - 1e-9) + 1)]


def _whole(value: float) -> float:
    value = round(value, 9)
    return int(value) if value == int(value) else value


def time_ticks(seconds: float, about: int) -> list[float]:
    """Round times from 0 to at most ``seconds``.

    >>> time_ticks(400, 4)
    [0, 120, 240, 360]
    """
    step = next((each for each in TIME_TICKS if seconds / each <= about), None)
    step = step or TIME_TICKS[-1] * math.ceil(seconds / TIME_TICKS[-1] / about)
    return [step * i for i in range(int(seconds // step) + 1)]


def clock(seconds: float) -> str:
    """A time on an axis.

    >>> clock(0), clock(45), clock(90), clock(7200), clock(5400)
    ('0', '45 s', '1:30 min', '2 h', '1:30 h')
    """
    if seconds == 0:
        return "0"
    if seconds < 60:
        return f"{seconds:g} s"
    unit, size = ("min", 60) if seconds < 3600 else ("h", 3600)
    whole, rest = divmod(round(seconds), size)
    return f"{whole}:{rest * 60 // size:02d} {unit}" if rest else f"{whole} {unit}"


def throughput(line: Timeline, mean: float, width: int) -> str:
    """Voxels a second over time, with its mean."""
    left, right, top, bottom = 46, 74, 22, 30
    unit, name = _unit_of(max(*line.rates, mean))
    ticks = nice_ticks(max(*line.rates, mean) / unit, 4)
    inner_width, inner_height = width - left - right, HEIGHT - top - bottom
    wall = max(line.wall_seconds, 1e-3)

    def x(seconds: float) -> float:
        return round(left + inner_width * min(seconds, wall) / wall, 1)

    def y(rate: float) -> float:
        return round(top + inner_height * (1 - rate / unit / ticks[-1]), 1)

    parts = [f'<text class="axis" x="{left - 8}" y="{top - 8}" text-anchor="end">{name}</text>']
    for tick in ticks:
        at = y(tick * unit)
        parts.append(f'<line class="rule" x1="{left}" x2="{width - right}" y1="{at}" y2="{at}"/>')
        if tick != ticks[-1] or at > top + 4:
            parts.append(f'<text class="axis" x="{left - 8}" y="{at + 4}" text-anchor="end">{tick:g}</text>')
        else:
            parts.append(f'<text class="axis" x="{left - 8}" y="{at + 6}" text-anchor="end">{tick:g}</text>')
    for tick in time_ticks(line.wall_seconds, 8 if width > NARROW else 4):
        at, anchor = x(tick), "start" if tick == 0 else "middle"
        if tick and at > width - right - 16:
            anchor = "end"
        parts.append(f'<line class="tick" x1="{at}" x2="{at}" y1="{HEIGHT - bottom}" y2="{HEIGHT - bottom + 5}"/>')
        parts.append(f'<text class="axis" x="{at}" y="{HEIGHT - 8}" text-anchor="{anchor}">{clock(tick)}</text>')
    edges = [x(line.bin_seconds * i) for i in range(len(line.rates))] + [x(wall)]
    steps = "".join(f"L{a} {y(rate)}H{b}" for a, b, rate in zip(edges, edges[1:], line.rates, strict=False))
    base = y(0)
    parts.append(f'<path class="area" d="M{edges[0]} {base}{steps}L{edges[-1]} {base}Z"/>')
    parts.append(f'<path class="line" d="M{edges[0]} {y(line.rates[0])}{steps}"/>')
    at = y(mean)
    parts.append(f'<line class="mean" x1="{left}" x2="{width - right}" y1="{at}" y2="{at}"/>')
    # Beside the line, where nothing else is; not above the chart, nor below it.
    beside = min(max(at, top + 12), HEIGHT - bottom - 14)
    for words, shift in (("mean", -3), (f"{human_bytes(mean)}/s", 13)):
        parts.append(f'<text class="label" x="{width - right + 6}" y="{beside + shift:.1f}">{words}</text>')
    said = f"Throughput over {human_seconds(line.wall_seconds)}: mean {human_bytes(mean)} of voxels a second"
    return _svg(width, HEIGHT, said, "".join(parts))


def _unit_of(rate: float) -> tuple[float, str]:
    for size, name in ((1e12, "TB/s"), (1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s")):
        if rate >= size:
            return size, name
    return 1, "B/s"


def bars(rows: Sequence[tuple[str, float]], said: str, width: int) -> str:
    """Seconds by name, longest first, each bar with its seconds and its share of all."""
    left, right, height, gap = 92, 140 if width > NARROW else 124, 20, 8
    whole, longest = sum(seconds for _, seconds in rows), max((seconds for _, seconds in rows), default=0.0)
    parts = []
    for i, (name, seconds) in enumerate(rows):
        y = i * (height + gap)
        length = max(1.0, round((width - left - right) * seconds / longest, 1)) if longest else 1.0
        parts.append(f'<text class="name" x="{left - 8}" y="{y + 15}" text-anchor="end">{text(name)}</text>')
        parts.append(f'<rect class="bar" x="{left}" y="{y}" width="{length}" height="{height}"/>')
        words = f"{human_seconds(seconds)} · {share(seconds, whole)}"
        parts.append(f'<text class="label" x="{left + length + 8:.1f}" y="{y + 15}">{words}</text>')
    return _svg(width, max(1, len(rows)) * (height + gap) - gap, said, "".join(parts))


def slabs(view: GridView, voxel: tuple[float, float], name: str) -> str:
    """All slabs of a pass; ``voxel`` is the size of one along x and y, for the proportions."""
    side = next((size for most, size in SLAB_SIDES if len(view.slabs) <= most), SLAB_SIDES[-1][1])
    cells = [cell.box for slab in view.slabs for cell in slab.cells]
    side = min(side, LARGEST_CELL * max(len({box[0] for box in cells}), len({box[1] for box in cells}), 1))
    x0, y0, x1, y1 = view.bounds
    width, height = (x1 - x0) * voxel[0], (y1 - y0) * voxel[1]
    longest = max(width, height)
    size = (max(side * width / longest, side / FLATTEST), max(side * height / longest, side / FLATTEST))
    drawn = "".join(f"<figure>{_slab(view, each, size, name)}{_z_words(each)}</figure>" for each in view.slabs)
    return f'<div class="slabs">{drawn}</div>'


def _z_words(slab: Slab) -> str:
    return f"<figcaption>z {slab.z0}–{slab.z1}</figcaption>"


def _slab(view: GridView, slab: Slab, size: tuple[float, float], name: str) -> str:
    x0, y0, x1, y1 = view.bounds
    sx, sy = size[0] / (x1 - x0), size[1] / (y1 - y0)
    cells = []
    for cell in slab.cells:
        left, top = (cell.box[0] - x0) * sx, (cell.box[1] - y0) * sy
        width, height = (cell.box[2] - cell.box[0]) * sx, (cell.box[3] - cell.box[1]) * sy
        # A gap between cells, where there is room for one.
        gap = 1 if min(width, height) > 5 else 0
        cells.append(
            f'<rect class="{cell.look}" x="{left:.4g}" y="{top:.4g}" width="{max(width - gap, 0.5):.4g}" '
            f'height="{max(height - gap, 0.5):.4g}"><title>{cell.words}</title></rect>'
        )
    said = f"{name}, z {slab.z0} to {slab.z1}: {_summary(slab)}"
    return _svg(round(size[0], 1), round(size[1], 1), said, "".join(cells), "slab")


def _summary(slab: Slab) -> str:
    looks = [cell.look for cell in slab.cells]
    words = {"done": "done", "fill": "filled", "part": "partly done", "left": "not done", "fail": "failed"}
    return ", ".join(f"{looks.count(look)} {word}" for look, word in words.items() if look in looks) + " (cells)"


def swatch(look: str) -> str:
    """A cell for the legend."""
    cell = f'<rect class="{look}" width="16" height="16"/>'
    return f'<svg class="swatch" width="16" height="16" aria-hidden="true">{cell}</svg>'


def patterns() -> str:
    """What fills cells beside colour, so that they can be told apart without it."""
    return (
        '<svg class="patterns" width="0" height="0" aria-hidden="true"><defs>'
        '<pattern id="p-fill" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect class="fill-ground" width="6" height="6"/><rect class="fill-mark" width="2.4" height="6"/></pattern>'
        '<pattern id="p-part" width="5" height="5" patternUnits="userSpaceOnUse">'
        '<rect class="part-ground" width="5" height="5"/>'
        '<circle class="part-mark" cx="2.5" cy="2.5" r="1.3"/></pattern>'
        '<pattern id="p-fail" width="8" height="8" patternUnits="userSpaceOnUse">'
        '<rect class="fail-ground" width="8" height="8"/><path class="fail-mark" d="M1.5 1.5l5 5m0-5l-5 5"/></pattern>'
        "</defs></svg>"
    )


def _svg(width: float, height: float, said: str, inside: str, kind: str = "chart") -> str:
    said = text(said)
    return (
        f'<svg class="{kind}" role="img" aria-label="{said}" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}"><title>{said}</title>{inside}</svg>'
    )
