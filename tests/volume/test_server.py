"""The web server that Neuroglancer reads a volume from."""

import contextlib
import gzip
import http.client
import logging
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from library import SIZE, made
from volumes import noise

from cvbatch import CloudVolume
from cvbatch.storage import open_store
from cvbatch.volume.server import VolumeServer, volume_name

CHUNK = "4_4_40/10-42_-20--4_5-13"


@pytest.fixture
def vol(tmp_path):
    (tmp_path / "secret").write_text("not for everybody")
    return made(tmp_path / "em", noise(SIZE, "uint8"))


@pytest.fixture
def ask(vol):
    """Asks the server for a path; its answer and the body."""
    with asking({"em": vol.meta.store}) as ask:
        yield ask


@contextlib.contextmanager
def asking(stores):
    """Asks a server of some stores for a path; its answer and the body."""
    with VolumeServer(stores, 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()

        def ask(path, method="GET", **headers):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            return answer, body

        yield ask
        server.shutdown()
        thread.join()


def test_info_with_and_without_the_name_of_the_volume(ask, tmp_path):
    for path in ("/info", "/em/info", "//em//info"):
        answer, body = ask(path)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert body == (tmp_path / "em" / "info").read_bytes()


def test_chunks_come_as_they_are_stored(ask, vol, tmp_path):
    answer, body = ask(f"/em/{CHUNK}", **{"Accept-Encoding": "gzip, br"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert body == (tmp_path / "em" / f"{CHUNK}.gz").read_bytes()
    voxels = np.frombuffer(gzip.decompress(body), np.uint8).reshape((32, 16, 8), order="F")
    np.testing.assert_array_equal(voxels, vol[10:42, -20:-4, 5:13][..., 0])


def test_who_cannot_decompress_gets_voxels(ask, vol):
    answer, body = ask(f"/em/{CHUNK}")
    assert answer.headers["Content-Encoding"] is None
    assert body == vol[10:42, -20:-4, 5:13].tobytes(order="F")


@pytest.mark.parametrize("compress", ["zstd", "xz", "bz2"])
def test_what_browsers_do_not_know_is_decompressed(ask, vol, compress):
    vol.compress = compress
    vol[:] = 3
    answer, body = ask(f"/{CHUNK}", **{"Accept-Encoding": "gzip, deflate, br, zstd"})
    assert answer.headers["Content-Encoding"] is None
    assert body == bytes([3]) * 4096


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [("bytes=10-19", 10, 20), ("bytes=4090-", 4090, 4096), ("bytes=-6", 4090, 4096), ("bytes=4000-9999", 4000, 4096)],
)
def test_ranges(ask, vol, header, start, stop):
    answer, body = ask(f"/em/{CHUNK}", Range=header)
    assert answer.status == 206
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/4096"
    assert body == vol[10:42, -20:-4, 5:13].tobytes(order="F")[start:stop]


@pytest.mark.parametrize("header", ["bytes=5000-", "bytes=9-3", "bytes=-", "lines=1-2"])
def test_ranges_that_are_not_there(ask, header):
    answer, body = ask(f"/em/{CHUNK}", Range=header)
    assert (answer.status, body) == (416, b"")


def test_several_volumes_have_their_names_before_them(vol, tmp_path):
    other = made(tmp_path / "seg", noise(SIZE, "uint32"))
    with asking({"em": vol.meta.store, "a b": other.meta.store}) as ask:
        assert ask("/em/info")[1] == (tmp_path / "em" / "info").read_bytes()
        assert ask("/a%20b/info?x=1")[1] == (tmp_path / "seg" / "info").read_bytes()
        for path in ("/info", "/em", "/em/", "/seg/info"):
            assert ask(path)[0].status == 404


class _OnlyParts:
    """A store of shards, none of which may be read as a whole."""

    url = "mem://shards"

    def get_range(self, key, start, stop):
        return bytes(range(100))[start:stop] if key == "4_4_40/0.shard" else None


def test_of_a_shard_only_what_is_asked_for_is_read():
    with asking({"em": _OnlyParts()}) as ask:
        answer, body = ask("/em/4_4_40/0.shard", Range="bytes=10-19")
        assert (answer.status, answer.headers["Content-Range"], body) == (206, "bytes 10-19/*", bytes(range(10, 20)))
        answer, body = ask("/em/4_4_40/0.shard", Range="bytes=90-199")
        assert (answer.headers["Content-Range"], len(body)) == ("bytes 90-99/*", 10)
        for nothing in ("bytes=100-199", "bytes=20-10"):
            assert ask("/em/4_4_40/0.shard", Range=nothing)[0].status == 416
        assert ask("/em/4_4_40/1.shard", Range="bytes=0-9")[0].status == 404


def test_the_head_alone_and_what_a_browser_asks_before(ask):
    answer, body = ask("/info", method="HEAD")
    assert (answer.status, body) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 0
    answer, _ = ask("/info", method="OPTIONS")
    assert answer.status == 204
    assert "GET" in answer.headers["Access-Control-Allow-Methods"]
    assert "Range" in answer.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    "path",
    [
        "/none",
        "/",
        "/em/../secret",
        "/../secret",
        "/%2e%2e/secret",
        "/em/%2e%2e%2fsecret",
        "/..%5csecret",
        "/.cvbatch/x",
    ],
)
def test_nothing_but_the_volume_is_served(ask, path):
    answer, body = ask(path)
    assert (answer.status, body) == (404, b"")


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_nothing_is_written(ask, vol, method):
    answer, _ = ask("/info", method=method)
    assert answer.status == 405
    assert CloudVolume(vol.cloudpath).info == vol.info


@pytest.mark.parametrize("host", ["evil.example.org:80", "evil.example.org", "127.0.0.1.evil.example.org:80", ":80"])
def test_another_name_for_this_machine_is_refused(ask, host):
    answer, body = ask("/info", Host=host)
    assert (answer.status, body) == (403, b"")


@pytest.mark.parametrize("host", ["localhost:80", "localhost", "127.0.0.1"])
def test_its_own_names_with_and_without_a_port(ask, host):
    assert ask("/info", Host=host)[0].status == 200


def test_a_damaged_chunk_is_an_error(ask, tmp_path, caplog):
    (tmp_path / "em" / f"{CHUNK}.gz").write_bytes(b"damaged")
    answer, _ = ask(f"/{CHUNK}")
    assert answer.status == 500
    assert CHUNK in caplog.text


def test_what_is_refused_is_logged_and_what_is_absent_is_not(ask, caplog):
    ask("/none")
    assert caplog.records == []
    ask("/../secret")
    ask("/info", Host="evil.example.org:80")
    ask("/info", method="PUT")
    assert {(record.name, record.levelno) for record in caplog.records} == {("cvbatch.server", logging.WARNING)}
    assert [record.getMessage()[:3] for record in caplog.records] == ["404", "403", "405"]


def test_what_is_not_http_is_refused(ask, caplog):
    # A line break in a path would begin another request; this one has a space in it.
    answer, _ = ask("/info", method="GET /x")
    assert answer.status == 400
    assert len(caplog.records) == 1


def test_a_browser_that_hangs_up_is_no_error(vol, caplog):
    with VolumeServer({"em": vol.meta.store}, 0) as server:
        for error in (BrokenPipeError(), ConnectionResetError(), ZeroDivisionError()):
            try:
                raise error
            except (OSError, ZeroDivisionError):
                server.handle_error(None, None)
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError]


def test_volumes_in_memory():
    made("mem://served/em", noise(SIZE, "uint8"))
    store = open_store("mem://served/em")
    with VolumeServer({volume_name(store): store}, 0) as server:
        assert server.read("em/info") == server.read("info") == store.get("info")


def test_it_says_where_it_is_and_ends_with_ctrl_c(vol):
    program = "import sys; from cvbatch import CloudVolume; CloudVolume(sys.argv[1]).viewer(port=0)"
    server = subprocess.Popen([sys.executable, "-c", program, vol.cloudpath], stderr=subprocess.PIPE, text=True)
    line = server.stderr.readline()
    assert "precomputed://http://127.0.0.1:" in line
    server.send_signal(signal.SIGINT)
    assert server.wait(timeout=30) == 0
    assert server.stderr.read() == ""
    server.stderr.close()
