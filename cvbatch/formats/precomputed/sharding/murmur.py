"""MurmurHash3_x86_128 of 64-bit numbers.

Source of the algorithm: Austin Appleby's MurmurHash3, which is in the public domain.
"""

from __future__ import annotations

C1, C2, C3 = 0x239B961B, 0xAB0E9789, 0x38B34AE5
MASK = 0xFFFFFFFF
LENGTH = 8


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & MASK


def _mix(value: int) -> int:
    """Let every bit of 32 change every other."""
    value ^= value >> 16
    value = value * 0x85EBCA6B & MASK
    value ^= value >> 13
    value = value * 0xC2B2AE35 & MASK
    return value ^ value >> 16


def murmurhash3(value: int) -> int:
    """The low 8 bytes of the hash of an unsigned 64-bit number in little-endian bytes, with seed 0.

    >>> hex(murmurhash3(0))
    '0x4772b084e028ae41'
    """
    low, high = value & MASK, value >> 32
    # Eight bytes are no whole block of 16: they are the tail, and the other two lanes have none.
    h1 = _rotate(low * C1 & MASK, 15) * C2 & MASK
    h2 = _rotate(high * C2 & MASK, 16) * C3 & MASK
    h1, h2, h3, h4 = h1 ^ LENGTH, h2 ^ LENGTH, LENGTH, LENGTH
    h1 = (h1 + h2 + h3 + h4) & MASK
    h2, h3, h4 = ((h + h1) & MASK for h in (h2, h3, h4))
    h1, h2, h3, h4 = map(_mix, (h1, h2, h3, h4))
    h1 = (h1 + h2 + h3 + h4) & MASK
    h2 = (h2 + h1) & MASK
    return h1 | h2 << 32
