"""Item vectors that an encoder gives: what is trained of them, what holds of them, and that a run keeps them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from polo import Based, Choice, InputError
from polo.cli import main
from polo.testing import context
from polo_backbones.items import Encoded
from polo_backbones.options import ItemOptions
from polo_backbones.vectors import VectorPolicy
from tests.polo_backbones.world import POLICIES, SPLITS, lists

X = np.random.default_rng(0).normal(size=(60, 8)) * np.geomspace(0.1, 10, 60)[:, None]


class Plain:
    """An encoder of given vectors."""

    def __init__(self, vectors: np.ndarray = X) -> None:
        self.given = vectors

    def vectors(self, items: Any, splits: Any) -> np.ndarray:
        return self.given

    def fingerprint(self) -> str:
        return "plain"


class Unit(Plain):
    """The same with a transform for every forward."""

    temperature = 0.5

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(vectors, dim=-1)


def made(name: str, encoder: Plain | None, **items: Any) -> VectorPolicy:
    build, of = POLICIES[name]
    chosen = None if encoder is None else Choice("encoder", "plain", encoder)
    options = of(dim=8, items=ItemOptions(encoder=chosen, **items))
    policy: VectorPolicy = build(options, context(splits=SPLITS, build=lambda choice: choice.options))
    return policy


def trained(policy: VectorPolicy, steps: int = 3) -> None:
    """Some steps of Adam on a sampled softmax."""
    optimiser = torch.optim.Adam([p for p in policy.net.parameters() if p.requires_grad], lr=0.05)
    for _ in range(steps):
        scores = policy.score(SPLITS.train[:12], lists(12, 5))
        torch.nn.functional.cross_entropy(scores, torch.zeros(12, dtype=torch.long)).backward()
        optimiser.step()
        optimiser.zero_grad()


def table_of(policy: VectorPolicy) -> torch.Tensor:
    return policy.net.item.weight.detach().clone()


@pytest.mark.parametrize("name", POLICIES)
def test_without_an_encoder_nothing_is_kept_and_the_table_is_learnt(name: str) -> None:
    policy = made(name, None)
    assert isinstance(policy, Based)
    assert policy.base_hash() == ""
    assert "item.weight" in policy.net.state_dict()


@pytest.mark.parametrize("name", POLICIES)
def test_vectors_are_a_start_or_frozen_or_behind_an_adapter(name: str) -> None:
    scaled = torch.from_numpy(X * 0.1 / np.sqrt((X**2).mean())).float()
    moved = {}
    for how in ("start", "frozen", "adapter"):
        policy = made(name, Plain(), as_=how)
        before = table_of(policy)
        if how != "adapter":
            torch.testing.assert_close(before, scaled)
        trained(policy)
        moved[how] = not torch.equal(before, table_of(policy))
        if how != "start":
            torch.testing.assert_close(policy.net.item.vectors, scaled)
    assert moved == {"start": True, "frozen": False, "adapter": True}


def test_an_adapter_takes_vectors_of_any_width_and_the_others_say_what_to_do() -> None:
    wide = Plain(np.random.default_rng(1).normal(size=(60, 30)))
    assert table_of(made("mf", wide, as_="adapter")).shape == (60, 8)
    for how in ("start", "frozen"):
        with pytest.raises(InputError, match="have 30 numbers, the policy's 8"):
            made("mf", wide, as_=how)


@pytest.mark.parametrize("wide", [3, 8, 20])
def test_law_an_adapter_keeps_lengths_and_angles_at_its_start(wide: int) -> None:
    """Exactly where it has no fewer numbers outside; else sqrt(in / out) times a projection: on the mean."""
    given = np.random.default_rng(2).normal(size=(60, wide))
    policy = made("mf", Plain(given), scale="given")
    if wide <= 8:
        torch.testing.assert_close(table_of(policy) @ table_of(policy).T, torch.from_numpy(given @ given.T).float())
    weight = policy.net.item.adapter.weight.detach()
    assert float(weight.square().sum()) == pytest.approx(min(wide, 8) * max(1.0, wide / 8), rel=1e-5)


def test_ids_are_added_and_trained_where_the_encoder_is_frozen() -> None:
    policy = made("sasrec", Plain(), as_="frozen", ids=True, scale="given")
    own = policy.net.item.own.weight
    torch.testing.assert_close(table_of(policy), torch.from_numpy(X).float() + own.detach())
    before = table_of(policy)
    trained(policy)
    assert not torch.equal(before, table_of(policy))


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("how", ["start", "adapter"])
def test_law_what_must_hold_in_every_forward_holds_after_training(name: str, how: str) -> None:
    """Length 1 where items are read and where they are scored, but for what a network makes of them; scores / 0.5."""
    policy = made(name, Unit(), as_=how)
    trained(policy)
    torch.testing.assert_close(table_of(policy).norm(dim=1), torch.ones(60))
    few, all_ = torch.tensor([[3, 5]]), torch.arange(60)[None]
    torch.testing.assert_close(policy.net.item(few)[0], table_of(policy)[[3, 5]])
    torch.testing.assert_close(policy.net.item(all_)[0], table_of(policy))
    assert policy.net.tau == 0.5
    plain = made(name, Plain(), as_=how)
    assert plain.net.tau == 1.0
    policy.net.eval()
    rows = SPLITS.test[:4]
    scores = policy.user_vectors(rows) @ policy.item_vectors().T
    torch.testing.assert_close(policy.score(rows, torch.arange(60).expand(4, -1)), scores)


def test_an_encoder_that_gives_something_else_is_refused() -> None:
    bad = X.copy()
    bad[3, 3] = np.inf
    for vectors in (X[:59], bad, X[:, 0]):
        with pytest.raises(InputError, match="not a finite vector for each of 60 items"):
            made("mf", Plain(vectors))


def test_vectors_of_no_length_at_all_stay_as_they_are() -> None:
    assert not table_of(made("mf", Plain(np.zeros((60, 8))), as_="frozen")).any()


def test_what_is_kept_is_used_and_must_be_what_it_was(tmp_path: Path) -> None:
    first = made("mf", Plain(), as_="frozen")
    first.keep_base(tmp_path / "base")
    first.keep_base(tmp_path / "base")
    build, of = POLICIES["mf"]
    options = of(dim=8, items=ItemOptions(encoder=Choice("encoder", "plain", None), as_="frozen"))
    ctx = context(splits=SPLITS, build=lambda choice: Plain(np.full((60, 8), np.nan)))
    again = build(options, replace(ctx, kept=tmp_path / "base", kept_hash=first.base_hash()))
    assert torch.equal(table_of(again), table_of(first))
    with pytest.raises(InputError, match="are not those that it began with"):
        build(options, replace(ctx, kept=tmp_path / "base", kept_hash="0" * 64))
    (tmp_path / "base" / "items.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="cannot be read"):
        build(options, replace(ctx, kept=tmp_path / "base"))


def test_frozen_vectors_are_in_no_checkpoint_and_start_is() -> None:
    assert not [k for k in made("sasrec", Plain(), as_="frozen").net.state_dict() if "item" in k]
    assert "item.vectors" in made("sasrec", Plain(), as_="start").net.state_dict()
    assert isinstance(made("sasrec", Plain()).net.item, Encoded)


RECIPE = """\
polo: 1
name: toy
data: {use: demo, items: 120, users: 60, shortest: 8, longest: 12}
candidates: {n: all}
policy: {use: POLICY, dim: 8, items: {encoder: {use: norm, from: {use: file, path: v.npy}}, as: HOW}}
reference: none
stages:
  fit: {sampler: {use: uniform, k: 6}, loss: softmax, steps: 6, lr: 0.01, batch: 32, validate: {rows: 20, every: 3}}
evaluate: {evaluators: [{use: hit_ratio, k: [1, 5]}, mrr], baselines: [popularity]}
"""


def ends(capfd: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    out, err = capfd.readouterr()
    assert ended.value.code == code, err
    return out, err


@pytest.mark.parametrize(("policy", "how"), [("mf", "frozen"), ("sasrec", "start"), ("gru4rec", "adapter")])
def test_a_finished_run_is_evaluated_and_recommends_without_the_encoders_files(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, policy: str, how: str
) -> None:
    monkeypatch.setenv("POLO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("toy.yaml").write_text(RECIPE.replace("POLICY", policy).replace("HOW", how), encoding="utf-8")
    vectors = np.random.default_rng(0).normal(size=(120, 8)).astype(np.float32)
    np.save("v.npy", vectors)
    folder = Path(ends(capfd, "run", "toy.yaml")[0].strip().splitlines()[-1])
    taken = ends(capfd, "run", "toy.yaml")[1]
    assert "fit: taken from the cache" in taken, "equal vectors, equal fingerprint"
    np.save("v.npy", vectors[::-1].copy())
    assert "taken from the cache" not in ends(capfd, "run", "toy.yaml")[1], "the vectors are part of the fingerprint"
    Path("v.npy").unlink()
    before = json.loads((folder / "results.json").read_text())["systems"]["model"]
    ends(capfd, "eval", str(folder))
    assert json.loads((folder / "results.json").read_text())["systems"]["model"] == before
    shown = json.loads((folder / "eval" / "examples.json").read_text())[0]["history"]
    said = ends(capfd, "recommend", str(folder), "--history", "; ".join(shown), "--top", "3", "--json")[0]
    assert len(json.loads(said)["ranked"]) == 3
    (folder / "base" / "items.safetensors").unlink()
    assert "no such file" in ends(capfd, "eval", str(folder), code=2)[1]
