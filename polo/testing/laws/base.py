"""What every base keeps."""

from __future__ import annotations

import json

from polo.protocols import Base
from polo.testing.subject import Subject


def makes_a_model_folder(subject: Subject) -> None:
    """`path()` is a folder with config, weights and a tokenizer in Hugging Face form."""
    base: Base = subject.new()
    folder = base.path()
    assert folder.is_dir(), f"path() is a folder, which {folder} is not"
    names = {file.name for file in folder.iterdir()}
    assert "config.json" in names, f"no config.json among {sorted(names)}"
    assert "model_type" in json.loads((folder / "config.json").read_text("utf-8")), "config.json names a model_type"
    assert any(name.endswith(".safetensors") for name in names), f"no weights (safetensors) among {sorted(names)}"
    assert any(name.startswith("tokenizer") for name in names), f"no tokenizer among {sorted(names)}"


def is_made_once(subject: Subject) -> None:
    """What was made is found again: the same folder, whose files nobody wrote anew."""
    first: Base = subject.new()
    folder = first.path()
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    second: Base = subject.new()
    assert second.path() == folder, "the same base is in the same folder"
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == before, "and is not made anew"


def fingerprint_is_stable(subject: Subject) -> None:
    """The fingerprint is a text that does not change once the base is made, nor with the object that tells it."""
    base: Base = subject.new()
    before = base.fingerprint()
    base.path()
    other: Base = subject.new()
    assert before, "a fingerprint"
    assert before == base.fingerprint() == other.fingerprint(), "the fingerprint stays the same"


LAWS = (makes_a_model_folder, is_made_once, fingerprint_is_stable)
