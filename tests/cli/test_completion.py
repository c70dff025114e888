"""The Tab key, in a real shell."""

import itertools
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = Path(sys.executable).parent


def completion(shell: str) -> str:
    command = [SCRIPTS / "cvbatch", "completion", shell]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def bash(tmp_path):
    """What an interactive bash shows when something is typed and Tab is pressed twice."""
    # The prompt numbers commands, so that the end of an answer is known.
    settings = "PS1='ready \\#> '; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'\n"
    (tmp_path / "rc").write_text(settings + completion("bash"))
    for name in ("configs/transfer.yaml", "configs/reencode.yaml", "job.yaml", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    environment = {"PATH": f"{SCRIPTS}:{os.environ['PATH']}", "HOME": str(tmp_path), "TERM": "dumb"}
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        ["bash", "--rcfile", "rc", "-i"],
        cwd=tmp_path,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    numbers = itertools.count(1)

    def read_answer() -> str:
        said, end, deadline = "", f"ready {next(numbers)}> ", time.monotonic() + 20
        while end not in said:
            assert time.monotonic() < deadline, said
            if select.select([ours], [], [], 0.2)[0]:
                said += os.read(ours, 1 << 16).decode()
        return said

    def press_tab(line: str) -> set[str]:
        # What it has become is made a comment, so that nothing is run but the ``:`` before.
        os.write(ours, f"{line}\t\t".encode())
        os.write(ours, b"\x01: #\n")
        return set(re.findall(r"[\w./-]+", read_answer()))

    read_answer()
    yield press_tab
    shell.kill()
    shell.wait()
    os.close(ours)


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_offers_commands_options_and_files(bash):
    # when the beginning of a command is typed, then its rest is offered
    assert {"resume", "run"} <= bash("cvbatch r")
    assert "completion" in bash("cvbatch comp")
    assert {"create", "purge", "release", "status"} <= bash("cvbatch queue ")
    # when that of an option is
    assert {"--sample", "--state", "--set"} <= bash("cvbatch verify --s")
    assert {"bash", "zsh", "fish"} <= bash("cvbatch completion ")
    # when that of a path is
    assert {"transfer.yaml", "reencode.yaml"} <= bash("cvbatch run configs/")
    assert "configs/transfer.yaml" in bash("cvbatch verify configs/tr")
    assert "job.yaml" in bash("cvbatch plan jo")
    assert {"job.yaml", "notes.txt"} <= bash("cvbatch doctor ")


@pytest.mark.parametrize(
    ("shell", "phrase"),
    [("bash", "complete -o nosort -F"), ("zsh", "#compdef cvbatch"), ("fish", "complete --no-files --command cvbatch")],
)
def test_the_script_asks_cvbatch_itself(shell, phrase):
    script = completion(shell)
    assert phrase in script
    assert f"_CVBATCH_COMPLETE={shell}_complete" in script


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_script_is_one_of_the_shell(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    (tmp_path / "script").write_text(completion(shell))
    subprocess.run([shell, "-n", tmp_path / "script"], check=True)


def test_an_unknown_shell_is_bad_usage():
    ran = subprocess.run([SCRIPTS / "cvbatch", "completion", "tcsh"], check=False, capture_output=True, text=True)
    assert ran.returncode == 2
    assert "'bash', 'zsh', 'fish'" in ran.stderr
