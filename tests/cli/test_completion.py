"""Completion of words in bash, by a real bash; zsh and fish get scripts of the same kind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

#: where the command lies that this interpreter's environment installed
BIN = Path(sys.executable).parent


def show(shell: str) -> str:
    ended = subprocess.run([BIN / "polo", "completion", shell], capture_output=True, text=True, check=True)
    return ended.stdout


def complete(*words: str) -> list[str]:
    """What bash offers for the last word."""
    program = f"""{show("bash")}
COMP_WORDS=(polo {" ".join(map(repr, words))}); COMP_CWORD={len(words)}
_polo_completion polo; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    ended = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True, env=environment)
    return ended.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None or not (BIN / "polo").exists(), reason="needs bash and the command")
@pytest.mark.parametrize(
    ("words", "offered"), [(["recomm"], {"recommend"}), (["run", "--pro"], {"--profile", "--processes"})]
)
def test_bash_completes_commands_and_options(words: list[str], offered: set[str]) -> None:
    assert set(complete(*words)) == offered


@pytest.mark.skipif(not (BIN / "polo").exists(), reason="needs the command")
@pytest.mark.parametrize(("shell", "words"), [("zsh", "#compdef polo"), ("fish", "complete --command polo")])
def test_other_shells_get_a_script_for_polo(shell: str, words: str) -> None:
    assert words in show(shell)
