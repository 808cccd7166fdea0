"""The exact ten best titles of a catalogue: nodes and time of the search against scoring the whole tree.

    python benchmarks/topk.py --data FOLDER --json out.json                 all catalogues; models are kept in --cache
    python benchmarks/topk.py --data FOLDER --catalogues lastfm --users 4   a quick look
    python benchmarks/topk.py --data FOLDER --beams 10 50 100               also transformers' constrained beam search
    python benchmarks/topk.py --data FOLDER --places                        also places of targets, as evaluations want

Models are small Llamas made from the training split (``tiny_lm``). ``lastfm`` and ``beauty`` are the real catalogues;
``100k`` and ``1m`` are LastFM's titles among made ones, for the same model and users. The clock is process time of one
CPU thread, users one by one, the median over users. The whole tree is scored for as many users as fit into a minute
(one at least; never at a million titles), and the search must find the same ten. Beams are allowed titles' tokens only;
"differs" is how often their ten best are not the exact ten in order.
Exit status 1: the search and the scores of all titles disagree.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from topk_bench.places import evaluated
from topk_bench.worlds import World, beauty, lastfm, trained, widened

from polo import IntArray
from polo_causal_lm.engines.base import causal_lm
from polo_causal_lm.engines.tree import tree_scores
from polo_causal_lm.options import TinyLMOptions
from polo_causal_lm.text import Encoded
from polo_causal_lm.topk.best import token_bytes
from polo_causal_lm.topk.find import Machine, find
from polo_causal_lm.topk.search import Search, Wish
from polo_causal_lm.topk.titles import TitleTree

K = 10
BUDGET = 16_384
MEMORY = 1 << 30
CPU = torch.device("cpu")
#: process seconds after which no further user's whole tree is scored
ENOUGH = 60.0
#: float32 scores of one title in two forms of computation; nearer ones may change places
NEAR = 1e-3
#: catalogues, and the titles above which the whole tree is not scored
NAMES = ("lastfm", "beauty", "100k", "1m")
TOO_MANY = 200_000


@dataclass(frozen=True)
class Line:
    """A catalogue's figures; ``None`` where the whole tree was not scored. ``made``: share of places of made titles."""

    titles: int
    tree_nodes: int
    nodes_median: float
    nodes_most: int
    nodes_needed: float
    seconds_median: float
    over_prompt: float
    time_ratio_tree: float | None
    users_of_tree: int
    exact: bool | None
    made: float


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Process seconds and result of a call."""
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def searched(world: World, tree: TitleTree, prompt: IntArray) -> Search:
    """One user's search."""
    lm, search = causal_lm(world.policy.model), Search(tree, Wish(K), np.empty(0, np.int64))
    machine = Machine(world.policy.module, CPU, BUDGET, MEMORY)
    find(machine, token_bytes(lm.config, world.policy.dtype), tree, [prompt], [search])
    return search


def measure(world: World, titles: list[IntArray]) -> tuple[Line, list[Search]]:
    """All figures of one catalogue."""
    tree, lm = TitleTree.of(titles), causal_lm(world.policy.model)
    prompts = world.policy.texts.prompts(world.rows)
    searches, seconds, prompt_seconds = [], [], []
    searched(world, tree, prompts[0])
    for prompt in prompts:
        took, search = timed(lambda prompt=prompt: searched(world, tree, prompt))
        seconds.append(took)
        searches.append(search)
        ids = torch.from_numpy(prompt)[None]
        prompt_seconds.append(timed(lambda ids=ids: lm(input_ids=ids, logits_to_keep=1))[0])
    ratios, exact = [], True
    if len(titles) <= TOO_MANY:
        spent = 0.0
        for prompt, search, took in zip(prompts, searches, seconds, strict=True):
            encoded = Encoded([prompt], [titles])
            whole, scores = timed(lambda encoded=encoded: tree_scores(world.policy.module, encoded, BUDGET, CPU))
            ratios.append(whole / took)
            exact &= same(search, scores[0].double().numpy())
            spent += whole
            if spent > ENOUGH:
                break
    line = Line(
        titles=len(titles),
        tree_nodes=tree.inner,
        nodes_median=statistics.median(search.expanded for search in searches),
        nodes_most=max(search.expanded for search in searches),
        nodes_needed=statistics.median(search.needed for search in searches),
        seconds_median=statistics.median(seconds),
        over_prompt=statistics.median(a / b for a, b in zip(seconds, prompt_seconds, strict=True)),
        time_ratio_tree=statistics.median(ratios) if ratios else None,
        users_of_tree=len(ratios),
        exact=exact if ratios else None,
        made=float(np.mean([search.items >= len(world.policy.texts.titles) for search in searches])),
    )
    return line, searches


def same(search: Search, scores: np.ndarray) -> bool:
    """Whether a search found the best scores, and the items that have them; those nearer than rounding may swap."""
    best = -np.sort(-scores)[:K]
    found = np.abs(search.scores - best).max() < NEAR and np.abs(scores[search.items] - best).max() < NEAR
    return bool(found and search.proven.all() and len(set(search.items.tolist())) == K)


def beam(world: World, tree: TitleTree, prompt: IntArray, width: int) -> list[list[int]]:
    """The ten best titles of constrained beam search, as token ids."""
    lm, texts = causal_lm(world.policy.model), world.policy.texts
    children: dict[int, dict[int, int]] = {}

    def allowed(_: int, ids: torch.Tensor) -> list[int]:
        node = 0
        for token in ids[len(prompt) :].tolist():
            node = follow(node).get(token, -1)
            if node < 0:
                return [texts.end]
        return list(follow(node)) or [texts.end]

    def follow(node: int) -> dict[int, int]:
        if node not in children:
            low, high = int(tree.child[node]), int(tree.child[node + 1])
            children[node] = dict(zip(tree.token[low:high].tolist(), range(low, high), strict=True))
        return children[node]

    out = lm.generate(
        input_ids=torch.from_numpy(prompt)[None], attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        num_beams=width, num_return_sequences=K, do_sample=False, length_penalty=0.0, early_stopping="never",
        max_new_tokens=int(tree.longest[0]), prefix_allowed_tokens_fn=allowed, eos_token_id=texts.end,
        pad_token_id=texts.end,
    )  # fmt: skip
    rows = out[:, len(prompt) :].tolist()
    return [row[: row.index(texts.end) + 1] if texts.end in row else row for row in rows]


def beams(
    world: World, searches: list[Search], widths: list[int], users: int
) -> tuple[dict[str, float], dict[str, float]]:
    """How often the ten of each width are not the exact ten, and process seconds of a user, by width."""
    tree, differs, seconds = TitleTree.of(world.policy.texts.titles), {}, {}
    prompts = world.policy.texts.prompts(world.rows)[:users]
    for width in widths:
        wrong, took = [], []
        for prompt, search in zip(prompts, searches, strict=False):
            own, found = timed(lambda prompt=prompt, width=width: beam(world, tree, prompt, width))
            took.append(own)
            wrong.append(found != [world.policy.texts.titles[item].tolist() for item in search.items])
        differs[str(width)], seconds[str(width)] = float(np.mean(wrong)), statistics.median(took)
        print(f"beams of {width}: differ for {differs[str(width)]:.0%} of {len(wrong)} users", flush=True)
    return differs, seconds


@torch.no_grad()
def main() -> int:
    """Measures, prints a line for each catalogue, and fails if the search is not exact."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("POLO_DATA"), help="folder of the data sets")
    parser.add_argument("--catalogues", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--users", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=12, help="of LastFM's model")
    parser.add_argument("--beams", type=int, nargs="*", default=[])
    parser.add_argument("--places", action="store_true", help="LastFM and Beauty: places of targets, by search")
    parser.add_argument("--cache", type=Path, help="where models are kept; default: nowhere")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.data is None:
        parser.error("say where the data is: --data FOLDER, or POLO_DATA")
    torch.set_num_threads(1)
    lines: dict[str, Line] = {}
    report: dict[str, Any] = {"growth_100k_1m": None, "beam_differs": {}}
    with tempfile.TemporaryDirectory() as place:
        cache = given.cache or Path(place)
        with torch.enable_grad():
            artists = trained(
                "lastfm", lastfm(given.data, cache), given.users, TinyLMOptions(epochs=given.epochs), cache
            )
        for name in given.catalogues:
            if name == "beauty":
                with torch.enable_grad():
                    world = trained(name, beauty(given.data), given.users, TinyLMOptions(epochs=1), cache)
                titles = world.policy.texts.titles
            elif name == "lastfm":
                world, titles = artists, artists.policy.texts.titles
            else:
                world, titles = widened(artists, 100_000 if name == "100k" else 1_000_000, 1)
            lines[name], searches = measure(world, titles)
            print(f"{name}: {lines[name]}", flush=True)
            if given.places and name in ("lastfm", "beauty"):
                report.setdefault("places", {})[name] = placed = evaluated(world, BUDGET)
                for way, one in placed.items():
                    print(f"{name}, {way}: {one}", flush=True)
            if name == "lastfm" and given.beams:
                report["beam_differs"], report["beam_seconds"] = beams(world, searches, given.beams, given.users)
    if {"100k", "1m"} <= set(lines):
        report["growth_100k_1m"] = lines["1m"].seconds_median / lines["100k"].seconds_median
        print(f"growth from 100k to 1m titles: {report['growth_100k_1m']:.2f}")
    if given.json:
        catalogues = {name: asdict(line) for name, line in lines.items()}
        for name, ways in report.get("places", {}).items():
            report["places"][name] = {way: asdict(one) for way, one in ways.items()}
        given.json.write_text(json.dumps({"catalogues": catalogues, **report}, indent=1))
    return 1 if any(line.exact is False for line in lines.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
