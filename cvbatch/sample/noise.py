"""Noise: what makes shapes irregular, tissue grainy and pictures of it imperfect."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbatch.sample.grid import Floats

TILE = (40, 128, 128)  # points after which smooth noise repeats
BUMPS = ((1, 1, 1), (1, 1, 2, 2, 2, 2), (1, 1, 2, 2, 2, 2))  # points along each axis that it is blurred by
LUMPS = ((1, 1, 2), (1, 1, 2))  # pixels along each axis that the grain of tissue is blurred by
GRAIN = 0.12  # grey levels for each of its steps
SHOT = 0.05  # grey levels for each step of the camera's noise


def smooth_noise(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Noise within -1..1 that changes little from point to point."""
    noise = rng.integers(-128, 128, TILE, np.int32)
    _blur(noise, BUMPS)
    tile = (noise / np.abs(noise).max()).astype(np.float32)
    repeated: Floats = tile[np.ix_(*(np.arange(count) % period for count, period in zip(shape, TILE, strict=True)))]
    return repeated


def expose(tone: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A section as the camera records it: more or less bright and rich in contrast, with grain and shot noise."""
    light, contrast = rng.random(2).tolist()
    tone = (tone - 128) * (0.95 + 0.1 * contrast) + (121 + 14 * light)
    grain = rng.integers(-8, 9, tone.shape, np.int16)
    _blur(grain, LUMPS)
    tone += GRAIN * grain.astype(np.float32)
    plus, minus = rng.integers(0, 256, (2, *tone.shape), np.uint8).astype(np.float32)
    tone += SHOT * (plus - minus) * (tone / 256 + 0.5)
    return np.clip(tone + 0.5, 1, 255).astype(np.uint8)


def _blur(noise: NDArray[Any], distances: tuple[tuple[int, ...], ...]) -> None:
    """Add to noise itself, shifted by each of the distances along each axis in turn."""
    for axis, steps in enumerate(distances):
        for step in steps:
            noise += np.roll(noise, step, axis)
