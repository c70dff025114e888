"""What all tests share: nobody's credentials, no questions to a cloud, and servers that are started once."""

import os

import pytest
from servers import gcs_stub, moto_s3, rclone_s3

# Where credentials come from, and what would ask a network for them.
FOREIGN = [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "CLOUD_VOLUME_", "CLOUD_FILES_"))]


@pytest.fixture(autouse=True)
def _nobody(monkeypatch):
    for name in FOREIGN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("NO_GCE_CHECK", "true")


@pytest.fixture
def secrets_folder(monkeypatch, tmp_path_factory):
    """Where credentials are looked for, and there are none yet."""
    folder = tmp_path_factory.mktemp("cloudvolume")
    monkeypatch.setenv("CLOUD_VOLUME_DIR", str(folder))
    return folder / "secrets"


@pytest.fixture(scope="session")
def moto():
    """An S3 server with S3's semantics."""
    with moto_s3() as server:
        yield server


@pytest.fixture(scope="session")
def gcs():
    """A stub of Google Storage, without buckets."""
    with gcs_stub() as stub:
        yield stub


@pytest.fixture(scope="session")
def rclone_folder(tmp_path_factory):
    """The folder of ``rclone``, whose subfolders are the buckets."""
    return tmp_path_factory.mktemp("rclone")


@pytest.fixture(scope="session")
def rclone(rclone_folder):
    """An S3 server that is fast, knows no ranges, and ignores conditions."""
    with rclone_s3(rclone_folder) as server:
        yield server
