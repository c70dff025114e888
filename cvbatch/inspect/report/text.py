"""Numbers in words, for the page."""

from __future__ import annotations

from html import escape

from cvbatch.geometry import Bbox

NARROW_SPACE, MINUTE, HOUR = "\u202f", 60, 3600
# With joiners around it, so that no line ends there.
DASH = "\u2060–\u2060"


def number(value: int) -> str:
    """With thin spaces between thousands."""
    return f"{value:,}".replace(",", NARROW_SPACE)


def human_bytes(nbytes: float) -> str:
    """``1.5 MB``: powers of 1000, with a space that doesn't break."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(nbytes) < 1000:
            digits = 0 if unit == "B" or nbytes >= 100 else 1
            return f"{nbytes:.{digits}f}\u00a0{unit}"
        nbytes /= 1000
    return f"{nbytes:.1f}\u00a0PB"


def human_count(value: float) -> str:
    """``1.5 million``, for what nobody counts one by one."""
    for limit, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if value >= limit:
            return f"{value / limit:.3g}\u00a0{word}"
    return number(round(value))


def human_seconds(seconds: float) -> str:
    """``320 ms``, ``3.21 s``, ``4 min 10 s``, ``2 h 5 min``."""
    if 0 < seconds < 1:
        return f"{max(seconds * 1000, 1):.0f}\u00a0ms"
    if seconds < 10:
        return f"{seconds:.2f}\u00a0s"
    if seconds < MINUTE:
        return f"{seconds:.1f}\u00a0s"
    whole = round(seconds)
    if whole < HOUR:
        return f"{whole // MINUTE}\u00a0min {whole % MINUTE}\u00a0s"
    return f"{whole // HOUR}\u00a0h {whole % HOUR // MINUTE}\u00a0min"


def plural(count: int, noun: str) -> str:
    """``1 task``, ``2 tasks``."""
    return f"{number(count)} {noun}{'' if count == 1 else 's'}"


def share(part: float, whole: float) -> str:
    """``12 %``; what is there, but too little for a number, is ``< 1 %``."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 1:
        return "<\u00a01\u00a0%"
    # Nearly all is not all.
    return f"{99 if 99 < percent < 100 else percent:.0f}\u00a0%"


def box_words(name: str) -> str:
    """A box by its file name, as ``x 0–64, y 0–64, z 0–16``."""
    box = Bbox.from_filename(name)
    ranges = (f"{axis}\u00a0{low}{DASH}{high}" for axis, low, high in zip("xyz", box.minpt, box.maxpt, strict=True))
    return ", ".join(ranges)


def text(value: object) -> str:
    """Anything that came from outside, as HTML shows it, in elements and in attributes."""
    return escape(str(value), quote=True)
