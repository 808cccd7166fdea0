"""What a policy offers so that its weights can be used without polo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Packed:
    """What a policy wrote into a folder for others, in words for its model card.

    Args:
        what: what it is, such as ``LoRA adapter of r = 8``.
        loading: lines of Python that load it from ``folder``, the name of where it lies.
        library: what the hub calls the library that loads it; empty for none.
        base: what it was trained from, as others call it: a hub id; empty where others have no name for it.
        relation: what it is to its base, in the hub's words, such as ``adapter`` or ``finetune``.
        needs: a folder of this machine that it cannot be loaded without; empty for none.
    """

    what: str
    loading: str
    library: str = ""
    base: str = ""
    relation: str = ""
    needs: str = ""


@runtime_checkable
class Packs(Protocol):
    """A policy whose weights can leave polo."""

    def pack(self, folder: Path, *, merged: bool, base: str | None) -> Packed:
        """Writes the weights in a form that other programs load.

        Args:
            folder: exists and is empty.
            merged: one model instead of what was trained beside a base.
            base: how others call the base, where the user says so.

        Raises:
            InputError: the policy has no such form; says why.
        """
