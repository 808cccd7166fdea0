"""What is measured: each work as polo does it and as another one does, and whether both come to the same.

A form is called to build what it needs, and gives back what is timed. Knows no clock.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from collaborative_bench import published
from collaborative_bench.data import World, made, read
from collaborative_bench.ours import Mine, pairs
from collaborative_bench.published import Published, Sizes
from polo import Known, RowRandom, Rows
from polo.testing import context
from polo.train.order import Order
from polo_backbones.mf import MF
from polo_backbones.options import MFOptions
from polo_drrl.drrl import Drrl

Form = Callable[[World], Callable[[], Any]]

#: cut of recall and NDCG, as published; and how many items the search for the best ones finds
CUT, TOP = 20, 100
#: scores of a block of the dense search
_BLOCK = 1 << 20
#: draws in a row, so that a clock of milliseconds sees them
DRAWS = 50
SIZES = Sizes()


@dataclass(frozen=True)
class Work:
    """A line of the table.

    Args:
        says: what is done, and against what, in words.
        world: the data at full size, and at toy size.
        ours, theirs: both forms.
        agree: whether both come to the same.
    """

    says: tuple[str, str]
    world: Callable[[], World]
    toy: Callable[[], World]
    ours: Form
    theirs: Form
    agree: Callable[[World], bool]

    def form(self, name: str) -> Form:
        return {"ours": self.ours, "theirs": self.theirs}[name]


def data_folder() -> Path:
    """Where the data sets lie."""
    return Path(os.environ["POLO_DATA"]) / "drrl-iid" / "amazonElectronics"


def electronics() -> World:
    """13,455 users, 8,360 items, 159,418 training pairs."""
    return read(data_folder())


def toy() -> World:
    """300 users and 1,200 items: enough that neither form takes another way than at full size."""
    return made(300, 1_200, 8, seed=1)


def many_items() -> World:
    """10,000 users of 100,000 items."""
    return made(10_000, 100_000, 1, seed=1, test=1)


# -- an epoch of MF and DrRL ------------------------------------------------------------------------------------------


def tables(mine: Mine) -> tuple[torch.Tensor, torch.Tensor]:
    """Copies of the vectors of users and items."""
    named = dict(mine.policy.net.named_parameters())
    return named["user.weight"].detach().clone(), named["item.weight"].detach().clone()


def epoch_ours(world: World) -> Callable[[], Any]:
    """The loop of a stage, as a recipe runs it."""
    return Mine(world.splits(), SIZES).train


def epoch_theirs(world: World) -> Callable[[], Any]:
    """Pairs in random order, batch by batch."""
    generator = torch.Generator().manual_seed(0)
    user, item = (torch.randn(n, SIZES.dim, generator=generator) * 0.1 for n in (world.users, world.items))
    theirs = Published(world, SIZES, user, item)
    everybody, everything = torch.from_numpy(world.train.user), torch.from_numpy(world.train.item)

    def epoch() -> float:
        order = torch.randperm(len(everybody))
        return theirs.epoch(everybody[order], everything[order])

    return epoch


def epochs_agree(world: World) -> bool:
    """Three steps with the same rows and the same negatives: the same loss, vectors and thresholds."""
    mine = Mine(world.splits(), replace(SIZES, batch=256))
    theirs = Published(world, mine.sizes, *tables(mine))
    order = Order(mine.splits.train, 256, mine.policy, (0, "bench"))
    lines = mine.train(3)
    losses = []
    for step in range(3):
        rows, epoch = order.batch(step)
        draw = mine.sampler.draw(rows, RowRandom(0, "bench", "draw", epoch), _blind)
        losses.append(theirs.step(*pairs(rows), draw.items))
    assert isinstance(mine.loss, Drrl)
    thresholds = mine.loss.state_dict()["users"].float()
    same = [
        np.allclose([line["loss"] for line in lines], losses, atol=1e-5),
        torch.allclose(tables(mine)[0], theirs.user.detach(), atol=1e-5),
        torch.allclose(tables(mine)[1], theirs.item.detach(), atol=1e-5),
        torch.allclose(thresholds, theirs.threshold.detach()[:, 0], atol=1e-5),
    ]
    return all(same)


def _blind(rows: Rows, items: torch.Tensor) -> torch.Tensor:
    raise AssertionError("a uniform draw looks at no score")


# -- an evaluation over the whole catalogue ---------------------------------------------------------------------------


def evaluation_ours(world: World) -> Callable[[], Any]:
    """All that an evaluation keeps of each row."""
    mine = Mine(world.splits(), SIZES)
    rows = mine.test_rows()
    return lambda: mine.evaluate(rows, CUT)


def evaluation_theirs(world: World) -> Callable[[], Any]:
    """The means alone."""
    user, item = tables(Mine(world.splits(), SIZES))
    return lambda: published.evaluate(world, user, item, CUT)


def evaluations_agree(world: World) -> bool:
    """The same recall and NDCG."""
    ours, theirs = evaluation_ours(world)(), evaluation_theirs(world)()
    return all(abs(ours[name] - theirs[name]) < 1e-6 for name in theirs)


# -- the best items ---------------------------------------------------------------------------------------------------


def search_ours(world: World) -> Callable[[], Any]:
    """``TopItems`` of the policy."""
    splits = world.splits()
    policy = MF(MFOptions(dim=SIZES.dim), context(splits=splits))
    return lambda: torch.from_numpy(policy.top_items(splits.test, TOP).items)


def search_theirs(world: World) -> Callable[[], Any]:
    """Blocks of the dense product, the best of each."""
    splits = world.splits()
    policy = MF(MFOptions(dim=SIZES.dim), context(splits=splits))
    with torch.no_grad():
        users, items = policy.user_vectors(splits.test), policy.item_vectors()
    step = max(1, _BLOCK // world.items)

    def found(start: int) -> torch.Tensor:
        return (users[start : start + step] @ items.T).topk(TOP).indices

    return lambda: torch.cat([found(start) for start in range(0, len(users), step)])


def searches_agree(world: World) -> bool:
    """The same items in the same order, but for scores that are equal."""
    return bool((search_ours(world)() == search_theirs(world)()).float().mean() > 0.9999)


# -- a draw of negatives ----------------------------------------------------------------------------------------------


def _batches(world: World) -> list[Rows]:
    rows = world.splits().train
    order = np.random.default_rng(0).permutation(len(rows))
    return [rows[np.take(order, range(i * 1024, (i + 1) * 1024), mode="wrap")] for i in range(DRAWS)]


def draw_ours(world: World) -> Callable[[], Any]:
    """Of so many batches, different items in each row."""
    sampler, batches = Mine(world.splits(), SIZES).sampler, _batches(world)
    return lambda: [sampler.draw(rows, RowRandom(0, "bench", "draw", 0), _blind) for rows in batches]


def draw_theirs(world: World) -> Callable[[], Any]:
    """Of the same rows, with replacement."""
    table = torch.zeros(1, SIZES.dim)
    theirs, users = Published(world, SIZES, table, table), [torch.from_numpy(rows.user) for rows in _batches(world)]
    return lambda: [theirs.draw(user) for user in users]


def draws_agree(world: World) -> bool:
    """Nothing that a user took; ours are different items, and each row's is its own, whatever stands beside it."""
    known = Known(world.train.user, world.train.item, world.items)
    rows = _batches(world)[0]
    ours, theirs = draw_ours(world)()[0], draw_theirs(world)()[0]
    sampler = Mine(world.splits(), SIZES).sampler
    alone = sampler.draw(rows[::-1][:100], RowRandom(0, "bench", "draw", 0), _blind)
    lawful = [not known.has(rows.user, items.numpy()).any() for items in (ours.items, theirs)]
    different = (ours.items.sort(dim=1).values.diff(dim=1) > 0).all()
    return bool(all(lawful) and different and (alone.items == ours.items.flip(0)[:100]).all())


WORKS: Mapping[str, Work] = {
    "epoch": Work(
        ("MF + DrRL epoch, N = 64, amazonElectronics", "published form: dense Boolean matrix, multinomial"),
        electronics, toy, epoch_ours, epoch_theirs, epochs_agree,
    ),
    "evaluation": Work(
        ("whole-catalogue evaluation, amazonElectronics", "published metric loop"),
        electronics, toy, evaluation_ours, evaluation_theirs, evaluations_agree,
    ),
    "top": Work(
        ("top-100 of 100,000 items for 10,000 users", "dense product + torch.topk in blocks"),
        many_items, toy, search_ours, search_theirs, searches_agree,
    ),
    "draw": Work(
        ("64 negatives for 1,024 rows, amazonElectronics", "published form: multinomial"),
        electronics, toy, draw_ours, draw_theirs, draws_agree,
    ),
}  # fmt: skip
