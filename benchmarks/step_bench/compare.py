"""Races of two forms of a step on the same users, and the figures that come of them. Knows no shape by name."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from polo_causal_lm.text import Encoded
from step_bench.contestants import LADDER, NAIVE, OURS, REFERENCE, Contestant, Form, agreeing_users
from step_bench.floor import floor_ratio, naive_work, shared_work
from step_bench.measure import peak_megabytes, seconds
from step_bench.world import Shape, random_model, random_users

#: a fast wrong answer must fail: largest difference of the loss, and of the gradient relative to its length (float32)
LOSS_TOLERANCE, GRADIENT_TOLERANCE = 1e-4, 2e-5


@dataclass(frozen=True)
class Spread:
    """Median and range over rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g}-{self.high:.3g})"


@dataclass(frozen=True)
class Race:
    """One form against another: ratios are naive over ours, seconds and MB are medians."""

    k: int
    users: int
    naive_s: float
    ours_s: float
    time: Spread
    floor: float
    naive_mb: float
    ours_mb: float
    memory: float
    dloss: float
    dgrad: float
    tokens: tuple[int, int]
    rows: tuple[int, int]

    def figures(self) -> dict[str, Any]:
        """As the JSON file has them."""
        flat = asdict(self)
        flat |= {"time_ratio": self.time.median, "memory_ratio": self.memory, "share_of_floor": self.share}
        return flat

    @property
    def share(self) -> float:
        """Measured ratio over the ratio of FLOP."""
        return self.time.median / self.floor

    @property
    def agrees(self) -> bool:
        return self.dloss <= LOSS_TOLERANCE and self.dgrad <= GRADIENT_TOLERANCE


class Bench:
    """Users of one shape and k, their cached reference scores, and contestants made on demand."""

    def __init__(self, shape: Shape, k: int, seed: int, device: str = "cpu", users: int | None = None) -> None:
        self.shape, self.k, self._device = shape, k, device
        self._dtype = torch.float32 if device == "cpu" else torch.bfloat16
        n = users or shape.users[k]
        judge = self.contestant(OURS, lambda u: torch.zeros(len(u), 1 + k))
        self.users: Encoded = agreeing_users(lambda s: random_users(shape, n, k, s), judge.scores, seed)
        reference = Contestant(OURS, shape, lambda u: torch.zeros(0), device, self._dtype)
        reference.model = random_model(shape, 0, REFERENCE, device, self._dtype)
        reference.use(reference.model)
        self._ref: Tensor = reference.scores(self.users)

    def contestant(self, form: Form, cached: Any = None) -> Contestant:
        return Contestant(form, self.shape, cached or (lambda users: self._ref), self._device, self._dtype)

    def seconds(self, contestant: Contestant, repeats: int = 1) -> float:
        """Median over ``repeats`` steps."""
        return statistics.median(seconds(lambda: contestant.step(self.users), self._device) for _ in range(repeats))

    def megabytes(self, contestant: Contestant) -> float:
        """Peak of one step above weights and optimiser."""
        return peak_megabytes(lambda: contestant.step(self.users), self._device)


def race(bench: Bench, rounds: int, ours: Form = OURS, naive: Form = NAIVE, repeats: int = 3) -> Race:
    """Interleaved: every round times one step of the naive form and ``repeats`` of ours; ratios are taken by round.

    One step of each is run for its memory before, and one to warm up (else page faults would count as work).
    """
    slow, fast = bench.contestant(naive), bench.contestant(ours)
    naive_mb, ours_mb, pairs = race_of(bench, slow, fast, rounds, repeats)
    before, after = naive_work(bench.users), shared_work(bench.users)
    dloss, dgrad = difference(slow, fast)
    naive_s, ours_s = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Race(
        k=bench.k,
        users=len(bench.users),
        naive_s=naive_s,
        ours_s=ours_s,
        time=Spread.of([a / b for a, b in pairs]),
        floor=floor_ratio(bench.shape, bench.users),
        naive_mb=naive_mb,
        ours_mb=ours_mb,
        memory=naive_mb / ours_mb,
        dloss=dloss,
        dgrad=dgrad,
        tokens=(before.tokens, after.tokens),
        rows=(before.rows, after.rows),
    )


def race_of(
    bench: Bench, slow: Any, fast: Any, rounds: int, repeats: int = 3
) -> tuple[float, float, list[tuple[float, float]]]:
    """Peak MB of both, and seconds of both by round."""
    bench.seconds(fast)
    memory = bench.megabytes(slow), bench.megabytes(fast)
    bench.seconds(slow)
    bench.seconds(fast)
    return *memory, [(bench.seconds(slow), bench.seconds(fast, repeats)) for _ in range(rounds)]


def difference(one: Contestant, other: Contestant) -> tuple[float, float]:
    """Of the losses, and of the gradients relative to their length, of the last step of each."""
    a, b = one.gradient(), other.gradient()
    return abs(one.loss - other.loss), float((a - b).norm() / a.norm())


def ladder(bench: Bench, rounds: int) -> list[dict[str, Any]]:
    """Every rung against the naive form, one change at a time; all rungs run in every round."""
    runners = [bench.contestant(form) for form in LADDER]
    memory = [bench.megabytes(runner) for runner in runners]
    for runner in runners:
        bench.seconds(runner)
    times = [
        [bench.seconds(runner, 1 if runner.form.layout == "rows" else 3) for runner in runners] for _ in range(rounds)
    ]
    table = []
    for i, runner in enumerate(runners):
        dloss, dgrad = difference(runners[0], runner)
        table.append(
            {
                "form": runner.form.name,
                "seconds": statistics.median(row[i] for row in times),
                "megabytes": memory[i],
                "time_ratio": statistics.median(row[0] / row[i] for row in times),
                "memory_ratio": memory[0] / memory[i],
                "dloss": dloss,
                "dgrad": dgrad,
            }
        )
    return table


def marginal(shape: Shape, rounds: int, seed: int, few: int = 1, many: int = 20) -> dict[str, float]:
    """What one more negative costs, as a share of a step: the same users with 1 and with 20, interleaved.

    The slope between the two, over the step with ``few`` and over the step with ``many`` negatives; and what the FLOP
    of both would give.
    """
    lots = Bench(shape, many, seed, users=max(2, shape.users[many]))
    little = Bench.__new__(Bench)
    little.__dict__.update(lots.__dict__)
    little.users = Encoded(lots.users.prompts, [titles[: 1 + few] for titles in lots.users.titles])
    little._ref = lots._ref[:, : 1 + few]  # noqa: SLF001
    a, b = little.contestant(OURS), lots.contestant(OURS)
    little.seconds(a), lots.seconds(b)
    ratios = []
    for _ in range(rounds):
        first = little.seconds(a, 3)
        ratios.append(lots.seconds(b, 3) / first)
    ratio = statistics.median(ratios)
    flop = shared_work(lots.users).forward(shape) / shared_work(little.users).forward(shape)
    return {
        "ratio": ratio,
        "of_a_step_with_few": (ratio - 1) / (many - few),
        "of_a_step_with_many": (1 - 1 / ratio) / (many - few),
        "ratio_by_flop": flop,
        "of_a_step_with_few_by_flop": (flop - 1) / (many - few),
    }
