"""Every component that polo ships passes the checks of its kind, as a third party's would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from polo.errors import InputError
from polo.plugin.component import KINDS
from polo.plugin.load import load_plugins
from polo.testing import check_component

STAND_IN = "polo-testing/stand_in"
TINY = {"hidden": 16, "layers": 1, "heads": 2, "vocab": 300, "epochs": 1}
#: options that must be given, or that make the check a quick one
OPTIONS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("base", "tiny_lm"): TINY,
    ("data", "demo"): {"users": 40},
    ("encoder", "lsa"): {"k": 8, "min_items": 1},
    ("baseline", "content_knn"): {"encoder": STAND_IN},
    ("encoder", "norm"): {"from": STAND_IN},
    **{("encoder", name): {"from": STAND_IN, "k": 3} for name in ("pca", "whiten", "rec_pca")},
    ("loss", "sum"): {"of": [{"loss": "dmpo"}, {"loss": "sft", "weight": 0.5}]},
    ("policy", "causal_lm"): {"base": {"use": "tiny_lm", **TINY}, "dtype": "float64"},
}
#: components that need something that no made-up world has, and what tests them instead
APART = {
    ("base", "hub"): "needs a model: tests/polo_causal_lm",
    ("baseline", "run"): "needs a finished run: tests/polo_baselines",
    ("data", "cf"): "needs files: below",
    ("data", "preferences"): "needs files, and has no catalogue: tests/polo_datasets/test_preferences.py",
    ("data", "recbole"): "needs files: below",
    ("data", "rows"): "needs files: below",
    ("encoder", "file"): "needs a file: test_encoders.py",
    ("encoder", "text_encoder"): "needs a model: tests/polo_tfllmer",
    ("data", "sequences"): "needs files: tests/polo_datasets/test_sequences.py",
    ("launcher", "ray"): "needs Ray: session ray",
    ("tracker", "mlflow"): "needs its library: session trackers",
    ("tracker", "tensorboard"): "needs its library: session trackers",
    ("tracker", "trackio"): "needs its library: session trackers",
    ("tracker", "wandb"): "needs its library: session trackers",
    ("scorer", "vllm"): "needs vLLM: session vllm",
}
#: real data
SLOW = {("data", "lastfm"), ("data", "ml100k")}


def every() -> list[Any]:
    plugins, cases = load_plugins(only=()), []
    for kind in KINDS:
        for name in plugins.catalogue.names(kind):
            if (kind, name) not in APART:
                marks = [pytest.mark.slow] if (kind, name) in SLOW else []
                cases.append(pytest.param(kind, name, id=f"{kind}/{name}", marks=marks))
    return cases


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("kind", "name"), every())
def test_every_component_passes_its_checks(kind: str, name: str) -> None:
    checks = list(check_component(kind, name, OPTIONS.get((kind, name)), plugins=load_plugins(only=())))
    assert len(checks) > 5
    for check in checks:
        try:
            check()
        except InputError as error:
            if (kind, name) in SLOW:
                pytest.skip(str(error))
            raise


def test_rows_of_files_pass_the_checks(tmp_path) -> None:
    lines = [f"{user},item {(user * 3 + step) % 20},{step}" for user in range(12) for step in range(8)]
    (tmp_path / "events.csv").write_text("\n".join(["user,item,timestamp", *lines]))
    titles = [f"item {i},Title {i}" for i in range(20)]
    (tmp_path / "items.csv").write_text("\n".join(["item,title", *titles]))
    options = {
        "form": "interactions",
        "interactions": str(tmp_path / "events.csv"),
        "items": str(tmp_path / "items.csv"),
        "user_column": "user",
    }
    for more in ({}, {"split": "by_time", "sets": True}, {"split": "ratio", "history": 0, "min_history": 0}):
        for check in check_component("data", "rows", {**options, **more}):
            check()


def test_atomic_files_pass_the_checks(tmp_path) -> None:
    lines = [f"{user}\titem {(user * 3 + step) % 20}\t{step}" for user in range(12) for step in range(8)]
    header = "user_id:token\titem_id:token\ttimestamp:float"
    (tmp_path / "toy.inter").write_text("\n".join([header, *lines]))
    for check in check_component("data", "recbole", {"name": "toy", "path": str(tmp_path)}):
        check()


def test_sets_of_files_pass_the_checks(tmp_path) -> None:
    for name, steps in (("train", range(5)), ("valid", range(5, 6)), ("test", range(6, 9))):
        lines = [" ".join(map(str, [user, *((user * 3 + step) % 20 for step in steps)])) for user in range(12)]
        (tmp_path / f"{name}.txt").write_text("\n".join(lines))
    files = {name: f"{name}.txt" for name in ("train", "valid", "test")}
    for check in check_component("data", "cf", {"path": str(tmp_path), **files}):
        check()


def test_nothing_is_apart_that_is_not_there() -> None:
    catalogue = load_plugins(only=()).catalogue
    for kind, name in {**OPTIONS, **APART, **dict.fromkeys(SLOW)}:
        assert catalogue.find(kind, name)
