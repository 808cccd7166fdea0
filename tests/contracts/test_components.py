"""Every loss, beta and sampler that polo ships keeps the contract of its kind."""

from __future__ import annotations

from typing import Any

import pytest

from polo import PoloError
from polo.testing import check_beta, check_loss, check_sampler, context, small_splits
from tests.contracts.components import (
    BETAS,
    LOSSES,
    SAMPLER_CASES,
    SAMPLERS,
    UNIFORM,
    choice,
    make,
)

#: options of a component besides its defaults; the first of each pair names the test
LOSS_CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in LOSSES if name != "sum"),
    *(("dpo", {"pairs": how}) for how in ("sum", "max")),
    ("sft", {"reduce": "sequence"}),
    ("ipo", {"length": "mean"}),
    ("cpo", {"reduce": "token", "nll": 0.5}),
    ("rpo", {"reduce": "sequence", "pairs": "max"}),
    ("robust_dpo", {"smoothing": 0.4}),
    ("discopop", {"tau": 1.0}),
    ("mppo", {"length": "mean"}),
    ("kto", {"desirable": 1.5, "undesirable": 0.5}),
    ("lpo", {"negatives": "inside"}),
    ("lpo", {"length": "sum", "r2": 2.0}),
    ("lpo_dynamic", {"negatives": "inside", "length": "sum"}),
    ("softmax", {"positive": False}),
    ("softmax", {"reward": "log_ratio"}),
    ("bsl", {"ratio": 0.5, "positives": "row"}),
    ("bsl", {"ratio": 2.0, "reward": "log_ratio"}),
    *((name, {"reward": "log_ratio"}) for name in ("bpr", "bce", "mse")),
    ("ccl", {"reward": "log_ratio", "margin": 0.0, "weight": 3.0}),
    ("psl", {"activation": "relu", "temperature": 0.2}),
    ("psl", {"activation": "atan", "reward": "log_ratio"}),
    ("sl_at_k", {"k": 2, "detach": True, "reward": "log_ratio"}),
    ("llpauc", {"ascent": False, "reward": "log_ratio"}),
    ("adv_infonce", {"weight": 1.0, "width": 4, "reward": "log_ratio"}),
    ("drrl", {"omega": 1.001, "eps": 0.0, "c": 2.0}),
    ("drrl", {"gamma": 0.0, "reward": "log_ratio"}),
    ("drrl", {"omega": 2.0, "solver": "bisect", "c": 1.5}),
    ("drrl", {"gamma": 0.0, "solver": "bisect", "c": 3.0, "eps": 0.0}),
]


#: samplers that draw from the whole catalogue and nothing else
WHOLE = ("in_batch", "catalogue", "noisy", "top", "policy")


@pytest.mark.parametrize(("name", "options"), LOSS_CASES, ids=lambda v: str(v))
def test_every_loss_keeps_the_contract(name: str, options: dict[str, Any]) -> None:
    check_loss(make("loss", name, context(splits=small_splits()), **options))


@pytest.mark.parametrize("parts", [("dmpo", "sft"), ("dpo", "kto"), ("bco", "alpha_dpo", "cpo"), ("sdpo", "apo_zero")])
def test_sums_of_losses_keep_the_contract(parts: tuple[str, ...]) -> None:
    from polo_preference.options.losses import Term

    terms = tuple(Term(loss=choice("loss", part), weight=0.5 + i) for i, part in enumerate(parts))
    head = make("loss", "sum", context(), of=terms)
    check_loss(head)
    assert head.needs == frozenset().union(*(make("loss", part, context()).needs for part in parts))


BETA_CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in BETAS if name != "batch_dynamic"),
    ("batch_dynamic", {"share": 1.0}),
    ("dual_margin", {"statistic": "log_ratio", "margin": 2.0}),
    ("dual_margin", {"statistic": "mean_logprob", "margin": 0.0}),
]


@pytest.mark.parametrize(("name", "options"), BETA_CASES, ids=lambda v: str(v))
def test_every_beta_keeps_the_contract(name: str, options: dict[str, Any]) -> None:
    check_beta(make("beta", name, context(), **options))


def test_batch_dynamic_that_leaves_pairs_out_keeps_the_contract() -> None:
    check_beta(make("beta", "batch_dynamic", context(), share=0.5), by_column=True)


@pytest.mark.parametrize(("name", "options"), [c for c in SAMPLER_CASES if c[0] != "given"], ids=lambda v: str(v)[:60])
def test_every_sampler_keeps_the_contract_over_the_catalogue(name: str, options: dict[str, Any]) -> None:
    if options.get("method") == "sklearn":
        pytest.importorskip("sklearn")
    splits = small_splits()
    sampler = make("sampler", name, context(splits=splits), **options)
    check_sampler(sampler, splits, batchwise=name == "in_batch", plants_known=name == "noisy")


@pytest.mark.parametrize(
    ("name", "options"),
    [(n, o) for n, o in SAMPLER_CASES if n not in WHOLE and o.get("pool") is None],
    ids=lambda v: str(v)[:60],
)
def test_every_sampler_keeps_the_contract_within_lists(name: str, options: dict[str, Any]) -> None:
    if options.get("method") == "sklearn":
        pytest.importorskip("sklearn")
    splits = small_splits(lists=12)
    check_sampler(make("sampler", name, context(splits=splits), **options), splits)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("in_batch", {}),
        ("catalogue", {}),
        ("top", {}),
        ("policy", {}),
        ("noisy", {"from_": UNIFORM}),
        ("uniform", {"pool": "catalogue"}),
    ],
)
def test_a_sampler_of_the_catalogue_refuses_prompts_that_show_a_list(name: str, options: dict[str, Any]) -> None:
    splits = small_splits(lists=12)
    sampler = make("sampler", name, context(splits=splits), **options)
    with pytest.raises(PoloError, match="hidden"):
        check_sampler(sampler, splits)


def test_all_names_are_there() -> None:
    assert set(LOSSES) >= {
        "dpo", "cdpo", "robust_dpo", "ipo", "hinge", "simpo", "cpo", "orpo", "kto", "dpop", "rpo", "alpha_dpo", "dmpo",
        "sdpo", "mppo", "lpo", "sft", "sum", "apo_zero", "apo_down", "nca", "exo", "sppo", "discopop", "bco",
        "softmax", "bsl", "bpr", "bce", "mse", "ccl", "psl", "sl_at_k", "llpauc", "adv_infonce", "drrl",
    }  # fmt: skip
    assert set(BETAS) >= {"fixed", "linear", "cosine", "dual_margin", "batch_dynamic"}
    assert set(SAMPLERS) >= {
        "uniform", "popularity", "in_batch", "hard", "dns", "softmax", "boundary", "curriculum", "self_play", "noisy",
        "catalogue", "top", "policy",
    }  # fmt: skip
