"""Part ``step``: ours against the published form, each at its own best micro-batch, and where the time goes.

Both have one random base (whose frozen weights they share in memory) and the same users, prompts of 250 to 400 tokens
and titles of 3 to 10. Sides take turns round by round; the clock is CUDA events around the whole step, with the making
of its batch on the host, without the optimiser. The published form pays for a second model in each step, recomputes
activations and makes logits everywhere; ours reads the reference from its cache, as a run does from the second epoch.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import torch
from step_bench.contestants import NAIVE, OURS, REFERENCE, Contestant, Form
from step_bench.measure import peak_megabytes, seconds
from step_bench.world import Shape, random_users
from torch import Tensor

from gpu_bench import flops
from gpu_bench.models import RANK, SHAPES, TOY, random_base, weight_bytes, with_adapters
from gpu_bench.profile import profiled
from gpu_bench.report import Report, TimeUp, tidy
from polo_causal_lm.engines.attention import RowByRow
from polo_causal_lm.engines.split import Split
from polo_causal_lm.module import CandidateScorer
from polo_causal_lm.text import Encoded

KS = (20, 5, 1)
#: users of a micro-batch that are tried, fewest first; the search ends at the memory's end or where it gets slower
OURS_BATCHES = (4, 8, 16, 32, 64, 128)
NAIVE_BATCHES = {20: (1, 2, 4), 5: (1, 2, 4, 8), 1: (2, 4, 8, 16, 32)}
#: gradients of two exact forms in bfloat16, as a share of their length, where there is no float32 one to judge by
NEAR = 0.1
#: goals of time by k
GOALS = {1: 4.0, 5: 11.0, 20: 28.0}
ROUNDS = 3


class World:
    """A base, users of one k and the reference's scores of them."""

    def __init__(self, base: Any, shape: Shape, k: int, device: str, most: int) -> None:
        self.shape, self.k, self.device, self._base = shape, k, device, base
        self._users = random_users(shape, most, k, 1)
        reference = self.contestant(replace(OURS, selection="exact"), with_adapters(base, REFERENCE, device))
        parts = [Encoded(self._users.prompts[i : i + 4], self._users.titles[i : i + 4]) for i in range(0, most, 4)]
        self._ref: Tensor = torch.cat([reference.scores(part) for part in parts])

    def users(self, n: int) -> Encoded:
        """The first ``n``."""
        return Encoded(self._users.prompts[:n], self._users.titles[:n])

    def contestant(self, form: Form, model: Any = None) -> Contestant:
        """A form with the policy's adapters, or with a model of its own."""
        make: Callable[[int], Any] = lambda seed: with_adapters(self._base, seed, self.device)  # noqa: E731
        return Contestant(
            form, self.shape, lambda users: self._ref[: len(users)], self.device, self._base.dtype,
            make if model is None else lambda seed: model,
        )  # fmt: skip

    def seconds(self, contestant: Contestant, n: int, repeats: int = 1) -> float:
        users = self.users(n)
        return statistics.median(seconds(lambda: contestant.step(users), self.device) for _ in range(repeats))


def forms() -> tuple[Form, Form]:
    """The published form and ours; without scikit-learn, whose clusters are the published ones, both have ours."""
    selection = "sklearn" if find_spec("sklearn") else "exact"
    return replace(NAIVE, selection=selection), OURS


def best(world: World, side: Contestant, batches: tuple[int, ...], report: Report) -> dict[str, Any]:
    """The micro-batch with the most users a second, and what was tried."""
    tried: dict[str, Any] = {}
    found, rate = 0, 0.0
    for n in batches:
        one: float | None = None
        try:
            world.seconds(side, n)
            one = n / world.seconds(side, n)
        except torch.cuda.OutOfMemoryError:
            tried[str(n)] = "out of memory"
        if one is None:  # outside of the handler, whose traceback holds the tensors
            side.model.zero_grad(set_to_none=True)
            tidy()
            break
        tried[str(n)] = one
        if one > rate:
            found, rate = n, one
        if one < 0.97 * rate or report.left < 4 * n / one:
            break
    return {"users": found, "users_per_s": rate, "tried_users_per_s": tried}


def race(world: World, report: Report) -> dict[str, Any]:
    """The figures of one k."""
    published, own = forms()
    slow, fast = world.contestant(published), world.contestant(own)
    ours = best(world, fast, (1, 2) if report.toy else OURS_BATCHES, report)
    naive = best(world, slow, (1, 2) if report.toy else NAIVE_BATCHES[world.k], report)
    if not ours["users"] or not naive["users"]:
        return {"ours": ours, "naive": naive, "note": "one side fits no user"}
    equal = naive["users"]
    pairs = []
    for _ in range(1 if report.toy else ROUNDS):
        pairs.append((world.seconds(slow, naive["users"]) / naive["users"],
                      world.seconds(fast, ours["users"], 3) / ours["users"]))  # fmt: skip
        if report.left < 3 * (pairs[-1][0] * naive["users"] + 3 * pairs[-1][1] * ours["users"]):
            break
    naive_s, ours_s = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratios = [a / b for a, b in pairs]
    equal_naive = peak_megabytes(lambda: slow.step(world.users(equal)), world.device)
    equal_ours = peak_megabytes(lambda: fast.step(world.users(equal)), world.device)
    model = weight_bytes(fast.model) / 2**20
    work = flops.ours(world.shape, world.users(ours["users"]), RANK) / ours["users"]
    old = flops.naive(world.shape, world.users(naive["users"]), RANK) / naive["users"]
    peak = flops.peak_of(torch.cuda.get_device_name()) if report.gpu else None
    return {
        "selection_of_naive": published.selection,
        "time_ratio": statistics.median(ratios), "time_ratio_low": min(ratios), "time_ratio_high": max(ratios),
        "goal": GOALS.get(world.k),
        "memory_ratio": equal_naive / equal_ours,
        "memory_ratio_with_weights": (equal_naive + 2 * model) / (equal_ours + model),
        "memory_at_users": equal, "naive_mb": equal_naive, "ours_mb": equal_ours, "model_mb": model,
        "naive_s_per_user": naive_s, "ours_s_per_user": ours_s,
        "ours_tflops": work / ours_s / 1e12, "naive_tflops": old / naive_s / 1e12,
        "mfu_ours": None if peak is None else work / ours_s / peak,
        "mfu_naive": None if peak is None else old / naive_s / peak,
        "peak_tflops": None if peak is None else peak / 1e12,
        "flop": "see gpu_bench/flops.py: executed once; no recomputation; backward to activations and adapters",
        "ours": ours, "naive": naive, "rounds": len(pairs),
    }  # fmt: skip


def agree(world: World, base: Any) -> dict[str, Any]:
    """Whether ours has the gradient of the published form, on one user, with all negatives and beta 1.

    In bfloat16 both are off, and a chosen negative more or less is no rounding, hence the plain loss. Where a float32
    copy of the weights fits, ours must be as near to its gradient as the published form is, within a half more; else
    nothing says which of the two is off, and they must be near each other.
    """
    judge = _float32(base, world.shape, world.device) if _fits(base) else None
    published, own = forms()
    one = world.users(1)
    slow, fast = (world.contestant(replace(form, selection=None)) for form in (published, own))
    slow.step(one), fast.step(one)
    a, b = slow.gradient(), fast.gradient()
    found: dict[str, Any] = {"dloss": abs(slow.loss - fast.loss), "dgrad": float((a - b).norm() / a.norm())}
    if judge is not None:
        true = Contestant(
            replace(own, selection=None), world.shape, lambda users: world._ref[: len(users)],  # noqa: SLF001
            world.device, torch.float32, lambda seed: with_adapters(judge, seed, world.device),
        )  # fmt: skip
        true.step(one)
        c = true.gradient()
        found |= {"dgrad_naive_float32": float((a - c).norm() / c.norm()),
                  "dgrad_ours_float32": float((b - c).norm() / c.norm())}  # fmt: skip
        found["agrees"] = found["dgrad_ours_float32"] <= 1.5 * found["dgrad_naive_float32"] + 1e-3
    else:
        found["agrees"] = found["dgrad"] <= NEAR
    if not found["agrees"]:
        print(f"gradients differ: {found}", flush=True)
    return found


def engines(world: World, users: int) -> dict[str, Any]:
    """Seconds of a step of ours by form of attention and by what is done for memory, at one micro-batch."""
    found: dict[str, Any] = {"users": users}
    own = forms()[1]
    kinds: dict[str, Form] = {
        "split, two calls (as shipped)": own,
        "split, layers of transformers": replace(own, fast=False),
        "split, checkpointing": replace(own, checkpointing=True),
        "packed": replace(own, layout="packed", fast=False),
    }
    for name, form in kinds.items():
        found[name] = _or_memory(world, world.contestant(form), users)
        tidy()
    rows = world.contestant(own)
    engine = Split(RowByRow)
    scorer = CandidateScorer(rows.model, engine)
    rows._score = lambda given: scorer(engine.layout(given, torch.device(world.device)))  # noqa: SLF001
    found["split, two calls a row"] = _or_memory(world, rows, users)
    return found


def _or_memory(world: World, side: Contestant, users: int) -> Any:
    try:
        world.seconds(side, users)
        return world.seconds(side, users, 3)
    except torch.cuda.OutOfMemoryError:
        return "out of memory"


def part(report: Report) -> None:
    """Cells ``step/SHAPE k=K`` in order of their worth, with the engines and the profile of the first."""
    dtype = torch.bfloat16 if report.gpu else torch.float32
    shapes = {"toy": TOY} if report.toy else SHAPES
    for name, shape in shapes.items():
        base = None
        for k in (1, 5) if report.toy else KS:
            cells = [
                f"step/{name} k={k}",
                f"agreement/{name} k={k}",
                f"profile/{name} k={k}",
                f"step/{name} engines k={k}",
            ]
            wanted = cells if k == (1 if report.toy else KS[0]) else cells[:2]
            if all(report.cells.get(cell, {}).get("status") == "done" for cell in wanted):
                continue
            if report.left <= 0:
                raise TimeUp
            if base is None:
                base = random_base(shape, report.device, dtype)
            world = World(base, shape, k, report.device, 2 if report.toy else max(OURS_BATCHES))
            report.cell(cells[0], lambda world=world: race(world, report))
            users = int(report.cells[cells[0]].get("ours", {}).get("users", 0)) or 1
            report.cell(cells[1], lambda world=world, base=base: agree(world, base))
            if len(wanted) > 2:
                report.cell(cells[2], lambda world=world, users=users: profiled(
                    world.contestant(forms()[1]), world.users(users), report.device))  # fmt: skip
                report.cell(cells[3], lambda world=world, users=users: engines(world, users))
            del world
            tidy()
        del base
        tidy()


def _fits(base: Any) -> bool:
    """Whether a float32 copy and a step on it have room beside the base."""
    if not next(base.parameters()).is_cuda:
        return True
    return torch.cuda.mem_get_info()[0] > 1.4 * 4 * sum(p.numel() for p in base.parameters())


def _float32(base: Any, shape: Shape, device: str) -> Any:
    """The same weights, wide."""
    wide = random_base(shape, device, torch.float32)
    wide.load_state_dict(base.state_dict())
    return wide.requires_grad_(False)
