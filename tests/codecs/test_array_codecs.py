"""What every array encoding promises."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from volumes import labels, noise

from cvbatch.codecs import ARRAY_CODECS, Layout, array_codec, codecs_for
from cvbatch.codecs.base import decoding
from cvbatch.errors import CvbatchError, DecodingError, EncodingError, UnsupportedFormatError
from cvbatch.metadata import DATA_TYPES

SUPPORT = Path(__file__).parents[1] / "support"
WRITABLE = [name for name, codec in ARRAY_CODECS.items() if codec.traits.writable]
SHAPES = [(1, 1, 1), (8, 8, 8), (13, 7, 5), (1, 9, 2), (64, 1, 1), (3, 40, 17)]
HELD = [
    (name, dtype, channels)
    for name in WRITABLE
    for dtype in DATA_TYPES
    for channels in (1, 2, 3, 4)
    if ARRAY_CODECS[name].holds(np.dtype(dtype), channels)
]
LOSSLESS_PARAMETERS = {"jxl": {"jxl_quality": 100}}


def make(name: str, **parameters):
    """The codec, lossless where it can be."""
    return array_codec(name, {**LOSSLESS_PARAMETERS.get(name, {}), **parameters})


def voxels_for(dtype: str, shape, seed: int = 0):
    """Blocks of labels for what may be labels, noise with extremes for the rest."""
    if dtype in ("uint32", "uint64"):
        channels = [labels(shape[:3], dtype, seed + c) for c in range(shape[3])]
        return np.asfortranarray(np.stack(channels, axis=-1))
    if dtype == "float32":
        return noise(shape, dtype, seed)
    limits = np.iinfo(dtype)
    return np.asfortranarray(
        np.random.default_rng(seed).integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
    )


def assert_comes_back(codec, voxels) -> None:
    layout = Layout(voxels.shape, voxels.dtype.newbyteorder("="))
    found = codec.decode(codec.encode(voxels), layout)
    assert found.shape == voxels.shape
    assert found.dtype == layout.dtype
    if codec.lossless:
        np.testing.assert_array_equal(found, voxels)
    elif codec.traits.name == "kempressed":
        np.testing.assert_allclose(found, voxels, atol=1e-6)


@pytest.mark.parametrize(("name", "dtype", "channels"), HELD)
def test_what_is_held_comes_back(name, dtype, channels):
    for shape in SHAPES:
        assert_comes_back(make(name), voxels_for(dtype, (*shape, channels)))


@pytest.mark.parametrize(("name", "dtype", "channels"), [held for held in HELD if held[2] in (1, 3)])
def test_memory_order_and_strides_do_not_matter(name, dtype, channels):
    voxels = voxels_for(dtype, (12, 10, 6, channels))
    encoded = bytes(make(name).encode(voxels))
    big = np.asfortranarray(np.pad(voxels, ((1, 2), (0, 1), (2, 0), (0, 0))))
    for other in (np.ascontiguousarray(voxels), big[1:13, :10, 2:8], voxels[::-1][::-1]):
        assert bytes(make(name).encode(other)) == encoded


@pytest.mark.parametrize(("name", "dtype", "channels"), [h for h in HELD if h[2] == 1 and np.dtype(h[1]).itemsize > 1])
def test_big_endian_voxels_come_back(name, dtype, channels):
    voxels = voxels_for(dtype, (12, 10, 6, channels))
    assert_comes_back(make(name), voxels.astype(voxels.dtype.newbyteorder(">")))


@pytest.mark.parametrize("name", ["raw", "compressed_segmentation", "compresso", "crackle"])
@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
def test_labels_at_the_extremes_come_back(name, dtype):
    largest = np.iinfo(dtype).max
    for values in ([0], [largest], [7], [0, largest], [0, 1, min(2**32, largest), largest - 1, largest]):
        cycle = itertools.islice(itertools.cycle(values), 12 * 10 * 6)
        voxels = np.fromiter(cycle, dtype).reshape((12, 10, 6, 1), order="F")
        assert_comes_back(make(name), voxels)


@pytest.mark.parametrize("name", ["raw", "fpzip", "zfpc"])
def test_floats_at_the_extremes_come_back(name):
    values = [0.0, -0.0, 1e-45, 3.4e38, -3.4e38] + ([np.nan, np.inf, -np.inf] if name != "zfpc" else [])
    voxels = np.resize(np.array(values, np.float32), (8, 9, 5, 1))
    voxels = np.asfortranarray(voxels)
    layout = Layout(voxels.shape, voxels.dtype)
    found = make(name).decode(make(name).encode(voxels), layout)
    # Bit for bit: NaN is not equal to itself, and zeros have signs.
    np.testing.assert_array_equal(np.ascontiguousarray(found).view("u4"), np.ascontiguousarray(voxels).view("u4"))


@pytest.mark.parametrize(("name", "most"), [("jpeg", 12), ("jxl", 12)])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossy_pictures_stay_close(name, most, channels):
    ramp = np.add.outer(np.add.outer(np.arange(48) * 2, np.arange(32)), np.arange(8))
    voxels = np.asfortranarray(np.repeat(ramp[..., None], channels, axis=3).astype(np.uint8))
    codec = array_codec(name, {})
    assert not codec.lossless
    found = codec.decode(codec.encode(voxels), Layout(voxels.shape, voxels.dtype))
    assert np.abs(found.astype(int) - voxels).max() <= most


@pytest.mark.parametrize(
    ("name", "parameters", "small", "large"),
    [
        ("jpeg", "jpeg_quality", 20, 95),
        ("jxl", "jxl_quality", 20, 100),
        ("png", "png_level", 9, 0),
        ("fpzip", "fpzip_precision", 12, 0),
        ("zfpc", "zfpc_tolerance", 0.5, 1e-6),
        ("zfpc", "zfpc_rate", 4, 20),
        ("zfpc", "zfpc_precision", 4, 24),
    ],
)
def test_parameters_of_the_scale_are_used(name, parameters, small, large):
    smooth = np.asfortranarray(np.cumsum(noise((32, 32, 8, 1), "float32"), axis=0))
    voxels = smooth if name in ("fpzip", "zfpc") else np.asfortranarray(noise((32, 32, 8, 1), "uint8"))
    sizes = [len(array_codec(name, {parameters: value}).encode(voxels)) for value in (small, large)]
    assert sizes[0] < sizes[1]


def test_block_size_and_correlated_dims_are_used():
    voxels = voxels_for("uint64", (32, 32, 8, 1))
    codecs = [
        array_codec("compressed_segmentation", {"compressed_segmentation_block_size": b})
        for b in ([8, 8, 8], [4, 8, 2])
    ]
    assert bytes(codecs[0].encode(voxels)) != bytes(codecs[1].encode(voxels))
    assert_comes_back(codecs[1], voxels)
    flat = array_codec("zfpc", {"zfpc_correlated_dims": [True, True, False, False]})
    assert_comes_back(flat, voxels_for("float32", (12, 10, 6, 2)))


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("jpeg", {"jpeg_quality": 0}),
        ("jpeg", {"jpeg_quality": "high"}),
        ("png", {"png_level": 10}),
        ("jxl", {"jxl_quality": 101}),
        ("jxl", {"jxl_effort": 0}),
        ("fpzip", {"fpzip_precision": -1}),
        ("compressed_segmentation", {"compressed_segmentation_block_size": [8, 8]}),
        ("compressed_segmentation", {"compressed_segmentation_block_size": [8, 8, 0]}),
        ("zfpc", {"zfpc_rate": -2}),
        ("zfpc", {"zfpc_rate": 3, "zfpc_tolerance": 0.1}),
        ("zfpc", {"zfpc_correlated_dims": [True]}),
        ("webp", {}),
    ],
)
def test_parameters_that_cannot_be_are_refused(name, members):
    with pytest.raises(UnsupportedFormatError):
        array_codec(name, members)


def test_the_old_encoding_is_read_and_not_written():
    with pytest.raises(EncodingError):
        array_codec("npz", {}).encode(noise((4, 4, 4, 1)))
    assert "npz" not in codecs_for(np.dtype("uint8"), 1)


def test_bytes_are_the_same_every_time():
    for name, dtype, channels in HELD:
        voxels = voxels_for(dtype, (12, 10, 6, channels))
        assert bytes(make(name).encode(voxels)) == bytes(make(name).encode(voxels))


@pytest.mark.parametrize("name", list(ARRAY_CODECS))
def test_damaged_bytes_are_errors(name):
    # given 500 damaged chunks, tried in another process, and of fragile encodings each in one of its own
    command = [sys.executable, str(SUPPORT / "garbage.py"), name, "500"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    tried = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=environment)
    # then each is a DecodingError or an array of the right kind, and only fragile ones may end their process
    assert tried.returncode == 0, f"case {tried.stdout.split()[-1:]}: {tried.returncode} {tried.stderr[-2000:]}"
    killed = int(tried.stdout.split()[-1])
    assert killed == 0 or ARRAY_CODECS[name].traits.fragile


def test_no_other_encoding_is_fragile():
    # Nothing in them can be looked at first that would tell. docs/encodings.md says so, and the engine names the chunk.
    assert {n for n, codec in ARRAY_CODECS.items() if codec.traits.fragile} == {
        "compresso",
        "crackle",
        "fpzip",
        "kempressed",
        "zfpc",
    }


@pytest.mark.parametrize("name", WRITABLE)
def test_chunks_of_another_size_are_refused(name):
    dtype = next(dtype for held, dtype, channels in HELD if held == name and channels == 1)
    encoded = bytes(make(name).encode(voxels_for(dtype, (8, 8, 8, 1))))
    # A stream of compressed_segmentation doesn't know how large it is, only whether there is enough of it.
    smaller = [] if name == "compressed_segmentation" else [(8, 8, 4, 1)]
    for shape in [(8, 8, 9, 1), *smaller]:
        with pytest.raises(DecodingError):
            make(name).decode(encoded, Layout(shape, np.dtype(dtype)))


@pytest.mark.parametrize(("name", "dtype", "channels"), HELD)
def test_a_given_array_is_filled_or_left_to_the_caller(name, dtype, channels):
    voxels = voxels_for(dtype, (12, 10, 6, channels))
    codec, layout = make(name), Layout(voxels.shape, voxels.dtype)
    encoded = codec.encode(voxels)
    out = np.zeros(voxels.shape, dtype, order="F")
    found = codec.decode(encoded, layout, out)
    assert found is out or not out.any()
    np.testing.assert_array_equal(found, codec.decode(encoded, layout))
    if name in ("jpeg", "png", "jxl") and channels == 1:
        assert found is out


def test_every_error_of_a_codec_is_one_of_ours():
    assert issubclass(DecodingError, CvbatchError)
    assert not DecodingError.retryable


def test_a_lack_of_memory_is_not_damage():
    with pytest.raises(MemoryError), decoding("raw"):
        raise MemoryError
