"""The same calls on cloud-volume's Bbox and Vec and on ours give the same, or raise in both.

What differs on purpose is left out of the general properties and has a test of its own at the end.
"""

import operator
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import cvbatch

with warnings.catch_warnings():
    # Its dependencies warn about themselves.
    warnings.simplefilter("ignore")
    import cloudvolume

# The same cases in every run: cloud-volume may have surprises that are not ours to fail of.
few = settings(max_examples=60, deadline=None, derandomize=True)

COORDINATES = st.integers(-1000, 1000)
# Floats that 32 bits hold, for that is what cloud-volume keeps of them.
FLOATS = st.integers(-4000, 4000).map(lambda n: n / 4)
POINTS = st.tuples(*[COORDINATES] * 3)
FLOAT_POINTS = st.tuples(*[FLOATS] * 3)
SIZES = st.tuples(*[st.integers(1, 70)] * 3)
SHIFTS = st.tuples(*[st.integers(-50, 50)] * 3)


class Raised:
    """Stands for any exception."""

    def __eq__(self, other):
        return isinstance(other, Raised)

    __hash__ = None


def plain(value):
    """What a call gave, without the types that hold it."""
    if hasattr(value, "minpt"):
        return ("box", plain(value.minpt), plain(value.maxpt), value.unit)
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    if isinstance(value, slice):
        return ("slice", plain(value.start), plain(value.stop), plain(value.step))
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(each) for each in value]
    return value


def outcome(call, package):
    try:
        # numpy warns where cloud-volume divides by zero or its numbers overflow.
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return plain(call(package.Bbox, package.Vec))
    except Exception:
        return Raised()


def same(call):
    """Whether ``call(Bbox, Vec)`` gives the same with both packages' classes."""
    theirs, ours = outcome(call, cloudvolume), outcome(call, cvbatch)
    assert ours == theirs
    return ours


def solid(*boxes):
    """Keep to boxes that are not empty, on which opinions differ."""
    for low, high in boxes:
        assume(all(a != b for a, b in zip(low, high, strict=True)))


MEASURES = {
    "size": lambda b: b.size(),
    "size3": lambda b: b.size3(),
    "volume": lambda b: b.volume(),
    "center": lambda b: b.center(),
    "dx dy dz": lambda b: (b.dx, b.dy, b.dz),
    "ndim": lambda b: b.ndim,
    "empty": lambda b: b.empty(),
    "subvoxel": lambda b: b.subvoxel(),
    "is_physical": lambda b: b.is_physical,
    "to_list": lambda b: b.to_list(),
    "to_slices": lambda b: b.to_slices(),
    "to_filename": lambda b: b.to_filename(),
    "to_filename(2)": lambda b: b.to_filename(precision=2),
    "corners of to_dict": lambda b: (b.to_dict()["minpt"], b.to_dict()["maxpt"]),
    "clone": lambda b: b.clone(),
    "equal": lambda b: (b == b.clone(), b != b.clone(), b == b + 1),
    "valid": lambda b: b.valid(),
    "astype(int)": lambda b: b.astype(int),
    "astype(float)": lambda b: b.astype(np.float64),
    "dtype": lambda b: b.dtype.kind,
    "serialize": lambda b: type(b).deserialize(b.serialize()).to_list(),
}


@pytest.mark.parametrize("name", MEASURES)
@few
@given(st.one_of(st.tuples(POINTS, POINTS), st.tuples(FLOAT_POINTS, POINTS)), st.sampled_from(["vx", "nm", "mm"]))
def test_measures_and_forms(name, corners, unit):
    same(lambda bbox, vec: MEASURES[name](bbox(*corners, unit=unit)))


@few
@given(st.tuples(POINTS, POINTS), st.sampled_from([None, int, np.int16, np.float32, "float64"]))
def test_constructor(corners, dtype):
    same(lambda bbox, vec: bbox(*corners))
    same(lambda bbox, vec: bbox(*corners, dtype))
    same(lambda bbox, vec: bbox(vec(*corners[0]), list(corners[1])))
    same(lambda bbox, vec: bbox(np.array(corners[0]), corners[1]))
    same(lambda bbox, vec: bbox(*corners).transpose())


@few
@given(FLOAT_POINTS, FLOAT_POINTS)
def test_constructor_with_dtype_cuts_towards_zero(minpt, maxpt):
    same(lambda bbox, vec: bbox(minpt, maxpt, dtype=int))


CONSTRUCTORS = {
    "from_delta": lambda bbox, vec, a, b: bbox.from_delta(a, b),
    "from_delta of Vec": lambda bbox, vec, a, b: bbox.from_delta(vec(*a), vec(*b)),
    "from_delta of a number": lambda bbox, vec, a, b: bbox.from_delta(a, b[0]),
    "from_list": lambda bbox, vec, a, b: bbox.from_list([*a, *b]),
    "from_list of an array": lambda bbox, vec, a, b: bbox.from_list(np.array([*a, *b])),
    "from_vec": lambda bbox, vec, a, b: bbox.from_vec(vec(*a)),
    "from_points": lambda bbox, vec, a, b: bbox.from_points([a, b]),
    "from_points of an array": lambda bbox, vec, a, b: bbox.from_points(np.array([a, b, a])),
    "from_dict": lambda bbox, vec, a, b: bbox.from_dict({"minpt": list(a), "maxpt": list(b), "dtype": "int32"}),
    "from_filename": lambda bbox, vec, a, b: bbox.from_filename("x/" + bbox(a, b).to_filename() + ".gz"),
    "create from a box": lambda bbox, vec, a, b: bbox.create(bbox(a, b)),
    "create from a name": lambda bbox, vec, a, b: bbox.create(bbox(a, b).to_filename()),
    "create from a list": lambda bbox, vec, a, b: bbox.create([*a, *b]),
    "create from a dict": lambda bbox, vec, a, b: bbox.create(bbox(a, b).to_dict()),
    "create from slices": lambda bbox, vec, a, b: bbox.create(bbox(a, b).to_slices()),
    "create from a Vec": lambda bbox, vec, a, b: bbox.create(vec(*a)),
    "create from a float": lambda bbox, vec, a, b: bbox.create(0.5),
    "create from None": lambda bbox, vec, a, b: bbox.create(None),
}


@pytest.mark.parametrize("name", CONSTRUCTORS)
@few
@given(POINTS, POINTS)
def test_constructors(name, a, b):
    same(lambda bbox, vec: CONSTRUCTORS[name](bbox, vec, a, b))


@pytest.mark.parametrize(
    "name",
    [
        *("0-64_0-64_0-64", "a/b/0-64_0-64_0-64", "0-64_0-64_0-64.gz", "0-64_0-64_0-64.br", "0-64_0-64_0-64.zstd"),
        *("-8-64_-5--4_0-64", "9-2_0-1_0-1", "4052:0:0-64_0-64_0-64", "0-64_0-64_0-64/x", "0-64_0-64", "info", ""),
        *("0.5-1_0-1_0-1", "0-1_0-1_0-1.5"),
    ],
)
def test_filenames(name):
    same(lambda bbox, vec: bbox.from_filename(name))


@few
@given(FLOAT_POINTS, FLOAT_POINTS)
def test_filenames_of_floats(a, b):
    same(lambda bbox, vec: bbox.from_filename(bbox(a, b).to_filename(), dtype=float))


PAIRS = {
    "near_edge": lambda bbox, a, b: bbox.near_edge(a, b),
    "near_edge at a distance": lambda bbox, a, b: bbox.near_edge(a, b, distance=50),
    "near_edge on each axis": lambda bbox, a, b: bbox.near_edge(a, b, (100, 0, 200)),
    "clamp": lambda bbox, a, b: bbox.clamp(a, b),
    "expand": lambda bbox, a, b: bbox.expand(a, b, a),
    "intersects": lambda bbox, a, b: bool(bbox.intersects(a, b)),
    "overlaps_bbox": lambda bbox, a, b: a.overlaps_bbox(b),
    "contains_bbox": lambda bbox, a, b: a.contains_bbox(b),
    "contains itself": lambda bbox, a, b: a.contains_bbox(a),
    "volume of the intersection": lambda bbox, a, b: bbox.intersection(a, b).volume(),
    "equal": lambda bbox, a, b: a == b,
    "sum": lambda bbox, a, b: a + b,
    "difference": lambda bbox, a, b: a - b,
    "product": lambda bbox, a, b: a * b,
}


@pytest.mark.parametrize("name", PAIRS)
@few
@given(st.tuples(POINTS, POINTS), st.tuples(POINTS, POINTS), st.sampled_from(["vx", "nm"]))
def test_pairs(name, a, b, unit):
    solid(a, b)
    same(lambda bbox, vec: PAIRS[name](bbox, bbox(*a), bbox(*b, unit=unit)))


@few
@given(st.tuples(POINTS, POINTS), st.tuples(POINTS, POINTS))
def test_intersection(a, b):
    solid(a, b)
    theirs = cloudvolume.Bbox.intersection(cloudvolume.Bbox(*a), cloudvolume.Bbox(*b))
    ours = cvbatch.Bbox(*a).intersection(cvbatch.Bbox(*b))
    # Where an empty box is does not matter.
    assert plain(ours) == plain(theirs) or (ours.empty() and theirs.empty())


@few
@given(st.tuples(FLOAT_POINTS, FLOAT_POINTS), st.tuples(FLOAT_POINTS, FLOAT_POINTS), FLOAT_POINTS)
def test_pairs_of_floats(a, b, point):
    solid(a, b)
    for name in ("intersects", "overlaps_bbox", "contains_bbox", "equal"):
        same(lambda bbox, vec, name=name: PAIRS[name](bbox, bbox(*a, dtype=float), bbox(*b, dtype=float)))
    same(lambda bbox, vec: bbox(*a).contains(point))


@few
@given(st.tuples(POINTS, POINTS), POINTS)
def test_contains(corners, point):
    same(lambda bbox, vec: bbox(*corners).contains(point))
    same(lambda bbox, vec: bbox(*corners).contains(vec(*point)))
    same(lambda bbox, vec: bbox(*corners).contains(np.array(point)))
    same(lambda bbox, vec: bbox(*corners).contains(bbox(*corners).maxpt))
    same(lambda bbox, vec: bbox(*corners).contains((1, 2)))


CHUNKED = {
    "expand": lambda b, size, offset: b.expand_to_chunk_size(size, offset),
    "expand from zero": lambda b, size, offset: b.expand_to_chunk_size(size),
    "shrink": lambda b, size, offset: b.shrink_to_chunk_size(size, offset=offset),
    "round": lambda b, size, offset: b.round_to_chunk_size(size, offset),
    "aligned": lambda b, size, offset: b.is_chunk_aligned(size, offset),
    "expanded is aligned": lambda b, size, offset: b.expand_to_chunk_size(size, offset).is_chunk_aligned(size, offset),
    "chunks": lambda b, size, offset: b.num_chunks(size),
    "one number": lambda b, size, offset: b.expand_to_chunk_size(size[0], offset[0]),
    "wrong dimension": lambda b, size, offset: b.expand_to_chunk_size(size[:2]),
}


@pytest.mark.parametrize("name", CHUNKED)
@few
@given(st.tuples(POINTS, POINTS) | st.tuples(FLOAT_POINTS, POINTS), SIZES, SHIFTS)
def test_chunks(name, corners, size, offset):
    same(lambda bbox, vec: CHUNKED[name](bbox(*corners), size, offset))
    same(lambda bbox, vec: CHUNKED[name](bbox(*corners, unit="nm"), vec(*size), vec(*offset)))


ARITHMETIC = {
    "add": lambda b, n: b + n,
    "subtract": lambda b, n: b - n,
    "multiply": lambda b, n: b * n,
    "floordiv": lambda b, n: b // n,
}


@pytest.mark.parametrize("name", ARITHMETIC)
@few
@given(st.tuples(POINTS, POINTS), SIZES, st.sampled_from(["vx", "nm"]))
def test_arithmetic(name, corners, numbers, unit):
    for form in (lambda vec: numbers[0], lambda vec: numbers, lambda vec: list(numbers), lambda vec: vec(*numbers)):
        same(lambda bbox, vec, form=form: ARITHMETIC[name](bbox(*corners, unit=unit), form(vec)))
    same(lambda bbox, vec: ARITHMETIC[name](bbox(*corners), np.array(numbers)))
    same(lambda bbox, vec: ARITHMETIC[name](bbox(*corners), np.int64(numbers[0])))
    same(lambda bbox, vec: ARITHMETIC[name](bbox(*corners), (1, 2)))
    same(lambda bbox, vec: ARITHMETIC[name](bbox(*corners), "a"))


@few
@given(st.tuples(FLOAT_POINTS, FLOAT_POINTS), st.sampled_from([0.5, 2, 4.0]))
def test_arithmetic_of_floats(corners, number):
    for function in (operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv):
        same(lambda bbox, vec, function=function: function(bbox(*corners, dtype=float), number))


@few
@given(st.tuples(POINTS, POINTS), st.tuples(*[st.integers(-9, 9)] * 3))
def test_adjusting(corners, amount):
    for amt in (amount, amount[0]):
        same(lambda bbox, vec, amt=amt: bbox(*corners).adjust(amt))
        same(lambda bbox, vec, amt=amt: bbox(*corners).grow(amt))
    if 0 not in amount:
        same(lambda bbox, vec: bbox(*corners).shrink(amount))
        same(lambda bbox, vec: bbox(*corners).shrink(vec(*map(abs, amount))))
        same(lambda bbox, vec: bbox(*corners).shrink(amount[0]))


@few
@given(st.tuples(POINTS, POINTS), SIZES)
def test_units(corners, resolution):
    positive = [tuple(map(abs, corner)) for corner in corners]
    same(lambda bbox, vec: bbox(*corners).convert_units("nm", resolution))
    same(lambda bbox, vec: bbox(*corners).convert_units("vx", resolution))
    same(lambda bbox, vec: bbox(*corners, unit="nm").convert_units("foo", resolution))
    same(lambda bbox, vec: bbox(*positive, unit="nm").convert_units("vx", vec(*resolution)))
    same(lambda bbox, vec: bbox(*positive, unit="nm").convert_units("vx", resolution[0]))
    for unit in ("pm", "nm", "um", "mm", "m", "km", "Mm", "Gm", "Tm"):
        ours = cvbatch.Bbox(*corners, unit="um").convert_units(unit)
        theirs = cloudvolume.Bbox(*corners, unit="um").convert_units(unit)
        assert ours.unit == theirs.unit
        assert ours.to_list() == pytest.approx([float(n) for n in theirs.to_list()], rel=1e-6)


BOUNDS = ((-50, 0, 10), (1000, 500, 600))
ENDS = st.none() | st.integers(-100, 1100)
SLICES = st.builds(slice, ENDS, ENDS, st.sampled_from([None, 1]))
STEPPED = st.builds(slice, ENDS, ENDS, st.sampled_from([None, 1, 2, 7, -1]))


@st.composite
def requests(draw, items):
    """Up to three items, with or without an Ellipsis among them."""
    request = draw(st.lists(items, max_size=3))
    if draw(st.booleans()):
        request.insert(draw(st.integers(0, len(request))), ...)
    return tuple(request)


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("autocrop", [False, True])
@few
@given(requests(SLICES), requests(STEPPED))
def test_slices(bounded, autocrop, request, stepped):
    options = {"bounded": bounded, "autocrop": autocrop}
    channels = [slice(None)] * (3 - len(request)) + [slice(0, 1)]
    same(lambda bbox, vec: bbox.from_slices(request, bbox(*BOUNDS), **options))
    same(lambda bbox, vec: bbox.from_slices((*request, *channels), bbox(*BOUNDS), **options))
    same(lambda bbox, vec: bbox(*BOUNDS).reify_slices(stepped, **options))
    same(lambda bbox, vec: bbox.from_slices(stepped, bbox(*BOUNDS), **options))
    empty = cvbatch.Bbox.from_slices(request, cvbatch.Bbox(*BOUNDS), autocrop=autocrop).empty()
    if ... not in request and not (autocrop and empty):
        same(lambda bbox, vec: bbox.create(request, bbox(*BOUNDS), **options))
        same(lambda bbox, vec: bbox.create(list(request), bbox(*BOUNDS), **options))


@few
@given(requests(SLICES | st.integers(-100, 1100)))
def test_numbers_among_slices(request):
    same(lambda bbox, vec: bbox.from_slices(request, bbox(*BOUNDS)))
    same(lambda bbox, vec: bbox(*BOUNDS).reify_slices(request, bounded=False))


@few
@given(st.lists(SLICES, min_size=1, max_size=4))
def test_slices_without_context(request):
    same(lambda bbox, vec: bbox.from_slices(tuple(request)))


@few
@given(st.tuples(POINTS, POINTS), st.booleans())
def test_create_in_a_context(corners, bounded):
    for made_from in (lambda b: b, lambda b: b.to_list(), lambda b: b.to_filename(), lambda b: b.to_dict()):
        same(
            lambda bbox, vec, made_from=made_from: bbox.create(
                made_from(bbox(*corners)), bbox(*BOUNDS), bounded=bounded
            )
        )


OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod]


@few
@given(POINTS, SIZES, st.sampled_from(OPERATORS))
def test_vectors(a, b, function):
    others = [
        *(lambda vec: vec(*b), lambda vec: b, lambda vec: list(b), lambda vec: np.array(b), lambda vec: b[0]),
        *(lambda vec: b[0] + 0.5, lambda vec: np.int64(b[0]), lambda vec: np.float64(b[0]), lambda vec: (1, 2)),
    ]
    for other in others:
        same(lambda bbox, vec, other=other: function(vec(*a), other(vec)))
        same(lambda bbox, vec, other=other: function(other(vec), vec(*[abs(n) + 1 for n in a])))


@few
@given(POINTS, SHIFTS, st.sampled_from([operator.lt, operator.le, operator.gt, operator.ge]))
def test_order_of_vectors(a, b, function):
    for other in (lambda vec: vec(*b), lambda vec: b, lambda vec: np.array(b), lambda vec: b[0], lambda vec: (1, 2)):
        same(lambda bbox, vec, other=other: function(vec(*a), other(vec)))
        same(lambda bbox, vec, other=other: function(other(vec), vec(*a)))


VECTORS = {
    "elements": lambda vec, a: (a.x, a.y, a.z, a.r, a.g, a.b),
    "fourth": lambda vec, a: a.w,
    "four": lambda vec, a: (vec(*a, 4).w, vec(*a, 4).a),
    "clone": lambda vec, a: a.clone(),
    "length": lambda vec, a: pytest.approx(a.length()),
    "length2": lambda vec, a: a.length2(),
    "null": lambda vec, a: (a.null(), (a - a).null()),
    "rectVolume": lambda vec, a: a.rectVolume(),
    "dot": lambda vec, a: a.dot(vec(1, 10, 100)),
    "matrix": lambda vec, a: a.dot(np.eye(3)),
    "clamp": lambda vec, a: vec.clamp(a, vec(-10, 0, 0), vec(10, 20, 30)),
    "astype": lambda vec, a: (a / 4).astype(int),
    "floats": lambda vec, a: a.astype(np.float32),
    "dtype": lambda vec, a: (a.dtype, (a / 2).dtype, vec(1.5, 2, 3).dtype),
    "tolist": lambda vec, a: a.tolist(),
    "min and max": lambda vec, a: (a.min(), a.max(), a.max(0), np.min(a), np.max(a), a.argmin()),
    "sum and prod": lambda vec, a: (a.sum(), a.prod(), a.mean(), np.sum(a), np.prod(a), np.mean(a)),
    "any and all": lambda vec, a: (a.any(), a.all(), np.any(a), np.all(a < 5), (a < 5).any(), bool(np.any(a < 5))),
    "shapes": lambda vec, a: (a.reshape(3, 1), a.T, a.flatten(), a.clip(0, 5), a.cumsum(), a.round()),
    "products": lambda vec, a: (a @ a, np.dot(a, a), a @ np.eye(3), np.eye(3) @ a, np.cross(a, vec(1, 2, 3))),
    "lists": lambda vec, a: (list(a), tuple(a), [*a], sorted(a), 3 in a),
    "array": lambda vec, a: (np.array(a), np.array(a).dtype, np.asarray(a, dtype=float)),
    "shape": lambda vec, a: (a.shape, a.ndim, a.size, len(a)),
    "parts": lambda vec, a: (a[0], a[-1], a[:2], a[::-1], a[[0, 2]], a[np.array([True, False, True])]),
    "out of range": lambda vec, a: a[3],
    "signs": lambda vec, a: (-a, +a, abs(a)),
    "powers": lambda vec, a: (a**2, vec(1, 2, 3) ** 2, 2 ** vec(1, 2, 3), abs(a) ** 0.5),
    "rounded": lambda vec, a: (np.ceil(a / 7), np.floor(a / 7).astype(int), np.minimum(a, 5), np.maximum(a, a + 1)),
    "rows": lambda vec, a: (np.array([[1, 2, 3], [4, 5, 6]]) + a, a * np.array([[1, 2, 3], [4, 5, 6]])),
    "nothing": lambda vec, a: a + None,
    "a word": lambda vec, a: vec("a"),
}


@pytest.mark.parametrize("name", VECTORS)
@few
@given(POINTS)
def test_what_vectors_can_do(name, a):
    same(lambda bbox, vec: VECTORS[name](vec, vec(*a)))


# --- where we differ on purpose


def differs(call, theirs, ours):
    """Both outcomes are these; an update of cloud-volume that agrees with us shows up here."""
    assert outcome(call, cloudvolume) == theirs
    assert outcome(call, cvbatch) == ours


def box(minpt, maxpt, unit="vx"):
    return ("box", list(minpt), list(maxpt), unit)


def test_large_coordinates():
    differs(lambda b, v: b((2**40, 0, 0), (2**41, 1, 1)), Raised(), box((2**40, 0, 0), (2**41, 1, 1)))
    differs(lambda b, v: v(2**70, 0, 0), Raised(), [2**70, 0, 0])


def test_fractions_are_kept():
    differs(lambda b, v: b((1, 2, 3), (4, 5, 6)) / 2, box((0, 1, 1), (2, 2, 3)), box((0.5, 1, 1.5), (2, 2.5, 3)))
    differs(
        lambda b, v: b.intersection(b((0.5, 0, 0), (9, 9, 9)), b((0, 0, 0), (5.5, 5, 5))),
        box((0, 0, 0), (5, 5, 5)),
        box((0.5, 0, 0), (5.5, 5, 5)),
    )


def test_empty_boxes_share_no_voxel_and_fit_anywhere():
    def empty(b):
        return b((2, 2, 2), (2, 4, 4))

    differs(lambda b, v: b.intersects(b((0, 0, 0), (9, 9, 9)), empty(b)), True, False)
    differs(lambda b, v: b((5, 5, 5), (9, 9, 9)).contains_bbox(empty(b)), False, True)


def test_units_survive_and_are_minded():
    differs(lambda b, v: b.from_dict(b((0, 0, 0), (1, 1, 1), unit="nm").to_dict()).unit, "vx", "nm")
    differs(lambda b, v: b((0, 0, 0), (1, 1, 1), unit="nm").transpose().unit, "nm" if _keeps_unit() else "vx", "nm")
    differs(
        lambda b, v: b((1, 1, 1), (2, 2, 2)).convert_units("um", (4000, 4000, 4000)),
        box((4000, 4000, 4000), (8000, 8000, 8000), "um"),
        box((4, 4, 4), (8, 8, 8), "um"),
    )


def _keeps_unit():
    return cloudvolume.Bbox((0, 0, 0), (1, 1, 1), unit="nm").transpose().unit == "nm"


def test_all_numbers_are_checked_against_bounds():
    differs(
        lambda b, v: b.from_slices(np.s_[300, 6:8, 70], b((0, 0, 0), (100, 100, 100)), bounded=True),
        box((300, 6, 70), (301, 8, 71)),
        Raised(),
    )


def test_what_cloudvolume_fails_at():
    differs(lambda b, v: len({b((0, -1, 0), (1, 1, 1))}), Raised(), 1)
    differs(lambda b, v: b((0, 0, 0), (9, 9, 9)).adjust(0.5), Raised(), box((-0.5, -0.5, -0.5), (9.5, 9.5, 9.5)))
    differs(lambda b, v: b((0, 0, 0), (9, 9, 9)).num_chunks(4), Raised(), 27)
    differs(lambda b, v: b((0, 0, 0), (9, 9, 9)).shrink(0), Raised(), box((0, 0, 0), (9, 9, 9)))
    differs(lambda b, v: b.from_slices(np.s_[1:4, 2, 3:6]), Raised(), box((1, 2, 3), (4, 3, 6)))
    differs(lambda b, v: v.clamp(v(1, 2, 3), 0, 2), Raised(), [1, 2, 2])
    differs(lambda b, v: b((0, 0, 0), (1, 1, 1)) == 5, Raised(), False)


def test_values_instead_of_places_in_memory():
    def changed(b, v):
        box = b((0, 0, 0), (4, 4, 4))
        box.grow(1)
        return box

    differs(changed, box((-1, -1, -1), (5, 5, 5)), box((0, 0, 0), (4, 4, 4)))
    differs(lambda b, v: v(1, 2, 3) == v(1, 2, 4), [True, True, False], False)
