"""Files and memory keep what every store promises."""

import itertools

import pytest
from store_contract import StoreContract

from cvbatch.storage import open_store

serial = itertools.count()


class TestLocalStore(StoreContract):
    @pytest.fixture
    def url(self, tmp_path):
        return f"file://{tmp_path}/volume"

    @pytest.fixture
    def store(self, url, tmp_path):
        (tmp_path / "volume").mkdir()
        return open_store(url)


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def url(self):
        return f"mem://contract/{next(serial)}"
