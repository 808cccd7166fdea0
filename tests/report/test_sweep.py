"""The page of a sweep: whole, escaped, self-contained; axes of parallel coordinates; what lacks is left out."""

from __future__ import annotations

import re
from typing import Any

import pytest

from polo.report.svg import Axis, Thread, parallel
from polo.report.sweep import page
from polo.report.trials import Sweep, Trial
from tests.report.markup import check


def trial(number: int, value: float | None, lr: str, loss: str, **changes: Any) -> Trial:
    state = "done" if value is not None else "pruned"
    made = {"number": number, "state": state, "value": value, "last": None, "run": f"trial-{number:03d}-x",
            "settings": {"stages.prefer.lr": lr, "stages.prefer.loss": loss}}  # fmt: skip
    return Trial(**{**made, **changes})


TRIALS = [trial(0, 0.1, "0.0001", "a"), trial(1, 0.3, "0.01", "{use: b, x: <i>}"), trial(2, None, "0.001", "a"),
          trial(3, None, "0.002", "a", state="failed", error="row 7 <b>bad</b>")]  # fmt: skip


def made(**changes: Any) -> Sweep:
    facts = {"study": "u", "name": "<b>toy</b>", "metric": "mrr", "space": ["stages.prefer.lr=log(1e-4,1e-2)"],
             "log": ["stages.prefer.lr"], "sampler": "tpe", "trials": TRIALS,
             "importance": {"stages.prefer.lr": 0.75, "stages.prefer.loss": 0.25}}  # fmt: skip
    return Sweep(**{**facts, **changes})


def test_the_page_is_whole_escaped_and_needs_no_network() -> None:
    text = page(made(), "polo sweep 'x & y'")
    tags = check(text).seen
    assert tags.count("main") == 1
    assert tags.count("figure") == 3, "parallel coordinates, best so far, importance; no cost is known"
    assert "<b>" not in text
    assert "<i>" not in text
    assert "row 7 &lt;b&gt;bad" in text
    assert "x &amp; y" in text
    assert "4 trials (2 done, 1 pruned, 1 failed)" in " ".join(text.split())
    assert not re.search(r"""(src|href)=["']?(https?:)?//|@import|url\(""", text)


def test_a_line_of_the_figure_goes_through_its_settings() -> None:
    """Of lr 1e-4, 1e-2 and 1e-3 the last lies half way by factors; the pruned trial ends before the last axis."""
    text = page(made(), "")
    lines = {m[1]: m[0] for m in re.findall(r'points="([^"]*)"[^>]*><title>trial (\d)', text)}
    assert sorted(lines) == ["0", "1", "2"], "a trial that failed has no line"
    heights = {n: [float(point.split(",")[1]) for point in points.split()] for n, points in lines.items()}
    assert heights["2"][0] == pytest.approx((heights["0"][0] + heights["1"][0]) / 2, abs=0.1)
    assert [len(heights[n]) for n in "012"] == [3, 3, 2]
    assert heights["1"][2] < heights["0"][2], "higher is better"
    assert re.search(r'class="line1"[^>]*><title>trial 1', text), "the best one stands out"


@pytest.mark.parametrize(
    "changes",
    [{"importance": {}}, {"trials": TRIALS[:1]}, {"trials": TRIALS[2:]}, {"trials": [TRIALS[1], TRIALS[1]]}],
)
def test_a_sweep_that_lacks_something_is_shown_all_the_same(changes: dict[str, Any]) -> None:
    assert check(page(made(**changes), "")).seen


def test_one_axis_alone_is_no_figure() -> None:
    axis = Axis("a", [("x", 0.0)])
    assert parallel("t", [axis], [Thread([0.5], 1.0, "n")]) == ""
    assert parallel("t", [axis, axis], []) == ""
    assert "a &lt; b" in parallel("t", [axis, Axis("a < b", [])], [Thread([0.5, 1.0], 1.0, "n")])
