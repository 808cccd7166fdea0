"""The report: complete, escaped, self-contained; drawings have words for those who do not see them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polo.report.page import page
from polo.report.svg import bars, lines, thinned, ticks
from polo.store.files import write_json
from tests.report.folders import write_run
from tests.report.markup import check


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = write_run(tmp_path / "a", strength=1)
    finding = {"figure": 1.0, "meaning": "One order <b>explains</b> all.", "fix": "take other data"}
    checks = [{"name": "ties", "verdict": "ok", **finding}, {"name": "order", "verdict": "fail", **finding}]
    write_json(folder / "audits.json", {"checks": checks})
    steps = [{"stage": "prefer", "step": i, "loss": 1 - i / 10, "valid/loss": 1 - i / 10,
              "valid/hit_ratio@1": 0.5 - i / 20, "valid/collapse": float(i == 3)} for i in range(4)]  # fmt: skip
    (folder / "metrics.jsonl").write_text("".join(json.dumps(s) + "\n" for s in steps))
    listed = [{"title": "<script>alert(1)</script>", "probability": 0.9}, {"title": "B & C", "probability": 0.1}]
    example = {"row": 7, "user": 0, "history": ["A"], "target": "B & C", "rank": 2.0, "candidates": listed}
    write_json(folder / "eval" / "examples.json", [example])
    return folder


def test_the_page_is_whole_small_and_needs_no_network(run: Path) -> None:
    text = page([run])
    tags = check(text).seen
    assert tags.count("main") == 1
    assert len(text.encode()) < 2_000_000
    assert not re.search(r"""(src|href)=["']?(https?:)?//|@import|url\(""", text)
    assert "prefers-color-scheme:dark" in text


def test_every_table_scrolls_in_a_box_of_its_own(run: Path) -> None:
    text = page([run])
    assert text.count("<table") == len(re.findall(r'<div class="scroll" [^>]*><table', text)) > 0
    assert ".scroll{overflow-x:auto" in text


def overhang(text: str, folder: Path, width: int) -> tuple[int, int]:
    """Pixels by which the page, and the widest of its tables, are wider than a frame of ``width`` in a browser."""
    (folder / "report.html").write_text(text, "utf-8")
    measures = (
        "const page=frame.contentDocument,over=e=>e.scrollWidth-e.clientWidth;"
        "document.title='page '+over(page.documentElement)"
        "+' tables '+Math.max(...[...page.querySelectorAll('.scroll')].map(over))"
    )
    (folder / "frame.html").write_text(
        f'<iframe id="frame" src="report.html" style="width:{width}px;height:900px;border:0" onload="{measures}">'
    )
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--allow-file-access-from-files",
        "--window-size=1400,900",
    ]
    command = ["chromium", *options, f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    said = subprocess.run([*command, f"file://{folder}/frame.html"], capture_output=True, text=True, timeout=120)
    found = re.search(r"<title>page (-?\d+) tables (-?\d+)</title>", said.stdout)
    assert found is not None, said.stdout[-500:] + said.stderr[-500:]
    return int(found[1]), int(found[2])


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_never_scrolls_sideways_in_a_browser(run: Path, tmp_path: Path, width: int) -> None:
    """Not for a name without a place to break either; at the width of a laptop the tables have room as well."""
    page_over, tables_over = overhang(page([run]), tmp_path, width)
    assert page_over <= 0
    assert width == 390 or tables_over <= 0
    long = write_run(tmp_path / "long", strength=1, name="W" * 184)
    assert overhang(page([run, long]), tmp_path, width)[0] <= 0


def test_the_curve_of_the_hit_ratio_has_its_interval(run: Path) -> None:
    figures = [{"stage": "prefer", "step": i, "valid/hit_ratio@1": 0.5, "valid/hit_ratio@1/low": 0.4 - i / 100,
                "valid/hit_ratio@1/high": 0.6} for i in range(3)]  # fmt: skip
    (run / "metrics.jsonl").write_text("".join(json.dumps(s) + "\n" for s in figures))
    corners = re.findall(r'<polygon class="band0" points="([^"]*)"', page([run]))
    assert len(corners) == 1
    places = [tuple(float(x) for x in point.split(",")) for point in corners[0].split()]
    assert len(places) == 6
    assert len({y for _, y in places[:3]}) == 1, "the upper end, left to right, is level"
    assert places[3][1] > places[4][1] > places[5][1], "the lower end, right to left, rises"


def test_a_failed_audit_stands_at_the_top_and_beside_the_numbers(run: Path) -> None:
    text = page([run])
    assert text.index("<h2>Audits</h2>") < text.index('id="results"') < text.index("failed audits in mind: order")
    assert text.index("failed audits in mind") < text.index("<table")
    assert text.index(">fail<") < text.index("1 audits are ok")


def test_what_the_run_says_is_words_not_markup(run: Path) -> None:
    text = page([run])
    assert "<script>alert(1)" not in text
    assert "&lt;b&gt;explains" in text
    assert "B &amp; C" in text


def test_law_markup_in_any_word_of_a_run_stays_words(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>"
    folder = write_run(tmp_path / "a", strength=1, name=evil, method=evil, changes={"data": evil, "negatives": evil})
    (folder / "resolved.yaml").write_text(f"name: {evil}")
    (folder / "metrics.jsonl").write_text(
        "".join(json.dumps({"stage": evil, "step": i, "loss": i, "valid/loss": i}) + "\n" for i in range(3))
    )
    finding = {"figure": 1.0, "meaning": evil, "fix": evil}
    write_json(folder / "audits.json", {"checks": [{"name": evil, "verdict": "fail", **finding}]})
    like = write_run(tmp_path / "b", strength=2, name="b", method="ipo", changes={"data": evil, "negatives": evil})
    for runs in ([folder], [folder, like]):
        text = page(runs)
        check(text)
        assert text.count("<script>") == 1, "the one that sorts"
        assert text.count("&lt;script&gt;") > 8


def test_collapse_is_told_in_words_too(run: Path) -> None:
    assert "Preference optimisation collapse" in page([run])


def test_several_runs_are_compared_or_it_is_said_why_not(run: Path, tmp_path: Path) -> None:
    like = write_run(tmp_path / "b", strength=2, name="b", method="ipo")
    unlike = write_run(tmp_path / "c", strength=2, name="c", changes={"n": 20})
    assert "p (Holm)" in page([run, like])
    assert "n: 10 and 20" in page([run, unlike])
    check(page([run, like, unlike]))


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_law_ticks_are_few_and_inside(low: float, width: float) -> None:
    found = ticks(low, low + width)
    assert 2 <= len(found) <= 7
    assert all(low - 1e-6 * width <= t <= low + width + 1e-6 * width for t in found)
    steps = [b - a for a, b in pairwise(found)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-3)
    assert f"{steps[0]:.0e}"[0] in "125", "a step that people count in"


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=30), st.integers(1, 10))
def test_law_thinning_keeps_the_mean(values: list[float], most: int) -> None:
    """Of both coordinates, when each point counts as often as there are points that it stands for."""
    found = thinned([(float(i), v) for i, v in enumerate(values)], most)
    assert len(found) <= most
    each = round(2 * found[0][0]) + 1  # the first stands for 0 to each - 1, whose mean is half of the last
    weights = [each] * (len(found) - 1) + [len(values) - each * (len(found) - 1)]
    assert weights[-1] >= 1
    assert np.average([x for x, _ in found], weights=weights) == pytest.approx((len(values) - 1) / 2)
    assert np.average([y for _, y in found], weights=weights) == pytest.approx(np.mean(values), abs=1e-9)


def test_plots_have_titles_descriptions_and_no_colour_of_their_own() -> None:
    for text in (
        lines("Loss", {"loss": [(0, 1.0), (1, 0.5)]}, "step"),
        bars("Hits", ["1", "2"], {"a": [0.1, 0.2]}, "k"),
    ):
        tags = check(text).seen
        assert {"title", "desc", "figcaption"} <= set(tags)
        assert "#" not in text
    assert lines("nothing", {"a": [(0, 1.0)]}, "") == bars("nothing", [], {}, "") == ""
