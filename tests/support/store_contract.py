"""What every store promises; a store passes by subclassing :class:`StoreContract`."""

import itertools
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cvbatch.errors import StorageError
from cvbatch.storage import Blob, Store, open_store

ENCODINGS = ["", "gzip", "br", "zstd", "xz", "bzip2"]
PARTS = st.text("ab0_-", min_size=1, max_size=3)
KEYS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
serial = itertools.count()
# Examples share the fixture, and both stores run the method; each example has a place of its own.
SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]


def flat(keys: set[str]) -> set[str]:
    """Those of the keys that no other key has below it: folders can't be files."""
    return {key for key in keys if not any(other.startswith(f"{key}/") for other in keys)}


class StoreContract:
    """``store`` is empty; ``url`` opens the same objects again."""

    @pytest.fixture
    def url(self, tmp_path) -> str:
        raise NotImplementedError

    @pytest.fixture
    def store(self, url) -> Store:
        return open_store(url)

    @pytest.mark.parametrize("key", ["info", "4_4_40/0-64_0-64_0-64", "8_8_40/-8--4_0-64_0-64", "a b/ü.json"])
    def test_put_then_get(self, store, url, key):
        # when an object is put
        store.put(key, Blob(b"voxels"))
        # then it is read as it was, also by another store of the same place
        assert bytes(store.get(key).data) == b"voxels"
        assert bytes(open_store(url).get(key).data) == b"voxels"
        assert store.get(key).encoding == ""

    @pytest.mark.parametrize("data", [b"", b"\0", bytes(range(256)) * 5000])
    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_any_buffer_is_kept_whole(self, store, data, kind):
        store.put("object", Blob(kind(data)))
        assert bytes(store.get("object").data) == data

    def test_later_changes_of_the_buffer_are_not_seen(self, store):
        # given a buffer that is used again
        buffer = bytearray(b"first")
        store.put("object", Blob(memoryview(buffer)))
        buffer[:] = b"other"
        assert bytes(store.get("object").data) == b"first"

    def test_absent_is_a_value(self, store):
        # given an empty store, then nothing raises
        assert store.get("a/b") is None
        assert store.get_range("a/b", 0, 10) is None
        assert not store.exists("a/b")
        store.delete("a/b")
        assert list(store.list()) == []
        assert list(store.list("a/")) == []
        assert store.sweep() == 0

    def test_put_replaces(self, store):
        store.put("object", Blob(b"a longer first version"))
        store.put("object", Blob(b"second"))
        assert bytes(store.get("object").data) == b"second"
        assert list(store.list()) == ["object"]

    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_encoding_is_kept(self, store, url, encoding):
        # given bytes that are said to be compressed (a store doesn't look)
        store.put("object", Blob(b"compressed", encoding))
        # then they come back with what they are compressed with, under the same key
        again = open_store(url).get("object")
        assert (bytes(again.data), again.encoding) == (b"compressed", encoding)
        assert store.exists("object")
        assert list(store.list()) == ["object"]

    @pytest.mark.parametrize(("first", "second"), list(itertools.permutations(ENCODINGS, 2)))
    def test_put_replaces_other_encodings(self, store, first, second):
        # given an object, when it is put again with another encoding
        store.put("object", Blob(b"first", first))
        store.put("object", Blob(b"second", second))
        # then only the second is left
        found = store.get("object")
        assert (bytes(found.data), found.encoding) == (b"second", second)
        assert list(store.list()) == ["object"]
        store.delete("object")
        assert store.get("object") is None

    @pytest.mark.parametrize(
        ("start", "stop", "expected"),
        [
            (0, 10, b"0123456789"),
            (0, 3, b"012"),
            (3, 7, b"3456"),
            (9, 10, b"9"),
            (7, 100, b"789"),
            (0, 100, b"0123456789"),
            (10, 20, b""),
            (50, 60, b""),
            (4, 4, b""),
        ],
    )
    def test_get_range(self, store, start, stop, expected):
        store.put("object", Blob(b"0123456789"))
        assert store.get_range("object", start, stop) == expected

    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_get_range_of_the_bytes_as_stored(self, store, encoding):
        # given a compressed object
        store.put("object", Blob(b"0123456789", encoding))
        # then its range is one of the compressed bytes, and it isn't taken for absent
        assert store.get_range("object", 2, 5) == b"234"

    def test_delete(self, store):
        # given two objects, when one is deleted
        store.put("a/one", Blob(b"1"))
        store.put("a/two", Blob(b"2", "gzip"))
        store.delete("a/two")
        # then it is gone, the other is not, and it may be deleted again
        assert store.get("a/two") is None
        assert not store.exists("a/two")
        store.delete("a/two")
        assert list(store.list()) == ["a/one"]

    def test_delete_all(self, store):
        # given more objects than go into one request
        for i in range(20):
            store.put(f"a/{i}", Blob(b"x", ENCODINGS[i % 2]))
        store.put("b", Blob(b"x"))
        # when some are deleted, and one that isn't there
        store.delete_all([f"a/{i}" for i in range(20)] + ["absent"])
        assert list(store.list()) == ["b"]
        store.delete_all([])

    def test_copy_keeps_bytes_and_encoding(self, store, url):
        # given a store that can copy from another place by itself
        other = open_store(f"{url}2")
        if not other.copies_from(store):
            with pytest.raises(StorageError):
                other.copy(store, "a", "b")
            return
        store.put("a/x", Blob(b"compressed", "gzip"))
        # when an object is copied
        assert other.copy(store, "a/x", "b/y") == 10
        # then it is as it was; one that isn't there is not copied
        assert (bytes(other.get("b/y").data), other.get("b/y").encoding) == (b"compressed", "gzip")
        assert other.copy(store, "absent", "c") is None
        assert list(other.list()) == ["b/y"]

    def test_what_is_there_can_be_reached(self, store):
        store.put("a", Blob(b"x"))
        store.reach()

    def test_create_writes_once(self, store):
        assert store.create("lock", b"mine") is True
        assert store.create("lock", b"theirs") is False
        assert bytes(store.get("lock").data) == b"mine"

    def test_create_after_delete(self, store):
        store.create("lock", b"mine")
        store.delete("lock")
        assert store.create("lock", b"theirs") is True

    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_create_leaves_what_is_there(self, store, encoding):
        # given an object that was put, perhaps compressed
        store.put("object", Blob(b"there", encoding))
        # then it is not created anew
        assert store.create("object", b"new") is False
        assert bytes(store.get("object").data) == b"there"

    def test_one_of_many_racing_creators_wins(self, store, url):
        for attempt in range(20):
            # given eight threads, each with a store of its own, that all create one object at once
            start, won = threading.Barrier(8), []

            def race(name, key=f"locks/{attempt}", start=start, won=won):
                mine = open_store(url)
                start.wait()
                if mine.create(key, name.encode() * 1000):
                    won.append(name)

            threads = [threading.Thread(target=race, args=(str(i),)) for i in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            # then just one is told that it wrote, and its bytes are there, whole
            assert len(won) == 1
            assert bytes(store.get(f"locks/{attempt}").data) == won[0].encode() * 1000
        assert sorted(store.list()) == sorted(f"locks/{i}" for i in range(20))

    def test_threads_that_put_one_key_leave_one_whole_object(self, store, url):
        # given threads, each with a store of its own, that put objects of different lengths under one key
        versions = [bytes([i]) * (1000 * i + 1) for i in range(6)]
        start = threading.Barrier(len(versions))
        seen = []

        def put_and_look(data):
            mine = open_store(url)
            start.wait()
            for _ in range(20):
                mine.put("object", Blob(data))
                seen.append(bytes(mine.get("object").data))

        threads = [threading.Thread(target=put_and_look, args=(data,)) for data in versions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # then whatever was seen is one of them, whole, and so is what is left
        assert len(seen) == 20 * len(versions)
        assert set(seen) <= set(versions)
        assert bytes(store.get("object").data) in versions
        assert list(store.list()) == ["object"]

    def test_list_by_prefix(self, store):
        # given
        for key in ["info", "4_4_40/0-1", "4_4_40/1-2", "4_4_400/0-1", "8_8_40/0-1", ".cvbatch/locks/a"]:
            store.put(key, Blob(b"x", "gzip" if key.endswith("2") else ""))
        # then a prefix need not end at a folder
        assert sorted(store.list("4_4_40/")) == ["4_4_40/0-1", "4_4_40/1-2"]
        assert sorted(store.list("4_4_40")) == ["4_4_40/0-1", "4_4_40/1-2", "4_4_400/0-1"]
        assert sorted(store.list("4_4_40/0")) == ["4_4_40/0-1"]
        assert sorted(store.list(".cvbatch/")) == [".cvbatch/locks/a"]
        assert sorted(store.list("info")) == ["info"]
        assert sorted(store.list("infos")) == []
        assert len(list(store.list())) == 6

    def test_list_knows_keys_and_not_extensions(self, store):
        # given an object whose file may be called a.gz
        store.put("a", Blob(b"x", "gzip"))
        # then its key begins with "a" and not with "a.g"
        assert list(store.list("a")) == ["a"]
        assert list(store.list("a.g")) == []

    @settings(max_examples=40, deadline=None, suppress_health_check=SHARED)
    @given(keys=st.sets(KEYS, max_size=8).map(flat), prefix=st.one_of(st.just(""), KEYS, KEYS.map(lambda k: f"{k}/")))
    def test_list_equals_brute_force(self, url, keys, prefix):
        # given any keys in a fresh place
        store = open_store(f"{url}/{next(serial)}")
        for i, key in enumerate(sorted(keys)):
            store.put(key, Blob(b"x", ENCODINGS[i % 2]))
        # then those with the prefix are listed, each once
        assert sorted(store.list(prefix)) == sorted(key for key in keys if key.startswith(prefix))

    def test_objects_may_change_while_they_are_listed(self, store):
        for i in range(50):
            store.put(f"a/{i}", Blob(b"x"))
        # when each object is deleted as soon as it is listed
        for key in store.list("a/"):
            store.delete(key)
        assert list(store.list()) == []

    def test_places_are_apart(self, store, url):
        # given one place below another, and one whose name begins like it
        store.put("sub/a", Blob(b"1"))
        open_store(f"{url}2").put("b", Blob(b"2"))
        # then
        assert list(open_store(f"{url}/sub").list()) == ["a"]
        assert list(store.list()) == ["sub/a"]
        assert store.get("b") is None

    def test_flush_of_what_was_put(self, store):
        store.put("object", Blob(b"x"))
        store.flush()
        assert store.exists("object")

    def test_url_opens_the_same_place(self, store, url):
        assert store.url == url
        open_store(store.url).put("a", Blob(b"1"))
        assert store.exists("a")
