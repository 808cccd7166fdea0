"""What the service counts, in the text format that Prometheus reads. Knows numbers; knows no web."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate

#: upper bounds of seconds
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
#: upper bounds of questions that are answered together
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Histogram:
    """How often a number lay below each bound."""

    def __init__(self, name: str, help_: str, bounds: Sequence[float]) -> None:
        self.name, self.help, self.bounds = name, help_, bounds
        self.counts, self.sum = [0] * (len(bounds) + 1), 0.0

    def see(self, value: float) -> None:
        """Counts a number."""
        self.counts[sum(value > bound for bound in self.bounds)] += 1
        self.sum += value

    def lines(self) -> list[str]:
        """Buckets that hold those below them too, sum and count.

        Example:
            >>> seen = Histogram("size", "Sizes.", [1, 2])
            >>> seen.see(2)
            >>> print("\\n".join(seen.lines()))
            # HELP size Sizes.
            # TYPE size histogram
            size_bucket{le="1"} 0
            size_bucket{le="2"} 1
            size_bucket{le="+Inf"} 1
            size_sum 2.0
            size_count 1
        """
        named = [f"{bound:g}" for bound in self.bounds] + ["+Inf"]
        totals = list(accumulate(self.counts))
        buckets = [f'{self.name}_bucket{{le="{bound}"}} {total}' for bound, total in zip(named, totals, strict=True)]
        return [*_head(self.name, self.help, "histogram"), *buckets, f"{self.name}_sum {self.sum}",
                f"{self.name}_count {totals[-1]}"]  # fmt: skip


class Figures:
    """Requests by path and status, how long they took, and how many questions were answered together.

    Args:
        waiting: how many questions wait now.
    """

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._waiting = waiting
        self.seconds = Histogram("polo_request_seconds", "From a question's first byte to its answer.", SECONDS)
        self.sizes = Histogram("polo_batch_questions", "Questions that were answered together.", SIZES)

    def answered(self, path: str, status: int) -> None:
        """Counts a request."""
        self._requests[path, status] += 1

    def text(self) -> str:
        """All of it."""
        name = "polo_requests_total"
        counted = [
            f'{name}{{path="{path}",status="{status}"}} {count}'
            for (path, status), count in sorted(self._requests.items())
        ]
        waiting = "polo_waiting_questions"
        lines = [*_head(name, "Requests by path and status.", "counter"), *counted,
                 *_head(waiting, "Questions that wait for their turn.", "gauge"), f"{waiting} {self._waiting()}",
                 *self.seconds.lines(), *self.sizes.lines()]  # fmt: skip
        return "\n".join(lines) + "\n"


def _head(name: str, help_: str, kind: str) -> list[str]:
    return [f"# HELP {name} {help_}", f"# TYPE {name} {kind}"]
