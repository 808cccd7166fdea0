"""A finished run's weights as a folder that others use without polo, with its model card. Knows runs and policies."""

from __future__ import annotations

from pathlib import Path

from polo.errors import InputError
from polo.protocols import Packed, Packs, Policy
from polo.report.card import card
from polo.store.files import whole_folder, write_bytes
from polo.store.runfolder import RunFolder


def free(folder: Path) -> None:
    """Refuses a place that holds something.

    Raises:
        InputError: it is a file, or a folder that is not empty.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError("exists already and is no folder", where=str(folder), fix="name another place")
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError("this folder is not empty", where=str(folder), fix="name another one")


def leave(
    policy: Policy, run: RunFolder, folder: Path, *, merged: bool, base: str | None = None, hub: str | None = None
) -> Packed:
    """Writes a trained policy and its card to ``folder``, which appears whole or not at all.

    Args:
        policy: with its final weights.
        run: where they come from.
        folder: is not there, or empty.
        merged: one model instead of what was trained beside a base.
        base: how others call the base, where the user says so.
        hub: the id that it gets on a hub, if it goes there.

    Raises:
        InputError: the place is taken, the policy has no such form, or it would hang on a folder of this machine.
    """
    free(folder)
    if not isinstance(policy, Packs):
        raise InputError(
            f"policies of type {type(policy).__name__} do not say how their weights leave polo",
            where=str(run.path),
            fix="its author can offer polo.Packs; the weights as polo reads them are in the run's folder `final`",
        )
    with whole_folder(folder, replace=False) as work:
        made = work.stat().st_ino
        packed = policy.pack(work, merged=merged, base=base)
        if hub and packed.needs:
            raise InputError(
                f"it stands on a folder of this machine, which nobody else has: {packed.needs}",
                where="--push",
                fix="--merged makes one model of both; --base ORG/NAME says where others find the base",
            )
        told = card(run.path, packed, name=hub or folder.name, hub=hub is not None)
        write_bytes(work / "README.md", told.encode("utf-8", "replace"))
    if folder.stat().st_ino != made:  # somebody else wrote there meanwhile
        raise InputError("this folder is not empty any more", where=str(folder), fix="name another one")
    return packed
