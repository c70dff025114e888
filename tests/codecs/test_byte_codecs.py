"""Byte encodings: round trips, determinism, other programs' reading of the bytes, and damaged input."""

import bz2
import gzip
import lzma
import struct
import subprocess
import sys
import threading
import zlib

import brotli
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from cvbatch.codecs import BYTE_ENCODINGS, array_codec, byte_codec, decompress, default_compression
from cvbatch.errors import DecodingError, UnsupportedFormatError

# (name in a configuration, level, layer type, array encoding)
CODECS = [
    ("gzip", None, "image", "raw"),
    ("gzip", None, "segmentation", "raw"),
    ("gzip", None, "segmentation", "compressed_segmentation"),
    ("gzip", 1, "image", "raw"),
    ("gzip", 12, "segmentation", "raw"),
    ("br", None, "image", "raw"),
    ("br", 0, "segmentation", "raw"),
    ("zstd", None, "image", "raw"),
    ("zstd", 19, "segmentation", "raw"),
    ("xz", None, "image", "raw"),
    ("bz2", None, "segmentation", "raw"),
    ("none", None, "image", "raw"),
]
EACH_CODEC = pytest.mark.parametrize("chosen", CODECS, ids=lambda chosen: "-".join(map(str, chosen)))
# Everything that can be read, by the library that its users would write it with.
WRITERS = {
    "gzip": gzip.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}
READERS = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": zstandard.ZstdDecompressor().decompress,
    "xz": lzma.decompress,
    "bzip2": bz2.decompress,
    "": bytes,
}
# Whose format says that files may be joined.
JOINED = ["gzip", "xz", "bzip2"]

smooth = bytes(np.add.outer(np.arange(100), np.arange(300)).astype(np.uint8))
noise = np.random.default_rng(0).bytes(70_000)


def codec_for(name: str, level: int | None, labels: bool):
    """The codec around raw voxels."""
    return byte_codec(name, level, "segmentation" if labels else "image", "raw")


CONTENTS = {"empty": b"", "one": b"x", "zeros": bytes(300_000), "smooth": smooth, "noise": noise}


@pytest.mark.parametrize("content", CONTENTS)
@EACH_CODEC
def test_round_trip(chosen, content):
    # given bytes and a codec
    data, codec = CONTENTS[content], byte_codec(*chosen)
    # when they are compressed, from any kind of buffer
    compressed = bytes(codec.compress(data))
    assert bytes(codec.compress(bytearray(data))) == compressed
    assert bytes(codec.compress(memoryview(data))) == compressed
    # then they come back, however much room there is, and whatever buffer they are in
    for room in (len(data), len(data) + 1, 10 * len(data) + 100):
        assert bytes(decompress(compressed, codec.encoding, room)) == data
    assert bytes(decompress(memoryview(compressed), codec.encoding, len(data))) == data
    assert bytes(decompress(bytearray(compressed), codec.encoding, len(data))) == data


@pytest.mark.parametrize("content", CONTENTS)
@EACH_CODEC
def test_other_programs_read_it(chosen, content):
    codec = byte_codec(*chosen)
    assert READERS[codec.encoding](bytes(codec.compress(CONTENTS[content]))) == CONTENTS[content]


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("encoding", WRITERS)
def test_what_other_programs_write_is_read(encoding, content):
    data = CONTENTS[content]
    assert bytes(decompress(WRITERS[encoding](data), encoding, len(data))) == data


@EACH_CODEC
def test_same_bytes_give_the_same_bytes(chosen):
    # given two codecs made apart, one of them used by threads at once
    codec = byte_codec(*chosen)
    expected = bytes(byte_codec(*chosen).compress(smooth))
    found = []
    threads = [threading.Thread(target=lambda: found.append(bytes(codec.compress(smooth)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # then all give the same
    assert set(found) == {expected}
    assert len(found) == 8


@pytest.mark.parametrize("chosen", [chosen for chosen in CODECS if chosen[0] == "gzip"])
def test_gzip_header_has_no_time_and_no_name(chosen):
    # given the header of RFC 1952: magic, deflate, flags, time, …
    header = bytes(byte_codec(*chosen).compress(smooth))[:10]
    magic, method, flags, time = struct.unpack("<2sBBI", header[:8])
    assert (magic, method, flags, time) == (b"\x1f\x8b", 8, 0, 0)


@pytest.mark.parametrize(
    ("name", "level"),
    [("gzip", 0), ("gzip", 13), ("br", 12), ("br", -1), ("zstd", 0), ("zstd", 23), ("xz", 10), ("bz2", 0), ("none", 1)],
)
def test_levels_that_there_are_not(name, level):
    with pytest.raises(UnsupportedFormatError, match=f"compress_level {level} .*{name}"):
        byte_codec(name, level, "image", "raw")


@pytest.mark.parametrize(
    ("name", "level"), [(name, level) for name, levels in BYTE_ENCODINGS.items() for level in levels]
)
def test_all_levels_that_there_are(name, level):
    codec = byte_codec(name, level, "image", "raw")
    assert bytes(decompress(codec.compress(smooth[:2000]), codec.encoding, 2000)) == smooth[:2000]


def test_labels_of_raw_chunks_are_not_larger_than_by_the_standard_library():
    # given labels as uint64, of which ISA-L makes twice as much
    labels = np.kron(np.arange(64, dtype=np.uint64).reshape(4, 4, 4), np.ones((8, 8, 8), np.uint64)).tobytes()
    compressed = byte_codec("gzip", None, "segmentation", "raw").compress(labels)
    assert len(compressed) < 1.3 * len(zlib.compress(labels, 6))


def test_default_compression_leaves_pictures_alone():
    assert {name: default_compression(name) for name in ("raw", "compresso", "jpeg", "png", "fpzip")} == {
        "raw": "gzip",
        "compresso": "gzip",
        "jpeg": "none",
        "png": "none",
        "fpzip": "none",
    }


def test_chunk_of_voxels_without_copies():
    # given the memory of an array, as the raw codec hands it on
    voxels = np.asfortranarray(np.arange(24, dtype=np.uint16).reshape(2, 3, 4, 1))
    data = array_codec("raw", {}).encode(voxels)
    for chosen in CODECS:
        codec = byte_codec(*chosen)
        assert bytes(decompress(codec.compress(data), codec.encoding, 48)) == voxels.tobytes("F")


# --- several members, padding, and what is damaged


@pytest.mark.parametrize("encoding", JOINED)
@pytest.mark.parametrize(
    "parts",
    [
        (smooth, noise),
        (b"", smooth),
        (smooth, b""),
        (b"a", b"b", b"c"),
        (b"", b""),
        (noise, noise),
        (b"a", b"a", b"b", b"a"),
    ],
)
def test_joined_members_are_read_to_the_end(encoding, parts):
    # given files that were joined, as several programs write large ones
    joined = b"".join(map(WRITERS[encoding], parts))
    data = b"".join(parts)
    # then all of them are read, and their sum is what must fit
    assert bytes(decompress(joined, encoding, len(data))) == data
    if data:
        with pytest.raises(DecodingError):
            decompress(joined, encoding, len(data) - 1)


@pytest.mark.parametrize("content", [smooth, noise, b"a"])
@pytest.mark.parametrize("encoding", JOINED)
def test_a_file_that_was_joined_to_itself_has_too_many_bytes(encoding, content):
    with pytest.raises(DecodingError):
        decompress(2 * WRITERS[encoding](content), encoding, len(content))


@pytest.mark.parametrize("padding", [1, 2, 3, 4, 5, 7, 8, 9, 12, 100, 512])
@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("encoding", JOINED)
def test_zeros_at_the_end_are_padding(encoding, content, padding):
    # given a file that was padded to whole blocks, as tapes and some file systems do
    padded = WRITERS[encoding](CONTENTS[content]) + bytes(padding)
    # then nothing is lost and nothing added
    assert bytes(decompress(padded, encoding, len(CONTENTS[content]) + 1000)) == CONTENTS[content]


@pytest.mark.parametrize("garbage", [b"x", b"garbage", b"\0\0x", bytes(100) + b"\1", noise[:8], noise[:1000]])
@pytest.mark.parametrize("encoding", WRITERS)
def test_garbage_at_the_end_is_refused(encoding, garbage):
    # Of an empty frame python-zstandard reads no further than the header; no chunk is empty.
    for data in (smooth, bytes(1 << 16), *([] if encoding == "zstd" else [b""])):
        with pytest.raises(DecodingError):
            decompress(WRITERS[encoding](data) + garbage, encoding, 1 << 20)


@pytest.mark.parametrize("encoding", WRITERS)
def test_anything_cut_short_is_refused(encoding):
    # given a short file, cut at every place, and a long one, cut at some
    for data, step in ((smooth[:200], 1), (noise, 4999)):
        whole = WRITERS[encoding](data)
        for length in range(0, len(whole), step):
            with pytest.raises(DecodingError):
                decompress(whole[:length], encoding, len(data))


@pytest.mark.parametrize("encoding", JOINED)
def test_second_member_cut_short_is_refused(encoding):
    member = WRITERS[encoding](smooth)
    for length in (1, 2, 5, 11, len(member) // 2, len(member) - 1):
        with pytest.raises(DecodingError):
            decompress(member + member[:length], encoding, 2 * len(smooth))


@pytest.mark.parametrize("encoding", [*WRITERS, "lz4", "compress"])
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=60), expected=st.integers(0, 1000))
def test_random_bytes_are_refused_or_fit(encoding, data, expected):
    # given any bytes, then there is one kind of error, or an answer that fits
    try:
        assert len(decompress(data, encoding, expected)) <= expected
    except DecodingError as error:
        assert str(error)  # noqa: PT017 - either is right


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "xz", "bzip2"])
def test_flipped_bits_are_noticed(encoding):
    # given a file with a checksum, and each of some bits of it flipped
    whole = WRITERS[encoding](smooth)
    rng = np.random.default_rng(0)
    for bit in rng.integers(0, 8 * len(whole), 150):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << (bit % 8)
        # then the answer is an error or (bits that mean nothing, such as a time in a header) the same
        try:
            found = bytes(decompress(damaged, encoding, len(smooth)))
        except DecodingError:
            continue
        assert found == smooth, f"bit {bit}"


def test_flipped_bits_of_brotli_are_an_error_or_fit():
    # given a format without a checksum
    whole = brotli.compress(smooth)
    for bit in range(0, 8 * len(whole), 3):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << (bit % 8)
        try:
            assert len(decompress(damaged, "br", len(smooth))) <= len(smooth)
        except DecodingError:
            continue


def test_unknown_encoding_is_an_error_that_names_it():
    with pytest.raises(DecodingError, match="lz4"):
        decompress(b"x", "lz4", 10)


def test_gzip_inside_of_voxels_is_not_taken_for_a_member():
    # given voxels that hold what looks like the beginning of a member, and don't compress
    data = noise[:1000] + b"\x1f\x8b\x08\0\0\0\0\0" * 3 + noise[1000:2000]
    stored = zlib.compressobj(0, zlib.DEFLATED, 15 + 16)
    assert bytes(decompress(stored.compress(data) + stored.flush(), "gzip", len(data))) == data


# --- bombs

DECODE_WITH_LITTLE_MEMORY = """
import resource, sys
from cvbatch.codecs import decompress
from cvbatch.errors import DecodingError
import brotli, bz2, deflate, lzma, zlib, zstandard
encoding, expected = sys.argv[1], int(sys.argv[2])
bomb = sys.stdin.buffer.read()
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (96 << 20), used + (96 << 20)))
try:
    print(len(decompress(bomb, encoding, expected)))
except DecodingError as error:
    print("refused", error)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def zstd_of_unknown_size(data):
    return zstandard.ZstdCompressor(write_content_size=False).compress(data)


def bombs():
    """Few bytes that stand for a quarter of a gigabyte of zeros."""
    million = bytes(1 << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, 15 + 16)
    gzipped = b"".join(packer.compress(million) for _ in range(256)) + packer.flush()
    yield "gzip", gzipped
    # One whose last words claim that it is small, and one of many small members.
    yield "gzip", gzipped[:-4] + (100).to_bytes(4, "little")
    yield "gzip", gzip.compress(million) * 256
    yield "gzip", gzipped + bytes(8)
    packer = brotli.Compressor(quality=5)
    yield "br", b"".join(packer.process(million) for _ in range(256)) + packer.finish()
    packer = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    yield "zstd", b"".join(packer.compress(million) for _ in range(256)) + packer.flush()
    packer = zstandard.ZstdCompressor().compressobj(size=256 << 20)
    yield "zstd", b"".join(packer.compress(million) for _ in range(256)) + packer.flush()
    packer = lzma.LZMACompressor(preset=0)
    yield "xz", b"".join(packer.compress(million) for _ in range(256)) + packer.flush()
    packer = bz2.BZ2Compressor(1)
    yield "bzip2", b"".join(packer.compress(million) for _ in range(64)) + packer.flush()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and limits address space")
def test_bombs_are_refused_before_they_are_allocated():
    for i, (encoding, bomb) in enumerate(bombs()):
        # given a process with room for a hundred megabytes, and a chunk that may have one
        done = subprocess.run(
            [sys.executable, "-c", DECODE_WITH_LITTLE_MEMORY, encoding, str(1 << 20)],
            input=bomb,
            capture_output=True,
            check=False,
            timeout=60,
        )
        # then it says what is wrong, and has taken little for it
        assert done.returncode == 0, (i, encoding, done.stderr)
        answer, peak_kilobytes = done.stdout.decode().strip().split("\n")
        assert answer.startswith("refused"), (i, encoding, answer)
        assert "memory" not in answer.lower(), (i, encoding, answer)
        assert int(peak_kilobytes) < 100_000, (i, encoding, peak_kilobytes)


def test_zstd_without_a_size_in_its_header():
    assert bytes(decompress(zstd_of_unknown_size(smooth), "zstd", len(smooth))) == smooth
    with pytest.raises(DecodingError):
        decompress(zstd_of_unknown_size(smooth), "zstd", len(smooth) - 1)


@pytest.mark.parametrize("encoding", WRITERS)
def test_one_byte_too_many_is_refused(encoding):
    for data in (smooth, noise, b"ab"):
        with pytest.raises(DecodingError):
            decompress(WRITERS[encoding](data), encoding, len(data) - 1)
