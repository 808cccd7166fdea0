"""The pictures of the pages are what the scripts of docs/tools draw, and small."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from docs.tools.collapse import draw, measured
from docs.tools.draw import PICTURES, PLACE


def test_there_is_no_picture_that_no_script_draws() -> None:
    assert {path.name for path in PLACE.iterdir()} == {f"{name}.svg" for name in (*PICTURES, "collapse")}
    assert max(path.stat().st_size for path in PLACE.iterdir()) < 20_000


@pytest.mark.parametrize("name", PICTURES)
def test_law_a_picture_is_what_the_script_draws(name: str) -> None:
    drawn = PICTURES[name]()
    ET.fromstring(drawn)
    assert drawn == (PLACE / f"{name}.svg").read_text("utf-8"), "python -m docs.tools.draw"


def test_the_collapse_is_drawn_from_what_a_run_measured(tmp_path: Path) -> None:
    told = [
        {
            "stage": stage,
            "step": step,
            "valid/hit_ratio@1": hits,
            "valid/hit_ratio@1/low": hits - 0.05,
            "valid/hit_ratio@1/high": hits + 0.05,
        }
        for stage, values in {"sft": (0.5, 0.6), "dmpo": (0.6, 0.4), "dynamicpo": (0.6, 0.58)}.items()
        for step, hits in zip((0, 10), values, strict=True)
    ]
    lines = [json.dumps(line) for line in [*told, {"stage": "dmpo", "step": 3, "loss": 0.7}]]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    stages = measured(tmp_path)
    assert [step for step, *_ in stages["dmpo"]] == [0, 10]
    drawn = draw(stages)
    ET.fromstring(drawn)
    assert "(0.40)" in drawn
    assert "(0.58)" in drawn
