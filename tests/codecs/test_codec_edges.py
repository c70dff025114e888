"""Array encodings at their edges: any buffer, foreign pictures, lying headers, hard labels, many threads."""

import io
import os
import struct
import subprocess
import sys
import threading
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from volumes import labels, noise

from cvbatch.codecs import ARRAY_CODECS, Layout, array_codec, codecs_for, parameters_of
from cvbatch.errors import CvbatchError, DecodingError, EncodingError, UnsupportedFormatError

WRITABLE = [name for name, codec in ARRAY_CODECS.items() if codec.traits.writable]
LOSSLESS = [name for name in WRITABLE if ARRAY_CODECS[name].traits.loss != "always"]
# Other parameters than the usual ones where those are lossy.
EXACT = {"jxl": {"jxl_quality": 100}}


def make(name):
    return array_codec(name, EXACT.get(name, {}))


def kinds(name):
    """The (dtype, channels) that an encoding holds."""
    dtypes = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32")
    held = ARRAY_CODECS[name].holds
    return [(np.dtype(d), c) for d in dtypes for c in (1, 2, 3, 4) if held(np.dtype(d), c)]


def some_voxels(name, size=(9, 7, 5)):
    """A chunk of the first kind that an encoding holds."""
    dtype, channels = kinds(name)[0]
    shape = (*size, channels)
    return noise(shape, "float32") if dtype.kind == "f" else noise(shape).astype(dtype, order="F")


def layout_of(voxels):
    return Layout(voxels.shape, voxels.dtype)


def run_child(script, *arguments, data=b"", seconds=60):
    """A script in a process of its own, which may die: (return code, standard output, standard error)."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        input=data,
        capture_output=True,
        check=False,
        timeout=seconds,
        env=environment,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


# --- buffers and arrays


@pytest.mark.parametrize("name", WRITABLE)
@pytest.mark.parametrize("buffer", [bytes, bytearray, lambda data: memoryview(bytearray(data))])
def test_any_buffer_is_decoded(name, buffer):
    voxels = some_voxels(name)
    encoded = bytes(make(name).encode(voxels))
    expected = make(name).decode(encoded, layout_of(voxels))
    np.testing.assert_array_equal(make(name).decode(buffer(encoded), layout_of(voxels)), expected)


@pytest.mark.parametrize("name", WRITABLE)
def test_voxels_that_may_not_be_written_are_encoded_and_left_alone(name):
    # given a read-only array, as another decoder returns it
    voxels = some_voxels(name)
    before = voxels.copy()
    voxels.flags.writeable = False
    encoded = bytes(make(name).encode(voxels))
    # then nothing was written to it, and it encodes like any other
    np.testing.assert_array_equal(voxels, before)
    assert encoded == bytes(make(name).encode(before))


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in WRITABLE for kind in kinds(name)], ids=str)
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 1, 3), (16, 16, 16)])
def test_chunks_of_one_value(name, kind, shape):
    # given a chunk that is all background, or all one value
    dtype, channels = kind
    for value in (0, 1, 100):
        voxels = np.full((*shape, channels), value, dtype, order="F")
        found = make(name).decode(make(name).encode(voxels), layout_of(voxels))
        # then it comes back, from the lossy encodings too
        assert found.dtype == dtype
        np.testing.assert_allclose(found.astype(float), value, atol=2 if name == "jpeg" else 1e-6)


@pytest.mark.parametrize("name", LOSSLESS)
@settings(max_examples=25, deadline=None)
@given(
    size=st.tuples(*[st.integers(1, 12)] * 3), which=st.integers(0, 100), few=st.booleans(), seed=st.integers(0, 2**32)
)
def test_anything_held_comes_back_exactly(name, size, which, few, seed):
    # given noise over the whole range of a type, or a handful of values
    dtype, channels = kinds(name)[which % len(kinds(name))]
    rng = np.random.default_rng(seed)
    shape = (*size, channels)
    if dtype.kind == "f":
        values = rng.normal(size=5 if few else shape) * 10.0 ** rng.integers(-30, 30)
    else:
        limits = np.iinfo(dtype)
        values = rng.integers(limits.min, limits.max, 5 if few else shape, dtype=dtype, endpoint=True)
    voxels = np.asfortranarray((rng.choice(values, shape) if few else values).astype(dtype))
    # then
    codec = make(name)
    assert codec.lossless
    found = codec.decode(bytes(codec.encode(voxels)), layout_of(voxels))
    assert (found.shape, found.dtype) == (voxels.shape, voxels.dtype)
    np.testing.assert_array_equal(found, voxels)


@pytest.mark.parametrize("name", WRITABLE)
def test_threads_share_a_codec(name):
    # given chunks that threads encode and decode with one codec at once
    codec = make(name)
    chunks = [np.asfortranarray(np.roll(some_voxels(name, (32, 31, 6)), shift, axis=0)) for shift in range(4)]
    expected = [bytes(codec.encode(chunk)) for chunk in chunks]
    decoded = [codec.decode(data, layout_of(chunk)) for data, chunk in zip(expected, chunks, strict=True)]
    wrong = []

    def work(number):
        for i in range(5):
            chunk = chunks[(number + i) % 4]
            if bytes(codec.encode(chunk)) != expected[(number + i) % 4]:
                wrong.append("encode")
            found = codec.decode(expected[(number + i) % 4], layout_of(chunk))
            if not np.array_equal(found, decoded[(number + i) % 4]):
                wrong.append("decode")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # then each sees only its own
    assert wrong == []


# --- bytes that are no chunk


@pytest.mark.parametrize("name", ARRAY_CODECS)
def test_no_bytes_and_few_bytes_are_errors(name):
    for dtype, channels in kinds(name):
        layout = Layout((4, 4, 4, channels), dtype)
        # Twelve zeros are a block of one label in compressed_segmentation.
        for data in (b"", b"\0", b"\0" * 3, b"\0" * 4, b"\xff" * 7, b"\xff" * 12):
            with pytest.raises(DecodingError):
                array_codec(name, {}).decode(data, layout)


@pytest.mark.parametrize("name", ARRAY_CODECS)
def test_pages_of_servers_are_errors(name):
    # given what a proxy may answer in place of a chunk
    page = b"<!DOCTYPE html><html><body><h1>503 Service Unavailable</h1></body></html>\n" * 3
    dtype, channels = kinds(name)[0]
    with pytest.raises(DecodingError):
        array_codec(name, {}).decode(page, Layout((9, 9, 9, channels), dtype))


@pytest.mark.parametrize("name", ["raw", "png", "compresso", "crackle", "zfpc"])
def test_other_data_types_are_refused(name):
    # given a chunk of one type, read as one of another size
    first, *others = [dtype for dtype, channels in kinds(name) if channels == 1]
    voxels = noise((8, 8, 8, 1)).astype(first, order="F")
    encoded = bytes(make(name).encode(voxels))
    for other in others:
        if other.itemsize != first.itemsize:
            with pytest.raises(DecodingError):
                make(name).decode(encoded, Layout(voxels.shape, other))


@pytest.mark.parametrize("name", ["jpeg", "png", "jxl"])
def test_other_numbers_of_channels_are_refused(name):
    for found, wanted in ((1, 3), (3, 1)):
        voxels = noise((8, 8, 8, found))
        encoded = make(name).encode(voxels)
        with pytest.raises(DecodingError):
            make(name).decode(encoded, Layout((8, 8, 8, wanted), np.dtype(np.uint8)))


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2",
        b"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 2, -1), }",
        b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000000, 1000000, 1), }",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (2, 2, 2, 1), }",
        b"{'descr': '<U5', 'fortran_order': False, 'shape': (2, 2, 2, 1), }",
        b"{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (2, 2, 2, 1), }",
        b"(" * 3000,
        b"\xff" * 50,
        b"",
    ],
)
def test_npz_with_a_strange_header(header):
    # given a .npy file whose header is not what numpy writes
    npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(8)
    with pytest.raises(DecodingError):
        array_codec("npz", {}).decode(zlib.compress(npy), Layout((2, 2, 2, 1), np.dtype(np.uint8)))


@pytest.mark.parametrize("order", ["F", "C"])
def test_npz_of_old_volumes_is_read(order):
    voxels = np.array(noise((5, 4, 3, 2), "float32"), order=order)
    file = io.BytesIO()
    np.save(file, voxels)
    found = array_codec("npz", {}).decode(zlib.compress(file.getvalue()), layout_of(voxels))
    np.testing.assert_array_equal(found, voxels)


# --- bombs

DECODE_AND_MEASURE = """
import sys
import numpy as np
from cvbatch.codecs import Layout, array_codec
from cvbatch.errors import DecodingError
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
name, dtype = sys.argv[1:3]
codec, layout = array_codec(name, {}), Layout((8, 8, 8, 1), np.dtype(dtype))
codec.decode(codec.encode(np.zeros(layout.shape, layout.dtype, order="F")), layout)
bomb, before = sys.stdin.buffer.read(), peak()
try:
    codec.decode(bomb, layout)
except DecodingError as error:
    print("refused", peak() - before)
"""


def picture_bomb(name):
    """A picture of 8192 × 8192 grey pixels, in some hundred kilobytes at the most."""
    side = 8192
    if name == "png":
        ihdr = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        idat = b"IDAT" + zlib.compress(bytes(side * (side + 1)), 9)
        chunks = [ihdr, idat, b"IEND"]
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
        )
    import imagecodecs
    import simplejpeg

    blank = np.zeros((side, side), np.uint8)
    if name == "jpeg":
        return simplejpeg.encode_jpeg(blank[..., None], quality=1, colorspace="GRAY", colorsubsampling="Gray")
    return imagecodecs.jpegxl_encode(blank, effort=1, lossless=True, numthreads=1)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ["png", "jpeg", "jxl"])
def test_pictures_that_are_too_large_are_refused_before_they_are_decoded(name):
    # given a small file that is a picture of 64 megabytes, where a chunk has 512 bytes
    code, output, errors = run_child(DECODE_AND_MEASURE, name, "uint8", data=picture_bomb(name))
    # then it is refused, and no such picture was ever in memory
    assert (code, errors) == (0, "")
    assert output.startswith("refused")
    assert int(output.split()[1]) < 30_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("name", "dtype"), [("compresso", "uint64"), ("crackle", "uint64"), ("fpzip", "float32")])
def test_streams_that_are_too_large_are_refused_before_they_are_decoded(name, dtype):
    # given the stream of a blank chunk of 64 megabytes
    voxels = np.zeros((256, 256, 64 * 16 // np.dtype(dtype).itemsize, 1), dtype, order="F")
    bomb = bytes(make(name).encode(voxels))
    code, output, errors = run_child(DECODE_AND_MEASURE, name, dtype, data=bomb)
    assert (code, errors) == (0, "")
    assert output.startswith("refused")
    assert int(output.split()[1]) < 30_000


# --- pictures of other programs


@pytest.mark.parametrize("name", ["jpeg", "png", "jxl"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("wide", [1, 6, 6 * 5, 6 * 5 * 4])
def test_pictures_of_any_width_are_read(name, channels, wide):
    # given a chunk that another program laid out with other rows, as the format allows
    import imagecodecs
    import simplejpeg

    voxels = np.full((6, 5, 4, channels), 90, np.uint8, order="F")
    if name != "jpeg":
        voxels[...] = noise(voxels.shape)
    flat = voxels.transpose(2, 1, 0, 3).reshape(-1, wide, channels)
    picture = np.ascontiguousarray(flat)
    squeezed = picture if channels > 1 else picture[..., 0]
    if name == "jpeg":
        grey = channels == 1
        data = simplejpeg.encode_jpeg(picture, quality=95, colorspace="GRAY" if grey else "RGB")
    elif name == "png":
        data = imagecodecs.png_encode(squeezed, out=4096)
    else:
        data = imagecodecs.jpegxl_encode(squeezed, lossless=True, numthreads=1)
    # then it is the same chunk
    found = make(name).decode(data, layout_of(voxels))
    np.testing.assert_allclose(found.astype(int), voxels.astype(int), atol=2 if name == "jpeg" else 0)


def test_jpeg_of_a_chunk_that_is_too_tall():
    # given a chunk whose sections below each other are more rows than a jpeg has
    with pytest.raises(EncodingError, match="65500"):
        array_codec("jpeg", {}).encode(np.zeros((2, 300, 300, 1), np.uint8, order="F"))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 64, 64), (2, 100, 50), (64, 1, 1)])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_png_of_noise_in_any_shape(channels, dtype, shape, level):
    # given noise, which gets longer by being compressed
    limits = np.iinfo(dtype)
    voxels = np.random.default_rng(0).integers(0, limits.max, (*shape, channels), dtype=dtype, endpoint=True)
    codec = array_codec("png", {"png_level": level})
    np.testing.assert_array_equal(codec.decode(codec.encode(voxels), layout_of(voxels)), voxels)


# --- labels


@pytest.mark.parametrize("block", [(8, 8, 8), (1, 1, 1), (3, 5, 7), (64, 64, 8), (16, 1, 2), (32, 32, 32)])
@pytest.mark.parametrize("dtype", ["uint32", "uint64"])
@pytest.mark.parametrize("channels", [1, 3])
def test_block_sizes_of_compressed_segmentation(block, dtype, channels):
    # given blocks that don't divide the chunk, or are larger than it
    codec = array_codec("compressed_segmentation", {"compressed_segmentation_block_size": list(block)})
    rng = np.random.default_rng(0)
    for shape in ((1, 1, 1), (17, 13, 9), (8, 8, 8)):
        full = (*shape, channels)
        few = np.stack([labels(shape, dtype, c) for c in range(channels)], axis=-1)
        for voxels in (few, rng.integers(0, np.iinfo(dtype).max, full, dtype=dtype, endpoint=True)):
            found = codec.decode(codec.encode(voxels), layout_of(voxels))
            np.testing.assert_array_equal(found, voxels)


def test_labels_too_many_for_compressed_segmentation():
    # given a chunk whose labels are all different, so that tables don't fit into 24 bits
    voxels = np.arange(192 * 192 * 200, dtype=np.uint64).reshape((192, 192, 200, 1), order="F")
    # then it is the chunk's fault, and trying again doesn't help
    with pytest.raises(EncodingError, match="compressed_segmentation"):
        array_codec("compressed_segmentation", {}).encode(voxels)


ENCODE_MANY_LABELS = """
import resource, sys
import numpy as np
from cvbatch.codecs import Layout, array_codec
from cvbatch.errors import EncodingError
resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
codec = array_codec("compressed_segmentation", {"compressed_segmentation_block_size": [64, 64, 64]})
voxels = (np.arange(64**3, dtype=np.uint64) % int(sys.argv[1])).reshape((64, 64, 64, 1), order="F")
try:
    print(np.array_equal(codec.decode(codec.encode(voxels), Layout(voxels.shape, voxels.dtype)), voxels))
except EncodingError:
    print("refused")
"""


@pytest.mark.parametrize(("count", "answers"), [(65_536, ["True"]), (65_537, ["True", "refused"])])
def test_more_labels_in_a_block_than_16_bits_can_tell(count, answers):
    # given one block with so many labels, encoded in a process that may take ten seconds
    code, output, errors = run_child(ENCODE_MANY_LABELS, count)
    # then there is an answer
    assert (code, errors) == (0, "")
    assert output.strip() in answers


# --- damage that has ended processes

DECODE_DAMAGED_ZFPC = """
import sys
import numpy as np
from cvbatch.codecs import Layout, array_codec
from cvbatch.errors import DecodingError
codec, voxels = array_codec("zfpc", {}), np.random.default_rng(1).normal(size=(8, 8, 8, 1)).astype(np.float32)
data = bytearray(codec.encode(np.asfortranarray(voxels)))
data[43] ^= int(sys.argv[1])
try:
    codec.decode(bytes(data), Layout(voxels.shape, voxels.dtype))
except DecodingError:
    pass
"""


@pytest.mark.parametrize("bit", [4, 8])
def test_zfpc_is_fragile_or_survives_damage_to_an_inner_header(bit):
    # given a chunk with one wrong bit where the stream inside of it says how many axes it has
    code, _, _ = run_child(DECODE_DAMAGED_ZFPC, bit)
    # then the process lives on, or it is known that it may not
    assert code == 0 or ARRAY_CODECS["zfpc"].traits.fragile


REFUSE_OFTEN = """
import sys
import numpy as np
from cvbatch.codecs import Layout, array_codec
from cvbatch.errors import DecodingError
codec, voxels = array_codec("png", {}), np.zeros((16, 16, 4, 1), np.uint8)
data = bytearray(codec.encode(voxels))
data[45] ^= 1
before = sys.getrefcount(None)
for _ in range(1000):
    try:
        codec.decode(bytes(data), Layout(voxels.shape, voxels.dtype))
    except DecodingError:
        pass
print(sys.getrefcount(None) - before)
"""


def test_many_damaged_pngs_are_survived():
    # given a process that meets a thousand damaged pictures
    code, output, _ = run_child(REFUSE_OFTEN)
    # then none of them takes away a reference to None, of which there are some ten thousand to lose
    assert code == 0
    assert int(output) > -500


# --- which there are


def test_unknown_encoding_names_those_there_are():
    with pytest.raises(UnsupportedFormatError, match=r"'webp'; there are raw, jpeg, png") as caught:
        array_codec("webp", {})
    assert isinstance(caught.value, CvbatchError)


def test_codecs_for_labels_and_images():
    assert codecs_for(np.dtype("int8"), 1) == ["raw"]
    assert {"raw", "jpeg", "png"} <= set(codecs_for(np.dtype("uint8"), 3))
    assert "jpeg" not in codecs_for(np.dtype("uint8"), 2)
    assert {"compressed_segmentation", "compresso", "crackle"} <= set(codecs_for(np.dtype("uint64"), 1))
    assert "compresso" not in codecs_for(np.dtype("uint64"), 2)


def test_parameters_of_an_encoding():
    members = {"jpeg_quality": 90, "png_level": 3, "hidden": True}
    assert parameters_of("jpeg", members) == {"jpeg_quality": 90}
    assert parameters_of("raw", members) == {}
    assert parameters_of("unheard-of", members) == {}


def test_raw_is_little_endian_x_fastest_channels_last():
    # given two voxels along x, one along y and z, and two channels
    voxels = np.array([1, 2, 256, 3], ">u2").reshape((2, 1, 1, 2), order="F")
    assert bytes(array_codec("raw", {}).encode(voxels)) == bytes([1, 0, 2, 0, 0, 1, 3, 0])


def test_raw_is_not_copied():
    voxels = noise((16, 16, 16, 1))
    data = array_codec("raw", {}).encode(voxels)
    assert np.shares_memory(np.frombuffer(data, np.uint8), voxels)
    assert np.shares_memory(array_codec("raw", {}).decode(data, layout_of(voxels)), voxels)


@pytest.mark.parametrize("length", [0, 1, 59, 61, 120])
def test_raw_of_another_length_is_an_error_with_both(length):
    with pytest.raises(DecodingError, match=f"{length} bytes instead of 60"):
        array_codec("raw", {}).decode(bytes(length), Layout((5, 4, 3, 1), np.dtype(np.uint8)))
