"""``cvbatch report``: its numbers against those of the run, and its page in a real browser."""

import dataclasses
import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from browser import browser, console_errors, requested_urls
from servers import make_bucket, save_s3_keys
from volumes import labels, noise, read_volume, write_volume

from cvbatch import run
from cvbatch.config import LoadedConfig, load_config
from cvbatch.config.resolve import resolve
from cvbatch.counts import Counts, TaskResult
from cvbatch.errors import InterruptedRun, StateError
from cvbatch.events import TaskDone
from cvbatch.geometry import Bbox, ChunkGrid, Vec
from cvbatch.inspect.report import gather, render, slices_of
from cvbatch.inspect.report.data import DONE, FAILED, FILLED, LEFT, PassReport, TaskTotals
from cvbatch.inspect.report.gather import report_of
from cvbatch.inspect.report.grids import MOST_CELLS, MOST_SLABS, grid_view
from cvbatch.inspect.report.timeline import Finish, timeline
from cvbatch.inspect.status import JobStatus
from cvbatch.metadata import Batch, Course, Failure, Receipt
from cvbatch.planner import Pass, Plan
from cvbatch.runtime.passes import planned
from cvbatch.runtime.state import State, open_state
from cvbatch.runtime.stop import StopFlag

SIZE = (64, 64, 32)
WIDTHS = (1200, 400)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
NASTY = "<script>alert(1)</script>\"'&"


def config(folder: Path, source: str = "a", missing: str = "error", **keys) -> dict:
    """A job of 8 tasks in a pass, with a coarser level."""
    destination = {"path": f"file://{folder}/b", "chunk_size": [16, 16, 8], **keys.pop("destination", {})}
    return {
        "job": "transfer",
        "source": {"path": f"file://{folder}/{source}", "missing": missing},
        "destination": destination,
        "downsample": {"mips": 1},
        "workers": {"processes": 2},
        **keys,
    }


def opened(job: dict | LoadedConfig) -> tuple[Plan, State]:
    resolved = resolve(job if isinstance(job, LoadedConfig) else load_config(job))
    state = open_state(resolved.job, resolved.state)
    return planned(resolved.job, state, resolved.crew), state


def reported(job: dict):
    return gather(*opened(job))


def page_of(job: dict) -> str:
    plan, state = opened(job)
    return render(gather(plan, state), slices_of(plan.job), "2026-03-01 12:00:00 UTC")


def write_image(folder: Path, name: str = "a") -> np.ndarray:
    voxels = noise(SIZE)
    write_volume(f"file://{folder}/{name}", voxels, chunk_size=(32, 32, 16))
    return voxels


def command(*arguments: str, cwd: Path, **keys) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "cvbatch", "report", *arguments]
    return subprocess.run(line, check=False, cwd=cwd, capture_output=True, text=True, timeout=60, **keys)


class Elements(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words += data

    def count(self, tag: str, **attributes: str) -> int:
        return sum(name == tag and attributes.items() <= found.items() for name, found in self.tags)


# Numbers


@pytest.mark.parametrize("destination", [{}, {"sharding": "auto"}, {"encoding": "png"}])
def test_the_numbers_are_those_of_the_run(tmp_path, destination):
    write_image(tmp_path)
    job = config(tmp_path, destination=destination)
    ran = run(job)
    found = reported(job)
    document, expected = found.to_json(), ran.to_json()
    assert found.condition == "finished"
    assert document["job"] == expected["job"]
    assert document["tasks"] == {"total": ran.tasks.total, "done": ran.tasks.total, "filled": 0, "failed": 0, "left": 0}
    assert document["chunks"] == expected["chunks"]
    assert document["bytes"] == expected["bytes"]
    assert document["stages"] == pytest.approx(expected["stages"], abs=1e-3)
    plan, state = opened(job)
    assert document["voxels"] == sum(plan.box(task).volume() for task in plan)
    assert document["receipts"]["total"] == len(list(state.receipts()))
    assert sum(each["tasks"] for each in document["workers"]) == ran.tasks.total
    assert 0 < document["memory"]["measured_bytes"] <= ran.peak_memory_bytes
    assert len(found.slowest) == min(15, ran.tasks.total)
    assert [each.seconds for each in found.slowest] == sorted((each.seconds for each in found.slowest), reverse=True)
    line = found.timeline
    assert 0 < line.wall_seconds <= ran.seconds + 1
    json.dumps(document)


def test_filled_and_failed_tasks_are_where_they_are(tmp_path):
    # given an absent chunk and a damaged one
    write_image(tmp_path)
    (tmp_path / "a/4_4_40/0-32_0-32_0-16.gz").unlink()
    (tmp_path / "a/4_4_40/32-64_32-64_16-32.gz").write_bytes(b"\x1f\x8bgarbage")
    job = config(tmp_path, missing="fill")
    ran = run(job)
    found = reported(job)
    # then the cells in their corners say so
    assert (found.tasks.failed, found.tasks.filled) == (ran.tasks.failed, 1)
    assert found.condition == "failed"
    first = found.passes[0]
    assert first.status[0, 0, 0] == FILLED
    assert first.status[-1, -1, -1] == FAILED
    assert (first.status == DONE).sum() == first.status.size - 2
    assert "4_4_40/32-64_32-64_16-32" in found.failures[0].errors[-1]
    assert found.counts.chunks_filled == ran.counts.chunks_filled == 1
    page = Elements(page_of(job))
    assert "4_4_40/32-64_32-64_16-32" in page.words
    assert "is damaged" in page.words


def test_a_failure_that_was_mended_is_none(tmp_path):
    write_image(tmp_path)
    chunk = tmp_path / "a/4_4_40/0-32_0-32_0-16.gz"
    data = chunk.read_bytes()
    chunk.unlink()
    job = config(tmp_path)
    run(job)
    assert reported(job).tasks.failed == 1
    chunk.write_bytes(data)
    plan, state = opened(job)
    failures = state.failures()
    run(job)
    state.add_failure(failures[0])  # What a worker of a cluster may leave that was slower than another.
    found = gather(plan, state)
    assert (found.tasks.failed, found.failures, found.condition) == (0, (), "finished")


def test_an_interrupted_job_says_what_is_left(tmp_path):
    write_image(tmp_path)
    job, stop = config(tmp_path, workers={"processes": 1}), StopFlag()
    with pytest.raises(InterruptedRun):
        run(job, lambda event: stop.request() if isinstance(event, TaskDone) else None, stop)
    found = reported(job)
    assert found.condition == "unfinished"
    assert 0 < found.tasks.done < found.tasks.total
    assert found.tasks.left == (found.passes[0].status == LEFT).sum() + sum(
        each.tasks.total for each in found.passes[1:]
    )
    assert f"of {found.tasks.total} · 0 failed · {found.tasks.left} left" in Elements(page_of(job)).words
    run(job)
    assert reported(job).condition == "finished"


def test_tasks_that_were_tried_again_tell_why(tmp_path, monkeypatch):
    # given a disk that fails each worker once
    write_image(tmp_path)
    (tmp_path / "startup").mkdir()
    (tmp_path / "startup" / "sitecustomize.py").write_text(FLAKY)
    monkeypatch.syspath_prepend(str(tmp_path / "startup"))
    job = config(tmp_path)
    ran = run(job)
    assert ran.complete
    retried = reported(job).retried
    assert 1 <= len(retried) <= ran.retries
    assert retried[0].errors[-1] == "the disk sneezed"
    page = Elements(page_of(job))
    assert f"Tried again {len(retried)}" in page.words
    assert "the disk sneezed" in page.words


FLAKY = """
from cvbatch.errors import StorageError
from cvbatch.storage.local import LocalStore
get, failed = LocalStore.get, []
def flaky(self, key):
    if not failed and key.startswith("4_4_40/") and self.url.endswith("/a"):
        failed.append(key)
        raise StorageError("the disk sneezed")
    return get(self, key)
LocalStore.get = flaky
"""


def test_a_job_at_which_somebody_works_is_running(tmp_path):
    write_image(tmp_path)
    job = config(tmp_path)
    plan, state = opened(job)
    state.write_job(plan.job, plan.spec)
    now = datetime.now(UTC).isoformat()
    tasks = {"done": 0, "running": 2}
    state.beat("host-1", {"host": "host", "pid": 1, "processes": 2, "tasks": tasks, "since": now, "seen": now})
    assert gather(plan, state).condition == "running"
    assert "Running: 1 worker" in Elements(page_of(job)).words


def test_receipts_of_version_1_are_enough(tmp_path):
    write_image(tmp_path)
    job = config(tmp_path)
    ran = run(job)
    _, state = opened(job)
    for path in sorted(Path(state.location.path).glob("receipts/*.json")):
        document = json.loads(path.read_text())
        for member in ("seconds", "filled", "retried", "peak_memory_bytes"):
            del document[member]
        path.write_text(json.dumps({**document, "version": 1}))
    found = reported(job)
    assert found.tasks.done == ran.tasks.total
    assert found.untimed_receipts == found.receipts
    assert (found.slowest, found.memory.measured_bytes) == ((), 0)
    assert "not measured" in Elements(page_of(job)).words


def test_a_job_that_was_not_started_is_none_to_report(tmp_path):
    write_image(tmp_path)
    with pytest.raises(StateError, match="was not started yet"):
        reported(config(tmp_path))


def test_a_job_without_a_receipt_has_a_page(tmp_path):
    write_image(tmp_path)
    job = config(tmp_path)
    plan, state = opened(job)
    state.write_job(plan.job, plan.spec)
    assert gather(plan, state).timeline is None
    words = Elements(page_of(job)).words
    assert "No task is done yet" in words
    assert "No picture: no volume at" in words


def test_downsampling_in_place(tmp_path):
    voxels = labels(SIZE)
    write_volume(f"file://{tmp_path}/a", voxels, "segmentation", chunk_size=(32, 32, 16))
    job = {"job": "downsample", "source": f"file://{tmp_path}/a", "downsample": {"mips": 2}}
    run(job)
    plan, state = opened(job)
    assert gather(plan, state).condition == "finished"
    source, destination = slices_of(plan.job)
    assert (source.problem, destination.problem) == ("", "")
    assert "4_4_40" in source.words
    assert "8_8_40" in destination.words
    assert imagecodecs.png_decode(source.png).shape == (64, 64, 3)
    assert imagecodecs.png_decode(destination.png).shape == (32, 32, 3)


def test_a_job_that_writes_no_level_has_a_page(tmp_path):
    # given what a job is that only removes
    write_image(tmp_path)
    plan, _ = opened(config(tmp_path))
    box = plan.passes[0].grid.bounds
    without = Plan(dataclasses.replace(plan.job, kind="delete", levels=()), plan.spec)
    without.__dict__["passes"] = (Pass(0, box, (), ChunkGrid(box, Vec(32, 32, 16)), Vec(32, 32, 16)),)
    found = report_of(without, JobStatus("j", "file://s", True, 8, 0, (), ()), made_up(without, 1, 4))
    page = Elements(render(found, slices_of(without.job), "now"))
    assert (found.tasks.done, found.tasks.left, found.memory.projected_bytes) == (4, 4, 0)
    assert "Delete" in page.words


# Speed


def finish(at: float, longest: float = 1.0, total: float = 1.0, nbytes: int = 100, worker: str = "w") -> Finish:
    return Finish(worker, at, longest, total, nbytes)


@pytest.mark.parametrize("count", [1, 3, 300, 30_000])
def test_the_chart_adds_up_to_all_voxels(count):
    line = timeline([finish(1000.0 + i, 2.0, 4.0) for i in range(count)])
    assert len(line.rates) <= 110
    widths = [line.bin_seconds] * (len(line.rates) - 1)
    widths.append(line.wall_seconds - sum(widths))
    assert sum(rate * width for rate, width in zip(line.rates, widths, strict=True)) == pytest.approx(
        100 * count, rel=1e-3
    )


def test_pauses_are_no_work():
    line = timeline([*(finish(1000.0 + i) for i in range(100)), *(finish(9000.0 + i, worker="v") for i in range(100))])
    assert line.wall_seconds == pytest.approx(8100, abs=5)
    assert line.working_seconds == pytest.approx(200, abs=5)


def test_tasks_at_once_are_told_from_tasks_in_a_row():
    # given batches of ten tasks of a second: one process takes ten seconds for each, ten processes one
    one = timeline([finish(1000.0 + 10 * i, 1, 10, 1000) for i in range(50)])
    ten = timeline([finish(1000.0 + i, 1, 10, 1000) for i in range(50)])
    assert one.wall_seconds == pytest.approx(500, rel=0.01)
    assert ten.wall_seconds == pytest.approx(50, rel=0.01)
    assert one.rates[5] == pytest.approx(100, rel=0.05)
    assert ten.rates[5] == pytest.approx(1000, rel=0.05)


# Grids


def pass_report(shape: tuple[int, int, int], status: np.ndarray) -> PassReport:
    size = Vec(*(8 * n for n in shape))
    each = Pass(0, Bbox((0, 0, 0), size), (), ChunkGrid(Bbox((0, 0, 0), size), Vec(8, 8, 8)), Vec(8, 8, 8))
    return PassReport(each, status, TaskTotals(status.size, 0, 0, 0))


@pytest.mark.parametrize("shape", [(3, 2, 2), (1, 1, 1), (40, 7, 100), (100, 100, 100), (100_000, 1, 1), (2, 2, 999)])
def test_a_grid_of_any_shape_is_drawn_whole_and_small(shape):
    status = np.full(shape[::-1], DONE, np.uint8)
    status.flat[status.size // 2] = FAILED
    view = grid_view(pass_report(shape, status), MOST_CELLS)
    cells = [cell for slab in view.slabs for cell in slab.cells]
    assert len(cells) <= MOST_CELLS
    assert len(view.slabs) <= MOST_SLABS
    assert [cell.look for cell in cells].count("fail") == 1
    volume = sum(
        (c.box[2] - c.box[0]) * (c.box[3] - c.box[1]) * (slab.z1 - slab.z0) for slab in view.slabs for c in slab.cells
    )
    assert volume == 512 * status.size


def test_what_a_cell_of_many_tasks_says():
    status = np.full((48, 1, 1), DONE, np.uint8)
    status[0:2, 0, 0] = (LEFT, LEFT)
    status[2, 0, 0] = LEFT
    status[4, 0, 0] = FILLED
    view = grid_view(pass_report((1, 1, 48), status), MOST_CELLS)
    assert view.per_cell == (1, 1, 2)
    assert [slab.cells[0].look for slab in view.slabs[:4]] == ["left", "part", "fill", "done"]
    assert view.slabs[1].cells[0].words == "2 tasks: 1 done, 1 not done"


# Large jobs


def large_plan(tmp_path: Path) -> Plan:
    """A million tasks."""
    write_image(tmp_path)
    info = json.loads((tmp_path / "a/info").read_text())
    info["scales"][0]["size"] = [16 * 100, 16 * 100, 8 * 100]
    (tmp_path / "a/info").write_text(json.dumps(info))
    plan, _ = opened(config(tmp_path, downsample={"mips": 0}))
    cut = [
        dataclasses.replace(each, task_shape=Vec(16, 16, 8), block_shape=Vec(16, 16, 8)) for each in plan.spec.passes
    ]
    return Plan(plan.job, dataclasses.replace(plan.spec, passes=tuple(cut)))


def made_up(plan: Plan, count: int, tasks: int):
    for i in range(count):
        batch = Batch(plan.job.id, 0, i * tasks, (i + 1) * tasks)
        at = (START + timedelta(seconds=i)).isoformat(timespec="seconds")
        course = Course((1.0,) * tasks, (i * tasks,), {i * tasks: (NASTY,)} if i % 10 == 0 else {}, 10**8)
        yield Receipt(batch, TaskResult(Counts(chunks_read=tasks)), at, f"host-{i % 500}", course)


def test_a_million_tasks_are_a_small_page(tmp_path):
    plan = large_plan(tmp_path)
    assert len(plan) == 10**6
    failures = tuple(Failure(f"0-{900_000 + i}", "", (NASTY,) * 3, NASTY * 1000) for i in range(2000))
    status = JobStatus(plan.job.id, "file://x", True, len(plan), 0, failures, ())
    read = []
    found = report_of(plan, status, (read.append(1) or each for each in made_up(plan, 20_000, 40)))
    page = render(found, slices_of(plan.job), "now")
    assert len(read) == 20_000  # Each once.
    assert found.tasks == TaskTotals(10**6, 800_000, 20_000, 2000)
    assert found.counts.chunks_read == 800_000
    assert len(page) < 1_500_000
    assert len(found.retried) == 2000
    assert len(found.to_json()["workers"]) == 500


def test_many_receipts_of_a_store_are_read_once_each(tmp_path):
    plan = large_plan(tmp_path)
    resolved = resolve(load_config(config(tmp_path, downsample={"mips": 0}, state=f"mem://report-{time.time_ns()}")))
    state = open_state(resolved.job, resolved.state)
    state.write_job(plan.job, plan.spec)
    for receipt in made_up(plan, 2000, 10):
        state.add_receipt(receipt)
    assert gather(plan, state).receipts == 2000


# Pictures


def test_pictures_are_the_voxels(tmp_path):
    voxels = noise((600, 520, 4))
    voxels[0, 0, :], voxels[1, 0, :] = 0, 255
    write_volume(f"file://{tmp_path}/a", voxels, chunk_size=(128, 128, 4))
    job = config(tmp_path, destination={"chunk_size": [64, 64, 4]}, downsample={"mips": 2})
    run(job)
    plan, _ = opened(job)
    source, destination, overview = slices_of(plan.job)
    first, second = imagecodecs.png_decode(source.png), imagecodecs.png_decode(destination.png)
    assert first.shape == (512, 512)
    np.testing.assert_array_equal(first, second)
    middle = voxels[44:556, 4:516, 2].T.astype(float)
    assert np.corrcoef(first.ravel(), middle.ravel())[0, 1] > 0.999
    assert imagecodecs.png_decode(overview.png).shape == (260, 300)
    assert overview.frame == pytest.approx((44 / 600, 4 / 520, 556 / 600, 516 / 520), abs=0.01)


def test_pictures_of_a_region_that_was_moved(tmp_path):
    voxels = noise((96, 96, 32))
    write_volume(f"file://{tmp_path}/a", voxels, chunk_size=(32, 32, 16), voxel_offset=(100, -20, 5))
    region = {"min": [132, 12, 13], "max": [196, 76, 37]}
    job = config(tmp_path, region=region, translate=[-100, 20, 3])
    run(job)
    source, destination = slices_of(opened(job)[0].job)
    assert (source.problem, destination.problem) == ("", "")
    np.testing.assert_array_equal(imagecodecs.png_decode(source.png), imagecodecs.png_decode(destination.png))
    assert source.words.endswith("z = 25, 64 × 64 voxels from x 132, y 12")
    shown = imagecodecs.png_decode(source.png).astype(float)
    assert np.corrcoef(shown.ravel(), voxels[32:, 32:, 20].T.astype(float).ravel())[0, 1] > 0.999


def test_what_cannot_be_read_is_a_hole_with_words(tmp_path):
    write_image(tmp_path)
    job = config(tmp_path)
    run(job)
    (tmp_path / "b/4_4_40/0-16_0-16_16-24.gz").unlink()
    (tmp_path / "a/4_4_40/0-32_0-32_16-32.gz").write_bytes(b"\x1f\x8bgarbage")
    plan, state = opened(job)
    source, destination = slices_of(plan.job)
    picture = imagecodecs.png_decode(source.png)
    assert "is damaged" in source.problem
    assert (picture[:32, :32, 3] == 0).all()
    assert (picture[32:, :, 3] == 255).all()
    assert destination.problem.endswith("0-16_0-16_16-24 is missing")
    # and nothing at all
    for chunk in (tmp_path / "a/4_4_40").iterdir():
        chunk.unlink()
    (tmp_path / "b/info").write_text("nonsense")
    source, destination = slices_of(plan.job)
    assert (source.png, destination.png) == (b"", b"")
    page = Elements(render(gather(plan, state), (source, destination), "now"))
    assert page.words.count("No picture: ") == 2
    assert page.count("img") == 0


@pytest.mark.parametrize(("dtype", "channels"), [("uint16", 1), ("float32", 1), ("uint8", 3), ("int16", 2)])
def test_pictures_of_all_kinds_of_voxels(tmp_path, dtype, channels):
    voxels = noise((40, 30, 8, channels), dtype)
    if dtype == "float32":
        voxels[3, 3] = np.nan
    write_volume(f"file://{tmp_path}/a", voxels, chunk_size=(16, 16, 8))
    job = config(tmp_path, downsample={"mips": 0})
    run(job)
    source, destination = slices_of(opened(job)[0].job)
    shape = (30, 40, 3) if channels == 3 else (30, 40)
    for each in (source, destination):
        assert imagecodecs.png_decode(each.png).shape == shape
    assert read_volume(f"file://{tmp_path}/b").shape == (40, 30, 8, channels)


# The page


def test_nothing_from_outside_is_markup(tmp_path):
    # given a path that is a script, and errors that are
    folder = tmp_path / NASTY.replace("/", "")
    write_image(folder)
    job = config(folder)
    (folder / "a/4_4_40/0-32_0-32_0-16.gz").unlink()
    run(job)
    plan, state = opened(job)
    task = next(iter(plan))
    state.add_failure(Failure(task.name, NASTY, (NASTY, NASTY), NASTY))
    found = dataclasses.replace(gather(plan, state), kind=NASTY)
    text = render(found, slices_of(plan.job), NASTY)
    page = Elements(text)
    assert page.count("script") == 0
    assert NASTY in page.words
    assert "<script" not in text
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_the_page_is_semantic(tmp_path):
    write_image(tmp_path)
    job = config(tmp_path)
    run(job)
    page = Elements(page_of(job))
    assert page.count("h1") == 1
    assert page.count("html", lang="en") == 1
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    pictures = [attributes for tag, attributes in page.tags if tag == "svg" and "aria-hidden" not in attributes]
    assert pictures
    assert all(each["role"] == "img" and each["aria-label"] for each in pictures)
    assert all(attributes["alt"] for tag, attributes in page.tags if tag == "img")
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(names) == len(set(names))


@pytest.fixture(scope="module")
def chromium():
    with browser(*WIDTHS[:1], 900) as driver:
        yield driver


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", ["image", "segmentation", "large"])
def test_a_browser_shows_it(tmp_path, chromium, kind, width):
    # given a page with failures, fills and long words
    if kind == "large":
        plan = large_plan(tmp_path)
        failures = (Failure("0-999999", "", ("x" * 300,), ""),)
        status = JobStatus(plan.job.id, "file://" + "y" * 200, True, len(plan), 0, failures, ())
        found = report_of(plan, status, made_up(plan, 500, 100))
        text = render(found, slices_of(plan.job), "now")
    else:
        voxels = noise(SIZE) if kind == "image" else labels(SIZE)
        write_volume(f"file://{tmp_path}/a", voxels, kind, chunk_size=(32, 32, 16))
        (tmp_path / "a/4_4_40/0-32_0-32_0-16.gz").unlink()
        (tmp_path / "a/4_4_40/32-64_32-64_16-32.gz").write_bytes(b"\x1f\x8bgarbage")
        job = config(tmp_path, missing="fill")
        run(job)
        found, text = reported(job), page_of(job)
    (tmp_path / "report.html").write_text(text)
    # when it is opened
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    chromium.get("about:blank")
    console_errors(chromium)
    requested_urls(chromium)
    chromium.get(f"file://{tmp_path}/report.html")
    # then it is whole, asks for nothing else, and nothing is cut off
    assert chromium.title == f"Transfer {found.job} – cvbatch report"
    assert console_errors(chromium) == []
    assert requested_urls(chromium) == [f"file://{tmp_path}/report.html"]
    assert (
        chromium.execute_script(
            "return performance.getEntriesByType('resource').map(e => e.name).filter(name => !name.startsWith('data:'))"
        )
        == []
    )
    drawn = chromium.execute_script("return document.querySelectorAll('svg.slab rect').length")
    if kind == "large":
        assert 1000 < drawn <= MOST_CELLS
    else:
        assert drawn == found.tasks.total
        looks = "return document.querySelectorAll('svg.slab rect.' + arguments[0]).length"
        assert chromium.execute_script(looks, "fail") == found.tasks.failed == 1
        assert chromium.execute_script(looks, "fill") == found.tasks.filled == 1
        sizes = chromium.execute_script("return [...document.images].map(image => image.naturalWidth)")
        assert sizes == [64, 64]
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
    assert chromium.execute_script(BEYOND, width) == []


# What leaves the window, but for what is in a box that scrolls.
BEYOND = """
return [...document.querySelectorAll('body *')]
  .filter(each => !each.closest('.scroll table, thead'))
  .filter(each => each.getBoundingClientRect().width > 0 && getComputedStyle(each).visibility !== 'hidden')
  .filter(each => each.getBoundingClientRect().right > arguments[0] + 0.5 || each.getBoundingClientRect().left < -0.5)
  .map(each => each.outerHTML.slice(0, 200))
"""


# The command


def test_the_command_writes_a_page_and_prints_where(tmp_path):
    write_image(tmp_path)
    (tmp_path / "job.yaml").write_text(json.dumps(config(tmp_path)))
    before = command("job.yaml", cwd=tmp_path)
    assert (before.returncode, before.stdout) == (2, "")
    assert "was not started yet" in before.stderr
    ran = run(config(tmp_path))
    shown = command("job.yaml", cwd=tmp_path)
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, f"report-{ran.job}.html\n", "")
    assert (tmp_path / f"report-{ran.job}.html").read_text().startswith("<!DOCTYPE html>")


def test_the_command_as_programs_use_it(tmp_path):
    write_image(tmp_path)
    (tmp_path / "job.yaml").write_text(json.dumps(config(tmp_path)))
    ran = run(config(tmp_path))
    there = set(tmp_path.iterdir())
    document = json.loads(command("job.yaml", "--json", cwd=tmp_path).stdout)
    assert document["tasks"]["done"] == ran.tasks.total
    assert set(tmp_path.iterdir()) == there
    both = command("job.yaml", "--json", "--output", "r.html", cwd=tmp_path)
    assert json.loads(both.stdout) == document
    assert (tmp_path / "r.html").exists()
    quiet = command("job.yaml", "--quiet", "--output", "q.html", cwd=tmp_path)
    assert (quiet.returncode, quiet.stdout) == (0, "")
    assert (tmp_path / "q.html").exists()
    nowhere = command("job.yaml", "--output", "no/r.html", cwd=tmp_path)
    assert nowhere.returncode == 2
    assert "cannot write no/r.html: No such file" in nowhere.stderr


def test_state_and_volumes_in_a_bucket(tmp_path, moto, secrets_folder):
    make_bucket(moto, "report")
    save_s3_keys(secrets_folder, moto)
    write_image(tmp_path)
    place = f"s3://{moto.url}/report"
    job = config(tmp_path, destination={"path": f"{place}/b"}, state=f"{place}/state")
    ran = run(job)
    found = reported(job)
    assert found.tasks.done == ran.tasks.total
    assert [each.problem for each in slices_of(opened(job)[0].job)] == ["", ""]
