"""Byte encodings: gzip, br, zstd, and what else is met when reading."""

from __future__ import annotations

import bz2
import contextlib
import lzma
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cvbatch.codecs.base import Buffer, ByteCodec, decoding
from cvbatch.errors import DecodingError, UnsupportedFormatError

GZIP_MAGIC = b"\x1f\x8b\x08"
GZIP_PAIR = int.from_bytes(GZIP_MAGIC[:2], "little")


@dataclass(frozen=True)
class FastGzip:
    """gzip by ISA-L: for images, where it is many times as fast as libdeflate and no larger."""

    level: int

    encoding: ClassVar[str] = "gzip"

    def compress(self, data: Buffer) -> Buffer:
        from isal import isal_zlib

        # 15 bits of window, 16 for a gzip header, whose time is always zero: same bytes in, same bytes out.
        compressed: bytes = isal_zlib.compress(data, self.level, 15 + 16)
        return compressed


@dataclass(frozen=True)
class DenseGzip:
    """gzip by libdeflate: for labels, where ISA-L's output is twice as large; levels 1 to 12."""

    level: int = 6

    encoding: ClassVar[str] = "gzip"

    def compress(self, data: Buffer) -> Buffer:
        import deflate

        compressed: bytearray = deflate.gzip_compress(data, self.level)
        return compressed


@dataclass(frozen=True)
class Brotli:
    """Brotli, quality 0 to 11."""

    level: int = 5

    encoding: ClassVar[str] = "br"

    def compress(self, data: Buffer) -> Buffer:
        import brotli

        compressed: bytes = brotli.compress(data, quality=self.level)
        return compressed


@dataclass(frozen=True)
class Zstd:
    """Zstandard, level 1 to 22."""

    level: int = 3

    encoding: ClassVar[str] = "zstd"

    def compress(self, data: Buffer) -> Buffer:
        import zstandard

        # A compressor is not safe to share between threads, and cheap beside a chunk.
        return zstandard.ZstdCompressor(level=self.level, write_checksum=True).compress(data)


@dataclass(frozen=True)
class Uncompressed:
    """The bytes as they are."""

    encoding: ClassVar[str] = ""

    def compress(self, data: Buffer) -> Buffer:
        return data


@dataclass(frozen=True)
class Xz:
    """xz (LZMA2), level 0 to 9."""

    level: int = 6

    encoding: ClassVar[str] = "xz"

    def compress(self, data: Buffer) -> Buffer:
        return lzma.compress(data, preset=self.level)


@dataclass(frozen=True)
class Bzip2:
    """bzip2, level 1 to 9."""

    level: int = 9

    encoding: ClassVar[str] = "bzip2"

    def compress(self, data: Buffer) -> Buffer:
        return bz2.compress(data, self.level)


# What a configuration may say, and the levels that go with it.
BYTE_ENCODINGS: Mapping[str, range] = {
    "gzip": range(1, 13),
    "br": range(0, 12),
    "zstd": range(1, 23),
    "xz": range(0, 10),
    "bz2": range(1, 10),
    "none": range(0),
}
# Labels that an encoding has packed: level 2 is 3 to 4 times as fast there as 6, and 4 to 8 % larger.
PACKED_LABELS = ("compressed_segmentation", "compresso", "crackle")
PACKED_LEVEL = 2


def byte_codec(name: str, level: int | None, layer_type: str, encoding: str, itemsize: int = 1) -> ByteCodec:
    """The codec for a name of :data:`BYTE_ENCODINGS`, around voxels in an array encoding.

    Where no level is given it is the one that was best for such bytes, of ``itemsize`` a voxel (docs/encodings.md).
    Raises :class:`UnsupportedFormatError` for a level that there is not.
    """
    if level is not None and level not in BYTE_ENCODINGS[name]:
        raise UnsupportedFormatError(f"compress_level {level} is not a level of {name}")
    if name == "none":
        return Uncompressed()
    if name == "gzip":
        return _gzip(level, layer_type, encoding, itemsize)
    kinds: Mapping[str, Callable[..., ByteCodec]] = {"br": Brotli, "zstd": Zstd, "xz": Xz, "bz2": Bzip2}
    return kinds[name]() if level is None else kinds[name](level)


def _gzip(level: int | None, layer_type: str, encoding: str, itemsize: int) -> ByteCodec:
    if level is not None:
        return DenseGzip(level)
    if encoding in PACKED_LABELS:
        return DenseGzip(PACKED_LEVEL)
    if layer_type == "segmentation":
        return DenseGzip()
    # Grey values of a byte hardly ever repeat in rows; of wider ones level 2 finds up to 15 % more.
    return FastGzip(1 if itemsize == 1 else 2)


def default_compression(encoding: str) -> str:
    """The byte encoding that suits an array encoding: pictures and floats are compressed already."""
    return "gzip" if encoding == "raw" or encoding in PACKED_LABELS else "none"


def decompress(data: Buffer, encoding: str, expected: int) -> Buffer:
    """The bytes before compression by ``encoding`` (its HTTP name, or "").

    ``expected`` bounds what the result may need: more than that (in bytes) is refused before it is
    allocated. Raises :class:`DecodingError` for bytes that are damaged, cut short or too many.
    """
    if encoding == "":
        return data
    if encoding not in _DECOMPRESSORS:
        raise DecodingError(f"no decoder for content encoding {encoding!r}")
    with decoding(encoding):
        return _DECOMPRESSORS[encoding](data, expected)


def _gunzip(data: Buffer, expected: int) -> Buffer:
    """libdeflate, where its answer is sure to be the whole one; else the standard library.

    libdeflate stops silently at the end of the first member. Its answer stands if the file ends with the
    checksum and length of just this answer and if no second member begins in it: one that does would hold the same
    bytes once more. Where these have no room any more only the file that was joined to itself is looked for.
    """
    import deflate

    raw = bytes(data) if isinstance(data, memoryview) else data
    claimed = int.from_bytes(raw[-4:], "little")
    # A claim of nothing may be zeros that pad the file.
    joined = _is_doubled if 2 * claimed > expected else _has_second_member
    if 0 < claimed <= expected and not joined(raw):
        # What it refuses the standard library looks at again: the claim may be of padding, too.
        with contextlib.suppress(deflate.DeflateError):
            out: bytearray = deflate.gzip_decompress(raw, claimed)
            if len(out) == claimed and deflate.crc32(out) == int.from_bytes(raw[-8:-4], "little"):
                return out
    return _bounded(zlib.decompressobj(15 + 16), raw, expected, members=lambda: zlib.decompressobj(15 + 16))


def _is_doubled(raw: bytes | bytearray) -> bool:
    """Whether the second half is the first one again."""
    half, odd = divmod(len(raw), 2)
    view = memoryview(raw)
    return not odd and view[:half] == view[half:]


def _has_second_member(raw: bytes | bytearray) -> bool:
    """Whether the bytes with which a member begins are anywhere but at the start.

    Two bytes at a time, on even and on odd places: 5 times as fast as ``bytes.find`` in what looks like noise.
    """
    for offset in (1, 2):
        pairs = np.frombuffer(raw, "<u2", (len(raw) - offset) // 2, offset)
        for place in np.flatnonzero(pairs == GZIP_PAIR):
            start = offset + 2 * int(place)
            if raw[start : start + 3] == GZIP_MAGIC:
                return True
    return False


def _bounded(decoder: object, data: Buffer, expected: int, members: Callable[[], object]) -> bytes:
    """Decode one member after the other with a decoder of the standard library's kind, up to ``expected``."""
    out = bytearray()
    rest = bytes(data)
    while True:
        out += decoder.decompress(rest, expected - len(out) + 1)  # type: ignore[attr-defined]
        if len(out) > expected:
            raise DecodingError(f"more than the {expected} bytes that the chunk can have")
        if not decoder.eof:  # type: ignore[attr-defined]
            raise DecodingError("cut short")
        rest = decoder.unused_data  # type: ignore[attr-defined]
        if not rest.strip(b"\0"):
            return bytes(out)
        decoder = members()


def _unzstd(data: Buffer, expected: int) -> Buffer:
    import zstandard

    # The decoder trusts the size in the frame's header, which can claim anything.
    if zstandard.frame_content_size(data) > expected:
        raise DecodingError(f"more than the {expected} bytes that the chunk can have")
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=expected, allow_extra_data=False)


def _unbrotli(data: Buffer, expected: int) -> Buffer:
    import brotli

    decoder = brotli.Decompressor()
    out: bytes = decoder.process(data, output_buffer_limit=expected + 1)
    while not decoder.is_finished() and len(out) <= expected:
        more = decoder.process(b"", output_buffer_limit=expected + 1 - len(out))
        if not more:
            raise DecodingError("cut short")
        out += more
    if len(out) > expected:
        raise DecodingError(f"more than the {expected} bytes that the chunk can have")
    return out


_DECOMPRESSORS: Mapping[str, Callable[[Buffer, int], Buffer]] = {
    "gzip": _gunzip,
    "br": _unbrotli,
    "zstd": _unzstd,
    "xz": lambda data, expected: _bounded(lzma.LZMADecompressor(), data, expected, lzma.LZMADecompressor),
    "bzip2": lambda data, expected: _bounded(bz2.BZ2Decompressor(), data, expected, bz2.BZ2Decompressor),
}
