"""What a text policy starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable


@runtime_checkable
class Base(Protocol):
    """Makes or finds a base model."""

    def path(self) -> Path:
        """A folder with config, weights and tokenizer in Hugging Face form; makes it when it is not there yet."""

    def fingerprint(self) -> str:
        """Hash of the content, or of all that determines it."""


@runtime_checkable
class NamedBase(Protocol):
    """A base that others can have too, by a name: a hub id, or a folder that the user gave.

    One without a name (``None``, or no such attribute) is kept beside the run.
    """

    @property
    def name(self) -> str | None: ...
