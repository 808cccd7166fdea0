"""Where real data lies on this machine, for tests that measure on it. Such tests are skipped where there is none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polo import Context

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


def real_data(name: str) -> str:
    """Folder ``name`` of ``$POLO_DATA`` (or of ``../shared/data``); skips the test if it is not there."""
    home = Path(os.environ.get("POLO_DATA") or _BESIDE)
    if not (home / name).is_dir():
        pytest.skip(f"no {name} under {home} (set POLO_DATA)")
    return str(home / name)


def context(cache: Path, say: Callable[[str], None] = lambda line: None) -> Context:
    """A context for components that build no others."""

    def build(choice: Any) -> Any:
        raise AssertionError(f"nothing is built here, least of all {choice}")

    return Context(seed=0, cache=cache, build=build, say=say)
