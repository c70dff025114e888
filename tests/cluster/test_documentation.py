"""What docs/cluster.md tells a newcomer to type works as it stands there, but for the ports."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2]
BLOCKS = re.findall(r"```sh\n(.*?)```", (HOME / "docs/cluster.md").read_text(), re.DOTALL)


def test_the_readme_says_the_same():
    assert f"```sh\n{BLOCKS[0]}```" in (HOME / "README.md").read_text()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_of_commands(number, tmp_path):
    # given the commands of the page, and its configurations
    shutil.copytree(HOME / "configs", tmp_path / "configs")
    text = "\n".join(line for line in BLOCKS[number].splitlines() if not line.startswith("pip install"))
    for port in ("5000", "5001"):
        other = str(free_port())
        text = text.replace(f":{port}", f":{other}").replace(f"-p {port}", f"-p {other}")
        for config in (tmp_path / "configs").iterdir():
            config.write_text(config.read_text().replace(f":{port}", f":{other}"))
    # Who types is slower than a server's start; a script has to wait.
    text = text.replace("cvbatch queue create", "until cvbatch queue create", 1)
    text = re.sub(r"(until cvbatch queue create [^\n]*)", r"\1; do :; done", text)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    # when they are typed
    with open(tmp_path / "log", "wb") as log:
        shell = subprocess.Popen(
            ["bash", "-euc", text], cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            status = shell.wait(90)
        finally:
            os.killpg(shell.pid, signal.SIGKILL)
    # then the job is done
    said = (tmp_path / "log").read_text()
    assert status == 0, said
    assert re.search(r"Job \w+: (\d+) of \1 tasks done", said) or "is done already" in said, said
