"""``polo audit``, called as a shell calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from polo.cli import main
from polo.cli.audit import FAILED
from tests.real_data import real_data

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def polo(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def test_json_holds_name_figure_verdict_meaning_and_fix_of_each_check(polo: Run) -> None:
    code, out, _ = polo("audit", "demo", "data.users=60", "data.items=200", "--json", "--strict")
    assert code == 0
    checks = json.loads(out)["checks"]
    assert {check["name"] for check in checks} >= {"order", "overlap", "overlap_file", "false_negatives", "leakage"}
    for check in checks:
        assert list(check) == ["name", "figure", "verdict", "meaning", "fix"]
        assert check["verdict"] in ("ok", "warn", "fail")
        assert check["meaning"].endswith(".")


def test_a_recipe_and_its_data_alone_get_the_same_verdicts(polo: Run) -> None:
    small = ("data.users=60", "data.items=200", "--json")
    _, of_data, _ = polo("audit", "demo", *small)
    _, of_recipe, _ = polo("audit", "quickstart", *small)
    assert json.loads(of_data) == json.loads(of_recipe)


def test_a_profile_is_taken_as_by_run(polo: Run, tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    text = (Path("recipes") / "quickstart.yaml").read_text()
    recipe.write_text(f"{text}\nprofiles:\n  short: {{candidates: {{n: 5000}}}}\n")
    assert polo("audit", str(recipe), "data.users=60", "data.items=200", "--profile", "none")[0] == 0
    code, _, err = polo("audit", str(recipe), "data.users=60", "data.items=200", "--profile", "short")
    assert code == 2
    assert "fewer candidates than asked" in err


def test_strict_ends_with_three_where_a_check_fails(polo: Run) -> None:
    path = real_data("lastfm-hetrec")
    words = ("audit", "lastfm", f"data.path={path}")
    assert polo(*words)[0] == 0
    code, out, _ = polo(*words, "--strict")
    assert code == FAILED == 3
    assert "order: fail" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing_such"], "neither a recipe nor a data source"),
        (["demo", "data.userz=3"], "users"),
        (["demo", "candidates.negatives=file"], "no candidate lists"),
        (["demo", "--profile", "short"], "no profile 'short'"),
        (["demo", "data.users=60", "candidates.n=5000"], "fewer candidates than asked"),
    ],
)
def test_bad_input_ends_with_two_and_a_remedy(polo: Run, words: list[str], said: str) -> None:
    code, _, err = polo("audit", *words)
    assert code == 2
    assert said in err
