"""Feeds damaged bytes to one codec, in a process of its own: ``python garbage.py ENCODING SEED COUNT``.

Prints each case before it is tried, so that a crash leaves its name behind.
"""

import sys

import numpy as np
from volumes import labels, noise

from cvbatch.codecs import Layout, array_codec
from cvbatch.errors import DecodingError


def sound(encoding: str) -> tuple[bytes, Layout]:
    """A chunk of the encoding."""
    if encoding in ("compressed_segmentation", "compresso", "crackle"):
        voxels = labels((21, 18, 9), "uint32")[..., np.newaxis]
    else:
        voxels = noise((21, 18, 9, 1), "float32" if encoding in ("fpzip", "kempressed", "zfpc") else "uint8")
    layout = Layout(voxels.shape, voxels.dtype)
    if encoding == "npz":
        import io
        import zlib

        file = io.BytesIO()
        np.save(file, voxels)
        return zlib.compress(file.getvalue()), layout
    return bytes(array_codec(encoding, {}).encode(voxels)), layout


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut short, with bits flipped, with a run of other bytes, or nothing but noise."""
    kind = rng.integers(5)
    if kind == 0:
        return data[: rng.integers(len(data))]
    if kind == 1:
        return rng.bytes(int(rng.integers(200)))
    spoilt = bytearray(data)
    if kind == 2:
        for _ in range(rng.integers(1, 8)):
            spoilt[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    elif kind == 3:
        # Headers decide about memory: they get most of the attention.
        for _ in range(rng.integers(1, 5)):
            spoilt[rng.integers(min(64, len(data)))] = int(rng.integers(256))
    else:
        start = int(rng.integers(len(data)))
        spoilt[start : start + 40] = rng.bytes(40)
    return bytes(spoilt)


def main(encoding: str, seed: int, count: int) -> None:
    data, layout = sound(encoding)
    codec = array_codec(encoding, {})
    for case in range(count):
        print(case, flush=True)
        spoilt = damaged(data, np.random.default_rng([seed, case]))
        try:
            voxels = codec.decode(spoilt, layout)
        except DecodingError:
            continue
        assert voxels.shape == layout.shape
        assert voxels.dtype == layout.dtype


if __name__ == "__main__":
    import resource

    # A header that claims gigabytes must be refused, not tried.
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    print("survived")
