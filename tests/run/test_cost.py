"""What a run says that it cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from polo.store.cost import cpu_seconds, read_cost
from tests.run.toy import Main


def test_a_run_from_the_cache_tells_what_its_stages_cost_where_they_were_trained(
    original: tuple[Path, str], polo: Main, toy: Path
) -> None:
    code, out, err = polo("run", toy)
    assert code == 0, err
    assert "prefer: taken from the cache" in err
    first, again = read_cost(original[0]), read_cost(Path(out.strip().splitlines()[-1]))
    assert first is not None
    assert again is not None
    assert list(again["stages"]) == ["sft", "prefer"]
    assert all(stage is not None and stage["cpu_seconds"] > 0 for stage in again["stages"].values())
    assert again["stages"] == first["stages"]
    assert {"start", "evaluation"} <= set(again)
    assert {"model", "sft", "markov"} <= set(again["systems"])
    alone, both = cpu_seconds([first]), cpu_seconds([first, again])
    assert alone is not None
    assert both is not None
    own = again["start"]["cpu_seconds"] + again["evaluation"]["cpu_seconds"]
    assert both == pytest.approx(alone + own), "a stage that both share is counted once"
