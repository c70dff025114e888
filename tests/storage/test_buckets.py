"""What only buckets and web servers promise: headers, bytes as they are, integrity, and what is sent again."""

import gzip
import hashlib
import itertools
import os
import threading
from dataclasses import replace

import boto3
import pytest
from servers import (
    FaultProxy,
    canned_server,
    make_bucket,
    s3_error,
    save_google_account,
    save_s3_keys,
    web_server,
)
from servers.base import Handler, HttpServer

from cvbatch.errors import ReadOnlyException, StorageError, UnsupportedProtocolError, WrongPlaceError
from cvbatch.storage import Blob, StoreOptions, clients, open_store, parse_location

serial = itertools.count()
CHUNK = "4_4_40/0-64_0-64_0-64"


@pytest.fixture
def bucket(moto, secrets_folder):
    """A bucket of its own: its name."""
    save_s3_keys(secrets_folder, moto)
    make_bucket(moto, name := f"bucket-{next(serial)}")
    return name


@pytest.fixture
def s3(moto, bucket):
    """What boto3 sees of the bucket."""
    session = boto3.session.Session(moto.key, moto.secret, region_name="us-east-1")
    client = session.client("s3", endpoint_url=moto.url)
    yield client
    client.close()


@pytest.fixture
def proxied(rclone, secrets_folder):
    """A proxy in front of a server, and a store of a new bucket behind it."""
    save_s3_keys(secrets_folder, rclone)
    with FaultProxy(rclone.url, seed=next(serial)) as proxy:
        make_bucket(rclone, name := f"proxied-{next(serial)}-{proxy.url.rpartition(':')[2]}")
        yield proxy, open_store(f"s3://{proxy.url}/{name}/em")


# --- headers


def test_headers_are_what_neuroglancer_needs(moto, bucket, s3):
    # given a store whose chunks may be kept for a minute
    options = StoreOptions(cache_control="max-age=60")
    store = open_store(parse_location(f"s3://{moto.url}/{bucket}/em", options))
    # when a compressed chunk, a picture and a document are put
    store.put(CHUNK, Blob(gzip.compress(b"voxels"), "gzip"))
    store.put("jpeg/0-64_0-64_0-64", Blob(b"\xff\xd8"), "image/jpeg")
    store.put("info", Blob(b"{}"), "application/json")
    # then the headers say what they are, and that documents are to be asked for each time
    heads = [s3.head_object(Bucket=bucket, Key=f"em/{key}") for key in (CHUNK, "jpeg/0-64_0-64_0-64", "info")]
    assert [head.get("ContentEncoding") for head in heads] == ["gzip", None, None]
    assert [head["ContentType"] for head in heads] == ["application/octet-stream", "image/jpeg", "application/json"]
    assert [head["CacheControl"] for head in heads] == ["max-age=60", "max-age=60", "no-cache"]


@pytest.mark.parametrize("header", ["gzip", "GZIP", "aws-chunked,gzip", "aws-chunked, gzip"])
def test_content_encoding_of_other_programs(moto, bucket, s3, header):
    s3.put_object(Bucket=bucket, Key=f"em/{CHUNK}", Body=gzip.compress(b"voxels"), ContentEncoding=header)
    found = open_store(f"s3://{moto.url}/{bucket}/em").get(CHUNK)
    assert found.encoding == "gzip"
    assert gzip.decompress(found.data) == b"voxels"


def test_compressed_bytes_are_not_touched_on_their_way(moto, bucket, s3):
    # given bytes that call themselves gzip and are not
    store = open_store(f"s3://{moto.url}/{bucket}/em")
    store.put(CHUNK, Blob(b"not gzip at all", "gzip"))
    assert s3.get_object(Bucket=bucket, Key=f"em/{CHUNK}")["Body"].read() == b"not gzip at all"
    assert store.get(CHUNK) == Blob(b"not gzip at all", "gzip")


def test_google_does_not_decompress_what_is_read(gcs, secrets_folder):
    # given Google's way to decompress gzip for clients that don't ask for it
    save_google_account(secrets_folder, gcs)
    gcs.buckets[name := f"transcoded-{next(serial)}"] = {}
    store = open_store(f"gs://{name}/em")
    store.put(CHUNK, Blob(data := gzip.compress(b"voxels" * 100), "gzip"))
    # then the bytes come as they are stored, whole and in part
    assert store.get(CHUNK) == Blob(data, "gzip")
    assert store.get_range(CHUNK, 2, 7) == data[2:7]


# --- large objects


def test_large_objects_go_in_parts(moto, bucket, s3):
    data = os.urandom((16 << 20) + 1)
    store = open_store(f"s3://{moto.url}/{bucket}/em")
    store.put("shards/0.shard", Blob(data))
    assert s3.head_object(Bucket=bucket, Key="em/shards/0.shard")["ETag"].endswith('-2"')
    assert store.get("shards/0.shard").data == data
    assert store.get_range("shards/0.shard", 16 << 20, (16 << 20) + 1) == data[-1:]


def test_parts_that_fail_are_sent_again(proxied):
    # given a server that spoils a third of the parts
    proxy, store = proxied
    proxy.only = lambda path: "partNumber=" in path
    proxy.faults = {"503": 0.2, "500": 0.15}
    data = os.urandom(70 << 20)
    store.put("0.shard", Blob(data))
    # then the object is whole
    proxy.faults = {}
    assert store.get("0.shard").data == data
    assert proxy.counts["503"] + proxy.counts["500"] > 0


# --- integrity


def test_bytes_that_changed_on_their_way_are_fetched_again(proxied):
    # given an object without a checksum of its own
    proxy, store = proxied
    store.put(CHUNK, Blob(data := os.urandom(5000)))
    # when the next two answers are spoiled
    spoil = iter([True, True])
    proxy.only = lambda path: path.endswith(CHUNK) and next(spoil, False)
    for fault in ("corrupt", "short", "truncate"):
        spoil = iter([True, True])
        proxy.faults = {fault: 1.0}
        # then that is noticed
        assert store.get(CHUNK) == Blob(data)
    assert [proxy.counts[fault] for fault in ("corrupt", "short", "truncate")] == [2, 2, 2]


def test_who_passes_compressed_bytes_on_sees_that_they_changed(proxied):
    proxy, store = proxied
    store.put(CHUNK, Blob(data := gzip.compress(os.urandom(5000)), "gzip"))
    spoil = iter([True])
    proxy.only = lambda path: next(spoil, False)
    proxy.faults = {"corrupt": 1.0}
    assert store.exact().get(CHUNK) == Blob(data, "gzip")
    assert proxy.counts["corrupt"] == 1


def test_a_store_whose_names_are_no_digests_is_believed(secrets_folder, moto):
    # given answers whose ETag looks like the digest of other bytes, as with a key of one's own
    name = hashlib.md5(b"other").hexdigest()
    headers = {"ETag": f'"{name}"', "Last-Modified": "Sat, 21 Nov 2026 00:00:00 GMT"}
    with canned_server(200, b"voxels", headers) as url:
        save_s3_keys(secrets_folder, moto)
        store = open_store(f"s3://{url}/bucket/em")
        # then what came twice in the same way is what is there
        assert store.get(CHUNK) == Blob(b"voxels")
        store.put(CHUNK, Blob(b"voxels"))
        # and what was written and is not there is an error
    with canned_server(200, b"voxels", headers) as url:
        store = open_store(f"s3://{url}/bucket/em")
        with pytest.raises(StorageError, match="the connection broke"):
            put_once(store)


def put_once(store):
    """Put other bytes than the server will say it has, without waiting for long."""
    before, clients.DEADLINE_SECONDS = clients.DEADLINE_SECONDS, 0.2
    try:
        store.put(CHUNK, Blob(b"sent"))
    finally:
        clients.DEADLINE_SECONDS = before


# --- what is sent again


@pytest.mark.parametrize("fault", ["429", "500", "503", "reset"])
def test_requests_are_sent_again(proxied, fault):
    proxy, store = proxied
    spoil = iter([True] * 5)
    proxy.only = lambda path: next(spoil, False)
    proxy.faults = {fault: 0.5}
    for i in range(8):
        store.put(f"a/{i}", Blob(bytes([i]) * 100))
    assert sorted(store.list("a/")) == [f"a/{i}" for i in range(8)]
    assert [store.get(f"a/{i}").data for i in range(8)] == [bytes([i]) * 100 for i in range(8)]
    store.delete_all(f"a/{i}" for i in range(8))
    assert list(store.list()) == []


def test_no_byte_for_too_long_is_a_failure(proxied):
    # given a store that may be silent for a tenth of a second, and answers that stop in the middle
    proxy, store = proxied
    store.put(CHUNK, Blob(data := os.urandom(5000)))
    hasty = open_store(parse_location(store.url, StoreOptions(stall_seconds=0.1)))
    spoil = iter([True, True])
    proxy.only = lambda path: next(spoil, False)
    proxy.faults = {"stall": 1.0}
    assert hasty.get(CHUNK).data == data
    assert proxy.counts["stall"] == 2


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
def test_what_cannot_succeed_is_asked_once(secrets_folder, moto, status):
    save_s3_keys(secrets_folder, moto)
    with (
        canned_server(status, s3_error("NoSuchKey" if status == 404 else "SomethingElse")) as url,
        FaultProxy(url) as proxy,
    ):
        store = open_store(f"s3://{proxy.url}/bucket/em")
        if status == 404:
            assert store.get(CHUNK) is None
        else:
            with pytest.raises(StorageError) as caught:
                store.get(CHUNK)
            assert not caught.value.retryable
        assert proxy.counts["requests"] == 1
        # and what is written to a place that isn't there is not lost in silence
        with pytest.raises(StorageError):
            store.put(CHUNK, Blob(b"x"))


def test_a_lost_answer_to_create_is_no_defeat(moto, bucket):
    # given a server whose answer to the first try is lost after the object was made
    with FaultProxy(moto.url) as proxy:
        store = open_store(f"s3://{proxy.url}/{bucket}/em")
        lose = iter([True])
        proxy.only = lambda path: next(lose, False)
        proxy.faults = {"reset": 1.0}
        # then the second try sees that it was we
        assert store.create("lock", b"mine") is True
        assert proxy.counts["reset"] == 1
        assert store.create("lock", b"theirs") is False


def test_many_threads_share_one_client(moto, bucket):
    place = f"s3://{moto.url}/{bucket}/em"
    before = threading.active_count()
    stores = [open_store(f"{place}/{i}") for i in range(20)]
    for store in stores:
        store.put("a", Blob(b"x"))
    assert len({id(store._client) for store in stores}) == 1
    assert threading.active_count() <= before + 2


# --- copies


def test_places_of_one_bucket_copy_from_each_other(moto, bucket, s3):
    first, second = (open_store(f"s3://{moto.url}/{bucket}/{name}") for name in ("a", "b"))
    options = StoreOptions(anonymous=True)
    stranger = open_store(parse_location(f"s3://{moto.url}/{bucket}/c", options))
    assert second.copies_from(first)
    assert not second.copies_from(stranger)
    assert not second.copies_from(open_store("mem://a"))
    # and everything that belongs to an object comes along
    first.put(CHUNK, Blob(b"compressed", "gzip"))
    assert second.copy(first, CHUNK, CHUNK) == 10
    head = s3.head_object(Bucket=bucket, Key=f"b/{CHUNK}")
    assert (head["ContentEncoding"], head["CacheControl"]) == ("gzip", "max-age=3600, s-max-age=3600")


# --- web servers


@pytest.fixture
def served(tmp_path):
    (tmp_path / "em/4_4_40").mkdir(parents=True)
    (tmp_path / "em" / CHUNK).write_bytes(b"0123456789")
    (tmp_path / "em/4_4_40/64-128_0-64_0-64.gz").write_bytes(gzip.compress(b"voxels"))
    return tmp_path


@pytest.mark.parametrize("ranges", [True, False])
def test_ranges_of_a_web_server(served, ranges):
    with web_server(served, ranges=ranges) as server:
        store = open_store(f"{server.url}/em")
        assert store.get_range(CHUNK, 2, 5) == b"234"
        assert store.get_range(CHUNK, 8, 50) == b"89"
        assert store.get_range(CHUNK, 20, 50) == b""
        assert store.get_range("absent", 0, 5) is None


def test_what_a_web_server_has(served):
    with web_server(served, gzip_static=True) as server:
        store = open_store(f"{server.url}/em/")
        assert store.get(CHUNK) == Blob(b"0123456789")
        assert store.get("4_4_40/64-128_0-64_0-64").encoding == "gzip"
        assert store.get("absent") is None
        assert store.exists(CHUNK)
        assert not store.exists("absent")
        with pytest.raises(WrongPlaceError, match="cannot be listed"):
            list(store.list())
        for write in (lambda: store.put("a", Blob(b"x")), lambda: store.delete("a"), lambda: store.create("a", b"x")):
            with pytest.raises(ReadOnlyException):
                write()


def test_redirects_are_followed_but_not_to_files(served):
    with web_server(served, redirects={"/moved/info": "/em/info", "/evil/info": "file:///etc/hostname"}) as server:
        (served / "em/info").write_bytes(b"{}")
        assert open_store(f"{server.url}/moved").get("info") == Blob(b"{}")
        with pytest.raises(StorageError):
            open_store(f"{server.url}/evil").get("info")


def test_answers_without_a_length_are_asked_for_in_another_way():
    # given a server that compresses on the way for who takes it so, and can't say how long that is then
    class Streams(Handler):
        def do_GET(self):
            if "gzip" not in self.headers.get("Accept-Encoding", ""):
                self.answer(200, {}, b"voxels")
                return
            body = gzip.compress(b"voxels")
            self.send_response_only(200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    server = HttpServer(Streams)
    server.start()
    # then the object is read in the way in which its length is known
    try:
        assert open_store(f"{server.url}/em").get(CHUNK) == Blob(b"voxels")
    finally:
        server.stop()


def test_passwords_of_web_servers(served, secrets_folder):
    secrets_folder.mkdir()
    (secrets_folder / "http-secret.json").write_text('{"user": "user", "password": "hush"}')
    with web_server(served, authorization="Basic dXNlcjpodXNo") as server:
        assert open_store(f"{server.url}/em").get(CHUNK) == Blob(b"0123456789")


def test_the_token_of_a_middleauth_server(served, secrets_folder):
    secrets_folder.mkdir()
    with web_server(served, authorization="Bearer abc") as server:
        place = parse_location(f"middleauth+{server.url.replace('http:', 'https:')}/em")
        assert place.url == f"middleauth+{server.url.replace('http:', 'https:')}/em"
        assert parse_location(place.url) == place
        # its token is the one of CAVE (the test server has no certificate, and is asked by http)
        (secrets_folder / "cave-secret.json").write_text('{"token": "abc"}')
        plain = replace(place, protocol="http", endpoint=server.url)
        assert open_store(plain).get(CHUNK) == Blob(b"0123456789")


def test_dots_do_not_leave_the_place(moto, bucket):
    with pytest.raises(UnsupportedProtocolError, match=r"no \. and \.\."):
        open_store(f"s3://{moto.url}/{bucket}/em/../other")
    store = open_store(f"s3://{moto.url}/{bucket}/em")
    store.put("a", Blob(b"x"))
    with pytest.raises(StorageError):
        open_store(f"s3://{moto.url}/{bucket}/other").get("../em/a")
