"""What is broken, and which tests should notice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Area:
    """Sources, as patterns from the root of the repository, and the tests that judge them, quick ones first."""

    sources: Sequence[str]
    tests: Sequence[str]


AREAS = {
    "losses": Area(
        [
            "plugins/polo_preference/losses/*.py",
            "plugins/polo_preference/betas/*.py",
            "plugins/polo_lpo/heads.py",
            "plugins/polo_lpo/pairs.py",
            "plugins/polo_dynamicpo/dual_margin.py",
            "plugins/polo_drrl/*.py",
        ],
        [
            "tests/polo_preference",
            "tests/polo_lpo",
            "tests/polo_dynamicpo",
            "tests/polo_drrl",
            "tests/contracts",
        ],
    ),
    "selection": Area(
        [
            "plugins/polo_preference/samplers/*.py",
            "plugins/polo_dynamicpo/boundary.py",
            "plugins/polo_dynamicpo/clustering.py",
            "polo/candidates.py",
            "polo/distinct.py",
            "polo/randomness.py",
        ],
        [
            "tests/polo_preference",
            "tests/polo_dynamicpo",
            "tests/test_candidates.py",
            "tests/test_distinct.py",
            "tests/contracts",
        ],
    ),
    "passes": Area(
        ["polo/model/passes.py", "polo/model/scoring.py", "polo/train/step.py", "polo/scores.py"],
        [
            "tests/test_scores.py",
            "tests/train/test_step.py",
            "tests/train/test_judging.py",
            "tests/train/test_processes.py",
            "tests/model",
            "tests/polo_backbones/test_catalogue.py",
            "tests/train/test_loop.py",
            "tests/evaluate",
        ],
    ),
    "checkpoint": Area(
        ["polo/train/checkpoint.py", "polo/store/files.py", "polo/model/weights.py"],
        ["tests/store", "tests/train", "tests/model"],
    ),
    "fingerprint": Area(
        ["polo/run/fingerprint.py", "polo/run/imports.py"],
        ["tests/run/test_imports.py", "tests/run/test_fingerprint.py"],
    ),
}
