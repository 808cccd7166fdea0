"""A run is killed with SIGKILL between any two changes of its files; going on ends with the very same bits.

What is on the disk changes only at these places, so dying anywhere else is dying at one of them.
"""

from __future__ import annotations

import json
import random
import signal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.run.faults.places import Polo, furnish, leftovers, run_folder

#: how many of the places lie in: the writing of a checkpoint, evaluation, anywhere else
POINTS = {"checkpoint": 6, "evaluation": 5, "elsewhere": 9}


def kind(change: str) -> str:
    path = change.partition(" ")[2]
    if "/checkpoints/" in path:
        return "checkpoint"
    return "evaluation" if "/eval" in path or path.endswith("results.json") else "elsewhere"


def outcome(run: Path) -> dict[str, Any]:
    """Everything that a run leaves, but for seconds."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {
        "metrics": [{k: v for k, v in line.items() if k != "seconds"} for line in lines],
        "results": json.loads((run / "results.json").read_text()),
        "weights": {
            str(path.relative_to(run)): path.read_bytes()
            for part in ("final", "stages")
            for path in sorted((run / part).rglob("*.safetensors"))
        },
        "eval": {path.name: pq.read_table(path).to_pydict() for path in sorted((run / "eval").glob("*.parquet"))},
        "names": sorted(path.name for path in run.iterdir()),
        "in eval": sorted(path.name for path in (run / "eval").iterdir()),
    }


@pytest.fixture(scope="module")
def whole(polo: Polo, base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[str]]:
    """What an uninterrupted run leaves, and its changes of files in their order."""
    place = furnish(tmp_path_factory.mktemp("whole") / "place", base)
    ended = polo(place, "run", "toy.yaml", changes=str(place.parent / "changes"))
    assert ended.code == 0, ended.said
    return outcome(run_folder(place)), (place.parent / "changes").read_text().splitlines()


@pytest.fixture(scope="module")
def points(whole: tuple[dict[str, Any], list[str]]) -> list[int]:
    chance = random.Random(20)
    chosen: list[int] = []
    for name, n in POINTS.items():
        chosen += chance.sample([i for i, change in enumerate(whole[1], start=1) if kind(change) == name], n)
    return chosen


@pytest.mark.parametrize("index", range(sum(POINTS.values())))
def test_going_on_after_sigkill_is_exact(
    polo: Polo, place: Path, whole: tuple[dict[str, Any], list[str]], points: list[int], index: int
) -> None:
    expected, changes = whole
    killed = polo(place, "run", "toy.yaml", die_at=points[index])
    assert killed.code == -signal.SIGKILL, killed.said
    found = list((place / "runs").glob("toy-*/resolved.yaml"))
    words = ["--resume", str(found[0].parent)] if found else []
    ended = polo(place, "run", "toy.yaml", *words)
    at = changes[points[index] - 1]
    assert ended.code == 0, f"killed at {at}: {ended.said}"
    folder = Path(ended.said.splitlines()[-1])
    assert outcome(folder) == expected, f"killed at {at}"
    assert not leftovers(folder), f"killed at {at}"


def test_a_run_that_is_killed_again_and_again_is_exact(
    polo: Polo, place: Path, whole: tuple[dict[str, Any], list[str]]
) -> None:
    """Every process dies at its 160th change of a file (an evaluation takes a hundred) until one reaches the end."""
    expected, changes = whole
    assert len(changes) > 320, len(changes)
    ended = polo(place, "run", "toy.yaml", die_at=160)
    deaths = 0
    while ended.code == -signal.SIGKILL:
        deaths += 1
        assert deaths < 20, "no progress between deaths"
        ended = polo(place, "run", "toy.yaml", "--resume", str(run_folder(place)), die_at=160)
    assert ended.code == 0, ended.said
    assert deaths >= 2
    assert outcome(run_folder(place)) == expected


#: an objective whose loss keeps a number for each user, which moves in every step
KEEPING = (
    "stages.prefer.sampler={use: uniform, k: 5}",
    "stages.prefer.beta={use: fixed, value: 0.1}",
    "stages.prefer.loss={use: drrl, reward: log_ratio, c: 2.0, eps: 0.0, threshold: -0.5, threshold_lr: 0.1}",
)


def test_what_a_loss_keeps_for_each_user_survives_sigkill_in_the_middle_of_an_epoch(
    polo: Polo, base: Path, tmp_path: Path
) -> None:
    """Killed while the checkpoint of step 4 is written, and right after it: the run goes on from step 2, and from 4."""
    place = furnish(tmp_path / "whole", base)
    ended = polo(place, "run", "toy.yaml", *KEEPING, changes=str(tmp_path / "changes"))
    assert ended.code == 0, ended.said
    expected = outcome(run_folder(place))
    changes = (tmp_path / "changes").read_text().splitlines()
    at = [i for i, change in enumerate(changes, start=1) if "prefer-4" in change]
    for name, point in (("during", at[len(at) // 2]), ("after", at[-1] + 1)):
        place = furnish(tmp_path / name, base)
        killed = polo(place, "run", "toy.yaml", *KEEPING, die_at=point)
        assert killed.code == -signal.SIGKILL, killed.said
        ended = polo(place, "run", "toy.yaml", *KEEPING, "--resume", str(run_folder(place)))
        assert ended.code == 0, ended.said
        assert "going on from step" in ended.said
        assert outcome(run_folder(place)) == expected, name
