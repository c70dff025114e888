"""The examples in docs/ do what they say, in the order in which they stand."""

import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import numpy as np
import pytest

from cvbatch import CloudVolume
from cvbatch.memory import named

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str) -> list[tuple[int, str]]:
    """The line and text of each example of a page."""
    text = (DOCS / page).read_text()
    found = re.finditer(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, match.start()) + 2, match[1]) for match in found]


def run_examples(page: str) -> None:
    namespace: dict[str, object] = {}
    for line, text in blocks(page, "python"):
        # Line numbers in a traceback are those of the page.
        exec(compile("\n" * (line - 1) + text, str(DOCS / page), "exec"), namespace)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("em", "cells"):
        named.unlink_segment(name)


def test_the_library(folder):
    run_examples("library.md")
    assert (folder / "data" / "pictures" / "000.png").is_file()


@pytest.fixture
def em(folder):
    """The volume that the page about shared memory opens."""
    grey = (np.arange(64 * 64 * 32) % 251).astype(np.uint8).reshape((64, 64, 32), order="F")
    CloudVolume.from_numpy(grey, vol_path="file://data/em", chunk_size=(32, 32, 16))
    return grey


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="segments are not files here")
def test_shared_memory(em):
    run_examples("shared-memory.md")


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_shared_memory_in_c(em, folder):
    [(_, program)] = blocks("shared-memory.md", "c")
    (folder / "voxel.c").write_text(textwrap.dedent(program))
    subprocess.run(["cc", "-o", "voxel", "voxel.c", "-lrt"], check=True)
    vol = CloudVolume("file://data/em")
    vol.download_to_shared_memory(vol.bounds, location="em")
    said = subprocess.run(["./voxel"], capture_output=True, text=True, check=True)
    assert int(said.stdout) == em[3, 5, 7]
