"""From a URL, as users of CloudVolume write it, to a store."""

import os

import pytest

from cvbatch.errors import InputError, UnsupportedFormatError, UnsupportedProtocolError
from cvbatch.storage import Location, open_store, parse_location
from cvbatch.storage.local import LocalStore
from cvbatch.storage.mem import MemoryStore


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("file:///data/em", "file:///data/em"),
        ("file:///data/em/", "file:///data/em"),
        ("file:///data/../em//x", "file:///em/x"),
        ("precomputed://file:///data/em", "file:///data/em"),
        ("/data/em", "file:///data/em"),
        (" mem://em ", "mem://em"),
        ("precomputed://mem://a/b/", "mem://a/b"),
    ],
)
def test_known_locations(text, url):
    assert parse_location(text).url == url
    assert open_store(text).url == url


def test_relative_paths_are_relative_to_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert parse_location("file://data/em").url == f"file://{tmp_path}/data/em"
    assert parse_location("data/em").url == f"file://{tmp_path}/data/em"
    assert parse_location("file://~/em").url == f"file://{tmp_path}/home/em"


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("ftp://host/em", UnsupportedProtocolError, "ftp"),
        ("file://", UnsupportedProtocolError, "empty"),
        ("mem:///", UnsupportedProtocolError, "empty"),
        ("", UnsupportedProtocolError, "empty"),
        ("graphene://https://host/table", UnsupportedFormatError, "graphene"),
        ("zarr://file:///data", UnsupportedFormatError, "zarr"),
    ],
)
def test_other_locations_are_refused(text, kind, message):
    with pytest.raises(kind, match=message) as caught:
        open_store(text)
    assert isinstance(caught.value, InputError)


def test_opening_writes_nothing(tmp_path):
    assert isinstance(open_store(f"file://{tmp_path}/new"), LocalStore)
    assert isinstance(open_store("mem://new"), MemoryStore)
    assert list(tmp_path.iterdir()) == []


def test_same_place_through_a_link(tmp_path):
    # given one folder under two names
    (tmp_path / "real").mkdir()
    os.symlink(tmp_path / "real", tmp_path / "link")
    real, link = (parse_location(f"file://{tmp_path}/{name}") for name in ("real", "link"))
    # then
    assert real.same_place(link)
    assert not real.same_place(real.below("x"))
    assert not real.same_place(Location("mem", real.path))


def test_below():
    assert parse_location("mem://a").below("b", "c").url == "mem://a/b/c"
