"""Boxes in voxels and in lengths."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvbatch.geometry import Bbox

UNITS = ["pm", "nm", "um", "mm", "m", "km", "Mm", "Gm", "Tm"]
POINTS = st.tuples(*[st.integers(-(2**66), 2**66)] * 3)


@pytest.mark.parametrize(
    ("box", "unit", "options", "result"),
    [
        (Bbox((1, 2, 3), (10, 20, 30)), "nm", {"resolution": (4, 4, 40)}, Bbox((4, 8, 120), (40, 80, 1200), unit="nm")),
        (
            Bbox((1, 2, 3), (10, 20, 30)),
            "um",
            {"resolution": (4, 4, 40)},
            Bbox((0.004, 0.008, 0.12), (0.04, 0.08, 1.2), unit="um"),
        ),
        (
            Bbox((1, 2, 3), (10, 20, 30)),
            "nm",
            {"resolution": (0.004, 0.004, 0.04), "resolution_unit": "um"},
            Bbox((4, 8, 120), (40, 80, 1200), unit="nm"),
        ),
        (Bbox((10, 20, 30), (40, 80, 120), unit="nm"), "vx", {"resolution": [4, 4, 40]}, Bbox((2, 5, 0), (10, 20, 3))),
        (Bbox((10, 20, 30), (40, 80, 120), unit="nm"), "vx", {"resolution": 4}, Bbox((2, 5, 7), (10, 20, 30))),
        (Bbox((-10, -1, 0), (0, 0, 9), unit="nm"), "vx", {"resolution": 4}, Bbox((-3, -1, 0), (0, 0, 2))),
        (Bbox((0.1, 0, 0), (2, 2, 2), unit="um"), "vx", {"resolution": 4}, Bbox((25, 0, 0), (500, 500, 500))),
        # 0.3 / 0.1 is less than 3 in floats
        (Bbox((0, 0, 0), (0.3, 0.3, 0.3), unit="nm"), "vx", {"resolution": 0.1}, Bbox((0, 0, 0), (3, 3, 3))),
        (Bbox((1, 2, 3), (4, 5, 6), unit="mm"), "pm", {}, Bbox((1, 2, 3), (4, 5, 6), unit="pm") * 10**9),
        (
            Bbox((1, 2, 3), (4, 5, 6), unit="nm"),
            "um",
            {},
            Bbox((0.001, 0.002, 0.003), (0.004, 0.005, 0.006), unit="um"),
        ),
        (Bbox((1, 2, 3), (4, 5, 6)), "vx", {"resolution": (4, 4, 40)}, Bbox((1, 2, 3), (4, 5, 6))),
    ],
)
def test_known_conversions(box, unit, options, result):
    assert box.convert_units(unit, **options) == result


@given(POINTS, POINTS, st.tuples(*[st.integers(1, 1000)] * 3))
def test_voxels_there_and_back(minpt, maxpt, resolution):
    # given a box of any size, in voxels
    box = Bbox(minpt, maxpt)
    # then no voxel is lost on the way through integer lengths
    for unit in ("pm", "nm"):
        assert box.convert_units(unit, resolution).convert_units("vx", resolution) == box


@given(POINTS, POINTS, st.sampled_from(UNITS), st.sampled_from(UNITS))
def test_lengths_are_exact_or_rounded_once(minpt, maxpt, before, after):
    box = Bbox(minpt, maxpt, unit=before)
    factor = Fraction(1000) ** (UNITS.index(before) - UNITS.index(after))
    expected = [number * factor for number in box.to_list()]
    found = box.convert_units(after).to_list()
    assert found == (list(map(int, expected)) if factor.denominator == 1 else list(map(float, expected)))


@pytest.mark.parametrize(
    ("unit", "options", "message"),
    [
        ("foo", {}, "'foo' is not a unit; these are: vx, pm, nm"),
        ("NM", {}, "is not a unit"),
        (None, {}, "is not a unit"),
        ("nm", {"resolution_unit": "vx"}, "a resolution is a length"),
        ("nm", {"resolution": (0, 4, 4)}, "not the resolution"),
        ("nm", {"resolution": (4, 4)}, "not the resolution"),
        ("nm", {"resolution": -4}, "not the resolution"),
    ],
)
def test_what_cannot_be_converted(unit, options, message):
    with pytest.raises(ValueError, match=message):
        Bbox((1, 2, 3), (4, 5, 6)).convert_units(unit, **options)
