"""Users scored in a second: one row a candidate, the policy's shared prompt, vLLM's strategies; and greedy generation.

    python benchmarks/score.py                        20, 100 and 1,000 candidates, the tiny shape, one thread, minutes
    python benchmarks/score.py --candidates 20 --users 4 --rounds 1 --json out.json
    python benchmarks/score.py --gpu                  the sizes of Llama-3.2-1B and 8B in bfloat16, 20, 100 and 1,000

One model in one process for all contestants, the same rows, interleaved rounds, the median of each. On a CPU the clock
is process time, which other work on the machine does not move; on a GPU it is wall time. Every contestant's scores are
compared with those of the naive form (of the first line where naive is left out). Weights, prompts and titles are
random: up to 100 titles share next to no beginnings, which is the worst case for a tree; longer lists are one catalogue
for all users whose titles begin alike as often as those of MovieLens-1M, LastFM and Amazon Beauty do (tokens over
nodes at 1,000 titles: 1.04 to 1.07 there, 1.06 here). Without vLLM its lines are left out.
Exit status 1: a contestant's scores differ by more than its tolerance.
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
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")

import numpy as np
import torch
import transformers
from step_bench.measure import keep_freed
from step_bench.world import END, LLAMA_1B, TINY, TITLE, Shape, random_users

from polo_causal_lm.engines.choose import choose_engine, choose_tree
from polo_causal_lm.engines.naive import Naive
from polo_causal_lm.engines.tree import tree_scores
from polo_causal_lm.module import CandidateScorer
from polo_causal_lm.quiet import quiet
from polo_causal_lm.text import Encoded
from polo_vllm.check import TOLERANCE, compare
from polo_vllm.worker.files import Row

SEED = 3
#: the sizes of Llama-3.1-8B
LLAMA_8B = Shape("llama-8b", 4096, 14336, 32, 32, 8, 128, 128_256, {})
#: flat tokens of one forward of the policy's own forms
BUDGET = 16_384
#: candidates up to which naive rows are measured; more are a catalogue
FEW = 100
NEW_TOKENS = 10
NAIVE = "naive rows"
COLUMNS = ("contestant", "users", "candidates", "users/s", "x naive", "max diff", "same best")


@dataclass(frozen=True)
class Line:
    """A line of the table; ``None`` where a figure has no meaning or was not measured."""

    contestant: str
    users: int
    candidates: int
    rate: float
    over_naive: float | None
    max_difference: float | None
    same_best: float | None

    def __str__(self) -> str:
        show = (
            self.contestant, str(self.users), str(self.candidates), f"{self.rate:.2f}",
            "-" if self.over_naive is None else f"{self.over_naive:.1f}",
            "-" if self.max_difference is None else f"{self.max_difference:.1e}",
            "-" if self.same_best is None else f"{self.same_best:.1%}",
        )  # fmt: skip
        return f"| {' | '.join(show)} |"


def catalogue(shape: Shape, n: int, seed: int) -> list[np.ndarray]:
    """Titles of 3 to 10 tokens, drawn by Zipf's law (weight 1 / (rank + 5)), so that frequent words begin many."""
    rng = np.random.default_rng(seed)
    weight = 1 / (np.arange(shape.vocab - 3) + 5)
    return [
        np.append(3 + rng.choice(shape.vocab - 3, length, p=weight / weight.sum()), END)
        for length in rng.integers(TITLE[0], TITLE[1] + 1, n)
    ]


def in_passes(
    scorer: CandidateScorer, encoded: Encoded, tokens: int, device: torch.device, most: int = sys.maxsize
) -> np.ndarray:
    """Scores ``[N, n]`` with at most ``tokens`` flat tokens and ``most`` candidates of a user a forward."""
    naive, found = scorer.engine.name == "naive", []
    for prompt, titles in zip(encoded.prompts, encoded.titles, strict=True):
        longest = max(len(title) for title in titles)
        fits = tokens // (len(prompt) + longest) if naive else (tokens - len(prompt)) // longest
        at_once = max(1, min(most, fits))
        row = []
        for start in range(0, len(titles), at_once):
            layout = scorer.engine.layout(Encoded([prompt], [titles[start : start + at_once]]), device)
            row.append(scorer(layout)[0].double().cpu().numpy())
        found.append(np.concatenate(row))
    return np.stack(found)


def greedy(model: Any, encoded: Encoded) -> list[list[int]]:
    """Greedy completions by transformers, one batch, padded on the left."""
    width = max(len(prompt) for prompt in encoded.prompts)
    ids = torch.full((len(encoded), width), END)
    mask = torch.zeros_like(ids)
    for i, prompt in enumerate(encoded.prompts):
        ids[i, width - len(prompt) :], mask[i, width - len(prompt) :] = torch.from_numpy(prompt), 1
    out = model.generate(
        input_ids=ids.to(model.device), attention_mask=mask.to(model.device), do_sample=False,
        max_new_tokens=NEW_TOKENS, pad_token_id=END, eos_token_id=END,
    )  # fmt: skip
    return [[token for token in row if token != END] for row in out[:, width:].tolist()]


def timed(call: Callable[[], Any], gpu: bool) -> tuple[float, Any]:
    """Seconds and result of a call."""
    clock = time.perf_counter if gpu else time.process_time
    if gpu:
        torch.cuda.synchronize()
    start = clock()
    result = call()
    if gpu:
        torch.cuda.synchronize()
    return clock() - start, result


def interleaved(
    contestants: dict[str, Callable[[], Any]], rounds: int, gpu: bool
) -> tuple[dict[str, float], dict[str, Any]]:
    """Median seconds and last result of each. All but the naive form are called once before, to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    results = {name: call() for name, call in contestants.items() if name != NAIVE}
    for _ in range(rounds):
        for name, call in contestants.items():
            took, results[name] = timed(call, gpu)
            seconds[name].append(took)
    return {name: statistics.median(taken) for name, taken in seconds.items()}, results


def engine_of(shape: Shape, folder: Path, gpu: bool) -> Any:
    """vLLM on the same weights."""
    from polo_vllm.worker.engine import Engine

    return Engine({
        "model": str(folder), "tokenizer": None, "rank": None, "dtype": "bfloat16" if gpu else "float32",
        "max_model_len": 512, "block_size": None, "gpu_memory_utilization": 0.5, "batched_tokens": None, "eager": False,
        "tensor_parallel": 1, "cpu_cache_gib": 1,
    })  # fmt: skip


def measure(
    shape: Shape, model: Any, engine: Any, users: int, n: int, rounds: int, naive: bool, gpu: bool
) -> list[Line]:
    """All contestants at ``n`` candidates."""
    encoded = random_users(shape, users, min(n, FEW) - 1, SEED)
    if n > FEW:
        encoded = Encoded(encoded.prompts, [catalogue(shape, n, SEED)] * users)
    rows = [
        Row(i, prompt.tolist(), [title.tolist() for title in titles])
        for i, (prompt, titles) in enumerate(zip(encoded.prompts, encoded.titles, strict=True))
    ]
    device = model.device
    shared = CandidateScorer(model, choose_engine("auto", model, 512)[0]).eval()
    assert choose_tree("always", shared.engine, model)[0]
    scoring: dict[str, Callable[[], Any]] = {}
    if naive:
        scoring[NAIVE] = lambda: in_passes(CandidateScorer(model, Naive()).eval(), encoded, BUDGET, device)
    scoring[f"policy, shared prompt ({shared.engine.name})"] = lambda: in_passes(shared, encoded, BUDGET, device)
    if n > FEW:
        scoring["policy, 64 at a time"] = lambda: in_passes(shared, encoded, BUDGET, device, 64)
    scoring["policy, tree"] = lambda: tree_scores(shared, encoded, BUDGET, device).double().cpu().numpy()
    generating = {f"generate {NEW_TOKENS}, transformers": lambda: greedy(model, encoded)}
    if engine is not None:
        from polo_vllm.worker.strategies import STRATEGIES

        def fresh(name: str) -> Callable[[], Any]:
            def call() -> np.ndarray:
                engine.forget()
                return np.array(STRATEGIES[name](engine).score(rows))

            return call

        def complete() -> list[list[int]]:
            engine.forget()
            return engine.greedy([row.prompt for row in rows], NEW_TOKENS, END)

        scoring |= {f"vllm, {name}": fresh(name) for name in STRATEGIES}
        generating[f"generate {NEW_TOKENS}, vllm"] = complete
    seconds, results = interleaved({**scoring, **generating}, rounds, gpu)
    judge = results[next(iter(scoring))]
    slowest = users / seconds[NAIVE] if naive else None
    lines = []
    for name in scoring:
        parity = compare(judge, results[name], 0.0)
        rate = users / seconds[name]
        over = None if slowest is None else rate / slowest
        lines.append(Line(name, users, n, rate, over, parity.max_difference, parity.same_best))
    first = results[next(iter(generating))]
    for name in generating:
        same = float(np.mean([a == b for a, b in zip(first, results[name], strict=True)]))
        lines.append(Line(name, users, n, users / seconds[name], None, None, same))
    return lines


@torch.no_grad()
def main() -> int:
    """Measures, prints the table, and fails if contestants do not agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, nargs="+")
    parser.add_argument("--users", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(torch.get_num_threads() if given.gpu else 1)
    if not given.gpu:
        keep_freed()  # as in the step benchmark: page faults are the machine's, not a form's
    counts = given.candidates or [20, 100, 1000]
    lines: dict[str, list[Line]] = {}
    for shape in (LLAMA_1B, LLAMA_8B) if given.gpu else (replace(TINY, users={}),):
        torch.manual_seed(SEED)
        dtype, device = (torch.bfloat16, "cuda") if given.gpu else (torch.float32, "cpu")
        model = transformers.AutoModelForCausalLM.from_config(shape.config(), dtype=dtype).to(device).eval()
        model.requires_grad_(False)  # as the policy has it
        with tempfile.TemporaryDirectory() as place:
            engine = None
            if find_spec("vllm") is not None:
                with quiet():
                    model.save_pretrained(place)
                engine = engine_of(shape, Path(place), given.gpu)
            for n in counts:
                users = given.users or (64 if given.gpu else max(2, 160 // n))
                found = measure(shape, model, engine, users, n, given.rounds, n <= FEW, given.gpu)
                lines[f"{shape.name} {n}"] = found
                print(f"\n{shape.name}, {n} candidates\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
                print(*found, sep="\n", flush=True)
            if engine is not None:
                engine.close()
        del model
    if given.json:
        given.json.write_text(json.dumps({k: [asdict(line) for line in v] for k, v in lines.items()}, indent=1))
    limit = TOLERANCE["bfloat16" if given.gpu else "float32"]
    wrong = [x for v in lines.values() for x in v if x.max_difference is not None and x.max_difference > limit]
    print(*(f"differs: {line}" for line in wrong), sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
