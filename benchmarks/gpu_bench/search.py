"""Part ``topk``: the ten best titles of a synthetic catalogue by search, against scoring its whole tree.

A random model likes no title more than another, so a search of its scores would have to look everywhere. So passes are
computed by the model, at its full price, and the search is told made-up log-probabilities in their place: children of
a node in a random order, likely by Zipf's law with exponent 1.5 (a trained model of LastFM needs 11 nodes in the
median). That the search is exact on the device's own scores is checked apart, on a few hundred titles.
"""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import score
import torch
from score import timed
from step_bench.world import Shape, random_users

from gpu_bench.models import SHAPES, TOY, random_base
from gpu_bench.report import Report
from polo import FloatArray
from polo_causal_lm.engines.choose import choose_engine
from polo_causal_lm.engines.tree import tree_scores
from polo_causal_lm.module import CandidateScorer
from polo_causal_lm.text import Encoded
from polo_causal_lm.topk.best import token_bytes
from polo_causal_lm.topk.find import Machine, find
from polo_causal_lm.topk.search import Search, Wish
from polo_causal_lm.topk.titles import TitleTree

K, USERS, BUDGET, MEMORY = 10, 8, 16_384, 4 << 30
SIZES, TOY_SIZES = (12_000, 100_000), (300,)
#: share of the probability that is given to titles at each node, and the exponent of Zipf's law
SHARE, EXPONENT = 0.9, 1.5
#: nats by which a bfloat16 score of one title may differ in two forms of computation
NEAR = {True: 0.5, False: 1e-3}


class _Told(Search):
    """A search that is told a made-up distribution, whatever was computed."""

    def __init__(self, tree: TitleTree, wish: Wish, seed: int) -> None:
        self._seed = seed
        super().__init__(tree, wish, np.empty(0, np.int64))

    def tell(self, node: int, logps: FloatArray) -> None:
        rank = np.random.default_rng((self._seed, node)).permutation(len(logps)) + 1.0
        weight = rank**-EXPONENT
        super().tell(node, np.log(SHARE * weight / weight.sum()))


def part(report: Report) -> None:
    """Cells ``topk/exact`` and ``topk/SHAPE N``."""
    shape = TOY if report.toy else SHAPES["llama-1b"]
    made: list[CandidateScorer] = []

    def scorer() -> CandidateScorer:
        if not made:
            model = random_base(shape, report.device, torch.bfloat16 if report.gpu else torch.float32)
            made.append(CandidateScorer(model, choose_engine("split", model, 512)[0]).eval())
        return made[0]

    report.cell("topk/exact", lambda: exact(scorer(), shape, report))
    for n in TOY_SIZES if report.toy else SIZES:
        report.cell(f"topk/{shape.name} {n}", lambda n=n: against(scorer(), shape, n, report))


def _searched(scorer: CandidateScorer, tree: TitleTree, prompts: list[Any], searches: list[Any], device: str) -> None:
    config, dtype = scorer.model.config, next(scorer.parameters()).dtype
    machine = Machine(scorer, torch.device(device), BUDGET, MEMORY)
    find(machine, token_bytes(config, dtype), tree, prompts, searches)


def exact(scorer: CandidateScorer, shape: Shape, report: Report) -> dict[str, Any]:
    """The search on the model's own scores, 300 titles, against the scores of all."""
    titles = score.catalogue(shape, 100 if report.toy else 300, 1)
    tree, prompts = TitleTree.of(titles), list(random_users(shape, 4, 1, 2).prompts)
    searches = [Search(tree, Wish(K), np.empty(0, np.int64)) for _ in prompts]
    _searched(scorer, tree, prompts, searches, report.device)
    whole = tree_scores(scorer, Encoded(prompts, [titles] * len(prompts)), BUDGET, torch.device(report.device))
    off = 0.0
    for search, scores in zip(searches, whole.double().cpu().numpy(), strict=True):
        best = -np.sort(-scores)[:K]
        off = max(off, float(np.abs(search.scores - best).max()), float(np.abs(scores[search.items] - best).max()))
    return {"titles": len(titles), "max_difference": off, "agrees": off <= NEAR[report.gpu]}


def against(scorer: CandidateScorer, shape: Shape, n: int, report: Report) -> dict[str, Any]:
    """Seconds of both for one user at a time, and of the search for all users together."""
    titles = score.catalogue(shape, n, 1)
    tree, prompts = TitleTree.of(titles), list(random_users(shape, USERS, 1, 2).prompts)
    device = torch.device(report.device)

    def search(chosen: list[int]) -> list[Any]:
        searches = [_Told(tree, Wish(K), seed) for seed in chosen]
        _searched(scorer, tree, [prompts[i] for i in chosen], searches, report.device)
        return searches

    search([0])
    alone = [timed(lambda i=i: search([i]), report.gpu) for i in range(USERS)]
    together = timed(lambda: search(list(range(USERS))), report.gpu)[0]
    with torch.no_grad():
        first = timed(lambda: scorer.model(torch.from_numpy(prompts[0])[None].to(device), logits_to_keep=1), report.gpu)
        prompt = timed(lambda: scorer.model(torch.from_numpy(prompts[0])[None].to(device), logits_to_keep=1),
                       report.gpu)[0]  # fmt: skip
    del first
    whole = [timed(lambda: tree_scores(scorer, Encoded([prompts[0]], [titles]), BUDGET, device), report.gpu)[0]
             for _ in range(2)][-1]  # fmt: skip
    seconds = statistics.median(took for took, _ in alone)
    return {
        "titles": n, "tree_nodes": tree.inner, "users": USERS,
        "nodes_median": statistics.median(found[0].expanded for _, found in alone),
        "nodes_needed": statistics.median(found[0].needed for _, found in alone),
        "search_s": seconds, "search_s_of_a_user_together": together / USERS, "tree_s": whole, "prompt_s": prompt,
        "time_ratio_tree": whole / seconds, "time_ratio_tree_together": whole / (together / USERS),
        "over_prompt": seconds / prompt,
    }  # fmt: skip
