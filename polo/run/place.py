"""Where a run goes on, or begins: a folder, or a URL of which this machine has a copy. Knows files; loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from polo.errors import InputError
from polo.run.compose import cache_dir
from polo.store.mirror import fetch, is_remote, working
from polo.store.runfolder import RunFolder


@dataclass(frozen=True)
class Place:
    """A folder or URL that the user names.

    Args:
        name: as it was given.
        begun: a run must have begun there, to go on; else it may also begin there.
    """

    name: str
    begun: bool

    @property
    def url(self) -> str | None:
        """Where else than on this machine the run is kept."""
        return self.name if is_remote(self.name) else None

    @property
    def folder(self) -> Path:
        """The folder of this machine in which the run takes place."""
        return working(self.name, cache_dir()) if is_remote(self.name) else Path(self.name)

    def fetch(self) -> None:
        """Copies what is kept elsewhere to this machine; one process of a machine does it, before others look.

        Raises:
            InputError: it cannot be read, or a run takes place in the copy.
        """
        if self.url is not None:
            copy = RunFolder(self.folder)
            if copy.path.is_dir():  # who goes on in it at this moment must not lose it
                copy.claim()
                copy.release()
            fetch(self.url, cache_dir())

    def resumed(self) -> RunFolder | None:
        """The run that began here, if one did.

        Raises:
            InputError: none did, and one must have.
        """
        if self.begun and self.url is not None and not RunFolder(self.folder).begun:
            raise InputError("no run is kept here that could go on", where=self.name, fix="look at the name")
        return RunFolder.open(self.folder) if self.begun or RunFolder(self.folder).begun else None


def new_place(out: str, name: str) -> Place | None:
    """A place for a new run where ``out`` is a URL; ``None`` where it is a folder, which gives runs their names."""
    return Place(f"{out.rstrip('/')}/{name}", begun=False) if is_remote(out) else None
