import gzip
import http.client
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
import pytest
from obstore.store import GCSStore, S3Store
from servers import (
    FaultProxy,
    Server,
    WebServer,
    gcs_stub,
    make_bucket,
    moto_s3,
    rclone_s3,
    user,
    web_server,
    with_users,
)
from servers.base import program

BODY = bytes(range(256)) * 40
ZIPPED = gzip.compress(BODY)


def s3_store(server: Server, url: str | None = None, bucket: str = "bucket") -> S3Store:
    return S3Store(
        bucket,
        endpoint=url or server.url,
        region="us-east-1",
        access_key_id=server.key,
        secret_access_key=server.secret,
        client_options={"allow_http": True, "timeout": "5s"},
        retry_config={"max_retries": 0},
    )


def keys(store: Any, prefix: str | None = None) -> list[str]:
    return sorted(item["path"] for page in obstore.list(store, prefix) for item in page)


class Client:
    """One connection, which is kept alive."""

    def __init__(self, url: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        self.connection.request(
            method, path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        with self.connection.getresponse() as response:
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


@pytest.fixture(scope="module")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("rclone")
    (folder / "bucket").mkdir()
    with rclone_s3(folder) as server:
        yield server


@pytest.fixture(scope="module")
def moto() -> Iterator[Server]:
    with moto_s3() as server:
        make_bucket(server, "bucket")
        yield server


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    (tmp_path / "file").write_bytes(BODY)
    with web_server(tmp_path) as server:
        yield server


def test_rclone_serves_buckets(rclone: Server) -> None:
    store = s3_store(rclone)
    obstore.put(store, "a/x", BODY, attributes={"Content-Encoding": "gzip"})
    got = obstore.get(store, "a/x")
    assert got.attributes["Content-Encoding"] == "gzip"
    assert got.bytes() == BODY
    assert keys(store, "a") == ["a/x"]


def test_rclone_notices_files_of_others(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    with rclone_s3(tmp_path, notice_files=True) as server:
        assert keys(s3_store(server)) == []
        (tmp_path / "bucket" / "new").write_bytes(BODY)
        assert obstore.get(s3_store(server), "new").bytes() == BODY


def test_a_program_that_does_not_start_says_why() -> None:
    command = [sys.executable, "-c", "print('no such luck')"]
    with pytest.raises(RuntimeError, match="ended; it printed: no such luck"), program(command, "ready"):
        pass


def test_the_proxy_passes_what_it_does_not_spoil(rclone: Server) -> None:
    with FaultProxy(rclone.url) as proxy:
        store = s3_store(rclone, proxy.url)
        obstore.put(store, "proxied/x", BODY)
        obstore.put(store, "proxied/big", bytes(6 << 20))
        assert obstore.get(store, "proxied/x").bytes() == BODY
        assert obstore.get_range(store, "proxied/x", start=3, length=5) == BODY[3:8]
        assert obstore.head(store, "proxied/big")["size"] == 6 << 20
        assert keys(store, "proxied") == ["proxied/big", "proxied/x"]
        obstore.delete(store, ["proxied/x", "proxied/big"])
        assert keys(store, "proxied") == []
    assert proxy.counts == {"requests": len(proxy.log)}
    assert ("GET", "/bucket/proxied/x", 206) in proxy.log


def test_the_proxy_passes_chunks_both_ways() -> None:
    with gcs_stub("b") as gcs, FaultProxy(gcs.url) as proxy:
        with Client(proxy.url) as client:
            client.connection.request("PUT", "/b/chunked", iter([b"ab", b"cde"]), encode_chunked=True)
            with client.connection.getresponse() as response:
                response.read()
            assert client.ask("/b/chunked")[2] == b"abcde"
        store = GCSStore("b", service_account_key=gcs.service_account_key, client_options={"allow_http": True})
        obstore.put(store, "x", ZIPPED, attributes={"Content-Encoding": "gzip"})
        with Client(proxy.url) as client:
            status, headers, body = client.ask("/b/x", Accept_Encoding="identity")
            assert (status, headers["transfer-encoding"], body) == (200, "chunked", BODY)
            assert client.ask("/b/x", Accept_Encoding="gzip")[2] == ZIPPED


@pytest.mark.parametrize(("fault", "code"), [("429", b"TooManyRequests"), ("500", b"Internal"), ("503", b"SlowDown")])
def test_refusals_do_not_reach_the_server(web: WebServer, fault: str, code: bytes) -> None:
    with FaultProxy(web.url, {fault: 1.0}) as proxy, Client(proxy.url) as client:
        status, _, body = client.ask("/file")
        assert status == int(fault)
        assert code in body
        assert web.log == []
        proxy.faults = {}
        assert client.ask("/file")[2] == BODY
    assert proxy.counts == {fault: 1, "requests": 2}
    assert proxy.log == [("GET", "/file", fault), ("GET", "/file", 200)]


def test_reset_breaks_the_connection(web: WebServer) -> None:
    with FaultProxy(web.url, {"reset": 1.0}) as proxy, Client(proxy.url) as client:
        with pytest.raises(ConnectionResetError):
            client.ask("/file")
        assert proxy.counts["reset"] == 1
        assert [request.status for request in web.log] == [200]


def test_stall_goes_on_until_the_client_or_the_proxy_ends(web: WebServer) -> None:
    with FaultProxy(web.url, {"stall": 1.0}) as proxy, Client(proxy.url) as client, Client(proxy.url) as other:
        client.connection.timeout = 0.2
        with pytest.raises(TimeoutError):
            client.ask("/file")
        other.connection.request("GET", "/file")
        response = other.connection.getresponse()
        assert response.read(len(BODY) // 2) == BODY[: len(BODY) // 2]
        proxy.close()
        with response, pytest.raises(http.client.IncompleteRead):
            response.read()
    assert proxy.counts["stall"] == 2


def test_truncate_ends_early(web: WebServer) -> None:
    with FaultProxy(web.url, {"truncate": 1.0}) as proxy, Client(proxy.url) as client:
        with pytest.raises(http.client.IncompleteRead) as caught:
            client.ask("/file")
        assert caught.value.partial == BODY[: len(BODY) // 2]


def test_corrupt_flips_one_byte(web: WebServer) -> None:
    with FaultProxy(web.url, {"corrupt": 1.0}) as proxy, Client(proxy.url) as client:
        body = client.ask("/file")[2]
        assert len(body) == len(BODY)
        assert sum(a != b for a, b in zip(body, BODY, strict=True)) == 1
        assert client.ask("/file", "HEAD")[:1] == (200,)
    assert proxy.counts == {"corrupt": 1, "requests": 2}


def test_short_has_the_length_of_its_half(web: WebServer) -> None:
    with FaultProxy(web.url, {"short": 1.0}) as proxy, Client(proxy.url) as client:
        assert client.ask("/file")[2] == BODY[: len(BODY) // 2]


def test_faults_only_where_wanted_and_the_same_with_the_same_seed(web: WebServer) -> None:
    def outcomes(seed: int) -> list[Any]:
        proxy = FaultProxy(web.url, {"500": 0.5}, seed, only=lambda path: path == "/file")
        with proxy, Client(proxy.url) as client:
            assert [client.ask("/none")[0] for _ in range(5)] == [404] * 5
            return [client.ask("/file")[0] for _ in range(20)]

    assert outcomes(1) == outcomes(1) != outcomes(2)
    assert set(outcomes(1)) == {200, 500}


def test_unknown_faults_are_refused(web: WebServer) -> None:
    with FaultProxy(web.url) as proxy, pytest.raises(ValueError, match="rest"):
        proxy.faults = {"rest": 1.0}


def test_more_at_once_than_allowed_are_refused(web: WebServer) -> None:
    statuses = []

    def ask(url: str) -> None:
        with Client(url) as client:
            statuses.append(client.ask("/file")[0])

    with FaultProxy(web.url, delay_seconds=0.3, most_at_once=2) as proxy:
        threads = [threading.Thread(target=ask, args=(proxy.url,)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(statuses) == [200, 200, 503, 503, 503]
    assert proxy.counts == {"most_at_once": 3, "requests": 5}
    assert proxy.in_flight_peak == 5


def test_a_server_that_is_gone_is_a_bad_gateway(tmp_path: Path) -> None:
    with web_server(tmp_path) as web:
        pass
    with FaultProxy(web.url) as proxy, Client(proxy.url) as client:
        assert client.ask("/file")[0] == 502


def test_web_files_and_ranges(web: WebServer) -> None:
    with Client(web.url) as client:
        status, headers, body = client.ask("/file")
        assert (status, body, headers["content-length"]) == (200, BODY, str(len(BODY)))
        assert {"etag", "last-modified"} <= set(headers)
        status, headers, body = client.ask("/file", Range="bytes=3-7")
        assert (status, body, headers["content-range"]) == (206, BODY[3:8], f"bytes 3-7/{len(BODY)}")
        assert client.ask("/file", Range=f"bytes={len(BODY)}-")[0] == 416
        assert client.ask("/file", "HEAD")[1]["content-length"] == str(len(BODY))
        assert client.ask("/none")[0] == client.ask("/")[0] == client.ask("/%2e%2e/x")[0] == 404
        web.ranges = False
        assert client.ask("/file", Range="bytes=3-7")[::2] == (200, BODY)
    assert web.log[1].headers["range"] == "bytes=3-7"


def test_web_oddities(web: WebServer) -> None:
    (web.folder / "zipped.gz").write_bytes(b"gz")
    with Client(web.url) as client:
        assert client.ask("/zipped")[0] == 404
        web.gzip_static = True
        status, headers, body = client.ask("/zipped")
        assert (status, headers["content-encoding"], body) == (200, "gzip", b"gz")
        web.redirects = {"/old": "/file"}
        assert client.ask("/old")[1]["location"] == "/file"
        web.forbidden = lambda path: path == "/file"
        assert client.ask("/file")[0] == 403
        web.page_for = lambda path: b"<html>log in</html>" if path == "/file" else None
        assert client.ask("/file")[::2] == (200, b"<html>log in</html>")
        web.authorization = "Bearer me"
        assert client.ask("/zipped")[0] == 401
        assert client.ask("/zipped", Authorization="Bearer me")[0] == 200


def test_moto_creates_only_what_is_missing(moto: Server) -> None:
    store = s3_store(moto)
    obstore.put(store, "once", BODY, mode="create")
    with pytest.raises(obstore.exceptions.AlreadyExistsError):
        obstore.put(store, "once", b"", mode="create")
    assert obstore.get_range(store, "once", start=3, length=5) == BODY[3:8]


def test_moto_denies_users_what_they_may_not_do(moto: Server) -> None:
    with with_users(moto) as root:
        obstore.put(s3_store(root), "x", BODY)
        no_put, no_get, no_list, no_delete = (
            s3_store(Server(moto.url, *user(root, [f"s3:{action}"])))
            for action in ("PutObject", "GetObject", "ListBucket", "DeleteObject")
        )
        with pytest.raises(obstore.exceptions.PermissionDeniedError):
            obstore.put(no_put, "y", BODY)
        with pytest.raises(obstore.exceptions.PermissionDeniedError):
            obstore.get(no_get, "x")
        with pytest.raises(obstore.exceptions.GenericError, match="403"):
            keys(no_list)
        with pytest.raises(obstore.exceptions.GenericError, match="Access Denied"):
            obstore.delete(no_delete, "x")
        with pytest.raises(obstore.exceptions.PermissionDeniedError, match="SignatureDoesNotMatch"):
            obstore.get(s3_store(Server(moto.url, root.key, "wrong")), "x")
        assert obstore.get(no_put, "x").bytes() == BODY
    obstore.put(s3_store(moto), "anyone", BODY)


def test_gcs_stub_keeps_objects() -> None:
    with gcs_stub("b", most_keys=3) as gcs:
        store = GCSStore(
            "b",
            service_account_key=gcs.service_account_key,
            client_options={"allow_http": True, "default_headers": {"accept-encoding": "gzip"}},
            retry_config={"max_retries": 0},
        )
        obstore.put(store, "a/x", ZIPPED, attributes={"Content-Encoding": "gzip", "Cache-Control": "no-cache"})
        got = obstore.get(store, "a/x")
        assert (got.attributes["Content-Encoding"], got.attributes["Cache-Control"]) == ("gzip", "no-cache")
        assert got.bytes() == ZIPPED
        assert obstore.get_range(store, "a/x", start=3, length=5) == ZIPPED[3:8]
        with pytest.raises(obstore.exceptions.AlreadyExistsError):
            obstore.put(store, "a/x", b"", mode="create")
        for number in range(5):
            obstore.put(store, f"l/{number}/ü & <", BODY)
        obstore.put(store, "l/big", bytes(6 << 20))
        assert keys(store, "l") == [*(f"l/{number}/ü & <" for number in range(5)), "l/big"]
        level = obstore.list_with_delimiter(store, "l")
        assert [item["path"] for item in level["objects"]] == ["l/big"]
        assert sorted(level["common_prefixes"]) == [f"l/{number}" for number in range(5)]
        obstore.copy(store, "a/x", "a/y")
        obstore.delete(store, "a/x")
        with pytest.raises(FileNotFoundError):
            obstore.get(store, "a/x")
        assert keys(store, "a") == ["a/y"]


def test_gcs_stub_does_not_say_how_long_zipped_objects_are() -> None:
    with gcs_stub("b") as gcs, Client(gcs.url) as client:
        client.connection.request("PUT", "/b/x", ZIPPED, {"Content-Encoding": "gzip"})
        with client.connection.getresponse() as response:
            response.read()
        status, headers, body = client.ask("/b/x", Accept_Encoding="identity", Range="bytes=0-3")
        assert (status, body) == (200, BODY)
        assert not {"content-length", "content-encoding", "etag"} & set(headers)
        gcs.stream_gzip_from_nbytes = 1
        status, headers, body = client.ask("/b/x", Accept_Encoding="gzip")
        assert (headers["content-encoding"], body) == ("gzip", ZIPPED)
        assert "content-length" not in headers
        assert "etag" in headers
