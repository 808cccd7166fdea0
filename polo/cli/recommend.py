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

    A text policy searches the catalogue for the best titles without scoring all of it. Each place is proven: a ranking
    of the whole catalogue has the same title there (unless --nodes stops the search). The probability is then that of
    the title among all texts; where every candidate is scored it is the share among the candidates.
    """
    from polo.store.runfolder import RunFolder

    folder = RunFolder.open(run)
    written = [title.strip() for title in history.split(";") if title.strip()]
    if not written:
        raise InputError("no title", where="--history", fix="give titles with ';' between them, oldest first")
    searching = candidates is None and scorer == "policy" and not decode
    if nodes is not None and not searching:
        raise InputError(
            "nothing is searched with --candidates, --decode or another scorer", where="--nodes", fix="drop --nodes"
        )
    chosen = [f"evaluate.scorer={scorer}"]
    resolved, plugins = open_recipe(
        str(folder.path / "resolved.yaml"), chosen, "none", plugin, no_plugin, trust_plugins=trust_plugins
    )

    import numpy as np

    from polo.console import Console
    from polo.data import PAD
    from polo.evaluate.recommend import asked, best, decoder, match_titles, rank
    from polo.evaluate.recommend import decode as decoded
    from polo.protocols import TopItems
    from polo.run.compose import Composer
    from polo.run.run import accelerator_of
    from polo.store.provenance import same_base

    if not folder.final.is_dir():
        raise InputError(
            "this run has no final weights yet", where=str(folder.final), fix="polo run RECIPE --resume RUN goes on"
        )
    folder.intact(folder.final)
    device = str(accelerator_of(resolved.recipe).device)
    composer = Composer(resolved, plugins.catalogue, Console(), device, run=folder.path)
    splits = composer.data()
    if splits.own is not None:
        raise InputError(
            f"recommending needs a catalogue; in data '{splits.name}' each answer belongs to its row",
            where=str(folder.path),
            fix="look at eval/examples.json, or score answers with polo eval",
        )
    shown = match_titles(written, splits.items, "--history")
    guessed = list(shown.guessed)
    if candidates is not None:
        listed = match_titles(_lines(candidates), splits.items, str(candidates))
        guessed += listed.guessed
        pool = np.unique(listed.items)
    else:
        pool = np.setdiff1d(np.arange(len(splits.items)), shown.items)
    for text, title in guessed:
        note(f"took {text!r} for {title!r}")
    policy = composer.policy()
    same_base(folder.path, policy)
    if policy.pool == "candidates" and candidates is None:
        raise InputError(
            "this policy ranks a list that it is shown, not the whole catalogue",
            where="--candidates",
            fix=f"give a file with about {resolved.recipe.candidates.n} titles, one a line",
        )
    policy.load(folder.final)
    by, row = composer.scorer(), asked(policy, shown.items, splits.test.history.shape[1], pool)
    titles = splits.items.titles
    said: dict[str, object] = {"history": [titles[i] for i in shown.items.tolist()]}
    if decode:
        item = decoded(decoder(by, plugins.catalogue.tagged("scorer", "decode")), policy, row, pool)
        if json:
            print_json({**said, "decoded": titles[item]})
        else:
            print(titles[item])
        return
    if nodes is not None and not isinstance(policy, TopItems):
        raise InputError("this policy does not search, it scores every item", where="--nodes", fix="drop --nodes")
    if searching and isinstance(policy, TopItems):
        found = best(policy, row, top, shown.items, nodes)
        there = found.items[0] != PAD
        items, proven = found.items[0][there], found.proven[0][there]
        name, among = ("probability", "all texts") if policy.unit == "logprob" else ("score", None)
        figure = np.exp(found.scores[0][there]) if among else found.scores[0][there]
    else:
        items, figure = rank(by, policy, row, pool)
        name, among, proven = "probability", "candidates", np.ones(len(items), np.bool_)
    ranked = [
        {"rank": place, "title": titles[item], name: value, "proven": sure}
        for place, (item, value, sure) in enumerate(
            zip(items[:top].tolist(), figure.tolist(), proven.tolist(), strict=False), start=1
        )
    ]
    if json:
        print_json({**said, "among": among, "ranked": ranked})
        return
    if not all(one["proven"] for one in ranked):
        note("the search was stopped: places that are not proven may belong to other titles")
    print_table(
        ["rank", "title", name, "proven"],
        [[str(one["rank"]), str(one["title"]), f"{one[name]:.4g}", "yes" if one["proven"] else "no"] for one in ranked],
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
