"""Recommending with a finished run: opens its data and model once, then ranks as often as asked. Knows no terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from polo.console import Console
from polo.data import PAD, BoolArray, FloatArray, IntArray, Ragged, Rows, Splits
from polo.errors import InputError
from polo.evaluate import recommend
from polo.plugin.load import Plugins
from polo.protocols import FindsBest, Policy, Scorer, Top, TopItems
from polo.recipe.model import Resolved
from polo.run.compose import Composer
from polo.run.device import accelerator_of
from polo.store.provenance import same_base
from polo.store.runfolder import RunFolder


@dataclass(frozen=True)
class Asked:
    """What was asked, as titles of the catalogue.

    Args:
        history: items of the history, oldest first.
        pool: items that may be recommended.
        guessed: (what was written, title that it was taken for), where the two differ.
        listed: whether the pool was given, instead of the whole catalogue.
    """

    history: IntArray
    pool: IntArray
    guessed: tuple[tuple[str, str], ...]
    listed: bool


@dataclass(frozen=True)
class Ranking:
    """Recommended titles, the best first.

    Args:
        history: titles that were taken for the history.
        among: what a probability is a share of: ``all texts`` or ``candidates``; ``None`` for scores.
        figure: what the figures are: ``probability`` or ``score``.
        ranked: for each place ``rank``, ``title``, the figure under its name, and ``proven``: whether a ranking of the
            whole catalogue has the same title there.
    """

    history: list[str]
    among: str | None
    figure: str
    ranked: list[dict[str, Any]]


class Recommender:
    """The trained model of a run.

    Args:
        resolved, plugins: of the run.
        folder: of the run.
        console: what it says while it loads.

    Raises:
        InputError: the run has not ended, or its files are damaged.
    """

    def __init__(self, resolved: Resolved, plugins: Plugins, folder: RunFolder, console: Console | None = None) -> None:
        if not folder.final.is_dir():
            raise InputError(
                "this run has no final weights yet", where=str(folder.final), fix="polo run RECIPE --resume RUN goes on"
            )
        folder.intact(folder.final)
        device = str(accelerator_of(resolved.recipe).device)
        self._composer = Composer(resolved, plugins.catalogue, console or Console(), device, run=folder.path)
        self._resolved, self._plugins, self._folder = resolved, plugins, folder

    @cached_property
    def splits(self) -> Splits:
        """The run's data."""
        return self._composer.data()

    @cached_property
    def _made(self) -> Policy:
        assert self.splits
        policy = self._composer.policy()
        same_base(self._folder.path, policy)
        return policy

    @cached_property
    def policy(self) -> Policy:
        """The policy with its final weights."""
        self._made.load(self._folder.final)
        return self._made

    @cached_property
    def _scorer(self) -> Scorer:
        return self._composer.scorer()

    @cached_property
    def _by_title(self) -> dict[str, int]:
        return recommend.by_title(self.splits.items)

    def ask(
        self,
        history: Sequence[str],
        candidates: Sequence[str] | None,
        where: tuple[str, str],
        guesses: int | None = None,
    ) -> Asked:
        """The items that are meant; titles may be misspelt a little.

        Args:
            history: titles, oldest first.
            candidates: titles to choose from; the catalogue without the history if not given.
            where: how errors call the two.
            guesses: most texts of each that may be no titles letter by letter; ``None``: all.

        Raises:
            InputError: a title that nothing is like, or data without a catalogue.
        """
        items = self.splits.items
        if self.splits.own is not None:
            raise InputError(
                f"recommending needs a catalogue; in data '{self.splits.name}' each answer belongs to its row",
                where=str(self._folder.path),
                fix="look at eval/examples.json, or score answers with polo eval",
            )
        shown = recommend.match_titles(history, items, where[0], self._by_title, guesses)
        if candidates is None:
            return Asked(shown.items, np.setdiff1d(np.arange(len(items)), shown.items), shown.guessed, listed=False)
        listed = recommend.match_titles(candidates, items, where[1], self._by_title, guesses)
        return Asked(shown.items, np.unique(listed.items), (*shown.guessed, *listed.guessed), listed=True)

    def rank(self, asked: Asked, top: int, nodes: int | None = None, *, search: bool = True) -> Ranking:
        """The best of the pool.

        Args:
            asked: by :meth:`ask`.
            top: how many.
            nodes: most evaluations of a search.
            search: whether a policy that finds its best items itself may do so, instead of the scorer. A scorer that
                finds them does so too.

        Raises:
            InputError: the policy ranks only lists that it is shown, and none was given; or nothing is searched.
        """
        policy = self._fits(asked)
        found = None if asked.listed else self._found(policy, [asked], top, nodes, search=search)
        if nodes is not None and found is None:
            raise InputError("nothing is searched here, every item is scored", where="--nodes", fix="drop --nodes")
        if found is not None:
            return self._searched(policy, [asked], found)[0]
        items, figure = recommend.rank(self._scorer, policy, self._row(asked), asked.pool)
        proven = np.ones(len(items), np.bool_)
        return self._told(asked, "candidates", items[:top], figure[:top], proven[:top])

    def rank_together(self, asked: Sequence[Asked], top: int) -> list[Ranking]:
        """What :meth:`rank` gives for each, to within the rounding of sums; a policy that searches searches for all
        of them at once.
        """
        if asked and all(self.searches(one) for one in asked):
            policy = self._fits(asked[0])
            found = self._found(policy, asked, top, None, search=True)
            assert found is not None
            return self._searched(policy, asked, found)
        return [self.rank(one, top) for one in asked]

    def searches(self, asked: Asked) -> bool:
        """Whether the policy finds the best items itself, instead of being asked for the score of each."""
        return not asked.listed and self._made.pool == "catalogue" and isinstance(self._made, TopItems)

    def _found(
        self, policy: Policy, asked: Sequence[Asked], top: int, nodes: int | None, *, search: bool
    ) -> Top | None:
        """The best of the catalogue for each by a search, if there is one."""
        if search and isinstance(policy, TopItems):
            rows = recommend.together([self._row(one) for one in asked])
            return recommend.best(policy, rows, top, [one.history for one in asked], nodes)
        if not search and isinstance(self._scorer, FindsBest):
            rows = recommend.together([self._row(one) for one in asked])
            known = Ragged.of([one.history.tolist() for one in asked])
            return self._scorer.top_items(policy, rows, top, without=known, nodes=nodes)
        return None

    def _searched(self, policy: Policy, asked: Sequence[Asked], found: Top) -> list[Ranking]:
        among = "all texts" if policy.unit == "logprob" else None
        told = []
        for one, items, scores, proven in zip(asked, found.items, found.scores, found.proven, strict=True):
            there = items != PAD
            figure = np.exp(scores[there]) if among else scores[there]
            told.append(self._told(one, among, items[there], figure, proven[there]))
        return told

    def _told(self, asked: Asked, among: str | None, items: IntArray, figure: FloatArray, proven: BoolArray) -> Ranking:
        titles, name = self.splits.items.titles, "score" if among is None else "probability"
        places = zip(items.tolist(), figure.tolist(), proven.tolist(), strict=True)
        ranked = [
            {"rank": place, "title": titles[item], name: value, "proven": sure}
            for place, (item, value, sure) in enumerate(places, start=1)
        ]
        return Ranking(self.titles(asked.history), among, name, ranked)

    def decode(self, asked: Asked) -> str:
        """One title of the pool, decoded token by token."""
        policy = self._fits(asked)
        by = recommend.decoder(self._scorer, self._plugins.catalogue.tagged("scorer", "decode"))
        return self.titles([recommend.decode(by, policy, self._row(asked), asked.pool)])[0]

    def titles(self, items: Sequence[int] | IntArray) -> list[str]:
        """What items are called."""
        return [self.splits.items.titles[int(item)] for item in items]

    def _fits(self, asked: Asked) -> Policy:
        if self._made.pool == "candidates" and not asked.listed:
            raise InputError(
                "this policy ranks a list that it is shown, not the whole catalogue",
                where="candidates",
                fix=f"give about {self._resolved.recipe.candidates.n} titles (--candidates FILE: one a line)",
            )
        return self.policy

    def _row(self, asked: Asked) -> Rows:
        return recommend.asked(self.policy, asked.history, self.splits.test.window, asked.pool)
