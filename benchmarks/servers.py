"""A folder as an S3 server for the time of a run: ``python -m benchmarks.servers FOLDER --delay SECONDS``.

rclone serves it; with a delay, a proxy is in front that lets it pass before each request. Prints its address, that
without the proxy, and the keys; ends when its standard input does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class S3:
    """A folder whose subfolders are buckets, served by a process of its own.

    ``upload`` is a command that runs before the server is used, and reaches it without the delay.
    """

    folder: Path
    delay: float = 0.0
    upload: tuple[str, ...] = ()

    @contextlib.contextmanager
    def serve(self) -> Iterator[dict[str, str]]:
        """Yields the words that programs need: ``endpoint``, ``key``, ``secret``; ``home`` has secrets and aliases."""
        command = [sys.executable, "-m", "benchmarks.servers", str(self.folder), "--delay", str(self.delay)]
        if self.upload:
            shutil.rmtree(self.folder / "src", ignore_errors=True)
            (self.folder / "src").mkdir(parents=True)
        with (
            tempfile.TemporaryDirectory() as home,
            subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
        ):
            assert process.stdin is not None
            assert process.stdout is not None
            endpoint, direct, key, secret = process.stdout.readline().split()
            words = {"endpoint": endpoint, "key": key, "secret": secret, "home": home}
            _save_keys(Path(home), endpoint, key, secret)
            try:
                if self.upload:
                    self._fill({**words, "endpoint": direct})
                yield words
            finally:
                process.stdin.close()
                process.wait()

    def _fill(self, words: Mapping[str, str]) -> None:
        home = words["home"]
        done = subprocess.run(
            [each.replace("{endpoint}", words["endpoint"]) for each in self.upload],
            env={**os.environ, "CLOUD_VOLUME_DIR": home, "CLOUD_FILES_DIR": home},
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise OSError(f"the source cannot be uploaded: {done.stderr.strip()[-300:]}")


def _save_keys(home: Path, endpoint: str, key: str, secret: str) -> None:
    """What cvbatch and CloudVolume find in their folder; ``bench://`` is the server."""
    (home / "secrets").mkdir()
    text = json.dumps({"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret})
    for name in ("aws", "bench"):
        (home / "secrets" / f"{name}-secret.json").write_text(text)
    (home / "aliases.json").write_text(json.dumps({"bench": {"host": f"s3://{endpoint}/"}}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--delay", type=float, default=0.0)
    said = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from servers.faults import FaultProxy
    from servers.rclone import rclone_s3

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(rclone_s3(said.folder))
        url = server.url
        if said.delay:
            url = stack.enter_context(FaultProxy(url, delay_seconds=said.delay)).url
        print(url, server.url, server.key, server.secret, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
