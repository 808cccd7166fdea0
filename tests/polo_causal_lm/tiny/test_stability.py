"""The training of the small base is no matter of chance: what nobody can see in its start, nobody sees in its end."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import Sequences
from polo_causal_lm.options import TinyLMOptions
from polo_causal_lm.tiny.train import make_model, train
from polo_causal_lm.tiny.windows import Titles, Words

ITEMS, USERS, LENGTH = 60, 60, 20
#: the learning rate, dropout and average of the defaults; smaller batches, as there are few titles
OPTIONS = TinyLMOptions(hidden=32, layers=2, heads=2, epochs=30, batch_tokens=256)


def world() -> Sequences:
    """Popular items, and after each in three cases of five one of its two friends."""
    rng = np.random.default_rng(0)
    friends, popular = rng.integers(0, ITEMS, (ITEMS, 2)), 1 / np.arange(1, ITEMS + 1)
    lists = [[int(item)] for item in rng.choice(ITEMS, USERS, p=popular / popular.sum())]
    for items in lists:
        while len(items) < LENGTH:
            any_item = int(rng.choice(ITEMS, p=popular / popular.sum()))
            items.append(int(friends[items[-1], rng.integers(2)]) if rng.random() < 0.6 else any_item)
    return Sequences.of(list(range(USERS)), lists)


@cache
def last_loss(options: TinyLMOptions, noise: int) -> float:
    """Nats of the last epoch; ``noise`` seeds what is added to each initial weight, 1e-7 in size (0: nothing)."""
    words = Words(np.array([1, 4]), np.array([5]), [np.array([10 + item]) for item in range(ITEMS)], 2)
    losses: list[float] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = make_model(options, 10 + ITEMS, (1, 2, 0), 256)
        if noise:
            rng = torch.Generator().manual_seed(noise)
            with torch.no_grad():
                for p in model.parameters():
                    p.add_(1e-7 * torch.randn(p.shape, generator=rng))
        train(
            model, Titles(words, world(), options.window, options.skip), options, seed=0, device="cpu", pad=0,
            track=lambda it, total=None, label="": it, after_epoch=lambda epoch, loss: losses.append(loss),
        )  # fmt: skip
    return losses[-1]


@given(st.integers(1, 10_000))
@settings(max_examples=2, deadline=None)
def test_law_noise_below_the_seventh_digit_moves_the_loss_by_less_than_the_fourth(noise: int) -> None:
    undisturbed = last_loss(OPTIONS, 0)
    assert undisturbed < 1.9  # it has learnt: log(60) nats for the title and 0 for its end would be 2.05 each
    assert abs(last_loss(OPTIONS, noise) - undisturbed) < 1e-4


def test_at_thirty_times_the_learning_rate_the_same_noise_is_seen() -> None:
    wild = replace(OPTIONS, lr=3e-2, epochs=16)
    assert abs(last_loss(wild, 1) - last_loss(wild, 0)) > 1e-3
