"""The page of a diagnosis: whole, escaped, self-contained; figures of the table."""

from __future__ import annotations

import math
import re

import pytest

from polo.report.diagnosis import Diagnosed, Seen, cells, columns, page
from tests.report.markup import check


def seen(condition: float = 10.0, zero: bool = False) -> Seen:
    lengths = [0.0 if zero else 1.0 + i / 50 for i in range(101)]
    return Seen(lengths, 3.0, 0.5, 0.25, condition, [1.0, 0.1, 0.0])


def rung(name: str, **changes: object) -> Diagnosed:
    losses = {"fit": [(float(i), 2.0 - i / 100) for i in range(100)]}
    made = {"name": name, "run": "toy-1", "changes": ("policy.x={use: y}",), "losses": losses,
            "start": seen(2.5e7), "end": seen(), "figures": {"recall@10": 0.0523, "mrr": 0.1}}  # fmt: skip
    return Diagnosed(**{**made, **changes})  # type: ignore[arg-type]


def test_a_line_has_the_mean_of_the_last_tenth_and_the_first_metric() -> None:
    """Losses 2 - i / 100 for i = 90 ... 99 have the mean 2 - 0.945 = 1.055."""
    assert [cell.text for cell in cells(rung("pca"))] == [
        "pca", "1.055", "2.5e7", "10", "3", "0.500", "0.250", "0.0523",
    ]  # fmt: skip
    assert columns([rung("pca")])[-1] == "recall@10"
    assert columns([rung("pca", figures={})])[-1] == "agree"
    assert math.isnan(rung("pca", losses={"fit": []}).final_loss)


def test_a_line_fits_a_terminal_of_80_columns() -> None:
    found = [rung("rec_pca + norm"), rung("no encoder", start=seen(1e12))]
    rows = [columns(found), *([cell.text for cell in cells(one)] for one in found)]
    assert sum(max(map(len, column)) + 2 for column in zip(*rows, strict=True)) - 2 <= 80


def test_the_page_is_whole_escaped_and_needs_no_network() -> None:
    names = ["<b>raw</b>", *(f"rung {i}" for i in range(8))]
    text = page("<i>toy</i>", [rung(name) for name in names], {"raw": "6 < 8"}, "polo diagnose 'x & y'")
    tags = check(text).seen
    assert tags.count("main") == 1
    assert tags.count("figure") == 7
    assert tags.count("polyline") >= 5 * len(names)
    assert "<b>raw" not in text
    assert "&lt;b&gt;raw" in text
    assert "x &amp; y" in text
    assert text.count("<strong>kappa</strong>: condition number") == 1
    assert not re.search(r"""(src|href)=["']?(https?:)?//|@import|url\(""", text)
    assert {f"line{i}" for i in range(8)} <= set(re.findall(r'class="(line\d)"', text))
    assert "line8" not in text
    assert [text.count(f">rung {i}</text>") for i in range(8)] == [2] * 8, "each stands under its bars, in both figures"


@pytest.mark.parametrize("changes", [{"losses": {}}, {"start": seen(zero=True)}, {"figures": {}}])
def test_a_rung_that_lacks_something_is_shown_all_the_same(changes: dict[str, object]) -> None:
    if "losses" in changes:
        changes = {"losses": {"fit": []}}
    assert check(page("toy", [rung("a", **changes), rung("b")], {}, "")).seen
