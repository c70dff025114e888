"""Size and speed of every encoding on real data: ``python -m benchmarks.encodings EM.npz SEG.ckl``.

Prints the tables of docs/encodings.md. MB are of voxels; one thread, the best of three rounds; "2 threads" is how
many times as fast two threads of one process are: 2 where the library lets go of the GIL.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import crackle
import numpy as np

from cvbatch.codecs import ArrayCodec, ByteCodec, Layout, array_codec, byte_codec, decompress
from cvbatch.codecs.base import Voxels

CHUNK = (128, 128, 64)
ROUNDS = 3


def chunks_of(voxels: Voxels) -> list[Voxels]:
    """Sixteen chunks (x, y, z, channel), as they lie in a larger array."""
    x, y, z = CHUNK
    boxes = [(i, j) for j in range(0, voxels.shape[1], y) for i in range(0, voxels.shape[0], x)]
    return [voxels[i : i + x, j : j + y, :z, np.newaxis] for i, j in boxes[:16]]


def seconds(work: Callable[[Any], Any], items: Sequence[Any], threads: int = 1) -> float:
    """The best time of a few rounds over all items."""
    best = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            if threads == 1:
                for item in items:
                    work(item)
            else:
                list(pool.map(work, items))
            best = min(best, time.perf_counter() - begin)
    return best


def rate(nbytes: int, spent: float) -> str:
    """MB/s, where anything was moved at all."""
    return f"{nbytes / spent / 1e6:,.0f}" if nbytes / spent < 50e9 else "no copy"


def array_row(name: str, codec: ArrayCodec, chunks: list[Voxels]) -> list[str]:
    total = sum(chunk.nbytes for chunk in chunks)
    encoded = [bytes(codec.encode(chunk)) for chunk in chunks]
    layout = Layout(chunks[0].shape, chunks[0].dtype)

    def decode(data: bytes) -> Voxels:
        return codec.decode(data, layout)

    if name == "raw":  # Views of memory, or one copy of it: nothing for threads to share.
        return [
            name,
            "1.0000",
            rate(total, seconds(codec.encode, chunks)),
            "",
            rate(total, seconds(decode, encoded)),
            "",
        ]
    encode_1, encode_2 = seconds(codec.encode, chunks), seconds(codec.encode, chunks, 2)
    decode_1, decode_2 = seconds(decode, encoded), seconds(decode, encoded, 2)
    return [
        name,
        f"{sum(map(len, encoded)) / total:.4f}",
        f"{total / encode_1 / 1e6:,.0f}",
        f"{encode_1 / encode_2:.1f}",
        f"{total / decode_1 / 1e6:,.0f}",
        f"{decode_1 / decode_2:.1f}",
    ]


def byte_row(label: str, codec: ByteCodec, encoded: list[bytes], total: int) -> list[str]:
    compressed = [bytes(codec.compress(data)) for data in encoded]

    def unpack(i: int) -> Any:
        return decompress(compressed[i], codec.encoding, len(encoded[i]))

    return [
        label,
        f"{sum(map(len, compressed)) / total:.4f}",
        f"{total / seconds(codec.compress, encoded) / 1e6:,.0f}",
        f"{total / seconds(unpack, range(len(encoded))) / 1e6:,.0f}",
    ]


def print_table(title: str, head: list[str], rows: list[list[str]]) -> None:
    print(f"\n### {title}\n")
    for row in [head, ["---"] * len(head), *rows]:
        print(f"| {' | '.join(row)} |")


ARRAY_HEAD = ["encoding", "size", "encode MB/s", "2 threads", "decode MB/s", "2 threads"]
BYTE_HEAD = ["compression", "size", "compress MB/s", "decompress MB/s"]
LEVELS: list[tuple[str, int | None]] = [
    ("gzip", None),
    *[("gzip", level) for level in (1, 2, 4, 6, 9)],
    *[("br", level) for level in (1, 3, 5)],
    *[("zstd", level) for level in (1, 3, 6)],
    ("xz", 1),
    ("bz2", None),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("em", type=Path, help="npz with the array em (x, y, z), uint8")
    parser.add_argument("seg", type=Path, help="crackle stream of labels (x, y, z)")
    arguments = parser.parse_args()
    image = chunks_of(np.asfortranarray(np.load(arguments.em)["em"]))
    labels = chunks_of(crackle.decompress(arguments.seg.read_bytes()).astype(np.uint64))
    floats = [(chunk / np.float32(255)).astype(np.float32) for chunk in image]
    groups: list[tuple[str, list[Voxels], list[tuple[str, str, dict[str, Any]]]]] = [
        (
            "EM image, uint8",
            image,
            [
                ("raw", "raw", {}),
                ("jpeg, quality 85", "jpeg", {}),
                ("png, level 6", "png", {}),
                ("jxl, quality 85", "jxl", {}),
                ("jxl, lossless", "jxl", {"jxl_quality": 100}),
            ],
        ),
        (
            "Segmentation, uint64",
            labels,
            [(n, n, {}) for n in ("raw", "compressed_segmentation", "compresso", "crackle")],
        ),
        (
            "The EM image as float32",
            floats,
            [
                ("raw", "raw", {}),
                ("fpzip", "fpzip", {}),
                ("kempressed", "kempressed", {}),
                ("zfpc, lossless", "zfpc", {}),
                ("zfpc, tolerance 0.01", "zfpc", {"zfpc_tolerance": 0.01}),
            ],
        ),
    ]
    for title, chunks, codecs in groups:
        print_table(title, ARRAY_HEAD, [array_row(label, array_codec(n, p), chunks) for label, n, p in codecs])
    for title, chunks, layer_type, encoding in (
        ("Compression around raw EM", image, "image", "raw"),
        ("Compression around raw labels, uint64", labels, "segmentation", "raw"),
        ("Compression around compressed_segmentation", labels, "segmentation", "compressed_segmentation"),
        ("Compression around compresso", labels, "segmentation", "compresso"),
        ("Compression around crackle", labels, "segmentation", "crackle"),
    ):
        encoded = [bytes(array_codec(encoding, {}).encode(chunk)) for chunk in chunks]
        total = sum(chunk.nbytes for chunk in chunks)
        rows = [
            byte_row(
                f"{name} {'default' if level is None else level}",
                byte_codec(name, level, layer_type, encoding),
                encoded,
                total,
            )
            for name, level in LEVELS
        ]
        print_table(title, BYTE_HEAD, rows)


if __name__ == "__main__":
    main()
