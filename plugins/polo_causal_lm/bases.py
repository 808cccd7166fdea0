"""Bases that exist already, and what a base may offer beyond its folder. Knows folders and hub ids."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from polo import Context, InputError
from polo_causal_lm.folders import folder_hash
from polo_causal_lm.loading import check_folder
from polo_causal_lm.options import HubOptions
from polo_causal_lm.template import Template

#: what is fetched from the hub: no pickles, no code
_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")


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

    def _local(self) -> Path | None:
        name = self.options.id
        local = Path(name).expanduser()
        # A path-like name is never looked up elsewhere, so that a typing error in a path does not go to the network.
        path_like = local.is_dir() or name.startswith((".", "/", "~")) or name.count("/") > 1
        return local.absolute() if path_like else None

    def _find(self) -> Path:
        name = self.options.id
        if (local := self._local()) is not None:
            return local
        try:
            return Path(snapshot_download(name, revision=self.options.revision, allow_patterns=list(_FILES)))
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise InputError(
                f"cannot find the base model {name!r}: {first}",
                where="policy.base",
                fix="check the id and the network (gated models need `hf auth login`), or give a local folder",
            ) from error
