"""``polo recommend``: what a trained model would recommend to someone with this history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polo.cli.common import JsonOption, NoPluginOption, PluginOption, TrustOption, open_recipe
from polo.cli.output import note, print_json, print_table
from polo.errors import InputError


def recommend(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.", show_default=False)],
    history: Annotated[str, typer.Option(metavar="'A; B; C'", help="Titles, oldest first.", show_default=False)],
    candidates: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Rank the titles of this file, one a line.", show_default=False)
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many to show.")] = 10,
    nodes: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Stop the search in the tree of titles after N nodes; places may be unproven then.",
            show_default=False,
        ),
    ] = None,
    scorer: Annotated[str, typer.Option(help="What scores, as in a recipe's evaluate.scorer.")] = "policy",
    decode: Annotated[
        bool,
        typer.Option(
            "--decode", help="Decode one title token by token instead of ranking all: quicker, another decision."
        ),
    ] = False,
    json: JsonOption = False,
    plugin: PluginOption = None,
    no_plugin: NoPluginOption = None,
    trust_plugins: TrustOption = False,
) -> None:
    """Rank the catalogue (or a file of titles) for a history. Titles may be misspelt a little.

    A text policy searches the catalogue for the best titles without scoring all of it, by itself or with a scorer that
    can. Each place is proven: a ranking
    of the whole catalogue has the same title there (unless --nodes stops the search). The probability is then that of
    the title among all texts; where every candidate is scored it is the share among the candidates.
    """
    from polo.store.runfolder import RunFolder

    folder = RunFolder.open(run)
    written = [title.strip() for title in history.split(";") if title.strip()]
    if not written:
        raise InputError("no title", where="--history", fix="give titles with ';' between them, oldest first")
    if nodes is not None and (candidates is not None or decode):
        raise InputError("nothing is searched with --candidates or --decode", where="--nodes", fix="drop --nodes")
    chosen = [f"evaluate.scorer={scorer}"]
    resolved, plugins = open_recipe(
        str(folder.path / "resolved.yaml"), chosen, "none", plugin, no_plugin, trust_plugins=trust_plugins
    )

    from polo.run.recommending import Recommender

    recommender = Recommender(resolved, plugins, folder)
    listed = None if candidates is None else _lines(candidates)
    asked = recommender.ask(written, listed, ("--history", str(candidates)))
    for text, title in asked.guessed:
        note(f"took {text!r} for {title!r}")
    if decode:
        chosen_title = recommender.decode(asked)
        if json:
            print_json({"history": recommender.titles(asked.history), "decoded": chosen_title})
        else:
            print(chosen_title)
        return
    found = recommender.rank(asked, top, nodes, search=scorer == "policy")
    if json:
        print_json({"history": found.history, "among": found.among, "ranked": found.ranked})
        return
    if not all(one["proven"] for one in found.ranked):
        note("the search was stopped: places that are not proven may belong to other titles")
    print_table(
        ["rank", "title", found.figure, "proven"],
        [
            [str(one["rank"]), str(one["title"]), f"{one[found.figure]:.4g}", "yes" if one["proven"] else "no"]
            for one in found.ranked
        ],
    )


def _lines(path: Path) -> list[str]:
    try:
        found = [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot be read: {error}", where=str(path), fix="give a text file, one title a line"
        ) from None
    if not found:
        raise InputError("holds no title", where=str(path), fix="one title a line")
    return found
