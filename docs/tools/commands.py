"""The page of commands, made from the command line itself. What has no help text is an error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from docs.tools.docstrings import cell, inline
from docs.tools.tables import table, told
from polo import cli


def commands() -> Iterator[tuple[str, Any]]:
    """Every command of the command line with its full name, those of groups after their group."""
    whole = typer.main.get_command(cli.app)
    for name in cli.COMMANDS:
        found = whole.get_command(None, name)  # type: ignore[attr-defined,arg-type]
        yield f"polo {name}", found
        for inner, command in getattr(found, "commands", {}).items():
            yield f"polo {name} {inner}", command


def commands_page() -> str:
    """Every command with its arguments and options, and the exit codes."""
    body = ["# Commands"]
    for name, command in commands():
        help_ = told(f"command {name}", command.help)
        shown = [each for each in command.params if each.name != "help" and not getattr(each, "hidden", False)]
        rows = [option(name, each) for each in shown]
        arguments = [each for each in command.params if each.param_type_name == "argument"]
        usage = " ".join([name, *(each.metavar or each.name for each in arguments)])
        parts = [f"## {name}", inline(help_), f"```text\n{usage}{' [OPTIONS]' if rows else ''}\n```"]
        if rows:
            parts.append(table(["", "default", "meaning"], rows))
        body.append("\n\n".join(parts))
    codes = [
        ["0", "well"],
        ["1", "it failed, and the message says why"],
        ["2", "the input (recipe, path, option, plugin) cannot be used"],
        ["3", "`polo audit --strict`: a check of the data failed"],
        [str(cli.INTERRUPTED), "stopped by Ctrl-C"],
    ]
    body.append(f"## Exit codes\n\n{table(['code', 'meaning'], codes)}")
    return "\n\n".join(body) + "\n"


def option(command: str, parameter: Any) -> list[str]:
    """A line of a command's table."""
    told_ = told(f"{command}, {parameter.name}", getattr(parameter, "help", None))
    if parameter.param_type_name == "argument":
        name = f"`{parameter.metavar or parameter.name.upper()}`".replace("|", "\\|")
    else:
        flag = parameter.is_flag
        value = "" if flag else f" {parameter.metavar or parameter.name.upper()}"
        name = ", ".join(f"`{word}{value}`" for word in parameter.opts)
    default = parameter.default
    plain = isinstance(default, str | int | float) and not isinstance(default, bool)
    return [name, f"`{getattr(default, 'value', default)}`" if plain else "", cell(told_)]
