"""Policies, bases, optimisers and scorers that break one law each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polo.model.scoring import score_lists
from polo.testing.stand_ins import StandInPolicy
from tests.testing.broken import Table, broken

_score, _keys = StandInPolicy.score, StandInPolicy.keys


def _calls(self: Any) -> int:
    self.calls = getattr(self, "calls", 0) + 1
    return self.calls


class Unseeded(StandInPolicy):
    """Draws its weights from a generator of its own, which goes on."""

    generator = torch.Generator().manual_seed(0)

    def __init__(self, options: Any, context: Any) -> None:
        super().__init__(options, context)
        with torch.no_grad():
            weight = self.module.vectors.weight  # type: ignore[union-attr]
            weight.copy_(torch.randn(weight.shape, generator=self.generator))


POLICIES: Table = {
    "says_what_it_scores": broken(StandInPolicy, unit="logprob"),
    "scores_every_item": broken(
        StandInPolicy, tokens=lambda self, items: torch.zeros_like(items)
    ),
    "scores_alike_again": broken(
        StandInPolicy,
        "minds_no_order_of_items rows_stand_alone",
        score=lambda self, rows, items: _score(self, rows, items) + _calls(self),
    ),
    "minds_no_order_of_items": broken(
        StandInPolicy, score=lambda self, rows, items: _score(self, rows, items) + torch.arange(items.shape[1])
    ),
    "rows_stand_alone": broken(
        StandInPolicy, score=lambda self, rows, items: _score(self, rows, items) + len(rows)
    ),
    "learns_through_its_module": broken(
        StandInPolicy, score=lambda self, rows, items: _score(self, rows, items).detach()
    ),
    "weights_go_through_a_folder": broken(StandInPolicy, load=lambda self, folder: None),
    "starts_from_the_seed": broken(Unseeded),
    "fingerprint_is_not_of_weights": broken(
        StandInPolicy, fingerprint=lambda self: str(self.module.vectors.weight.detach().sum())
    ),
    "keys_tell_what_is_computed": broken(
        StandInPolicy, keys=lambda self, rows, items: [b"0123456789abcdef"] * len(rows)
    ),
    "cost_is_counted": broken(StandInPolicy, cost=lambda self, rows, n: np.zeros(len(rows), np.int64)),
    "terms_of_its_own_are_numbers": broken(
        StandInPolicy, extra_loss=lambda self, rows, items: {"l2": self.module.vectors.weight.sum(dim=1)}
    ),
    "shortcuts_score_alike": broken(
        StandInPolicy,
        user_vectors=lambda self, rows: torch.ones(len(rows), 4, dtype=torch.float64),
        item_vectors=lambda self: self.module.vectors.weight,
        vectors=lambda self, rows: (self.user_vectors(rows), self.item_vectors()),
    ),
}  # fmt: skip


class Folder:
    """A folder with the files that a model has."""

    files = ("model.safetensors", "tokenizer.json")

    def __init__(self, options: Any, context: Any) -> None:
        self.place = context.cache / "base"

    def path(self) -> Path:
        if not self.place.is_dir():
            self.place.mkdir(parents=True)
            (self.place / "config.json").write_text(json.dumps({"model_type": "llama"}))
            for name in self.files:
                (self.place / name).write_text("")
        return self.place

    def fingerprint(self) -> str:
        return "one"


class Anew(Folder):
    """Makes its folder with each object."""

    def __init__(self, options: Any, context: Any) -> None:
        super().__init__(options, context)
        self.place = context.cache / f"base-{len(list(context.cache.iterdir()))}"


BASES: Table = {
    "makes_a_model_folder": broken(Folder, files=("model.safetensors",)),
    "is_made_once": broken(Anew),
    "fingerprint_is_stable": broken(Folder, fingerprint=lambda self: str(id(self))),
}


class Descent:
    """Gradient descent with momentum."""

    def __init__(self, options: Any, context: Any) -> None: ...

    def __call__(self, groups: Any) -> Any:
        return self.made([dict(one) for one in groups])

    def made(self, groups: Any) -> Any:
        return torch.optim.SGD(groups, momentum=0.9)


class Fixed(torch.optim.SGD):
    """Moves at a rate of its own."""

    def step(self, closure: Any = None) -> None:
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    p -= 0.01 * p.grad


class Remembering(torch.optim.SGD):
    """Remembers a word of each parameter."""

    def step(self, closure: Any = None) -> None:
        super().step()
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["word"] = "seen"


class Hiding(torch.optim.SGD):
    """Counts its steps where no state is looked for, and moves less with each."""

    count = 0

    def step(self, closure: Any = None) -> None:
        self.count += 1
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    p -= group["lr"] / self.count * p.grad


def _uphill(self: Any, groups: Any) -> Any:
    return torch.optim.SGD(groups, maximize=True)


def _one_group(self: Any, groups: Any) -> Any:
    return torch.optim.SGD(groups[::-1])


OPTIMISERS: Table = {
    "keeps_groups": broken(Descent, "obeys_the_rate", made=_one_group),
    "moves_downhill": broken(Descent, made=_uphill),
    "obeys_the_rate": broken(Descent, made=lambda self, groups: Fixed(groups)),
    "remembers_tensors_alone": broken(Descent, made=lambda self, groups: Remembering(groups)),
    "goes_on_from_its_state": broken(Descent, made=lambda self, groups: Hiding(groups)),
}


class Half:
    """Half of the weights at every step."""

    def __init__(self, options: Any, context: Any) -> None:
        self.asked = 0

    def share(self, step: int, total: int, epoch: int) -> float:
        return 0.5


def _counting(self: Any, step: int, total: int, epoch: int) -> float:
    self.asked += 1
    return 1 / self.asked


AVERAGES: Table = {
    "gives_a_share": broken(Half, share=lambda self, step, total, epoch: step / epoch),
    "is_a_function_of_its_arguments": broken(Half, share=_counting),
}


class Asks:
    """Asks the policy."""

    def __init__(self, options: Any, context: Any) -> None: ...

    def score(self, policy: Any, rows: Any, lists: Any) -> Any:
        return score_lists(policy, rows, lists, 1 << 14)

    def every(self, policy: Any) -> Any:
        return lambda rows: self.score(policy, rows, rows.candidates)


_ask = Asks.score


def _by_rows(self: Any, policy: Any, rows: Any, lists: Any) -> Any:
    scores, tokens = _ask(self, policy, rows, lists)
    return scores + len(rows), tokens


def _to_eval(self: Any, policy: Any, rows: Any, lists: Any) -> Any:
    policy.module.eval()
    return _ask(self, policy, rows, lists)


def _worse(self: Any, policy: Any) -> Any:
    return lambda rows: (_ask(self, policy, rows, rows.candidates)[0] * 2, None)


SCORERS: Table = {
    "scores_as_the_policy": broken(
        Asks,
        score=lambda self, policy, rows, lists: (lambda s, t: (s, t + 1))(*_ask(self, policy, rows, lists)),
    ),
    "rows_stand_alone": broken(
        Asks, "scores_as_the_policy", score=_by_rows
    ),
    "leaves_the_policy_as_it_is": broken(Asks, score=_to_eval),
    "ranks_the_catalogue_alike": broken(Asks, every=_worse),
}  # fmt: skip
