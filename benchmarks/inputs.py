"""The volumes that are read: made once, in the work directory.

Where the real data is, the EM volume is its stack of 512 × 512 × 30, mirrored to 1024 × 1024 × 128, with noise of ±2 in
the copies; else both are those of ``cvbatch sample``. Larger volumes are copies of the chunks of smaller ones, along z.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import crackle
import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import Rivals

REAL = Path(__file__).resolve().parents[2] / "shared" / "data"
EM_FILE, SEG_FILE = "em_uint8_512x512x30.npz", "seg_uint32_512x512x256.ckl"
EM_SIZE = (1024, 1024, 128)
SEG_SIZE = (512, 512, 256)
RESOLUTIONS = {"em": (4, 4, 50), "seg": (4, 4, 40)}


def _mirrored(voxels: NDArray[Any], size: tuple[int, ...]) -> NDArray[Any]:
    """Grown by mirroring along each axis, and cut to a size."""
    for axis, length in enumerate(size):
        parts = [
            voxels if number % 2 == 0 else np.flip(voxels, axis) for number in range(-(-length // voxels.shape[axis]))
        ]
        voxels = np.concatenate(parts, axis)[tuple(slice(length if a == axis else None) for a in range(3))]
    return voxels


def real_em() -> NDArray[np.uint8]:
    """1024 × 1024 × 128 voxels; the noise is nowhere in the first copy."""
    with np.load(REAL / EM_FILE) as file:
        first = file["em"]
    grown = _mirrored(first, EM_SIZE).astype(np.int16)
    noise = np.random.default_rng(0).integers(-2, 3, EM_SIZE, dtype=np.int8)
    noise[tuple(slice(length) for length in first.shape)] = 0
    return np.clip(grown + noise, 0, 255).astype(np.uint8)


def real_seg() -> NDArray[np.uint64]:
    """512 × 512 × 256 labels."""
    labels: NDArray[Any] = crackle.decompress((REAL / SEG_FILE).read_bytes())
    return labels.astype(np.uint64)


def sampled(name: str, work: Path) -> NDArray[Any]:
    """What ``cvbatch sample`` makes, in place of real data."""
    from cvbatch import CloudVolume

    size = EM_SIZE if name == "em" else SEG_SIZE
    folder = work / f"sample-{name}"
    subprocess.run([sys.executable, "-m", "cvbatch", "sample", str(folder), "--size", *map(str, size)], check=True)
    voxels = np.asarray(CloudVolume(f"file://{folder / name}")[:])[..., 0]
    return voxels if name == "em" else voxels.astype(np.uint64)


@dataclass(frozen=True)
class Volume:
    """A Precomputed volume in a folder."""

    path: Path

    @property
    def info(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.path / "info").read_text())
        return found

    @property
    def voxel_bytes(self) -> int:
        """Of the finest scale, decoded."""
        info = self.info
        return int(np.prod(info["scales"][0]["size"])) * np.dtype(info["data_type"]).itemsize * info["num_channels"]

    @property
    def scale_folder(self) -> Path:
        return self.path / str(self.info["scales"][0]["key"])


@dataclass(frozen=True)
class Inputs:
    """Makes volumes when they are asked for; names in the work directory say what they are."""

    folder: Path
    rivals: Rivals

    @property
    def are_real(self) -> bool:
        return (REAL / EM_FILE).exists() and (REAL / SEG_FILE).exists()

    def volume(self, name: str, compress: str = "gzip", times: int = 1) -> Volume:
        """``em`` or ``seg`` in chunks of 64³, raw, so many times as large in z."""
        path = self.folder / f"{name}-{compress}-{times}"
        if not (path / "info").exists():
            made = self.folder / "unfinished"
            shutil.rmtree(made, ignore_errors=True)
            if times == 1:
                self._write(name, compress, made)
            else:
                _repeat(self.volume(name, compress), made, times)
            made.rename(path)
        return Volume(path)

    def one_chunk(self, compress: str = "none") -> Volume:
        """The first chunk of EM as a volume of its own."""
        path = self.folder / f"chunk-{compress}"
        if not (path / "info").exists():
            whole = self.volume("em", compress)
            info = whole.info
            info["scales"][0]["size"] = [64, 64, 64]
            target = path / info["scales"][0]["key"]
            target.mkdir(parents=True, exist_ok=True)
            for file in whole.scale_folder.glob("0-64_0-64_0-64*"):
                shutil.copy(file, target)
            (path / "info").write_text(json.dumps(info))
        return Volume(path)

    def huge(self, chunks_xyz: tuple[int, int, int]) -> Volume:
        """An ``info`` without chunks."""
        path = self.folder / "huge"
        path.mkdir(parents=True, exist_ok=True)
        info = self.volume("em").info
        info["scales"][0]["size"] = [64 * count for count in chunks_xyz]
        (path / "info").write_text(json.dumps(info))
        return Volume(path)

    def _write(self, name: str, compress: str, path: Path) -> None:
        array = self.folder / f"{name}.npy"
        if not array.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            makers = {"em": real_em, "seg": real_seg}
            voxels = makers[name]() if self.are_real else sampled(name, self.folder)
            np.save(array, voxels)
        layer_type = "image" if name == "em" else "segmentation"
        resolution = ",".join(map(str, RESOLUTIONS[name]))
        subprocess.run(
            self.rivals.script("write_volume", str(array), str(path), compress, layer_type, resolution), check=True
        )


def _repeat(volume: Volume, path: Path, times: int) -> None:
    """Copy the chunks, and shift their names along z."""
    info = volume.info
    scale = info["scales"][0]
    depth = scale["size"][2]
    target = path / scale["key"]
    target.mkdir(parents=True)
    for file in volume.scale_folder.iterdir():
        match = re.fullmatch(r"(.*_)(\d+)-(\d+)(\.gz)?", file.name)
        assert match is not None
        for number in range(times):
            z0, z1 = (int(match[group]) + number * depth for group in (2, 3))
            shutil.copyfile(file, target / f"{match[1]}{z0}-{z1}{match[4] or ''}")
    scale["size"][2] *= times
    (path / "info").write_text(json.dumps(info))
    provenance = volume.path / "provenance"
    if provenance.exists():
        shutil.copyfile(provenance, path / "provenance")
