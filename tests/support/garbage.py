"""Feeds damaged bytes to one codec, in a process of its own: ``python garbage.py ENCODING COUNT``.

Prints each case before it is tried, so that a crash leaves its name behind.
"""

import contextlib
import os
import sys
import traceback

import numpy as np
from volumes import labels, noise

from cvbatch.codecs import ARRAY_CODECS, Layout, array_codec
from cvbatch.errors import DecodingError

SEED = 0


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


def try_case(encoding: str, case: int, data: bytes, layout: Layout) -> None:
    """Decode one damaged chunk: a DecodingError, or an array of the right kind."""
    spoilt = damaged(data, np.random.default_rng([SEED, case]))
    try:
        voxels = array_codec(encoding, {}).decode(spoilt, layout)
    except DecodingError:
        return
    assert voxels.shape == layout.shape
    assert voxels.dtype == layout.dtype


def try_apart(encoding: str, case: int, data: bytes, layout: Layout) -> bool:
    """The same in a process of its own; whether that was killed. An answer that is wrong ends the program.

    What is inside of some fragile streams claims any memory, which the limit of this process refuses.
    """
    child = os.fork()
    if child == 0:
        try:
            with contextlib.suppress(MemoryError):
                try_case(encoding, case, data, layout)
        except BaseException:
            traceback.print_exc()
            os._exit(3)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) > 0:
        raise SystemExit(f"case {case} went wrong")
    return os.waitstatus_to_exitcode(status) < 0


def main(encoding: str, count: int) -> None:
    data, layout = sound(encoding)
    killed = 0
    for case in range(count):
        print(case, flush=True)
        if ARRAY_CODECS[encoding].traits.fragile:
            killed += try_apart(encoding, case, data, layout)
        else:
            try_case(encoding, case, data, layout)
    print(f"killed {killed}")


if __name__ == "__main__":
    import resource

    # A header that claims gigabytes must be refused, not tried.
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    main(sys.argv[1], int(sys.argv[2]))
