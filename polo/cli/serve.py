"""``polo serve``: a trained run behind HTTP. The service is in ``polo.serve``, its libraries in the extra `serve`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from polo.cli.common import NoPluginOption, PluginOption, TrustOption, open_recipe
from polo.errors import InputError
from polo.serve.questions import Limits

_DEFAULT = Limits()


def serve(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.", show_default=False)],
    host: Annotated[str, typer.Option(help="Where to listen; 0.0.0.0 is for all of the network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 8000,
    top: Annotated[int, typer.Option(min=1, help="Most places of an answer.")] = _DEFAULT.top,
    history: Annotated[int, typer.Option(min=1, help="Most titles of a history.")] = _DEFAULT.history,
    body: Annotated[int, typer.Option(min=1, help="Most bytes of a request.")] = _DEFAULT.body,
    seconds: Annotated[float, typer.Option(min=0.001, help="Longest time of a request.")] = _DEFAULT.seconds,
    waiting: Annotated[int, typer.Option(min=1, help="Most questions that wait.")] = _DEFAULT.waiting,
    together: Annotated[int, typer.Option(min=1, help="Most questions answered at once.")] = _DEFAULT.together,
    plugin: PluginOption = None,
    no_plugin: NoPluginOption = None,
    trust_plugins: TrustOption = False,
) -> None:
    """Answer questions over HTTP: POST /recommend, GET /health, GET /metrics.

    A question is {"history": ["TITLE", ...], "top": 10}, and may list "candidates". Answers are those of polo
    recommend. The first line on stdout is the address; SIGTERM or Ctrl-C ends it when what is under way is answered.
    """
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise InputError(
            f"serving needs {' and '.join(missing)}, not installed here", where="polo serve",
            fix="pip install 'polo-rec[serve]'",
        )  # fmt: skip
    from polo.store.runfolder import RunFolder

    folder = RunFolder.open(run)
    resolved, plugins = open_recipe(
        str(folder.path / "resolved.yaml"), (), "none", plugin, no_plugin, trust_plugins=trust_plugins
    )

    from polo.run.recommending import Recommender
    from polo.serve.app import application
    from polo.serve.server import address, bound
    from polo.serve.server import serve as answer

    limits = Limits(body=body, history=history, top=top, seconds=seconds, waiting=waiting, together=together)
    recommender = Recommender(resolved, plugins, folder)
    facts = {
        "run": folder.path.name,
        "policy": resolved.recipe.policy.name,
        "items": len(recommender.splits.items),
        "ranks": recommender.policy.pool,
    }
    listening = bound(host, port)
    answer(
        application(recommender, limits, facts), listening, seconds,
        lambda: print(address(listening), flush=True),
    )  # fmt: skip
