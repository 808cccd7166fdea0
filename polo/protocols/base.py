"""What a text policy starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable


@runtime_checkable
class Base(Protocol):
    """Makes or finds a base model."""

    def path(self) -> Path:
        """A folder with config, weights and tokenizer in Hugging Face form; makes it when it is not there yet.

        A base that others can have too says by which name in an attribute ``name`` (a hub id, a folder that the user
        gave); one without is kept beside the run.
        """

    def fingerprint(self) -> str:
        """Hash of the content, or of all that determines it."""
