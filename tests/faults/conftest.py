"""Where the tests of faults find what they share, and on which seeds they run."""

import os
import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def seed(record_property) -> int:
    """A seed of this run's own, or that of ``FAULTS_SEED``; a test that fails shows it."""
    chosen = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(1 << 32))
    record_property("seed", chosen)
    print(f"FAULTS_SEED={chosen}")
    return chosen
