"""Catalogues to search, and models that know them: LastFM, Amazon Beauty, and synthetic titles in any number."""

from __future__ import annotations

import csv
import gzip
import io
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from polo import PAD, Choice, Context, ItemTable, Known, Rows, Sequences, Splits
from polo_causal_lm.options import CausalLMOptions, TinyLMOptions
from polo_causal_lm.policy import CausalLM
from polo_causal_lm.tiny.base import TinyLM
from polo_datasets.lastfm import LastFM
from polo_datasets.options import LastFMOptions

#: items of a history that are shown
HISTORY = 10
#: users of Beauty that its model learns from: titles of 20 tokens make an epoch of all of them long
BEAUTY_USERS = 3000


@dataclass(frozen=True)
class World:
    """A catalogue, a policy that was trained on it, and rows to search for."""

    name: str
    policy: CausalLM
    rows: Rows


def context_for(cache: Path, splits: Splits | None) -> Context:
    """A context that builds ``tiny_lm`` and says what it does."""

    def build(choice: Any) -> Any:
        return TinyLM(choice.options, context)

    context = Context(seed=0, cache=cache, build=build, splits=splits, say=print)
    return context


def trained(name: str, splits: Splits, users: int, base: TinyLMOptions, cache: Path) -> World:
    """A policy whose base is made from the training split (kept in ``cache``), and ``users`` rows of the test split."""
    policy = CausalLM(CausalLMOptions(base=Choice("base", "tiny_lm", base)), context_for(cache, splits))
    policy.module.eval()
    every = max(1, len(splits.test) // users)
    return World(name, policy, splits.test[np.arange(0, len(splits.test), every)[:users]])


def lastfm(data: Path, cache: Path) -> Splits:
    """The published rows."""
    return LastFM(LastFMOptions(path=str(data / "lastfm-hetrec")), context_for(cache, None)).load()


def beauty(data: Path) -> Splits:
    """Leave-one-out: each user's last item is the test target, all before the last two is training."""
    folder = data / "amazon-beauty-2014"
    table = list(csv.DictReader(io.StringIO(gzip.decompress((folder / "items.csv.gz").read_bytes()).decode())))
    titles = [row["title"].strip() or f"item {row['item']}" for row in table]  # seven titles are empty
    lines = gzip.decompress((folder / "sequences.jsonl.gz").read_bytes()).decode().splitlines()
    users = [json.loads(line)["items"] for line in lines]
    history = np.full((len(users), HISTORY), PAD)
    for row, items in enumerate(users):
        shown = items[:-1][-HISTORY:]
        history[row, HISTORY - len(shown) :] = shown
    target = np.array([items[-1] for items in users])
    rows = Rows(np.arange(len(users)), np.arange(len(users)), history, target)
    some = [items[:-2] for items in users[:BEAUTY_USERS]]
    nobody = Known(np.empty(0, np.int64), np.empty(0, np.int64), len(titles))
    return Splits(
        name="beauty",
        form="leave-one-out",
        items=ItemTable(titles, [row["item"] for row in table]),
        train=rows[:0],
        valid=rows[:0],
        test=rows,
        sequences=Sequences.of(list(range(len(some))), some),
        known_train=nobody,
        known_all=nobody,
        fingerprint=f"beauty {BEAUTY_USERS}",
    )


def widened(world: World, titles: int, seed: int) -> tuple[World, list[np.ndarray]]:
    """The same policy and rows beside a catalogue of its titles and made ones, ``titles`` in all, as token ids.

    A made title is a walk over pairs of neighbouring tokens of real titles, so it reads like one and shares beginnings
    with many; one step in five goes to any token, as often as titles have it.
    """
    real = world.policy.texts.titles
    rng, end = np.random.default_rng(seed), world.policy.texts.end
    words = np.concatenate([title[:-1] for title in real])
    follows: dict[int, list[int]] = {}
    for title in real:
        for before, after in zip(title[:-1].tolist(), title[1:].tolist(), strict=True):
            follows.setdefault(before, []).append(after)
    successors = {token: np.array(after) for token, after in follows.items()}
    firsts = np.array([title[0] for title in real])
    known = {title.tobytes() for title in real}
    made = list(real)
    while len(made) < titles:
        chance = rng.random((4096, 12, 2))
        for walk in chance:
            ids = [int(firsts[int(walk[0, 0] * len(firsts))])]
            for jump, which in walk[1:]:
                after = words if jump < 0.2 else successors.get(ids[-1], words)
                ids.append(int(after[int(which * len(after))]))
                if ids[-1] == end:
                    break
            title = np.array(ids if ids[-1] == end else [*ids, end], np.int64)
            if title.tobytes() not in known:
                known.add(title.tobytes())
                made.append(title)
    return replace(world, name=f"synthetic {titles:,}"), made[:titles]
