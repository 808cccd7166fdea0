"""``polo completion``: what a shell reads to complete polo's commands and options."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import get_completion_script  # type: ignore[attr-defined]  # what --show-completion prints

from polo.cli.output import print_text


class Shell(StrEnum):
    """Shells that can be told."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", show_default=False)],
) -> None:
    """Print a script that completes commands and options: eval "$(polo completion bash)" in ~/.bashrc."""
    print_text(get_completion_script(prog_name="polo", complete_var="_POLO_COMPLETE", shell=shell.value))
