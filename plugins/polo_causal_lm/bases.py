"""Bases that exist already, and what a base may offer beyond its folder. Knows folders and hub ids."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from huggingface_hub import DryRunFileInfo, constants, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from polo import Context, InputError
from polo_causal_lm.folders import folder_hash
from polo_causal_lm.loading import check_folder
from polo_causal_lm.options import HubOptions
from polo_causal_lm.template import Template

#: what is fetched from the hub: no pickles, and no code unless it is trusted
_FILES, _CODE = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"), ("*.py",)

#: what the hub's client raises for an id that is not there, not allowed, or not to be reached
_NO_ANSWER = (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError)


@runtime_checkable
class TemplateAware(Protocol):
    """A base that is made for a prompt format; the policy tells it before it asks for its folder or fingerprint."""

    def prepare(self, template: Template) -> None:
        """Sets the words around titles."""


class Hub:
    """A hub id or a local folder. Local wins where a folder of that name exists."""

    def __init__(self, options: HubOptions, context: Context) -> None:
        self.options, self.context = options, context
        self._folder: Path | None = None
        self._wanted = list(_FILES)

    def trust(self) -> None:
        """Code that comes with the model is fetched too."""
        self._wanted = [*_FILES, *_CODE]

    def path(self) -> Path:
        if self._folder is None:
            self._folder = self._find()
            check_folder(self._folder)
        return self._folder

    def fingerprint(self) -> str:
        """sha256 of config, tokenizer and weights."""
        return folder_hash(self.path(), self.context.cache)

    @property
    def name(self) -> str:
        """What others load it by: the hub id, or the folder that the user gave."""
        local = self._local()
        return self.options.id if local is None else str(local)

    def foresee(self) -> list[str]:
        """What a run would fetch from the hub, or why it cannot; nothing for a folder. Downloads no weights.

        Raises:
            InputError: the id is a folder that is no base model.
        """
        name, local = self.options.id, self._local()
        if local is not None:
            check_folder(local)
            return []
        try:
            check_folder(self._fetch(local_only=True))
        except (*_NO_ANSWER, InputError):  # not there, or not whole
            pass
        else:
            return [f"base: {name} is in the local cache of Hugging Face models; nothing would be downloaded"]
        head = f"base: {name} is not (or not wholly) in the local cache of Hugging Face models"
        if constants.HF_HUB_OFFLINE:
            return [f"warning: {head} and HF_HUB_OFFLINE forbids a download: this run cannot have it"]
        try:
            files = self._missing()
        except _NO_ANSWER as error:
            return [f"warning: {head} and cannot be had from {constants.ENDPOINT}: {_first(error)}"]
        sizes = [file.file_size for file in files]
        known = sum(size for size in sizes if size is not None)
        size = f"{'at least ' if None in sizes else ''}{known / 1e9:.2f} GB" if known else "of unknown size"
        return [f"{head}: {len(files)} files, {size}, would be downloaded from {constants.ENDPOINT}"]

    def _local(self) -> Path | None:
        """The folder that the id means. A path-like name is never looked up elsewhere, so that a typing error in a
        path does not go to the network.
        """
        name = self.options.id
        local = Path(name).expanduser()
        if local.is_dir() or name.startswith((".", "/", "~")) or name.count("/") > 1:
            return local.absolute()
        return None

    def _fetch(self, *, local_only: bool = False) -> Path:
        name, revision = self.options.id, self.options.revision
        return Path(
            snapshot_download(name, revision=revision, allow_patterns=self._wanted, local_files_only=local_only)
        )

    def _missing(self) -> list[DryRunFileInfo]:
        name, revision = self.options.id, self.options.revision
        files = snapshot_download(name, revision=revision, allow_patterns=self._wanted, dry_run=True)
        return [file for file in files if file.will_download]

    def _find(self) -> Path:
        name, local = self.options.id, self._local()
        if local is not None:
            return local
        try:
            return self._fetch()
        except _NO_ANSWER as error:
            first = _first(error)
            raise InputError(
                f"cannot find the base model {name!r}: {first}",
                where="policy.base",
                fix="check the id and the network (gated models need `hf auth login`), or give a local folder",
            ) from error


def _first(error: BaseException) -> str:
    """The first line of what an error says."""
    said = str(error).strip()
    return said.splitlines()[0] if said else type(error).__name__
