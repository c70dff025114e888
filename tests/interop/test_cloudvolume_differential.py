"""The same calls go to ``cloudvolume.CloudVolume`` and to ours, over the same files, and give the same.

Where they don't, the case belongs to a row of docs/differences.md: :func:`row` names it at the test that shows both
sides, and the last test sees to it that every row has such a test. Ours is always compared with the voxels that were
written, too, so that a difference is never just passed over.
"""

import contextlib
import copy
import itertools
import json
import os
import pickle
import re
import shutil
import tempfile
import uuid
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import cvbatch
import cvbatch.exceptions

with warnings.catch_warnings():
    # Its dependencies warn about themselves.
    warnings.simplefilter("ignore")
    import cloudvolume
    import cloudvolume.exceptions

DOCS = Path(__file__).parents[2] / "docs" / "differences.md"
BOTH = [cloudvolume, cvbatch]
ROWS: set[str] = set()
ROOTS: list[str] = []
serial = itertools.count()


def examples(count):
    """The same cases in every run: cloud-volume has more surprises. CVBATCH_EXPLORE=1 looks for others."""
    return settings(
        max_examples=count,
        deadline=None,
        derandomize="CVBATCH_EXPLORE" not in os.environ,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


def row(*names):
    """Says which rows of the tables in differences.md a test shows."""
    ROWS.update(names)
    return lambda test: test


@pytest.fixture(scope="module", autouse=True)
def folder():
    """Where all volumes of these tests are, in memory if possible."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as path:
        ROOTS.append(path)
        yield


def fresh():
    """A path where nothing is."""
    return f"{ROOTS[-1]}/data/{next(serial)}"


# --- what a call gave


@dataclass
class Raised:
    """An exception, by the names of its classes."""

    names: list[str]

    def is_a(self, *names):
        return any(name in self.names for name in names)


@contextlib.contextmanager
def quiet(package):
    """Ours must not warn; cloud-volume may."""
    with warnings.catch_warnings():
        if package is cloudvolume:
            warnings.simplefilter("ignore")
        yield


def outcome(package, call, *arguments):
    """What a call gave, or :class:`Raised`."""
    try:
        with quiet(package):
            return call(package, *arguments)
    except Exception as error:
        return Raised([each.__name__ for each in type(error).__mro__])


def same_error(theirs, ours):
    """Both raise, and ours is what users catch: CloudVolume's class if there is one of that name, and built-in ones."""
    assert isinstance(ours, Raised), f"cloud-volume raises {theirs.names[0]}, we give a {type(ours)}"
    assert isinstance(theirs, Raised), f"we raise {ours.names[0]}, cloud-volume gives a {type(theirs)}"
    assert ours.is_a(theirs.names[0]), f"cloud-volume raises {theirs.names[0]}, we {ours.names[0]}"


def plain(value):
    """Without the types that hold numbers."""
    if hasattr(value, "minpt"):
        return [plain(value.minpt), plain(value.maxpt)]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {plain_key(key): plain(each) for key, each in value.items()}
    if isinstance(value, set | frozenset):
        return {plain(each) for each in value}
    if isinstance(value, slice):
        return ("slice", plain(value.start), plain(value.stop), plain(value.step))
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, str | bytes):
        return value
    return [plain(each) for each in value] if hasattr(value, "__iter__") else value


def plain_key(key):
    return tuple(plain(each) for each in key) if isinstance(key, tuple) else key


def same(call, *arguments):
    """Both give the same, or raise the same."""
    theirs, ours = (outcome(package, call, *arguments) for package in BOTH)
    if isinstance(theirs, Raised) or isinstance(ours, Raised):
        same_error(theirs, ours)
    else:
        assert plain(ours) == plain(theirs)
    return ours


def differs(call, theirs, ours):
    """``theirs`` and ``ours`` are values, the names of exceptions, or functions that accept what was given."""
    for package, expected in ((cloudvolume, theirs), (cvbatch, ours)):
        found = outcome(package, call)
        if isinstance(found, Raised):
            assert isinstance(expected, str), f"{package.__name__} raises {found.names[0]}"
            assert found.is_a(expected), f"{package.__name__} raises {found.names[0]}, not {expected}"
        elif callable(expected):
            assert expected(found), f"{package.__name__} gives {found!r}"
        else:
            assert plain(found) == expected, f"{package.__name__}"


# --- volumes

DTYPES = ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32"]
UNSIGNED = ["uint8", "uint16", "uint32", "uint64"]
# Of each encoding what both hold; the rest stands under 'What CloudVolume 12.15 misreads'.
ENCODINGS = {
    "raw": (DTYPES, [1, 2, 3]),
    "compressed_segmentation": (["uint32", "uint64"], [1]),
    "compresso": (UNSIGNED, [1]),
    "crackle": (UNSIGNED, [1]),
    "png": (["uint8"], [1]),
    "jpeg": (["uint8"], [1]),
    "fpzip": (["float32"], [1]),
    "kempressed": (["float32"], [1]),
    "zfpc": (["float32"], [1]),
}
COMPRESSIONS = [None, True, False, "gzip", "br", "zstd", "xz", "bz2"]
LOSSY = ["jpeg", "kempressed", "zfpc"]


@dataclass
class Spec:
    """A volume to make."""

    size: tuple[int, int, int] = (16, 16, 16)
    offset: tuple[int, int, int] = (0, 0, 0)
    chunk: tuple[int, int, int] = (8, 8, 8)
    dtype: str = "uint8"
    channels: int = 1
    encoding: str = "raw"
    compress: Any = None
    max_mip: int = 0
    layer_type: str | None = None
    missing: list[int] = field(default_factory=list)
    writer: int = 0

    @property
    def maxpt(self):
        return tuple(a + n for a, n in zip(self.offset, self.size, strict=True))

    @property
    def info(self):
        return cloudvolume.CloudVolume.create_new_info(
            num_channels=self.channels,
            layer_type=self.layer_type or ("segmentation" if self.dtype in UNSIGNED[2:] else "image"),
            data_type=self.dtype,
            encoding=self.encoding,
            resolution=[4, 4, 40],
            voxel_offset=self.offset,
            chunk_size=self.chunk,
            volume_size=self.size,
            max_mip=self.max_mip,
        )

    def voxels(self, shape=None, seed=0):
        """Nine values that use all bits of the type, one of them 0."""
        rng = np.random.default_rng(seed)
        shape = (*(self.size if shape is None else shape), self.channels)
        if self.dtype == "float32":
            return np.asfortranarray(rng.standard_normal(shape).astype("float32"))
        limits = np.iinfo(self.dtype)
        values = rng.integers(limits.min, limits.max, 9, self.dtype, endpoint=True)
        values[0] = 0
        return np.asfortranarray(values[rng.integers(0, 9, shape)])


class Volume:
    """A volume on disk that was written by one of both packages."""

    def __init__(self, spec, path=None):
        self.spec, self.path = spec, path or fresh()
        writer = BOTH[spec.writer]
        with quiet(writer):
            vol = writer.CloudVolume(self.url, info=spec.info, compress=spec.compress, progress=False)
            vol.commit_info()
            vol[:, :, :] = spec.voxels()
        for number in spec.missing:
            chunks = self.chunks()
            if chunks:
                os.remove(f"{self.path}/4_4_40/{chunks[number % len(chunks)]}")

    @property
    def url(self):
        return f"file://{self.path}"

    def chunks(self, key="4_4_40"):
        return sorted(os.listdir(f"{self.path}/{key}")) if os.path.isdir(f"{self.path}/{key}") else []

    def copy(self):
        """The same volume at another path."""
        twin = object.__new__(Volume)
        twin.spec, twin.path = self.spec, fresh()
        shutil.copytree(self.path, twin.path)
        return twin

    def open(self, package, **options):
        return package.CloudVolume(self.url, progress=False, **options)

    def truth(self, box, background=0):
        """The voxels of a box, background where there is no chunk and around the volume."""
        spec = self.spec
        voxels = np.full((*[b - a for a, b in zip(*box, strict=True)], spec.channels), background, spec.dtype)
        stored = spec.voxels().copy(order="F") if spec.encoding not in LOSSY else self._as_read(background)
        if spec.encoding not in LOSSY:
            there = {re.sub(r"\.\w+$", "", name) for name in self.chunks()}
            for chunk in self.grid():
                if "_".join(f"{a}-{b}" for a, b in chunk) not in there:
                    stored[tuple(slice(a - o, b - o) for (a, b), o in zip(chunk, spec.offset, strict=True))] = (
                        background
                    )
        low = [max(a, o) for a, o in zip(box[0], spec.offset, strict=True)]
        high = [min(b, m) for b, m in zip(box[1], spec.maxpt, strict=True)]
        if all(a < b for a, b in zip(low, high, strict=True)):
            inside = tuple(slice(a - o, b - o) for a, b, o in zip(low, high, box[0], strict=True))
            source = tuple(slice(a - o, b - o) for a, b, o in zip(low, high, spec.offset, strict=True))
            voxels[inside] = stored[source]
        return voxels

    def _as_read(self, background):
        with quiet(cloudvolume):
            vol = self.open(cloudvolume, fill_missing=True, background_color=background)
            return np.array(vol[:, :, :]).reshape((*self.spec.size, self.spec.channels))

    def grid(self):
        """The chunks, each as three ranges."""
        axes = [
            [(a, min(a + c, m)) for a in range(o, m, c)]
            for o, m, c in zip(self.spec.offset, self.spec.maxpt, self.spec.chunk, strict=True)
        ]
        return list(itertools.product(*axes))


NEAR = st.integers(-40, 40) | st.sampled_from([2**16 + 1])
OFFSETS = NEAR | st.sampled_from([2**30, -(2**30), 2**30 - 17])
# Where cloud-volume's int32 ends.
FAR = st.sampled_from([2**31, 2**45 + 1, -(2**45), 2**62])
# A fraction makes all of cloud-volume's coordinates float32, which has no odd numbers from here on.
FLOAT32 = 2**24


# One voxel out of crackle ends cloud-volume's process at times: it is read by larger boxes only.
ANY_BOX = tuple(name for name in ENCODINGS if name != "crackle")


@st.composite
def specs(draw, encodings=ANY_BOX, missing=True, offsets=OFFSETS, **members):
    """Any volume that both can hold. Half of them are raw, whose voxels say where they are from."""
    encoding = draw(st.sampled_from(["raw"] * (len(encodings) - 1) + list(encodings)))
    dtypes, channels = ENCODINGS[encoding]
    return Spec(
        size=draw(st.tuples(*[st.integers(2 if encoding == "crackle" else 1, 20)] * 3)),
        offset=draw(st.tuples(*[offsets] * 3)),
        chunk=draw(st.tuples(*[st.integers(4, 24)] * 3)),
        encoding=encoding,
        dtype=draw(st.sampled_from(dtypes)),
        channels=draw(st.sampled_from(channels)),
        compress=draw(st.sampled_from(COMPRESSIONS)),
        layer_type=draw(st.sampled_from([None, "image", "segmentation"])) if encoding == "raw" else None,
        missing=draw(st.lists(st.integers(0, 30), max_size=2)) if missing else [],
        **{"writer": draw(st.integers(0, 1)), **members},
    )


# --- selections


@st.composite
def ranges(draw, low, high, steps=True, fractions=True, beyond=4):
    """What may stand for one axis whose voxels are ``low`` to ``high``."""
    near = st.integers(low - beyond, high + beyond) | st.integers(low, high)
    kinds = [near, near.map(np.int64)]
    if fractions:
        kinds.append(near.map(lambda n: n + 0.25))
    number = st.one_of(kinds)
    if draw(st.integers(0, 3)) == 0:
        return draw(number)
    start, stop = draw(st.none() | number), draw(st.none() | number)
    if start is not None and stop is not None and stop < start and draw(st.integers(0, 9)):
        start, stop = stop, start
    return slice(start, stop, draw(st.sampled_from([None, None, 1, 2, 3, 7])) if steps else None)


@st.composite
def keys(draw, spec, steps=True, fractions=True, channels=True, beyond=4):
    """What may stand between the brackets."""
    fractions = fractions and max(map(abs, (*spec.offset, *spec.maxpt))) < FLOAT32 - beyond
    if draw(st.integers(0, 4)) == 0:
        return draw(boxes(spec, beyond))
    parts = [draw(ranges(a, b, steps, fractions, beyond)) for a, b in zip(spec.offset, spec.maxpt, strict=True)]
    form = draw(st.sampled_from(["all", "all", "fewer", "ellipsis", "channel"]))
    if form == "fewer":
        parts = parts[: draw(st.integers(1, 2))]
        return parts[0] if len(parts) == 1 and draw(st.booleans()) else tuple(parts)
    if form == "ellipsis":
        parts = parts[: draw(st.integers(0, 3))]
        return (*parts, ...)
    if form == "channel" and channels:
        index = st.integers(0, spec.channels - 1)
        return (
            *parts,
            draw(index | index.map(lambda n: slice(n, n + 1)) | st.just(slice(None)) | st.just(slice(0, None))),
        )
    return tuple(parts)


@dataclass
class Box:
    """Stands for a Bbox of either package."""

    minpt: tuple
    maxpt: tuple
    unit: str = "vx"

    def of(self, package):
        return package.Bbox(self.minpt, self.maxpt, unit=self.unit)


@st.composite
def boxes(draw, spec, beyond=4, units=("vx",)):
    corners = [
        sorted(draw(st.tuples(*[st.integers(a - beyond, b + beyond) | st.integers(a, b)] * 2)))
        for a, b in zip(spec.offset, spec.maxpt, strict=True)
    ]
    return Box(tuple(a for a, _ in corners), tuple(b for _, b in corners), draw(st.sampled_from(units)))


def of(package, key):
    return key.of(package) if isinstance(key, Box) else key


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "bounded": st.booleans(),
        "autocrop": st.booleans(),
        "fill_missing": st.booleans(),
        "background_color": st.sampled_from([0, 1, 7]),
    },
)


# --- reading


def expanded(key):
    """A key as one item for each of four axes."""
    parts = list(key) if isinstance(key, tuple) else [key]
    at = parts.index(...) if ... in parts else len(parts)
    rest = parts[at + 1 :]
    return [*parts[:at], *[slice(None)] * (4 - at - len(rest)), *rest]


def strides(key):
    """What picks the wanted voxels out of a box: steps, and channels."""
    if isinstance(key, Box):
        return (slice(None),) * 4
    *space, channel = expanded(key)
    steps = [slice(None, None, part.step if isinstance(part, slice) else None) for part in space]
    return (*steps, channel if isinstance(channel, slice) else slice(channel, channel + 1))


def floored(key, spec):
    """A key without the fractions that cloud-volume cuts or refuses: see 'fractions in slices and boxes'."""
    if isinstance(key, Box):
        return key
    *space, channel = expanded(key)
    numbers = [[part.start, part.stop] if isinstance(part, slice) else [part] for part in space]
    fractions = [(n, top) for each, top in zip(numbers, spec.maxpt, strict=True) for n in each if isinstance(n, float)]
    if all(0 <= n < top for n, top in fractions):
        return key

    def floor(n):
        return int(n // 1) if isinstance(n, float) else n

    whole = [slice(floor(p.start), floor(p.stop), p.step) if isinstance(p, slice) else floor(p) for p in space]
    return (*whole, channel)


def bounds_of(cutout):
    return plain(cutout.bounds)


def check_cutout(volume, theirs, ours, key, options):
    """What reading gave on both sides, and on ours whether these are the voxels that are stored."""
    if not isinstance(ours, Raised):
        low, high = box = bounds_of(ours)
        background = options.get("background_color", 0)
        expected = volume.truth(box, background)[strides(key)]
        assert ours.dtype == expected.dtype
        np.testing.assert_array_equal(ours, expected)
        if all(part.step in (None, 1) for part in strides(key)[:3]):
            assert ours.flags.f_contiguous
        one_voxel = all(b - a == 1 for a, b in zip(low, high, strict=True))
        outside = any(
            b <= o or a >= m for a, b, o, m in zip(low, high, volume.spec.offset, volume.spec.maxpt, strict=True)
        )
        if outside and isinstance(theirs, Raised):
            assert theirs.is_a("EmptyVolumeException", "IndexError")
            assert not options.get("fill_missing")
            return
        if outside and options.get("fill_missing"):
            assert not hasattr(theirs, "bounds")
            np.testing.assert_array_equal(ours, theirs)
            return
        if one_voxel:
            # Theirs has the channels on the first axis, and picks among them on the last.
            assert not isinstance(theirs, Raised)
            assert theirs.shape[0] <= volume.spec.channels
            assert strides(key) != (slice(None),) * 4 or set(plain(theirs.ravel())) == set(
                plain(np.asarray(ours).ravel())
            )
            return
    elif ours.is_a("SubvoxelVolumeError") and isinstance(theirs, Raised) and theirs.is_a("OutOfBoundsError"):
        # A box that is both empty and outside: there are two errors to choose from.
        assert options.get("bounded", True)
        return
    if isinstance(theirs, Raised) or isinstance(ours, Raised):
        same_error(theirs, ours)
        return
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    assert ours.flags.f_contiguous == theirs.flags.f_contiguous
    np.testing.assert_array_equal(ours, theirs)
    assert bounds_of(ours) == bounds_of(theirs)
    assert plain(ours.resolution) == plain(theirs.resolution)
    assert (ours.mip, ours.layer_type, ours.layer) == (theirs.mip, theirs.layer_type, theirs.layer)
    assert (ours.num_channels, ours.cloudpath) == (theirs.num_channels, theirs.cloudpath)


@row(
    "`vol[x, y, z]`",
    "one voxel of several channels",
    "boxes fully outside with `bounded=False`",
    "empty boxes that are outside, too",
)
@examples(700)
@given(st.data())
def test_reading(data):
    # given a volume, some of whose chunks are missing, and options
    volume = Volume(data.draw(specs()))
    options = data.draw(OPTIONS)
    vols = [volume.open(package, **options) for package in BOTH]
    for key in data.draw(st.lists(keys(volume.spec), min_size=1, max_size=6)):
        # when both are asked for the same
        theirs = outcome(cloudvolume, lambda p, key=key: vols[0][of(p, floored(key, volume.spec))])
        ours = outcome(cvbatch, lambda p, key=key: vols[1][of(p, key)])
        # then both give the voxels that are stored
        check_cutout(volume, theirs, ours, key, options)


@examples(25)
@given(st.data())
def test_reading_with_two_processes(data):
    # given ours with two processes and cloud-volume with one
    volume = Volume(data.draw(specs()))
    options = data.draw(OPTIONS)
    theirs, ours = volume.open(cloudvolume, **options), volume.open(cvbatch, **options, parallel=2)
    for key in data.draw(st.lists(keys(volume.spec, fractions=False), min_size=1, max_size=4)):
        check_cutout(
            volume,
            outcome(cloudvolume, lambda p, key=key: theirs[of(p, key)]),
            outcome(cvbatch, lambda p, key=key: ours[of(p, key)]),
            key,
            options,
        )


@row("coordinates beyond 2³¹")
@examples(60)
@given(st.data())
def test_far_from_the_origin_ours_is_exact(data):
    volume = Volume(data.draw(specs(offsets=FAR, encodings=("raw",), writer=1)))
    vol = volume.open(cvbatch, bounded=False, fill_missing=True)
    for key in data.draw(st.lists(keys(volume.spec, fractions=False), min_size=1, max_size=4)):
        found = outcome(cvbatch, lambda p, key=key: vol[of(p, key)])
        if isinstance(found, Raised):
            assert found.names[0] == "SubvoxelVolumeError"
        else:
            np.testing.assert_array_equal(found, volume.truth(bounds_of(found))[strides(key)])
    assert outcome(cloudvolume, lambda p: volume.open(p)[:]).is_a("OverflowError")


@dataclass
class Request:
    """A box in voxels of another resolution."""

    box: Box
    resolution: tuple | None


@st.composite
def requests(draw, spec):
    """A box of one of the volume's voxels, or of coarser or finer ones, whose edges are edges of voxels."""
    if draw(st.booleans()):
        return Request(draw(boxes(spec)), None)
    factor = draw(st.sampled_from([(1, 1, 1), (2, 2, 1), (2, 1, 4)]))
    finer = draw(st.booleans())
    low, high = zip(
        *[
            sorted(draw(st.tuples(*[st.integers(a // f - 1, b // f + 1)] * 2)))
            for a, b, f in zip(spec.offset, spec.maxpt, factor, strict=True)
        ],
        strict=True,
    )
    if finer:
        corners = [tuple(n * f * f for n, f in zip(corner, factor, strict=True)) for corner in (low, high)]
        return Request(Box(*corners), tuple(r / f for r, f in zip((4, 4, 40), factor, strict=True)))
    return Request(Box(low, high), tuple(r * f for r, f in zip((4, 4, 40), factor, strict=True)))


LABELS = ("compressed_segmentation", "compresso")


@examples(200)
@given(st.data())
def test_download(data):
    # given labels
    spec = data.draw(specs(encodings=("raw", *LABELS), offsets=NEAR))
    assume(spec.dtype in UNSIGNED)
    volume = Volume(spec)
    options = data.draw(OPTIONS)
    vols = dict(zip(BOTH, [volume.open(package, **options) for package in BOTH], strict=True))
    known = [int(label) for label in np.unique(spec.voxels())] + [1, 7]
    for _ in range(3):
        request = data.draw(requests(spec))
        if request.resolution and options.get("autocrop"):
            # See 'coord_resolution with autocrop'.
            continue
        arguments = {"coord_resolution": request.resolution} if request.resolution else {}
        some = st.lists(st.sampled_from(known), max_size=4, unique=True)
        match data.draw(st.sampled_from(["all", "segids", "zeros", "label"])):
            case "segids":
                arguments["segids"] = data.draw(some)
            case "zeros":
                arguments |= {"segids": data.draw(some), "preserve_zeros": True}
            case "label":
                arguments["label"] = data.draw(st.sampled_from(known))

        # when
        def download(package, box=request.box, arguments=arguments):
            return vols[package].download(box.of(package), **arguments)

        theirs, ours = (outcome(package, download) for package in BOTH)
        # then
        if isinstance(ours, Raised) and ours.is_a("SubvoxelVolumeError") and isinstance(theirs, Raised):
            assert theirs.is_a("SubvoxelVolumeError", "OutOfBoundsError")
        elif isinstance(ours, Raised):
            same_error(theirs, ours)
        else:
            check_labels(volume, theirs, ours, arguments, options)


def check_labels(volume, theirs, ours, arguments, options):
    box = bounds_of(ours)
    voxels = volume.truth(box, options.get("background_color", 0))
    if "segids" in arguments:
        zeros = arguments.get("preserve_zeros", False)
        kept = np.isin(voxels, np.array(arguments["segids"], voxels.dtype)) | (zeros and voxels == 0)
        voxels[~kept] = np.iinfo(voxels.dtype).max if zeros else 0
    if "label" in arguments:
        voxels = voxels == arguments["label"]
    np.testing.assert_array_equal(ours, voxels)
    assert ours.dtype == voxels.dtype
    if voxels.size == volume.spec.channels:
        # One voxel: what cloud-volume gives stands in test_one_voxel.
        return
    low, high = box
    if arguments.get("label") == options.get("background_color", 0):
        # See 'download(label=…) of the background'.
        return
    if any(b <= o or a >= m for a, b, o, m in zip(low, high, volume.spec.offset, volume.spec.maxpt, strict=True)):
        # See 'boxes fully outside'.
        return
    np.testing.assert_array_equal(ours, theirs)
    assert ours.dtype == theirs.dtype
    assert not hasattr(theirs, "bounds") or bounds_of(theirs) == box


@examples(150)
@given(st.data())
def test_points(data):
    # given a volume with mips, the coarser ones without voxels
    volume = Volume(data.draw(specs(max_mip=1)))
    options = {name: value for name, value in data.draw(OPTIONS).items() if name not in ("bounded", "autocrop")}
    vols = dict(zip(BOTH, [volume.open(package, **options) for package in BOTH], strict=True))
    near = [
        st.integers(a - 1, b) | st.integers(a, b - 1)
        for a, b in zip(volume.spec.offset, volume.spec.maxpt, strict=True)
    ]
    points = data.draw(st.lists(st.tuples(*near), min_size=1, max_size=5))
    mip = data.draw(st.sampled_from([0, None, 1, -1, [8, 8, 40]]))
    resolution = data.draw(st.sampled_from([None, None, (4, 4, 40)]))

    def scattered(package):
        found = vols[package].scattered_points(points, mip=mip, coord_resolution=resolution)
        # Theirs has the first channel only: see 'scattered_points of several channels'.
        return {plain_key(key): np.ravel(value)[0].item() for key, value in found.items()}

    theirs, ours = (outcome(package, scattered) for package in BOTH)
    if isinstance(ours, Raised) and ours.is_a("OutOfBoundsError") and isinstance(theirs, Raised):
        # Among several points, one may be outside and another one's chunk missing.
        assert theirs.is_a("OutOfBoundsError", "EmptyVolumeException")
    else:
        same(scattered)
    size = data.draw(st.sampled_from([2, 4, (2, 4, 6), 12]))

    def around(package):
        found = vols[package].download_point(points[0], size=size, mip=mip, coord_resolution=resolution)
        return np.asarray(found), getattr(found, "bounds", None)

    theirs, ours = (outcome(package, around) for package in BOTH)
    if isinstance(theirs, Raised) or isinstance(ours, Raised):
        same_error(theirs, ours)
    else:
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert theirs[1] is None or plain(ours[1]) == plain(theirs[1])


@row("`unique` of signed integers")
@examples(200)
@given(st.data())
def test_questions_about_chunks(data):
    volume = Volume(data.draw(specs(max_mip=1)))
    fill = data.draw(st.booleans())
    background = data.draw(st.sampled_from([0, 3]))
    vols = {p: volume.open(p, fill_missing=fill, background_color=background) for p in BOTH}
    for _ in range(2):
        key = data.draw(keys(volume.spec, steps=False, fractions=False, channels=False, beyond=1))
        # Theirs knows no lone number or Ellipsis here: see 'selections of one number'.
        assume(isinstance(key, Box) or (isinstance(key, tuple) and ... not in key))
        box = box_of(volume.spec, key)
        if box is None:
            # Empty boxes: see 'exists, delete, unique and download_files of empty boxes'.
            assert outcome(cvbatch, lambda p: vols[p].exists(of(p, key))).is_a("SubvoxelVolumeError")  # noqa: B023
            continue
        same(lambda p: vols[p].exists(of(p, key)))  # noqa: B023
        ours = outcome(cvbatch, lambda p: vols[p].unique(of(p, key)))  # noqa: B023
        if isinstance(ours, set):
            corners = tuple(zip(*box, strict=True))
            assert ours == set(volume.truth(corners, background).ravel().tolist())
        if np.dtype(volume.spec.dtype).kind != "i":
            # Theirs damages its memory there: see 'unique of signed integers'.
            same(lambda p: vols[p].unique(of(p, key)))  # noqa: B023
        same(lambda p: vols[p].download_files(of(p, key)))  # noqa: B023
    for mip in (None, 0, 1, -1, [4, 4, 40], 2):
        same(lambda p, mip=mip: bool(vols[p].image.has_data(mip)))


def box_of(spec, key):
    """The box of a key, None if it is empty."""
    parts = (
        [slice(a, b) for a, b in zip(key.minpt, key.maxpt, strict=True)] if isinstance(key, Box) else expanded(key)[:3]
    )
    box = [
        (low if part.start is None else part.start, high if part.stop is None else part.stop)
        if isinstance(part, slice)
        else (part, part + 1)
        for part, low, high in zip(parts, spec.offset, spec.maxpt, strict=True)
    ]
    return box if all(a < b for a, b in box) else None


@examples(120)
@given(st.data())
def test_deleting(data):
    # given two copies of a volume
    volume = Volume(data.draw(specs(encodings=("raw",))))
    twin = volume.copy()
    key = data.draw(keys(volume.spec, steps=False, fractions=False, channels=False, beyond=1) | aligned(volume.spec))
    assume(box_of(volume.spec, key) is not None and not isinstance(key, int | np.integer))
    # when both delete, then the same files are left
    theirs = outcome(cloudvolume, lambda p: volume.open(p).delete(of(p, key)))
    ours = outcome(cvbatch, lambda p: twin.open(p).delete(of(p, key)))
    if isinstance(theirs, Raised) or isinstance(ours, Raised):
        same_error(theirs, ours)
    assert twin.chunks() == volume.chunks()


@st.composite
def aligned(draw, spec):
    """A box of whole chunks."""
    corners = []
    for offset, size, chunk in zip(spec.offset, spec.size, spec.chunk, strict=True):
        edges = [*range(offset, offset + size, chunk), offset + size]
        first = draw(st.integers(0, len(edges) - 2))
        corners.append((edges[first], edges[draw(st.integers(first + 1, len(edges) - 1))]))
    return Box(*[tuple(corner) for corner in zip(*corners, strict=True)])


# --- writing


@st.composite
def writes(draw, spec):
    """A key and what is written there."""
    key = draw(st.one_of(aligned(spec), keys(spec, fractions=False, beyond=3), boxes(spec, beyond=2)))
    box = box_of(spec, key)
    shape = tuple(b - a for a, b in box) if box else (0, 0, 0)
    kind = draw(st.sampled_from(["array"] * 6 + ["black", "number", "shape", "dtype", "xyz", "steps"]))
    seed = draw(st.integers(1, 9))
    image = spec.voxels(shape, seed)
    match kind:
        case "black":
            image = np.full_like(image, draw(st.sampled_from([0, 3])))
        case "number":
            image = draw(st.sampled_from([0, 3, 100, np.dtype(spec.dtype).type(5), 1.5]))
        case "shape":
            image = image[:, :, 1:] if draw(st.booleans()) else np.swapaxes(image, 0, 1)
        case "dtype":
            image = image.astype("float64")
        case "xyz" if spec.channels == 1:
            image = np.ascontiguousarray(image[..., 0])
    return key, image


WRITING = st.fixed_dictionaries(
    {},
    optional={
        "non_aligned_writes": st.booleans(),
        "fill_missing": st.booleans(),
        "delete_black_uploads": st.booleans(),
        "background_color": st.sampled_from([0, 3]),
        "autocrop": st.booleans(),
        "bounded": st.booleans(),
    },
)


def outside(spec, key):
    return any(b <= o or a >= m for (a, b), o, m in zip(box_of(spec, key), spec.offset, spec.maxpt, strict=True))


def in_bounds(spec, key):
    box = box_of(spec, key)
    return (
        None
        if box is None
        else all(o <= a and b <= m for (a, b), o, m in zip(box, spec.offset, spec.maxpt, strict=True))
    )


@row("writing an empty box")
@examples(500)
@given(st.data())
def test_writing(data):
    # given two copies of a volume
    # Non-aligned writes at 2**30 make theirs read other chunks.
    spec = data.draw(specs(encodings=("raw",), offsets=NEAR))
    volume = Volume(spec)
    copies = {cloudvolume: volume, cvbatch: volume.copy()}
    options = data.draw(WRITING)
    if options.get("non_aligned_writes"):
        # Else see 'non-aligned write with background_color'.
        options["background_color"] = 0
    vols = {p: copies[p].open(p, compress=spec.compress, **options) for p in BOTH}
    for _ in range(2):
        key, image = data.draw(writes(spec))
        inside = in_bounds(spec, key)
        if inside is None:
            assert outcome(cvbatch, lambda p: write(vols[p], of(p, key), image)).is_a("SubvoxelVolumeError")  # noqa: B023
            continue
        crops = options.get("autocrop") and not options.get("bounded", True)
        if not inside and not crops and (not options.get("bounded", True) or has_numbers(key)):
            # Theirs may write to other voxels: see 'writes outside of the volume'.
            assert outcome(cvbatch, lambda p: write(vols[p], of(p, key), image)).is_a("ValueError")  # noqa: B023
            continue
        # when both write the same
        theirs, ours = (outcome(p, lambda p: write(vols[p], of(p, key), image)) for p in BOTH)  # noqa: B023
        if crops and outside(spec, key):
            # Nothing is written; ours looks at the image all the same.
            assert ours is None or ours.is_a("ValueError")
            continue
        # then both refuse, or what is stored is the same
        if isinstance(theirs, Raised) or isinstance(ours, Raised):
            if not has_steps(key) and (inside or not options.get("bounded", True)):
                same_error(theirs, ours)
            else:
                # More than one thing may be wrong; which one is told is open.
                assert theirs.is_a("ValueError")
                assert ours.is_a("ValueError")
            if ours.is_a("EmptyVolumeException"):
                # Theirs may have written a part: see 'non-aligned write into a chunk that is not there'.
                return
        assert copies[cvbatch].chunks() == copies[cloudvolume].chunks()
        np.testing.assert_array_equal(
            everything(copies[cvbatch], cvbatch), everything(copies[cloudvolume], cloudvolume)
        )
        np.testing.assert_array_equal(
            everything(copies[cvbatch], cloudvolume), everything(copies[cloudvolume], cvbatch)
        )


def has_numbers(key):
    return not isinstance(key, Box) and any(isinstance(part, int | np.integer) for part in expanded(key)[:3])


def has_steps(key):
    return any(part.step not in (None, 1) for part in strides(key)[:3])


def write(vol, key, image):
    vol[key] = image


def everything(volume, package):
    with quiet(package):
        found = np.asarray(volume.open(package, fill_missing=True, background_color=9)[:, :, :])
    return found.reshape((*volume.spec.size, volume.spec.channels))


def close(encoding, found, expected):
    if encoding == "jpeg":
        return np.abs(found.astype(int) - expected.astype(int)).mean() < 40
    return np.allclose(found, expected, rtol=1e-3, atol=1e-3) if encoding in LOSSY else (found == expected).all()


@examples(250)
@given(st.data())
def test_what_one_writes_the_other_reads(data):
    # given a volume that both write, with every encoding and compression
    spec = data.draw(specs(missing=False, writer=0) | specs(missing=False, writer=0, encodings=tuple(ENCODINGS)[1:]))
    theirs = Volume(spec)
    spec = Spec(**{**vars(spec), "writer": 1})
    ours = Volume(spec)
    # then the files have the same names, and both read both
    assert ours.chunks() == theirs.chunks()
    for volume in (ours, theirs):
        found = [everything(volume, package) for package in BOTH]
        if spec.encoding in ("kempressed", "zfpc"):
            np.testing.assert_allclose(found[1], found[0], rtol=1e-5)
        else:
            np.testing.assert_array_equal(found[1], found[0])
        assert spec.encoding == "jpeg" or close(spec.encoding, found[1], spec.voxels())
    if spec.encoding == "raw":
        theirs = {p: theirs.open(p).download_files(theirs.open(p).bounds) for p in BOTH}
        assert theirs[cvbatch] == theirs[cloudvolume] == ours.open(cvbatch).download_files(ours.open(cvbatch).bounds)


# --- shared memory and files


@examples(120)
@given(st.data())
def test_segments_and_files(data):
    spec = data.draw(specs(encodings=("raw", "compressed_segmentation"), missing=False))
    volume = Volume(spec)
    twins = {p: volume.copy() for p in BOTH}
    vols = {p: twins[p].open(p, compress=spec.compress) for p in BOTH}
    box, part, some = data.draw(aligned(spec)), data.draw(aligned(spec)), data.draw(st.booleans())
    # Of one voxel theirs makes no segment: see 'download_to_shared_memory of one voxel'.
    assume(any(b - a > 1 for a, b in zip(box.minpt, box.maxpt, strict=True)))
    order = data.draw(st.sampled_from("FC"))
    kind = data.draw(st.sampled_from(["shared_memory", "file"]))
    names = {p: (f"cvbatch-differential-{uuid.uuid4().hex}" if kind == "shared_memory" else fresh()) for p in BOTH}
    paths = {p: f"/dev/shm/{names[p]}" if kind == "shared_memory" else names[p] for p in BOTH}
    try:
        # when a box is brought into memory or a file
        for package in BOTH:
            download = getattr(vols[package], f"download_to_{kind}")
            with quiet(package):
                first, second = (
                    (names[package], box.of(package)) if kind == "file" else (box.of(package), names[package])
                )
                array = download(first, second)
            # then that is what is there
            np.testing.assert_array_equal(array, volume.truth((box.minpt, box.maxpt)))
            # One voxel: theirs has no bounds.
            assert plain(getattr(array, "bounds", box)) == plain(box)
            assert array.flags.f_contiguous
            del array
        contents = [Path(paths[p]).read_bytes() for p in BOTH]
        assert contents[0] == contents[1]
        # when it is changed and written back, whole or in part
        for package in BOTH:
            Path(paths[package]).write_bytes(contents[0][::-1])
            arguments = {"cutout_bbox": part.of(package)} if some else {}
            upload = getattr(vols[package], f"upload_from_{kind}")
            names[package, "raised"] = outcome(
                package,
                lambda p: upload(names[p], box.of(p), order=order, **arguments),  # noqa: B023
            )
        theirs, ours = (names[p, "raised"] for p in BOTH)
        # then the same is stored
        if isinstance(theirs, Raised) or isinstance(ours, Raised):
            same_error(theirs, ours)
        np.testing.assert_array_equal(everything(twins[cvbatch], cvbatch), everything(twins[cloudvolume], cvbatch))
    finally:
        for path in paths.values():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


# --- documents

INFO_ARGUMENTS = st.fixed_dictionaries(
    {
        "num_channels": st.integers(1, 3),
        "layer_type": st.sampled_from(["image", "segmentation"]),
        "data_type": st.sampled_from([*DTYPES, np.uint64, np.dtype("uint8")]),
        "encoding": st.sampled_from([*ENCODINGS, "jxl"]),
        "resolution": st.tuples(*[st.integers(1, 100)] * 3) | st.just(np.array([4, 4, 40])),
        "voxel_offset": st.tuples(*[st.integers(-999, 999)] * 3) | st.just(np.array([1, -2, 3])) | st.just((1.0, 2, 3)),
        "volume_size": st.tuples(*[st.integers(1, 999)] * 3) | st.just(np.array([10, 20, 30])) | st.just((1, 2.0, 3)),
    },
    optional={
        "mesh": st.sampled_from([None, True, False, "mesh_dir"]),
        "skeletons": st.sampled_from([None, True, False, "skel_dir"]),
        "chunk_size": st.tuples(*[st.integers(1, 128)] * 3) | st.just(np.array([16, 16, 16])),
        "compressed_segmentation_block_size": st.sampled_from([(8, 8, 8), (4, 4, 2), [16, 16, 16]]),
        "max_mip": st.integers(0, 3),
        "factor": st.sampled_from([(2, 2, 1), (2, 2, 2), (3, 1, 1), [1, 1, 2]]),
    },
)


@examples(300)
@given(INFO_ARGUMENTS)
def test_create_new_info(arguments):
    infos = [p.CloudVolume.create_new_info(**arguments) for p in BOTH]
    assert json.loads(json.dumps(infos[1])) == infos[1]
    for info in infos:
        for scale in info["scales"][1:]:
            # See 'block size of coarser mips'.
            scale.pop("compressed_segmentation_block_size", None)
    assert plain(infos[1]) == plain(infos[0])


@examples(150)
@given(
    st.tuples(*[st.integers(1, 99)] * 3),
    st.tuples(*[st.integers(-99, 99)] * 3),
    st.lists(
        st.fixed_dictionaries(
            {"factor": st.tuples(*[st.integers(1, 4)] * 3) | st.sampled_from([(2.0, 2.0, 1.0), (2, 2), 2])},
            optional={
                "encoding": st.sampled_from(["raw", "png", "compressed_segmentation"]),
                "chunk_size": st.tuples(*[st.integers(1, 64)] * 3),
            },
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_scales(size, offset, added):
    # given a volume to which scales are added
    volume = Volume(Spec(size=(3, 3, 3)))
    info = Spec(size=size, offset=offset, dtype="uint32").info
    vols = {p: p.CloudVolume(volume.url, info=info, progress=False) for p in BOTH}
    for arguments in added:
        same(lambda p: vols[p].add_scale(**arguments))  # noqa: B023
        same(lambda p: vols[p].scales)
        same(lambda p: vols[p].available_mips)
        same(lambda p: list(vols[p].available_resolutions))
    # then it is stored and opened again, by the other one too
    vols[cvbatch].commit_info()
    same(lambda p: volume.open(p).info)
    vols[cloudvolume].commit_info()
    same(lambda p: volume.open(p).info)
    for vol in vols.values():
        vol.reset_scales()
    same(lambda p: vols[p].info)
    same(lambda p: vols[p].refresh_info())


ATTRIBUTES = [
    *("shape", "bounds", "resolution", "chunk_size", "underlying", "key", "encoding", "volume_size", "voxel_offset"),
    *("ndim", "scale", "compressed_segmentation_block_size"),
]
PLAIN_ATTRIBUTES = [
    *("num_channels", "data_type", "dtype", "layer_type", "available_mips", "scales", "info", "layerpath", "basepath"),
    *("layer", "dataset_name", "base_cloudpath", "info_cloudpath", "layer_cloudpath", "cloudpath", "cache_path", "mip"),
    *("bounded", "autocrop", "fill_missing", "background_color", "non_aligned_writes", "delete_black_uploads"),
    *("parallel", "compress", "cdn_cache", "progress", "green_threads", "downsample_ratio"),
]
MIPS = [0, 1, 2, -1, -3, 3, -4, [8, 8, 40], (4, 4, 40), np.array([16, 16, 40]), [8.0, 8, 40], [5, 5, 5], 1.0, "a", []]


@examples(60)
@given(specs(max_mip=2, missing=False), st.sampled_from(MIPS))
def test_attributes(spec, mip):
    # given a volume at a mip, however that is named
    volume = Volume(spec)
    vols = {p: outcome(p, lambda p: volume.open(p, mip=mip, fill_missing=True)) for p in BOTH}
    if any(isinstance(vol, Raised) for vol in vols.values()):
        same_error(*vols.values())
        return
    for name in (*ATTRIBUTES, *PLAIN_ATTRIBUTES):
        same(lambda p, name=name: getattr(vols[p], name))
    for name in ATTRIBUTES:
        for number in (0, 1, -1):
            same(lambda p, name=name, number=number: getattr(vols[p], f"mip_{name}")(number))
    for vol in vols.values():
        vol.mip = 1
    same(lambda p: (vols[p].mip, vols[p].key, vols[p].bounds))


@examples(250)
@given(st.data())
def test_coordinates(data):
    # given a volume that stands nowhere but in its info
    spec = data.draw(specs(encodings=("raw",), max_mip=2, offsets=NEAR))
    vols = {p: p.CloudVolume(f"file://{fresh()}", info=spec.info, progress=False, mip=1) for p in BOTH}
    mips = st.integers(0, 2) | st.just(-1)
    source, target = data.draw(mips), data.draw(mips)
    box = data.draw(boxes(spec))
    same(lambda p: vols[p].bbox_to_mip(box.of(p), source, target))
    slices = tuple(slice(*corners) for corners in zip(box.minpt, box.maxpt, strict=True))
    some = slices[: data.draw(st.integers(1, 3))]
    point = data.draw(st.tuples(*[st.integers(-99, 99)] * 3))
    same(lambda p: vols[p].point_to_mip(point, source, target))
    same(lambda p: vols[p].point_to_mip(p.Vec(*point), source, target))
    if all(a < b for a, b in zip(box.minpt, box.maxpt, strict=True)):
        same(lambda p: vols[p].bbox_to_mip(some, 0, target))
        same(lambda p: vols[p].slices_from_global_coords(some))
        same(lambda p: vols[p].slices_to_global_coords(slices))
        same(lambda p: vols[p].slices_from_global_coords(box.of(p)))


@examples(80)
@given(st.data())
def test_from_numpy(data):
    spec = data.draw(specs(missing=False, offsets=NEAR))
    voxels = spec.voxels()
    if spec.channels == 1 and data.draw(st.booleans()):
        voxels = voxels[..., 0]
    if data.draw(st.booleans()):
        voxels = np.ascontiguousarray(voxels)
    arguments = {
        "resolution": (1, 2, 3),
        "voxel_offset": spec.offset,
        "chunk_size": spec.chunk,
        # Of uint16, see 'from_numpy of uint16'.
        "layer_type": spec.layer_type or ("image" if spec.dtype == "uint16" else None),
        "max_mip": data.draw(st.integers(0, 2)),
        "encoding": spec.encoding,
        "compress": spec.compress,
    }
    made = {}
    for package in BOTH:
        with quiet(package):
            made[package] = package.CloudVolume.from_numpy(voxels, vol_path=f"file://{fresh()}", **arguments)
    same(lambda p: made[p].info)
    files = [sorted(os.listdir(f"{made[p].layerpath}/1_2_3")) for p in BOTH]
    assert files[0] == files[1]
    for path in (made[p].cloudpath for p in BOTH):
        found = [read_all(p, path) for p in BOTH]
        np.testing.assert_allclose(found[1], found[0], rtol=1e-5)
        if spec.encoding not in LOSSY:
            np.testing.assert_array_equal(found[1], voxels.reshape(found[1].shape))


def read_all(package, path):
    with quiet(package):
        vol = package.CloudVolume(path, progress=False)
        return np.asarray(vol[:, :, :]).reshape(vol.shape)


@examples(120)
@given(st.data())
def test_transfer_to(data):
    # given a volume, and a box of whole chunks
    spec = data.draw(specs(encodings=("raw", "compressed_segmentation", "png"), missing=False))
    volume = Volume(spec)
    box = data.draw(aligned(spec) | st.just(Box(spec.offset, spec.maxpt)))
    # Of one voxel theirs mixes up axes and channels.
    assume(spec.channels == 1 or any(b - a > 1 for a, b in zip(box.minpt, box.maxpt, strict=True)))
    arguments = data.draw(
        st.fixed_dictionaries(
            {}, optional={"compress": st.sampled_from(COMPRESSIONS), "block_size": st.sampled_from([None, 1, 64])}
        )
    )
    if data.draw(st.booleans()):
        fitting = [
            name for name, (dtypes, channels) in ENCODINGS.items() if spec.dtype in dtypes and spec.channels in channels
        ]
        # Theirs has an error of its own for these: see 'transfer_to(encoding="compresso")'.
        refused = (*LOSSY, "compresso", "fpzip")
        arguments["encoding"] = data.draw(st.sampled_from([name for name in fitting if name not in refused]))
    # when both bring it to another place
    paths = {p: fresh() for p in BOTH}
    made = {}
    for package in BOTH:
        with quiet(package):
            made[package] = volume.open(package).transfer_to(f"file://{paths[package]}", box.of(package), **arguments)
    # then the same is there
    found = [plain(made[p].info) for p in BOTH]
    for info in found:
        # Theirs keeps it when the encoding is another.
        info["scales"][0].pop("compressed_segmentation_block_size", None)
    assert found[0] == found[1]
    files = [sorted(os.listdir(f"{paths[p]}/4_4_40")) for p in BOTH]
    if arguments.get("compress", True) in (True, None):
        # See 'transfer_to with compress True or None'.
        if "encoding" not in arguments:
            assert set(files[1]) <= set(volume.chunks())
        files = [[re.sub(r"\.\w+$", "", name) for name in each] for each in files]
    assert files[0] == files[1]
    for reader in BOTH:
        with quiet(reader):
            found = [
                np.asarray(reader.CloudVolume(f"file://{paths[p]}", progress=False)[of(reader, box)]) for p in BOTH
            ]
        np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[1], volume.truth((box.minpt, box.maxpt)))


# --- the cache


def cached_files(root):
    """What is in a cache, without ours' locks and theirs' copy of the provenance."""
    found = [os.path.relpath(os.path.join(at, name), root) for at, _, names in os.walk(root) for name in names]
    return sorted(name for name in found if ".locks" not in name and not name.endswith("/provenance"))


@examples(120)
@given(st.data())
def test_cache(data):
    # given a cache for each
    spec = data.draw(specs(encodings=("raw",), missing=False, max_mip=1))
    compress_cache = data.draw(st.sampled_from([None, True, False, "gzip", "br", "zstd"]))
    # Without compress_cache, see 'cached chunks without compress_cache'.
    assume(compress_cache is not None or spec.compress in (None, True, "gzip"))
    volume = Volume(spec)
    roots = {p: fresh() for p in BOTH}
    options = {"compress": spec.compress, "compress_cache": compress_cache}
    vols = {p: volume.open(p, cache=roots[p], **options) for p in BOTH}

    same(lambda p: vols[p].cache.enabled)
    # when boxes are read, written and flushed, then there are the same files
    for _ in range(data.draw(st.integers(1, 4))):
        box = data.draw(aligned(spec))
        act = data.draw(st.sampled_from([read_box, read_box, write_box, flush_box, keep_box, flush_all]))
        for package in BOTH:
            with quiet(package):
                act(volume, vols[package], box.of(package), box)
        assert cached_files(roots[cvbatch]) == cached_files(roots[cloudvolume])
        same(lambda p: sorted(vols[p].cache.list()))
        same(lambda p: vols[p].cache.num_files())
        same(lambda p: vols[p].cache.num_files(all_mips=True))
        same(lambda p: [n > 0 for n in [vols[p].cache.num_bytes(), *vols[p].cache.num_bytes(all_mips=True)]])


def read_box(volume, vol, bbox, box):
    # Without a cache, the same is read. Of one voxel theirs has the channels on another axis.
    np.testing.assert_array_equal(np.ravel(vol[bbox]), np.ravel(volume.open(cvbatch)[of(cvbatch, box)]))


def write_box(volume, vol, bbox, box):
    vol[bbox] = volume.spec.voxels([b - a for a, b in zip(box.minpt, box.maxpt, strict=True)], 5)


def flush_box(volume, vol, bbox, box):
    vol.cache.flush_region(bbox)


def keep_box(volume, vol, bbox, box):
    vol.cache.flush(preserve=bbox)


def flush_all(volume, vol, bbox, box):
    vol.cache.flush()


# --- cutouts, pickling, provenance


def test_a_cutout_knows_where_it_is_from():
    volume = Volume(Spec(offset=(5, -7, 9), channels=2, max_mip=1))
    for change in (lambda a: a, lambda a: a[1:3], lambda a: a.copy(), lambda a: a + 1):
        for name in (
            "bounds",
            "mip",
            "resolution",
            "layer_type",
            "layer",
            "num_channels",
            "cloudpath",
            "shape",
            "dtype",
        ):
            same(lambda p, change=change, name=name: getattr(change(volume.open(p)[6:10, -7:0, 9:12]), name))
    for package in BOTH:
        array = volume.open(package)[6:10, -7:0, 9:12]
        twin = pickle.loads(pickle.dumps(array))
        np.testing.assert_array_equal(twin, array)
        assert type(twin) is type(array)


@examples(40)
@given(specs(missing=False), WRITING, st.booleans())
def test_pickled_volumes(spec, options, committed):
    volume = Volume(spec)
    if not committed:
        os.unlink(f"{volume.path}/info")
    copies = {}
    for package in BOTH:
        with quiet(package):
            vol = package.CloudVolume(
                volume.url, info=None if committed else spec.info, progress=False, compress="br", **options
            )
            copies[package] = pickle.loads(pickle.dumps(vol))
    for name in (*ATTRIBUTES, *PLAIN_ATTRIBUTES):
        same(lambda p, name=name: getattr(copies[p], name))
    same(lambda p: np.ravel(copies[p][:, :, :], order="F").sum().item())


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=9)
PROVENANCES = st.fixed_dictionaries(
    {},
    optional={
        "description": TEXTS,
        "owners": st.lists(TEXTS, max_size=2, unique=True),
        "sources": st.lists(TEXTS, max_size=2, unique=True),
        "processing": st.lists(st.dictionaries(st.sampled_from(["by", "date"]), TEXTS), max_size=1),
        "extra": TEXTS,
    },
)


@examples(120)
@given(PROVENANCES, TEXTS, st.booleans())
def test_provenance(document, text, stored):
    # given a provenance that is stored, or handed over
    volume = Volume(Spec(size=(2, 2, 2)))
    twins = {p: volume.copy() for p in BOTH}
    vols = {}
    for p in BOTH:
        if stored:
            Path(f"{twins[p].path}/provenance").write_text(json.dumps(document), encoding="utf-8")
        vols[p] = twins[p].open(p, **({} if stored else {"provenance": copy.deepcopy(document)}))
    same(lambda p: dict(vols[p].provenance))
    # when it is edited and stored
    for vol in vols.values():
        vol.provenance.description = text
        vol.provenance.owners.append(f"the owner {text}")
        vol.provenance.processing.append({"method": {"task": text}, "by": "somebody"})
        vol.provenance["sources"] = [text]
        vol.commit_provenance()
    # then it is that, and stays so
    files = [json.loads(Path(f"{twins[p].path}/provenance").read_text(encoding="utf-8")) for p in BOTH]
    assert files[0] == files[1]
    for vol in vols.values():
        vol.provenance.description = "forgotten"
        vol.refresh_provenance()
    same(lambda p: dict(vols[p].provenance))


# --- where we differ on purpose: one test or more for each row of the tables in differences.md


def made(package, options=None, **members):
    """A new volume, opened by a package."""
    return Volume(Spec(**members)).open(package, **(options or {}))


def changed(package, key, image, options=None, **members):
    """All voxels after something was written."""
    volume = Volume(Spec(**members))
    with quiet(package):
        volume.open(package, **(options or {}))[key] = image
    return everything(volume, cvbatch)


def ones(*shape, dtype="uint8"):
    return np.ones(shape, dtype)


LOOSE = {"bounded": False}
PATCHES = {"non_aligned_writes": True}
FILLED = {"fill_missing": True}
LABELLED = {"dtype": "uint32", "size": (4, 4, 4)}
FIRST = np.s_[0:8, 0:8, 0:8]


@row("a missing chunk with `parallel` > 1")
def test_the_zeros_of_cloudvolume_with_two_processes_are_an_error_here():
    # given a volume without one of its chunks; cloud-volume with parallel=2 gives zeros there
    vol = Volume(Spec(missing=[3])).open(cvbatch, parallel=2)
    with pytest.raises(cvbatch.exceptions.EmptyVolumeException, match="0-8_8-16_8-16"):
        vol[:]


def emptied(package, **options):
    volume = Volume(Spec(compress=False))
    Path(f"{volume.path}/4_4_40/0-8_0-8_0-8").write_bytes(b"")
    return volume.open(package, **options)[:, :, :].shape


@row("a chunk of no bytes")
def test_a_chunk_of_no_bytes():
    differs(emptied, "EmptyVolumeException", "EmptyFileException")
    differs(lambda p: emptied(p, fill_missing=True), [16, 16, 16, 1], "EmptyFileException")


@row("`vol[..., 0:1] = image` into several channels", "arrays of shape (x, y, z) into several channels")
def test_channels_are_written_together():
    for key, shape in ((np.s_[..., 0:1], (16, 16, 16, 1)), (np.s_[:, :, :], (16, 16, 16))):
        # Theirs writes what it can't read, nor can we.
        def call(package, key=key, shape=shape):
            volume = Volume(Spec(channels=2))
            volume.open(package)[key] = ones(*shape)
            return [outcome(p, lambda p: volume.open(p)[:, :, :]).names[0] for p in BOTH]

        differs(call, ["ValueError", "DecodingError"], "AlignmentError")


@row("writing with another `compress` than before")
def test_one_chunk_has_one_file():
    def files(package):
        volume = Volume(Spec(size=(8, 8, 8), compress="gzip"))
        volume.open(package, compress=False)[:, :, :] = ones(8, 8, 8)
        return volume.chunks()

    differs(files, ["0-8_0-8_0-8", "0-8_0-8_0-8.gz"], ["0-8_0-8_0-8"])


@row("fractions beyond 2²⁴")
def test_fractions_far_from_the_origin():
    start = 2**25 + 1
    differs(
        lambda p: made(p, size=(16, 8, 8), offset=(start, 0, 0))[start + 2 : start + 5, 0.5:1.5, 0].bounds,
        lambda box: plain(box)[0][0] != start + 2,
        [[start + 2, 0, 0], [start + 5, 1, 1]],
    )


@row("writes outside of the volume with `bounded=False`", "writing outside of the volume with `bounded=False`")
def test_writes_outside_of_the_volume():
    image = np.arange(1024, dtype="uint8").reshape(16, 8, 8)
    # Theirs puts the part that is outside into the volume.
    differs(
        lambda p: (changed(p, np.s_[-8:8, 0:8, 0:8], image, LOOSE | PATCHES)[:8, :8, :8, 0] == image[8:]).all(),
        False,
        "OutOfBoundsError",
    )
    differs(lambda p: changed(p, np.s_[-8:8, 0:8, 0:8], image, LOOSE), "AlignmentError", "OutOfBoundsError")
    # Nor does it look at a lone number, whatever ``bounded`` is.
    options = {"autocrop": True, **PATCHES}
    differs(
        lambda p: changed(p, np.s_[20, 0:8, 0:8], ones(1, 8, 8), options).shape, [16, 16, 16, 1], "OutOfBoundsError"
    )


@row("a channel that is not there, as one number")
def test_channels_that_are_not_there():
    for channel in (-1, 2):
        differs(
            lambda p, channel=channel: made(p, channels=2)[0:3, 0:3, 0:3, channel].shape,
            [3, 3, 3, 0],
            "OutOfBoundsError",
        )
    differs(lambda p: changed(p, np.s_[:, :, :, 5], ones(16, 16, 16)).sum(), 16**3, "OutOfBoundsError")


@row("one voxel of several channels")
def test_one_voxel():
    differs(lambda p: made(p, channels=2)[3, 4, 5].shape, [2, 1, 1, 1], [1, 1, 1, 2])
    differs(lambda p: made(p, channels=2)[3, 4, 5, 1].shape, [2, 1, 1, 0], [1, 1, 1, 1])
    differs(lambda p: type(made(p)[3, 4, 5]).__name__, "ndarray", "VolumeCutout")


@row("`scattered_points` of several channels", "`scattered_points([])`", "`scattered_points` outside of the volume")
def test_points_with_channels():
    differs(lambda p: np.size(made(p, channels=2).scattered_points([(1, 1, 1)])[1, 1, 1]), 1, 2)
    differs(lambda p: made(p).scattered_points([]), "IndexError", {})
    differs(lambda p: made(p, LOOSE).scattered_points([(50, 1, 1)]), "EmptyVolumeException", {(50, 1, 1): 0})


@row("non-aligned write into a chunk that is not there", "the same with `fill_missing` and `background_color`")
def test_non_aligned_writes_into_missing_chunks():
    def files(package):
        volume = Volume(Spec(missing=[0] * 8))
        assert outcome(package, lambda p: write(volume.open(p, **PATCHES), np.s_[4:16], ones(12, 16, 16))).is_a(
            "EmptyVolumeException"
        )
        return len(volume.chunks())

    differs(files, 4, 0)

    def rest(package):
        volume = Volume(Spec(size=(8, 8, 8), missing=[0]))
        volume.open(package, background_color=3, **FILLED, **PATCHES)[0:4, :, :] = ones(4, 8, 8)
        return set(plain(np.unique(everything(volume, cvbatch)[4:])))

    differs(rest, {0}, {3})


@row("damaged chunks")
@pytest.mark.parametrize(
    ("encoding", "dtype", "theirs"),
    [("raw", "uint8", "ValueError"), ("compressed_segmentation", "uint32", None), ("crackle", "uint32", "Exception")],
)
def test_damaged_chunks(encoding, dtype, theirs):
    def read(package):
        volume = Volume(Spec(size=(8, 8, 8), encoding=encoding, dtype=dtype, compress=False))
        Path(f"{volume.path}/4_4_40/0-8_0-8_0-8").write_bytes(b"abc")
        return volume.open(package)[:, :, :].shape

    if theirs:
        differs(read, theirs, "DecodingError")
    else:
        # Theirs reads beyond the bytes, which may end the process.
        assert outcome(cvbatch, read).is_a("DecodingError")


@row("arrays of another byte order")
def test_byte_order():
    image = np.full((16, 16, 16), 258, ">u2")
    differs(lambda p: set(plain(np.unique(changed(p, np.s_[:, :, :], image, dtype="uint16")))), {513}, "ValueError")


@row("`download(label=…)` of the background")
def test_the_label_of_the_background():
    differs(
        lambda p: made(p, LOOSE | FILLED, **LABELLED).download(p.Bbox((8, 0, 0), (9, 2, 2)), label=0).any(), False, True
    )


@row("`transfer_to` a volume with other chunks", "… of another offset, size or type")
def test_transfer_to_what_is_there():
    def transferred(package, **members):
        source, target = Volume(Spec(dtype="uint16")), Volume(Spec(**{"dtype": "uint16", **members}, missing=[0] * 8))
        source.open(package).transfer_to(target.url, source.open(package).bounds)
        found = outcome(cvbatch, lambda p: target.open(p)[:, :, :])
        return (
            not isinstance(found, Raised) and found.shape == (16, 16, 16, 1) and (found == source.spec.voxels()).all()
        )

    differs(lambda p: transferred(p, chunk=(16, 16, 16)), False, True)
    differs(lambda p: transferred(p, offset=(8, 8, 8)), False, "OutOfBoundsError")
    differs(lambda p: transferred(p, dtype="uint8"), False, "DestinationMismatchError")


# Reading


@row("fractions in slices and boxes")
def test_fractions():
    members = {"offset": (-8, -8, -8)}
    differs(lambda p: made(p, **members)[-1.5:3.7, 0, 0].bounds, [[-1, 0, 0], [3, 1, 1]], [[-2, 0, 0], [3, 1, 1]])
    differs(
        lambda p: made(p, **members)[p.Bbox((-1.5, 0, 0), (3.7, 1, 1), dtype=float)].bounds,
        [[-1, 0, 0], [3, 1, 1]],
        [[-2, 0, 0], [3, 1, 1]],
    )
    differs(lambda p: made(p)[8:16.25].shape, "OutOfBoundsError", [8, 16, 16, 1])


@row("`coord_resolution` with a box that is not on voxels", "`coord_resolution` with `autocrop`")
def test_coordinates_of_another_resolution():
    finer = {"coord_resolution": (2, 2, 40)}
    differs(
        lambda p: made(p).download(p.Bbox((3, 3, 3), (9, 9, 9)), **finer).bounds,
        [[1, 1, 3], [4, 4, 9]],
        [[1, 1, 3], [5, 5, 9]],
    )
    differs(
        lambda p: made(p, LOOSE).download(p.Bbox((-3, 4, 3), (8, 8, 9)), **finer).bounds,
        lambda box: plain(box)[0][0] == -1,
        [[-2, 2, 3], [4, 4, 9]],
    )
    differs(
        lambda p: (
            made(p, {"bounded": False, "autocrop": True}).download(p.Bbox((20, 0, 0), (40, 8, 8)), **finer).bounds
        ),
        "SubvoxelVolumeError",
        [[10, 0, 0], [16, 4, 8]],
    )


@row("`download_point` with an odd `size`", "`download_point(segids=…)` and others of `download`")
def test_around_a_point():
    differs(lambda p: made(p).download_point((8, 8, 8), size=5).shape, [4, 4, 4, 1], [5, 5, 5, 1])
    differs(lambda p: made(p, **LABELLED).download_point((2, 2, 2), size=2, segids=[]).any(), "TypeError", False)


@row("`download(renumber=True)`", "`download(label=…, renumber=True)`", "`segids=5`")
def test_labels_with_other_numbers():
    box = np.s_[0:2, 0:2, 0:2]

    def matches(package):
        vol = made(package, **LABELLED)
        small, original = vol.download(package.Bbox((0, 0, 0), (2, 2, 2)), renumber=True)
        labels = np.asarray(vol[box])
        same_names = all(original.get(int(n)) == int(o) for n, o in zip(small.ravel(), labels.ravel(), strict=True))
        return small.dtype.name, same_names, set(original.values()) - {0} <= set(labels.ravel().tolist())

    differs(matches, lambda found: not found[1], ["uint8", True, True])
    differs(lambda p: made(p, **LABELLED).download(box, label=0, renumber=True).dtype.name, "ValueError", "bool")
    differs(lambda p: made(p, **LABELLED).download(box, segids=5).any(), "TypeError", False)


@row("`agglomerate`, `timestamp`, `stop_layer`")
@pytest.mark.parametrize("name", ["agglomerate", "timestamp", "stop_layer"])
def test_arguments_of_graphene(name):
    box = np.s_[0:2, 0:2, 0:2]
    differs(lambda p: made(p).download(box, **{name: 3}).shape, [2, 2, 2, 1], "UnsupportedFormatError")


@row('`vol["x0-x1_…"]`, `vol[Vec(…)]`, `vol[np.array(…)]`', "wrong selections (`None`, lists of bools, a fifth index)")
def test_unusual_selections():
    differs(lambda p: made(p)["0-8_0-8_0-8"].shape, "AttributeError", [8, 8, 8, 1])
    differs(lambda p: made(p)[p.Vec(1, 2, 3)].shape, "ValueError", [1, 1, 1, 1])
    differs(lambda p: made(p)[np.array([1, 2, 3])].shape, "ValueError", [1, 1, 1, 1])
    differs(lambda p: made(p)[None], "TypeError", "TypeError")
    differs(lambda p: made(p)[None, 1, 2], "AttributeError", "TypeError")
    differs(lambda p: made(p)[1, 2, 3, 0, 0], "AttributeError", "TypeError")
    differs(lambda p: made(p)[[1, 2], 1, 1], "AttributeError", "TypeError")
    differs(lambda p: made(p)[..., ...], "ValueError", "TypeError")
    differs(lambda p: made(p)[[True, False]].shape, [1, 1, 16, 1], "TypeError")


@row(
    "reversed slices",
    "empty boxes that are outside, too",
    "`exists`, `delete`, `unique`, `download_files` of empty boxes",
)
def test_boxes_without_voxels():
    differs(lambda p: made(p)[5:2], "SubvoxelVolumeError", "EmptyRequestException")
    differs(lambda p: made(p)[20:20], "OutOfBoundsError", "SubvoxelVolumeError")
    empty = np.s_[0:0, 0:8, 0:8]
    differs(lambda p: made(p).exists(empty), {}, "SubvoxelVolumeError")
    differs(lambda p: made(p).delete(empty), None, "SubvoxelVolumeError")


@row(
    "`exists` and others of some of the channels, of one number or of `...`", "`exists` of a box that leaves the volume"
)
def test_boxes_for_other_calls():
    differs(lambda p: made(p, channels=2).download(np.s_[0:8, 0:8, 0:8, 0:1]).shape, [8, 8, 8, 2], "ValueError")
    differs(lambda p: len(made(p).exists(3)), "NotImplementedError", 4)
    differs(lambda p: len(made(p).exists(...)), "NotImplementedError", 8)
    differs(lambda p: made(p, LOOSE).exists(np.s_[8:24, 0:8, 0:8]), "OutOfBoundsError", {"4_4_40/8-16_0-8_0-8": True})


@row("`download_files(decompress=False)`", "`download_files` at another mip")
def test_files():
    differs(
        lambda p: (
            made(p, compress="gzip").download_files(p.Bbox((0, 0, 0), (8, 8, 8)), decompress=False).popitem()[1][:2]
            == b"\x1f\x8b"
        ),
        False,
        True,
    )
    differs(
        lambda p: len(made(p, {"mip": 1}, max_mip=1).download_files(p.Bbox((0, 0, 0), (16, 16, 8)), mip=0)),
        "OutOfBoundsError",
        4,
    )


@row("`unique` of a box that is partly outside", "boxes fully outside with `bounded=False`")
def test_boxes_that_leave_the_volume():
    differs(lambda p: 7 in made(p, LOOSE | {"background_color": 7}, dtype="uint32").unique(np.s_[8:24]), False, True)
    differs(lambda p: type(made(p, LOOSE | FILLED)[20:30, 0:5, 0:5]).__name__, "ndarray", "VolumeCutout")
    differs(lambda p: made(p, LOOSE)[20, 0, 0].shape, "EmptyVolumeException", [1, 1, 1, 1])


@row("`image.lru`")
def test_chunks_in_memory():
    def kind(package):
        vol = made(package, {"lru_bytes": 10**6})
        vol[:, :, :]
        return type(next(iter(dict(vol.image.lru.items()).values()))).__name__

    differs(kind, "tuple", "bytes")


@row("`download_to_shared_memory` of one voxel", "`download_to_shared_memory` and `download_to_file` that fail")
def test_segments():
    def left(package, box, **members):
        name = f"cvbatch-differential-{uuid.uuid4().hex}"
        outcome(package, lambda p: made(p, **members).download_to_shared_memory(box.of(p), name))
        try:
            os.unlink(f"/dev/shm/{name}")
        except FileNotFoundError:
            return False
        return True

    differs(lambda p: left(p, Box((1, 1, 1), (2, 2, 2))), False, True)
    differs(lambda p: left(p, Box((0, 0, 0), (8, 8, 8)), missing=[0]), True, False)


# Writing


@row("lists instead of arrays", "`None`", "`True`", "arrays without axes", "writing an empty box")
def test_what_is_no_image():
    differs(lambda p: changed(p, FIRST, ones(8, 8, 8).tolist(), dtype="int64")[:8, :8, :8].sum(), "AttributeError", 512)
    differs(lambda p: changed(p, FIRST, ones(8, 8, 8).tolist()), "AttributeError", "ValueError")
    differs(lambda p: changed(p, FIRST, None), "AttributeError", "TypeError")
    differs(lambda p: changed(p, FIRST, True)[:8, :8, :8].sum(), 512, "TypeError")
    differs(lambda p: changed(p, FIRST, np.array(1, "uint8"))[:8, :8, :8].sum(), "AlignmentError", 512)
    differs(lambda p: changed(p, np.s_[0:0, 0:8, 0:8], ones(0, 8, 8)).shape, [16, 16, 16, 1], "SubvoxelVolumeError")


@row('`compress="foo"`')
def test_unknown_compression():
    differs(lambda p: made(p, {"compress": "foo"}).shape, [16, 16, 16, 1], "UnsupportedCompressionType")
    differs(lambda p: changed(p, FIRST, ones(8, 8, 8), {"compress": "foo"}), "ValueError", "ValueError")


@row("gzip without a level")
def test_gzip_is_about_as_small():
    sizes = []
    for writer in range(2):
        volume = Volume(Spec(size=(64, 64, 16), chunk=(64, 64, 16), writer=writer, compress="gzip"))
        sizes.append(os.path.getsize(f"{volume.path}/4_4_40/{volume.chunks()[0]}"))
    assert 0.6 < sizes[1] / sizes[0] < 1.6


@row("data types `bool`, `float16`, `float64`")
@pytest.mark.parametrize("dtype", ["bool", "float16", "float64"])
def test_data_types_of_no_reader(dtype):
    info = {**Spec().info, "data_type": dtype}
    differs(lambda p: p.CloudVolume(f"file://{fresh()}", info=info).dtype.name, dtype, "InfoUnavailableError")
    differs(
        lambda p: p.CloudVolume.from_numpy(np.zeros((2, 2, 2), dtype), vol_path=f"file://{fresh()}").dtype.name,
        dtype,
        "UnsupportedFormatError",
    )


# Documents


def opened(package, text, name="info"):
    volume = Volume(Spec(size=(2, 2, 2)))
    Path(f"{volume.path}/{name}").write_text(text)
    vol = volume.open(package)
    return vol.dtype.name if name == "info" else sorted(vol.provenance)


@row("`info` that makes no sense", "unknown protocol")
def test_info_that_makes_no_sense():
    differs(lambda p: opened(p, "{}"), "KeyError", "InfoUnavailableError")
    differs(lambda p: opened(p, "[]"), "TypeError", "InfoUnavailableError")
    differs(lambda p: opened(p, "{"), "JSONDecodeError", "InfoUnavailableError")
    wrong = json.dumps(Spec().info).replace('"chunk_sizes"', '"chunks"')
    differs(lambda p: opened(p, wrong), "uint8", "InfoUnavailableError")
    differs(lambda p: p.CloudVolume("foo://bar/baz"), "InfoUnavailableError", "UnsupportedProtocolError")


@row("`provenance` set to a dict or JSON", "damaged `provenance`")
def test_provenances():
    def stored(package, value):
        vol = made(package, size=(2, 2, 2))
        vol.provenance = value
        vol.commit_provenance()
        return json.loads(Path(f"{vol.layerpath}/provenance").read_text())["owners"]

    differs(lambda p: stored(p, {"owners": ["me"]}), "AttributeError", ["me"])
    differs(lambda p: stored(p, '{"owners": ["me"]}'), "AttributeError", ["me"])
    differs(lambda p: opened(p, "{", "provenance"), "ValueError", "ProvenanceError")
    differs(lambda p: opened(p, "[]", "provenance"), "TypeError", "ProvenanceError")
    differs(
        lambda p: opened(p, "", "provenance"), ["description", "owners", "processing", "sources"], "ProvenanceError"
    )


@row(
    "`create_new_info(redirect=…)`",
    "keys of resolutions with fractions",
    "`compressed_segmentation_block_size` of coarser mips",
)
def test_new_infos():
    def info(package, **members):
        arguments = {
            "num_channels": 1, "layer_type": "segmentation", "data_type": "uint32", "encoding": "raw",
            "resolution": [4, 4, 40], "voxel_offset": [0, 0, 0], "volume_size": [9, 9, 9], "max_mip": 1,
        }  # fmt: skip
        return package.CloudVolume.create_new_info(**{**arguments, **members})

    differs(lambda p: "redirect" in info(p, redirect="file:///a"), False, True)
    assert [info(p, resolution=[3.5, 4, 40])["scales"][1]["key"] for p in BOTH] == ["7.0_8.0_40.0", "7_8_40"]
    packed = {"encoding": "compressed_segmentation", "compressed_segmentation_block_size": [4, 4, 2]}
    differs(lambda p: info(p, **packed)["scales"][1]["compressed_segmentation_block_size"], [8, 8, 8], [4, 4, 2])


@row(
    "`commit_info` of compressed_segmentation for other types than uint32 and uint64",
    "mips that are not there, in `mip_…`",
    "a fractional `mip`",
    "`add_scale` by a fraction",
)
def test_scales_that_make_no_sense():
    def commit(package):
        vol = package.CloudVolume(f"file://{fresh()}", info=Spec(encoding="compressed_segmentation").info)
        vol.commit_info()

    differs(commit, "ValueError", None)
    differs(lambda p: made(p).mip_bounds(9), "IndexError", "ScaleUnavailableError")
    differs(lambda p: made(p, {"mip": 1.5}, max_mip=1).mip, 1, "ScaleUnavailableError")
    differs(lambda p: made(p).add_scale((1.5, 1, 1))["resolution"], [8, 4, 40], "ValueError")


@row("`from_numpy` of uint16")
def test_layer_type_of_arrays():
    def layer(package):
        return package.CloudVolume.from_numpy(ones(2, 2, 2, dtype="uint16"), vol_path=f"file://{fresh()}").layer_type

    assert [layer(package) for package in BOTH] == ["segmentation", "image"]


@row(
    "`transfer_to`",
    "`transfer_to(encoding=…)` of several mips",
    "`transfer_to` with `compress` True or None",
    '`transfer_to(encoding="compresso")`',
    "`transfer_to` of a box outside of the volume",
    "`transfer_to` of slices",
)
def test_transfers():
    def transferred(package, look, box=None, arguments=None, **members):
        vol, path = made(package, **members), fresh()
        with quiet(package):
            vol.transfer_to(f"file://{path}", box or vol.bounds, **(arguments or {}))
        return look(path)

    def sources(path):
        return len(json.loads(Path(f"{path}/provenance").read_text())["sources"])

    def encodings(path):
        return [scale["encoding"] for scale in json.loads(Path(f"{path}/info").read_text())["scales"]]

    def extensions(path):
        return {Path(name).suffix for name in os.listdir(f"{path}/4_4_40")}

    differs(lambda p: transferred(p, sources), 0, 1)
    png = {"encoding": "png"}
    assert [transferred(p, encodings, arguments=png, max_mip=1) for p in BOTH] == [["png", "raw"], ["png", "png"]]
    assert [transferred(p, extensions, encoding="png", compress="br") for p in BOTH] == [{""}, {".br"}]
    differs(lambda p: transferred(p, extensions, arguments={"encoding": "compresso"}), "ValueError", {".gz"})
    differs(lambda p: transferred(p, bool, box=p.Bbox((0, 0, 0), (24, 8, 8))), "AlignmentError", "OutOfBoundsError")
    differs(lambda p: transferred(p, bool, box=FIRST), "AttributeError", True)


@row(
    "`mesh_dir`, `skel_dir`, `spatial_index_db`, `agglomerate=True`",
    "`lru_encoding`, `codec_threads`, `overwrite_partial_chunks`, `timestamp`",
)
def test_arguments_of_the_constructor():
    for name, value in (("mesh_dir", "m"), ("skel_dir", "s"), ("spatial_index_db", "d"), ("agglomerate", True)):
        assert outcome(cvbatch, lambda p, n=name, v=value: made(p, {n: v})).is_a("UnsupportedFormatError")
    for name in ("lru_encoding", "codec_threads", "overwrite_partial_chunks", "timestamp"):
        assert outcome(cvbatch, lambda p, n=name: made(p, {n: None})).is_a("TypeError")


@row("`dataset_name` of a cutout", "pickled cutouts")
def test_cutouts():
    assert [made(p)[0:2].dataset_name for p in BOTH] == [None, "data"]
    differs(lambda p: pickle.loads(pickle.dumps(made(p)[0:2])).bounds, "AttributeError", [[0, 0, 0], [2, 16, 16]])


@row("cached `info`", "cached chunks without `compress_cache`", "what else is in a cache")
def test_caches():
    def refreshed(package):
        volume, cache = Volume(Spec(size=(2, 2, 2))), fresh()
        volume.open(package, cache=cache)
        path = Path(f"{volume.path}/info")
        path.write_text(path.read_text().replace("40]", "41]").replace("40\n", "41\n"))
        if package is cvbatch:
            with pytest.warns(UserWarning, match="is not the one of the cache"):
                return list(volume.open(package, cache=cache).resolution)
        return volume.open(package, cache=cache).resolution

    differs(refreshed, "ValueError", [4, 4, 41])

    def kept(package):
        volume, cache = Volume(Spec(size=(2, 2, 2), compress=False)), fresh()
        volume.open(package, cache=cache)[:, :, :]
        return {Path(name).suffix for _, _, names in os.walk(cache) for name in names if name.startswith("0-2")}

    assert [kept(package) for package in BOTH] == [{".gz"}, {""}]

    def others(package):
        volume, cache = Volume(Spec(size=(2, 2, 2))), fresh()
        with quiet(package):
            volume.open(package, cache=cache)[:, :, :]
        return sorted(os.listdir(f"{cache}/file{volume.path}"))

    assert [others(package) for package in BOTH] == [["4_4_40", "info", "provenance"], [".locks", "4_4_40", "info"]]


def test_every_row_of_the_tables_is_shown():
    # given the tables that are about the library
    text = DOCS.read_text(encoding="utf-8")
    tables = "\n" + text[text.index("## Nothing silently wrong") : text.index("## What CloudVolume 12.15 misreads")]
    cells = [cell for cell in re.findall(r"^\| (.*?) \|", tables, flags=re.MULTILINE) if cell != "| CloudVolume"]
    # then each row has a test here, and the other way round
    assert set(cells) == ROWS
    assert len(cells) == len(set(cells))
