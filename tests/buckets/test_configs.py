"""The configurations of the repository that need a server, run as a user would, against servers of this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from servers import make_bucket, save_s3_keys, web_server

from cvbatch import CloudVolume
from cvbatch.storage import open_store, parse_location

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A folder with the sample in ``data/sample``."""
    folder = tmp_path_factory.mktemp("workstation")
    cvbatch(folder, "sample", "data/sample")
    return folder


def cvbatch(folder, *arguments) -> dict:
    """Run a command; what it says in JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "cvbatch.cli.main", *map(str, arguments), "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={**os.environ},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def all_voxels(path: str, mip: int = 0) -> np.ndarray:
    return CloudVolume(path, mip=mip)[:, :, :]


def test_local_to_s3_and_s3_to_s3(sample, rclone, secrets_folder):
    # given two buckets of a server
    save_s3_keys(secrets_folder, rclone)
    make_bucket(rclone, "my-bucket")
    make_bucket(rclone, "other-bucket")
    there = f"s3://{rclone.url}/my-bucket/em"
    # when the sample is brought into one
    report = cvbatch(sample, "run", CONFIGS / "local-to-s3.yaml", "--set", f"destination.endpoint={rclone.url}")
    # then the first level was copied, and all four are there
    assert report["tasks"]["failed"] == 0
    assert report["chunks"]["copied"] > 0
    expected = all_voxels(f"file://{sample}/data/sample/em")
    np.testing.assert_array_equal(all_voxels(there), expected)
    assert len(CloudVolume(there).scales) == 4
    # and again nothing is done
    again = cvbatch(sample, "run", CONFIGS / "local-to-s3.yaml", "--set", f"destination.endpoint={rclone.url}")
    assert again["chunks"]["written"] == 0

    # when one bucket is copied to the other
    ends = [f"{end}.endpoint={rclone.url}" for end in ("source", "destination")]
    report = cvbatch(sample, "run", CONFIGS / "s3-to-s3.yaml", "--set", ends[0], "--set", ends[1])
    # then objects are the same bytes, with the same encoding
    assert report["chunks"]["copied"] == report["chunks"]["written"] == report["chunks"]["read"]
    first, second = open_store(parse_location(there)), open_store(parse_location(f"s3://{rclone.url}/other-bucket/em"))
    keys = sorted(first.list("4_4_40/"))
    assert keys == sorted(second.list("4_4_40/"))
    assert all(first.get(key) == second.get(key) for key in keys)


def test_http_to_local(sample):
    # given a web server with the sample
    with web_server(sample / "data/sample", gzip_static=True) as server:
        # when a box is fetched
        path = f"source.path={server.url}/em"
        report = cvbatch(sample, "run", CONFIGS / "http-to-local.yaml", "--set", path)
    # then it is a volume of its own
    assert report["tasks"]["failed"] == 0
    expected = CloudVolume(f"file://{sample}/data/sample/em")[128:384, 128:384, 0:64]
    np.testing.assert_array_equal(all_voxels(f"file://{sample}/data/out/box"), expected)
