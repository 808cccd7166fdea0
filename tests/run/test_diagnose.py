"""The rungs of a diagnosis, for encoders and backbones of anybody's, and the command from recipe to page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from polo import InputError
from polo.plugin.load import load_plugins
from polo.recipe import load
from polo.run.ladder import Rung, chosen, ladder
from tests.report.markup import check

RECIPE = """\
polo: 1
name: toy
data: {use: demo, items: 120, users: 40, shortest: 8, longest: 10}
candidates: {n: all}
policy: POLICY
reference: none
stages:
  fit: {sampler: {use: uniform, k: 6}, loss: softmax, steps: 20, lr: 0.01, batch: 32, validate: {rows: 9, every: 0}}
evaluate: {evaluators: [{use: recall, k: [10]}], baselines: []}
"""
CHAIN = "{use: norm, from: {use: rec_pca, k: 4, from: {use: lsa, k: 6, min_items: 1}}}"
#: an encoder, a transform of it, and a policy with an option of its own for an encoder
STRANGERS = '''\
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from polo import Choice, Component, Ref, hookimpl


@dataclass(frozen=True, kw_only=True)
class AroundOptions:
    inner: Ref["encoder"]


@dataclass(frozen=True, kw_only=True)
class BareOptions:
    vectors_of_items: Ref["encoder"]


class Numbers:
    """Multiples of the item's number."""

    def __init__(self, options, context):
        self.times = 1.0

    def vectors(self, items, splits):
        return np.outer(np.arange(1, 1 + len(items)), np.ones(3)) * self.times + np.eye(len(items), 3)

    def fingerprint(self):
        return "numbers"


class Around(Numbers):
    """Others', halved."""

    def __init__(self, options, context):
        self.inner = context.build(options.inner)

    def vectors(self, items, splits):
        return self.inner.vectors(items, splits) / 2


class Net(torch.nn.Module):
    def __init__(self, vectors):
        super().__init__()
        self.item = torch.nn.Parameter(torch.from_numpy(vectors).float())
        self.row = torch.nn.Parameter(torch.zeros(vectors.shape[1]))

    def forward(self, items):
        return self.item[items] @ self.row


class Bare:
    """One vector for all rows."""

    unit, pool = "similarity", "catalogue"

    def __init__(self, options, context):
        items = context.splits.items
        self.n = len(items)
        self.module = Net(context.build(options.vectors_of_items).vectors(items, context.splits))

    def score(self, rows, items):
        return self.module(items)

    def user_vectors(self, rows):
        return self.module.row.expand(len(rows), -1)

    def item_vectors(self):
        return self.module.item

    def vectors(self, rows):
        return self.user_vectors(rows), self.item_vectors()

    def tokens(self, items):
        return torch.ones_like(items)

    def cost(self, rows, n):
        return np.full(len(rows), n)

    def keys(self, rows, items):
        return [bytes(16)] * len(rows)

    def fingerprint(self):
        return "bare"

    def start_stage(self, name):
        pass

    def save(self, folder):
        torch.save(self.module.state_dict(), folder / "w.pt")

    def load(self, folder):
        self.module.load_state_dict(torch.load(folder / "w.pt", weights_only=True))


@hookimpl
def polo_item_encoders():
    return [Component(name="numbers", build=":Numbers"), Component(name="around", build=":Around",
            options=":AroundOptions")]


@hookimpl
def polo_policies():
    return [Component(name="bare", build=":Bare", options=":BareOptions")]
'''


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POLO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(policy: str) -> Path:
    path = Path("toy.yaml")
    path.write_text(RECIPE.replace("POLICY", policy), encoding="utf-8")
    return path


def rungs(policy: str) -> list[Rung]:
    plugins = load_plugins(only=())
    return ladder(load(write(policy), plugins=plugins, gpu=False).recipe, plugins.catalogue)


def test_a_ladder_leads_from_no_encoder_over_the_raw_one_and_peers_to_the_recipes() -> None:
    found = rungs(f"{{use: sasrec, dim: 4, items: {{encoder: {CHAIN}}}}}")
    assert [one.name for one in found] == [
        "no encoder", "lsa", "pca", "whiten", "rec_pca", "pca + norm", "rec_pca + norm",
    ]  # fmt: skip
    assert found[0].overrides == ("policy.items.encoder=null",)
    assert found[2].overrides[0].startswith("policy.items.encoder={use: pca, from: {use: lsa,")
    assert found[5].slug == "pca-norm"


def test_each_rung_is_a_recipe_and_the_last_one_is_that_which_was_given() -> None:
    path, plugins = write(f"{{use: sasrec, dim: 4, items: {{encoder: {CHAIN}}}}}"), load_plugins(only=())
    given = load(path, plugins=plugins, gpu=False)
    made = [
        load(path, overrides=one.overrides, plugins=plugins, gpu=False)
        for one in ladder(given.recipe, plugins.catalogue)
    ]
    assert made[-1].tree == given.tree
    assert made[0].tree["policy"]["items"]["encoder"] is None
    assert len({json.dumps(dict(one.tree)) for one in made}) == len(made)


def test_an_encoder_without_transforms_has_one_rung_and_a_recipe_without_an_encoder_none() -> None:
    assert [one.name for one in rungs("{use: mf, items: {encoder: lsa}}")] == ["no encoder", "lsa"]
    with pytest.raises(InputError, match="has no encoder of items"):
        rungs("mf")


def test_rungs_are_chosen_by_name_and_made_by_hand() -> None:
    own = [Rung("lsa", ("a=1",)), Rung("pca", ("a=2",))]
    assert [one.name for one in chosen(own, [])] == ["lsa", "pca"]
    assert chosen(own, ["pca"]) == own[1:]
    with pytest.raises(InputError, match="no rung is called 'pcs'") as refused:
        chosen(own, ["pcs"])
    assert "pca" in refused.value.fix
    with pytest.raises(InputError, match="two rungs have one name"):
        chosen(own, ["pca", "pca: b=1"])


def test_the_command_trains_the_rungs_and_writes_a_page(polo: Callable[..., tuple[int, str, str]]) -> None:
    path = write(f"{{use: sasrec, dim: 4, items: {{encoder: {CHAIN}}}}}")
    asked = ("--rung", "lsa", "--rung", "rec_pca + norm", "--rung", "frozen: policy.items.as=frozen")
    code, out, err = polo("diagnose", path, *asked)
    assert code == 0, err
    lines = out.strip().splitlines()
    assert lines[0].split() == ["rung", "loss", "kappa", "at", "end", "lengths", "crowding", "agree", "recall@10"]
    assert "kappa: condition number" in err, "what the columns say is said where they are shown"
    assert [line.split("  ")[0] for line in lines[1:4]] == ["lsa", "rec_pca + norm", "frozen"]
    assert max(map(len, lines[:4])) <= 80
    assert lines[2].split()[-4] == "1", "vectors of length 1 have one length"
    assert lines[-1] == "runs/toy-diagnosis.html"
    text = Path(lines[-1]).read_text(encoding="utf-8")
    assert check(text).seen.count("figure") == 7
    assert text.count("<code>") == 3
    assert len(list(Path("runs").glob("toy-*/results.json"))) == 3


def test_a_rung_that_was_trained_before_has_its_curve_again(polo: Callable[..., tuple[int, str, str]]) -> None:
    words = ("diagnose", write(f"{{use: mf, dim: 4, items: {{encoder: {CHAIN}}}}}"), "--json", "--rung", "pca")
    runs = [polo(*words, "--quiet"), polo(*words, "--verbose")]
    told = [json.loads(out.rsplit("\n", 2)[0])[0] for _, out, _ in runs]
    assert runs[0][2] == "", "--quiet says nothing"
    assert "encoder/pca of polo-rec" in runs[1][2]
    assert told[0]["run"] != told[1]["run"]
    assert len(told[0]["losses"]["fit"]) == 20
    assert told[1]["losses"] == told[0]["losses"]
    stage = Path("runs", told[1]["run"], "metrics.jsonl").read_text().splitlines()[-1]
    assert "cached" in json.loads(stage)


def test_rungs_are_of_the_encoder_that_overrides_give(polo: Callable[..., tuple[int, str, str]]) -> None:
    path = write(f"{{use: mf, dim: 4, items: {{encoder: {CHAIN}}}}}")
    words = ("policy.items.encoder.from.from.k=5", "stages.fit.steps=2", "--json", "--rung", "lsa", "--rung", "pca")
    code, out, err = polo("diagnose", path, *words)
    assert code == 0, err
    found = json.loads(out.rsplit("\n", 2)[0])
    assert ["k: 5" in one["changes"][0] for one in found] == [True, True]
    assert [len(one["losses"]["fit"]) for one in found] == [2, 2]


def test_a_rung_that_the_policy_refuses_is_left_out_and_named(polo: Callable[..., tuple[int, str, str]]) -> None:
    path = write(f"{{use: sasrec, dim: 4, items: {{encoder: {CHAIN}, as: start}}}}")
    code, out, err = polo("diagnose", path, "stages.fit.steps=2")
    assert code == 0, err
    names = [line.split("  ")[0] for line in out.strip().splitlines()[1:-1]]
    assert names == ["no encoder", "pca", "whiten", "rec_pca", "pca + norm", "rec_pca + norm"]
    assert "rung lsa is left out: the encoder's vectors have 6 numbers, the policy's 4" in err
    assert "left out: the encoder&#39;s vectors have 6" in Path("runs/toy-diagnosis.html").read_text(encoding="utf-8")


def test_a_rung_that_was_asked_for_or_is_the_recipes_own_and_cannot_be_is_told_before_anything_is_trained(
    polo: Callable[..., tuple[int, str, str]],
) -> None:
    path = write(f"{{use: sasrec, dim: 4, items: {{encoder: {CHAIN}, as: frozen}}}}")
    for words in (["--rung", "pca", "--rung", "lsa"], ["policy.items.encoder={use: lsa, k: 6, min_items: 1}"]):
        code, _, err = polo("diagnose", path, *words)
        assert code == 2
        assert "the encoder's vectors have 6 numbers, the policy's 4" in err
        assert "set dim to 6" in err
        assert not Path("runs").exists()


def test_encoders_and_backbones_of_others_are_diagnosed_too(polo: Callable[..., tuple[int, str, str]]) -> None:
    Path("strangers.py").write_text(STRANGERS, encoding="utf-8")
    path = write("{use: bare, vectors_of_items: {use: around, inner: numbers}}")
    code, out, err = polo("diagnose", path, "--plugin", "strangers.py", "--json", "--out", "page.html")
    assert code == 0, err
    body, _, last = out.strip().rpartition("\n")
    found = json.loads(body)
    assert last == "page.html"
    assert [one["name"] for one in found] == ["numbers", "around"]  # the encoder of this policy cannot be left out
    assert found[0]["start"]["condition"] == pytest.approx(found[1]["start"]["condition"], rel=1e-3)  # halves
    assert found[0]["start"]["lengths"][50] == pytest.approx(2 * found[1]["start"]["lengths"][50], rel=1e-5)
    assert len(found[0]["losses"]["fit"]) == 20


def test_a_policy_whose_scores_are_no_products_is_refused(polo: Callable[..., tuple[int, str, str]]) -> None:
    Path("strangers.py").write_text(STRANGERS.replace("def item_vectors", "def others"), encoding="utf-8")
    path = write("{use: bare, vectors_of_items: numbers}")
    code, _, err = polo("diagnose", path, "--plugin", "strangers.py")
    assert code == 2
    assert "no products" in err
    assert not Path("runs").exists()
