"""The command ``polo``: finds the module of a command when it is used, and turns errors into messages and exit codes.

Knows which commands there are; each lives in a file of its own. Importing this loads neither torch nor numpy.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from polo.errors import PoloError

#: name -> import string of a function that typer can call; shown in this order
COMMANDS: Mapping[str, str] = {
    "run": "polo.cli.run:run",
    "sweep": "polo.cli.sweep:sweep",
    "eval": "polo.cli.eval:evaluate",
    "audit": "polo.cli.audit:audit",
    "diagnose": "polo.cli.diagnose:diagnose",
    "compare": "polo.cli.compare:compare",
    "report": "polo.cli.report:report",
    "recommend": "polo.cli.recommend:recommend",
    "serve": "polo.cli.serve:serve",
    "export": "polo.cli.export:export",
    "export-rows": "polo.cli.export_rows:export_rows",
    "validate": "polo.cli.validate:validate",
    "show": "polo.cli.show:show",
    "ls": "polo.cli.ls:ls",
    "cp": "polo.cli.cp:cp",
    "describe": "polo.cli.describe:describe",
    "plugins": "polo.cli.plugins:plugins",
    "plugin": "polo.cli.plugin:plugin",
    "schema": "polo.cli.schema:schema",
    "completion": "polo.cli.completion:completion",
}
#: where a command's context keeps whether tracebacks are asked for
VERBOSE = "polo.verbose"
#: what a shell reports for a program that Ctrl-C ended: 128 + SIGINT
INTERRUPTED = 130


class Commands(TyperGroup):
    """polo's own commands, then those of plugins, each imported when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        own = [name for name, target in COMMANDS.items() if importlib.util.find_spec(target.partition(":")[0])]
        return own + sorted(_plugin_commands())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        target = COMMANDS.get(cmd_name)
        if target is None:
            found = _plugin_commands().get(cmd_name)
            return None if found is None else _command(cmd_name, found)
        module, _, attribute = target.partition(":")
        if importlib.util.find_spec(module) is None:
            return None
        return _command(cmd_name, getattr(importlib.import_module(module), attribute))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PoloError as error:
            if ctx.meta.get(VERBOSE):
                traceback.print_exception(error)
            fail(error)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(INTERRUPTED)


def _command(name: str, function: Any) -> Any:
    if isinstance(function, typer.Typer):  # a group of commands
        group = typer.main.get_command(function)
        group.name = name
        return group
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(name)(function)
    return typer.main.get_command(app)


def _plugin_commands() -> dict[str, Any]:
    """Commands of plugins: name -> a function that imports the real one only when it is called for."""
    from polo.plugin.load import load_plugins

    found: dict[str, Any] = {}
    for record in load_plugins().records:
        for name, target in record.commands:
            if name in COMMANDS or name in found:
                continue  # the first one keeps the name; `polo plugins` shows who provides what
            try:
                found[name] = record.resolve(target)
            except Exception as error:  # a plugin's module may raise anything; its command is left out
                print(f"polo: command {name!r} of plugin {record.label} is broken: {error}", file=sys.stderr)
    return found


def fail(error: PoloError) -> NoReturn:
    """Prints an error on stderr and ends with its exit code."""
    from polo.cli.output import print_error

    print_error(error)
    sys.exit(error.exit_code)


def _version(value: bool) -> None:
    if value:
        from polo import __version__

        typer.echo(f"polo {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _polo(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Preference optimisation for LLM-based recommenders: one recipe, from YAML to an honest evaluation.

    Begin with: polo ls recipes
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the command ``polo``.

    Args:
        arguments: words of the command line; those of the process if not given.

    Raises:
        SystemExit: always: 0, 1 (failed), 2 (bad input), 130 (interrupted).
    """
    app(args=None if arguments is None else list(arguments), prog_name="polo")
