"""``provenance``: what was done is added once a job, and what others wrote is kept."""

import json

import pytest

from cvbatch.codecs import byte_codec
from cvbatch.errors import ProvenanceError
from cvbatch.formats.precomputed import add_processing
from cvbatch.formats.precomputed.provenance import read_provenance
from cvbatch.storage import Blob, open_store


@pytest.fixture
def store(tmp_path):
    return open_store(f"file://{tmp_path}")


def entry(job="job-1", **members):
    return {"method": {"task": "transfer", "job": job}, "by": "me", "date": "2026-11-20", **members}


def written(store):
    return json.loads(bytes(store.get("provenance").data))


def test_absent_provenance_is_empty(store):
    assert read_provenance(store) == {"description": "", "owners": [], "processing": [], "sources": []}
    assert store.get("provenance") is None


def test_first_entry(store):
    assert add_processing(store, entry(), "file:///source") is True
    assert written(store) == {
        "description": "",
        "owners": [],
        "processing": [entry()],
        "sources": ["file:///source"],
    }


def test_one_job_is_added_once(store):
    # given a job that is run twice
    assert add_processing(store, entry(date="first"), "a")
    before = store.get("provenance")
    assert add_processing(store, entry(date="second"), "a") is False
    # then nothing is written the second time
    assert store.get("provenance") == before
    # and another job is added after it
    assert add_processing(store, entry("job-2"), "b")
    assert [done["method"]["job"] for done in written(store)["processing"]] == ["job-1", "job-2"]
    assert written(store)["sources"] == ["a", "b"]


def test_one_source_is_listed_once(store):
    add_processing(store, entry("1"), "a")
    add_processing(store, entry("2"), "a")
    assert written(store)["sources"] == ["a"]


def test_what_others_wrote_is_kept(store):
    # given a provenance by CloudVolume and by hand, with entries that are not like ours
    theirs = {
        "description": "a brain",
        "owners": ["them@lab"],
        "sources": ["gs://raw"],
        "processing": [{"method": {"task": "Ingest"}}, {"method": "by hand"}, "a note", {"by": "them"}, None],
        "doi": "10.1/2",
        "nested": {"deep": [1, None]},
    }
    store.put("provenance", Blob(json.dumps(theirs).encode()))
    # when ours is added
    assert add_processing(store, entry(), "file:///source")
    # then
    assert written(store) == {
        **theirs,
        "processing": [*theirs["processing"], entry()],
        "sources": ["gs://raw", "file:///source"],
    }


def test_members_that_are_missing_are_added(store):
    store.put("provenance", Blob(b'{"description": "a brain"}'))
    add_processing(store, entry(), "a")
    assert written(store) == {"description": "a brain", "owners": [], "processing": [entry()], "sources": ["a"]}


def test_compressed_provenance_is_replaced(store, tmp_path):
    # given a compressed one
    codec = byte_codec("gzip", None, "image", "raw")
    store.put("provenance", Blob(codec.compress(b'{"description": "a brain"}'), "gzip"))
    add_processing(store, entry(), "a")
    # then its content is kept, and only one file is there
    assert read_provenance(store)["description"] == "a brain"
    assert [path.name for path in tmp_path.iterdir()] == ["provenance"]


BROKEN = {
    "nothing": b"",
    "cut short": b'{"description": ',
    "not a text": b"\xff\xfe\x80",
    "a list": b"[]",
    "null": b"null",
    "a number": b"5",
    "deep": b"[" * 200_000,
    "processing of another kind": b'{"processing": {}}',
    "processing null": b'{"processing": null}',
    "sources of another kind": b'{"sources": "gs://raw"}',
    "sources null": b'{"sources": null}',
    "sources an object": b'{"sources": {"a": 1}}',
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_provenance_is_an_error_and_left_alone(store, kind):
    # given a provenance that can't be added to without losing something
    store.put("provenance", Blob(BROKEN[kind]))
    # then it is said which, and what to do, and it stays for its owner to mend
    with pytest.raises(ProvenanceError, match="mend or remove") as caught:
        add_processing(store, entry(), "a")
    assert f"{store.url}/provenance" in str(caught.value)
    assert bytes(store.get("provenance").data) == BROKEN[kind]


def test_damaged_compression(store):
    store.put("provenance", Blob(b"not gzip", "gzip"))
    with pytest.raises(ProvenanceError, match="provenance"):
        add_processing(store, entry(), "a")


def test_text_of_other_languages_is_kept(store):
    store.put("provenance", Blob('{"description": "Gehirn für Größe – 脳"}'.encode()))
    add_processing(store, entry(), "a")
    assert written(store)["description"] == "Gehirn für Größe – 脳"
