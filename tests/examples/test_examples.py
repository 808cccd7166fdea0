"""The plugins of examples/ as a third party's: their own tests, checks and recipes, in processes of their own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.plugin.trees import installed, run
from tests.repository.sources import ROOT, imports

EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/pyproject.toml"))


def test_there_are_a_sampler_with_a_loss_and_a_policy() -> None:
    assert [path.name for path in EXAMPLES] == ["polo-plugin-co-taken", "polo-plugin-two-tower"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_law_an_example_uses_what_a_third_party_may_use(example: Path) -> None:
    for path in (example / "src").rglob("*.py"):
        mine = {module for _, module, _ in imports(path) if module.startswith("polo")}
        assert mine <= {"polo", *(module for module in mine if module.startswith("polo_plugin_"))}, path


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_passes_its_tests_and_checks_and_runs_its_recipe(example: Path, tmp_path: Path) -> None:
    env = installed(example, tmp_path / "site")
    words = ["-q", "-p", "no:cacheprovider", "--doctest-modules", "src", "tests"]
    said = run(["pytest", *words, "-W", "error"], example, env | {"PYTHONDONTWRITEBYTECODE": "1"})
    assert re.search(r"\d+ passed", said)
    checked = run(["polo", "plugin", "check", example.name], tmp_path, env)
    assert "checks hold" in checked
    assert "fail" not in checked
    recipe = example.name.removeprefix("polo-plugin-").replace("-", "_") + "_toy"
    assert "model" in run(["polo", "run", recipe, "out=runs"], tmp_path, env)
