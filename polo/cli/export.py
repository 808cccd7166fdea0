"""``polo export``: a finished run's weights for those who have no polo. The work is in ``polo.run.leaving``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from polo.cli.common import NoPluginOption, PluginOption, TrustOption, open_recipe
from polo.cli.output import note, print_text
from polo.errors import InputError


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.", show_default=False)],
    to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where it goes: a new or an empty folder.", show_default=False)
    ] = None,
    merged: Annotated[
        bool, typer.Option("--merged", help="One model, adapters merged into their base, which engines serve as it is.")
    ] = False,
    base: Annotated[
        str | None,
        typer.Option(metavar="ORG/NAME", help="How others call the base, if it is a folder here.", show_default=False),
    ] = None,
    push: Annotated[
        str | None, typer.Option(metavar="ORG/NAME", help="Put it onto the Hugging Face hub.", show_default=False)
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="With --push: a new repository is private.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="With --push: replace the files that the repository has.")
    ] = False,
    plugin: PluginOption = None,
    no_plugin: NoPluginOption = None,
    trust_plugins: TrustOption = False,
) -> None:
    """Write a run's weights with a model card: an adapter for peft, a model, or vectors of items.

    The card tells the protocol, every system's figures with intervals, the audits, the recipe and the versions.
    """
    from polo.store.hub import check_id
    from polo.store.hub import push as put

    if to is None and push is None:
        raise InputError("nowhere to go", where="--to", fix="--to DIR, --push ORG/NAME, or both")
    if push is None and (private or replace):
        raise InputError("is about a repository", where="--private" if private else "--replace", fix="add --push")
    if push is not None:
        check_id(push)
    if to is not None:
        from polo.run.leaving import free

        free(to)
    from polo.store.runfolder import RunFolder

    folder = RunFolder.open(run)
    if not (folder.path / "results.json").is_file():
        raise InputError("this run has not ended", where=str(run), fix="polo run RECIPE --resume RUN goes on")
    resolved, plugins = open_recipe(
        str(folder.path / "resolved.yaml"), (), "none", plugin, no_plugin, trust_plugins=trust_plugins
    )

    from polo.run.leaving import leave
    from polo.run.recommending import Recommender

    policy = Recommender(resolved, plugins, folder).policy
    with tempfile.TemporaryDirectory(prefix="polo-export-") as temporary:
        place = to or Path(temporary) / "export"
        packed = leave(policy, folder, place, merged=merged, base=base, hub=push)
        if packed.needs:
            note(f"it is loaded beside its base, {packed.needs}; --base or --merged frees it of that folder")
        if push is None:
            print_text(str(to))
            return
        if to is not None:
            note(f"the export is in {to}", "")
        address = put(place, push, private=private, replace=replace, message=f"{resolved.recipe.name}, by polo")
    print_text(address)
