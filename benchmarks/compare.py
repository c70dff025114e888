"""Whether programs have made the same."""

from __future__ import annotations

import filecmp
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.environment import Rivals
from benchmarks.model import DisagreementError, chunk_files


def same_voxels(rivals: Rivals, ours: Path, theirs: Path, grey_levels_a_mip: int = 0) -> str:
    """All scales of ours are theirs, mip 0 exactly, and coarser ones up to so many grey levels a mip."""
    found = _differences(rivals, ours, theirs)
    for each in found:
        if each["largest"] > grey_levels_a_mip * each["mip"]:
            raise DisagreementError(f"mip {each['mip']} differs by up to {each['largest']} in {each['share']:.2%}")
    most = max(each["largest"] for each in found)
    return f"{len(found)} scales: equal" if most == 0 else f"{len(found)} scales: mip 0 equal, means within {most}"


def nearly_same_labels(rivals: Rivals, ours: Path, theirs: Path, share: float) -> str:
    """Mip 0 is equal, and of coarser scales all labels but a share: of cells without a majority there are several."""
    found = _differences(rivals, ours, theirs)
    if found[0]["largest"] or max(each["share"] for each in found) > share:
        raise DisagreementError(f"shares that differ, by mip: {[each['share'] for each in found]}")
    shares = ", ".join(f"{each['share']:.3%}" for each in found)
    return f"{len(found)} scales: of the labels differ {shares}"


def _differences(rivals: Rivals, ours: Path, theirs: Path) -> list[dict[str, float]]:
    command = rivals.script("differences", str(ours), str(theirs))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DisagreementError(f"cannot be compared: {done.stderr.strip()[-300:]}")
    found: list[dict[str, float]] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def same_files(volumes: Sequence[Path]) -> str:
    """The chunks of all volumes are the same files, byte by byte."""
    first, *others = map(chunk_files, volumes)
    for path, other in zip(volumes[1:], others, strict=True):
        if set(first) != set(other):
            raise DisagreementError(f"{path.name}: {len(other)} chunks, {len(first)} in {volumes[0].name}")
        different = [name for name, file in first.items() if not filecmp.cmp(file, other[name], shallow=False)]
        if different:
            raise DisagreementError(f"{path.name}: {len(different)} chunks differ, as {different[0]}")
    return f"{len(first)} files: equal bytes"
