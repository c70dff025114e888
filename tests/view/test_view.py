"""``cvbatch view``: what Neuroglancer is told, what it shows in a real browser, and what the server refuses."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import imagecodecs
import numpy as np
import pytest
from browser import browser, console_errors, requested_urls
from servers import make_bucket, save_s3_keys
from volumes import make_scale, noise, read_volume, write_volume

from cvbatch import CloudVolume, Vec
from cvbatch.errors import InfoUnavailableError, InputError, UnsupportedFormatError
from cvbatch.inspect.client import ROOT, PackagedClient, find_client
from cvbatch.inspect.view import (
    HOSTED,
    ViewedVolume,
    ViewServer,
    describe_view,
    grey_range,
    grey_ranges,
    link_to,
    open_volumes,
)
from cvbatch.metadata import VolumeInfo, VoxelType
from cvbatch.sample import write_sample
from cvbatch.storage import open_store, parse_location

SIZE = Vec(128, 128, 32)
WITHOUT_CLIENT = "import sys; sys.modules['neuroglancer'] = None; from cvbatch.cli.main import main; main()"
DEADLINE_SECONDS = 40


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A folder with the image ``em`` and the labels ``seg``."""
    folder = tmp_path_factory.mktemp("sample")
    write_sample(str(folder), SIZE)
    return folder


@pytest.fixture(scope="module")
def em(sample):
    """The image (x, y, z)."""
    return read_volume(f"file://{sample}/em")[..., 0]


@pytest.fixture(scope="module")
def chromium():
    """One browser for the whole module."""
    with browser() as driver:
        yield driver


@pytest.fixture
def driver(chromium):
    """The browser, with nothing said or asked for yet, and no page that still listens to an old server."""
    chromium.get("about:blank")
    console_errors(chromium)
    requested_urls(chromium)
    return chromium


# What Neuroglancer is told


def volume(name="em", layer_type="image", dtype="uint8", channels=1, contrast=(), size=(128, 96, 64), **members):
    info = VolumeInfo(VoxelType(layer_type, dtype, channels), (make_scale(size, **members),))
    return ViewedVolume(name, open_store(f"mem://{name}"), info, contrast)


def test_the_middle_of_the_first_volume_fills_the_view():
    state = describe_view([volume(voxel_offset=(100, -50, 7))], "127.0.0.1:1")
    assert state["dimensions"] == {"x": [4e-9, "m"], "y": [4e-9, "m"], "z": [4e-8, "m"]}
    assert state["position"] == [164.5, -1.5, 39.5]
    assert state["layout"] == "4panel"
    assert state["crossSectionScale"] == pytest.approx(96 / 300)  # voxels a pixel: all rows in a panel of 300
    assert state["projectionScale"] == pytest.approx(1.7 * 640)  # 64 sections, ten times as thick as voxels are wide


@pytest.mark.parametrize(("size", "layout"), [((99, 99, 1), "xy"), ((9000, 20, 8), "xy"), ((640, 9, 8), "4panel")])
def test_a_flat_volume_is_seen_from_above(size, layout):
    assert describe_view([volume(size=size)], "127.0.0.1:1")["layout"] == layout


def test_layers_say_where_volumes_are_and_how_they_look():
    volumes = [volume(contrast=((20, 200),)), volume("em-2"), volume("a b#", "segmentation", "uint64")]
    first, second, labels = describe_view(volumes, "localhost:80")["layers"]
    assert first == {
        "type": "image",
        "name": "em",
        "source": "precomputed://http://localhost:80/em",
        "opacity": 1,
        "shaderControls": {"normalized": {"range": [20, 200]}},
    }
    assert (second["opacity"], "shaderControls" in second) == (0.5, False)
    assert (labels["type"], labels["source"]) == ("segmentation", "precomputed://http://localhost:80/a%20b%23")
    assert labels["selectedAlpha"] < describe_view(volumes[2:], "localhost:80")["layers"][0]["selectedAlpha"]


@pytest.mark.parametrize(
    ("dtype", "contrast", "slider"),
    [
        ("uint16", (100, 300), {"range": [100, 300], "window": [0, 400]}),
        ("int8", (-100, 100), {"range": [-100, 100], "window": [-128, 127]}),
        ("float32", (0.25, 0.75), {"range": [0.25, 0.75], "window": [0.0, 1.0]}),
        ("uint64", (1, 1 << 60), {"range": ["1", str(1 << 60)], "window": ["0", str((1 << 60) + (1 << 59))]}),
    ],
)
def test_sliders(dtype, contrast, slider):
    layer = describe_view([volume(dtype=dtype, contrast=(contrast,))], "localhost:80")["layers"][0]
    assert layer["shaderControls"] == {"normalized": slider}


def test_the_state_link_is_one_word_that_says_the_state():
    state = describe_view([volume("a (b) 'c' %41 µ")], "127.0.0.1:80")
    link = link_to(HOSTED, state)
    assert not set(link) & set(" \"'()<>{}|\\^`")
    page, _, fragment = link.partition("#!")
    assert page == HOSTED
    assert json.loads(unquote(fragment)) == state


def test_nearly_all_grey_values_are_between_black_and_white():
    values = np.concatenate([np.zeros(5000), np.arange(1000, 3000), [60000]]).astype(np.uint16)
    low, high = grey_range(values)
    assert (low, high) == (pytest.approx(1010, abs=2), pytest.approx(2990, abs=2))
    assert grey_range(np.array([np.nan, np.inf, 0, 0.5, 1.5], np.float32)) == (0.5, 1.5)
    assert grey_range(np.zeros(9)) is None
    assert grey_range(np.full(9, 7)) is None


def test_contrast_is_measured_and_a_damaged_chunk_is_no_obstacle(tmp_path):
    store = write_volume(f"file://{tmp_path}/em", noise((16, 16, 8)))
    (opened,) = open_volumes([parse_location(store.url)])
    ((low, high),) = opened.contrast
    assert 1 <= low < 10 < 190 < high < 200
    for chunk in (tmp_path / "em" / "4_4_40").iterdir():
        chunk.write_bytes(b"damaged")
    assert grey_ranges(store, opened.info) == ()


def test_images_come_first_and_no_two_names_are_alike(tmp_path):
    urls = [f"file://{tmp_path}/{part}" for part in ("a/seg", "a/em", "b/em", "v", ".hidden")]
    for url in urls:
        write_volume(url, noise((16, 16, 8)), "segmentation" if url.endswith("seg") else "image")
    opened = open_volumes([parse_location(url) for url in urls])
    assert [each.name for each in opened] == ["em", "em-2", "v-2", "hidden", "seg"]


def test_what_neuroglancer_does_not_show_is_said_before(tmp_path):
    with pytest.raises(InfoUnavailableError, match="no volume at"):
        open_volumes([parse_location(f"{tmp_path}/none")])
    write_volume(f"file://{tmp_path}/c", noise((16, 16, 8)), encoding="crackle")
    with pytest.raises(UnsupportedFormatError, match="mip 0 is in crackle"):
        open_volumes([parse_location(f"{tmp_path}/c")])
    write_volume(f"file://{tmp_path}/i", noise((16, 16, 8), "int64"))
    with pytest.raises(UnsupportedFormatError, match="int64"):
        open_volumes([parse_location(f"{tmp_path}/i")])


def test_a_port_that_is_taken(sample):
    volumes = open_volumes([parse_location(f"{sample}/em")])
    with ViewServer(volumes, 0, None) as server, pytest.raises(InputError, match="cannot serve at"):
        ViewServer(volumes, server.server_address[1], None)


def test_the_far_end_of_a_tunnel_is_called_by_the_name_of_the_near_one(sample):
    client = find_client()
    server = ViewServer(open_volumes([parse_location(f"{sample}/em")]), 0, client)
    with server:
        page = server.page("", "localhost:9999")
        assert page.location.startswith(f"/{ROOT}/#!")
        assert "precomputed://http://localhost:9999/em" in unquote(page.location)
        assert server.page(f"{ROOT}/none.js", "localhost:9999") is None
        assert server.page("em/info", "localhost:9999") is None


def test_a_client_with_another_page_than_expected_is_served_as_it_is(tmp_path):
    (tmp_path / "index.html").write_text("<p>")
    assert PackagedClient({"index.html": tmp_path / "index.html"}).page(ROOT).body == b"<p>"


# The command


@dataclass
class Viewing:
    """A running ``cvbatch view``, what it has printed, and what it prints after its end."""

    process: subprocess.Popen
    document: dict
    errors: str = ""

    @property
    def url(self):
        return self.document["url"]

    def ask(self, path, method="GET", **headers):
        host = urlsplit(self.document["layers"][0]["source"].removeprefix("precomputed://")).netloc
        connection = http.client.HTTPConnection(host, timeout=30)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer, body

    def end(self, number):
        self.process.send_signal(number)
        self.errors = self.process.communicate(timeout=30)[1]
        return self.process.returncode


@contextlib.contextmanager
def viewing(*paths, client=True, environment=None):
    """``cvbatch view --json`` until the end of the block."""
    program = ["-m", "cvbatch"] if client else ["-c", WITHOUT_CLIENT]
    command = [sys.executable, *program, "view", *map(str, paths), "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}
    )
    with process:
        try:
            # One document of several lines, after which the program goes on.
            text = "".join(iter(process.stdout.readline, "}\n")) + "}"
            yield Viewing(process, json.loads(text))
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_json_and_a_clean_end(sample, number):
    with viewing(sample / "seg", sample / "em") as view:
        host = urlsplit(view.url).netloc
        assert view.document == {
            "url": f"http://{host}/",
            "layers": [
                {"name": "em", "type": "image", "source": f"precomputed://http://{host}/em"},
                {"name": "seg", "type": "segmentation", "source": f"precomputed://http://{host}/seg"},
            ],
            "client": "local",
        }
        assert host.startswith("127.0.0.1:")
        answer, body = view.ask("/seg/info")
        assert (answer.status, body) == (200, (sample / "seg" / "info").read_bytes())
        assert (view.end(number), view.errors) == (0, "")


def test_without_the_extra_the_link_leads_to_the_hosted_client(sample):
    with viewing(sample / "em", client=False) as view:
        assert view.document["client"] == "hosted"
        page, _, fragment = view.url.partition("#!")
        assert page == HOSTED
        state = json.loads(unquote(fragment))
        assert state["layers"][0]["source"] == view.document["layers"][0]["source"]
        answer, _ = view.ask("/em/info", Origin="https://neuroglancer-demo.appspot.com")
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
        assert view.ask("/")[0].status == 404
        assert view.end(signal.SIGINT) == 0
        assert "pip install 'cvbatch[view]'" in view.errors


def test_what_is_refused_is_logged(sample):
    with viewing(sample / "em", sample / "seg") as view:
        for path in ("/em/../secret", "/%2e%2e/secret", f"/{ROOT}/%2e%2e/%2e%2e/secret", "/em/.cvbatch/x"):
            answer, body = view.ask(path)
            assert (answer.status, body) == (404, b"")
        for method in ("PUT", "POST", "DELETE", "PATCH", "BREW"):
            answer, _ = view.ask("/em/info", method=method)
            assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
        assert view.ask("/em/info", Host="evil.example.org:80")[0].status == 403
        assert view.ask("/em/none")[0].status == 404
        assert view.ask("/none/info")[0].status == 404
        assert view.end(signal.SIGTERM) == 0
    lines = view.errors.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["404"] * 4 + ["405"] * 5 + ["403"]
    assert "/em/../secret" in lines[0]


def test_a_path_without_a_volume_ends_before_anything_is_served(sample):
    command = [sys.executable, "-m", "cvbatch", "view", str(sample / "em"), str(sample / "none")]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"no volume at file://{sample}/none" in ended.stderr


def test_what_people_read(sample):
    command = [sys.executable, "-m", "cvbatch", "view", str(sample / "em")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        assert lines[0].split()[:2] == ["em", "image"]
        assert lines[2].startswith("http://127.0.0.1:")
        assert "Ctrl-C" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


# What is seen


def pixels(driver):
    """The window (row, column, rgb)."""
    return imagecodecs.png_decode(driver.get_screenshot_as_png())[..., :3].astype(float)


def section(driver):
    """The voxels (x, y, rgb) of the panel from above, one pixel each, as the browser shows them, and their box."""
    state = driver.execute_script("return viewer.state.toJSON()")
    left, top, width, height = driver.execute_script(
        "const r = document.querySelector('.neuroglancer-rendered-data-panel').getBoundingClientRect();"
        "return [r.x, r.y, r.width, r.height]"
    )
    # A margin leaves out the lines around the volume, and the buttons at the panel's side.
    voxels = [np.arange(6, size - 6) for size in SIZE[:2]]
    x, y = (
        np.round(middle + (voxel + 0.5 - center) / state["crossSectionScale"]).astype(int)
        for middle, voxel, center in zip((left + width / 2, top + height / 2), voxels, state["position"], strict=False)
    )
    return pixels(driver)[np.ix_(y, x)].transpose(1, 0, 2)


def likeness(seen, em):
    """The correlation of the brightness that is seen with the section in the middle of the volume."""
    expected = em[6:-6, 6:-6, SIZE.z // 2]
    return np.corrcoef(seen.mean(axis=2).ravel(), expected.ravel().astype(float))[0, 1]


def colorfulness(seen):
    """How far the three colours of a pixel differ, from 0 to 255, on average."""
    return float(np.ptp(seen, axis=2).mean())


def wait_until(driver, view, looks_right):
    """The section, as soon as it looks right."""
    driver.get(view.url)
    deadline = time.monotonic() + DEADLINE_SECONDS
    seen = None
    while time.monotonic() < deadline:
        if driver.execute_script("return Boolean(window.viewer && viewer.isReady())"):
            seen = section(driver)
            if looks_right(seen):
                return seen
        time.sleep(0.05)
    raise AssertionError(f"it doesn't look right: {seen}, {console_errors(driver)}")


def like(em, least):
    """Whether a section looks like the sample."""
    return lambda seen: seen.std() > 0 and likeness(seen, em) > least


def test_the_sample_in_grey_and_its_labels_in_color(sample, em, driver):
    with viewing(sample / "em") as view:
        grey = wait_until(driver, view, like(em, 0.95))
        assert grey.std() > 30
        # The lines that cross in the middle have colours of their own.
        assert colorfulness(grey) < 3
        # Black and white are used, and nearly nothing is lost to them.
        dark, bright = np.percentile(grey, (1, 99))
        assert dark < 40
        assert bright > 215
    with viewing(sample / "em", sample / "seg") as view:
        both = wait_until(driver, view, like(em, 0.6))
        assert colorfulness(both) > 25
        assert console_errors(driver) == []
        urls = requested_urls(driver)
    assert len(urls) > 5
    assert {urlsplit(url).hostname for url in urls} == {"127.0.0.1"}
    assert {urlsplit(url).port for url in urls} >= {urlsplit(view.url).port}


def rewritten(url, em, compress="gzip", **members):
    """The sample's image in another way."""
    write_volume(url, em, compress=compress, resolution=(8, 8, 40), chunk_size=(64, 64, 16), **members)


@pytest.mark.parametrize("compress", ["br", "zstd"])
def test_compression_that_a_browser_may_not_know(em, driver, tmp_path, compress):
    rewritten(f"file://{tmp_path}/em", em, compress)
    with viewing(tmp_path / "em") as view:
        wait_until(driver, view, like(em, 0.95))
        assert console_errors(driver) == []


def test_a_jpeg_volume(em, driver, tmp_path):
    rewritten(f"file://{tmp_path}/em", em, encoding="jpeg")
    with viewing(tmp_path / "em") as view:
        wait_until(driver, view, like(em, 0.9))
        assert console_errors(driver) == []


def sharded(url, em):
    info = CloudVolume.create_new_info(1, "image", "uint8", "raw", (8, 8, 40), (0, 0, 0), SIZE, chunk_size=(64, 64, 16))
    info["scales"][0]["sharding"] = {
        "@type": "neuroglancer_uint64_sharded_v1",
        "preshift_bits": 1,
        "hash": "identity",
        "minishard_bits": 1,
        "shard_bits": 1,
        "minishard_index_encoding": "gzip",
        "data_encoding": "gzip",
    }
    vol = CloudVolume(url, info=info)
    vol.commit_info()
    vol[:] = em
    return vol


def test_a_sharded_volume(em, driver, tmp_path):
    sharded(f"file://{tmp_path}/em", em)
    assert list((tmp_path / "em" / "8_8_40").glob("*.shard"))
    with viewing(tmp_path / "em") as view:
        wait_until(driver, view, like(em, 0.95))
        assert console_errors(driver) == []


def test_a_bucket(em, driver, moto, secrets_folder):
    save_s3_keys(secrets_folder, moto)
    make_bucket(moto, "viewed")
    url = f"s3://{moto.url}/viewed/sharded/em"
    sharded(url, em)
    with viewing(url) as view:
        wait_until(driver, view, like(em, 0.95))
        assert console_errors(driver) == []


def test_colors_of_channels(driver, tmp_path):
    # Given three channels of one value each, which are red, green and blue.
    voxels = np.broadcast_to(np.array([250, 120, 30], np.uint8), (*SIZE, 3)).copy()
    rewritten(f"file://{tmp_path}/rgb", voxels)
    # And two of 16 bits, of which the first is brighter to the right, and the second to the bottom.
    ramps = np.zeros((*SIZE, 2), np.uint16)
    ramps[..., 0] = np.arange(SIZE.x)[:, None, None] * 10 + 500
    ramps[..., 1] = np.arange(SIZE.y)[None, :, None] * 20 + 3000
    rewritten(f"file://{tmp_path}/two", ramps)
    with viewing(tmp_path / "rgb") as view:
        wait_until(driver, view, lambda seen: np.abs(np.median(seen, axis=(0, 1)) - (250, 120, 30)).max() < 3)

    def grows_in_magenta_to_the_right_and_in_lime_downwards(seen):
        return seen[-20, 20, 0] > seen[20, 20, 0] + 50 and seen[20, -20, 1] > seen[20, 20, 1] + 50

    with viewing(tmp_path / "two") as view:
        wait_until(driver, view, grows_in_magenta_to_the_right_and_in_lime_downwards)
        assert console_errors(driver) == []
