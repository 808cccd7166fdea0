"""The table at the end of a run."""

from __future__ import annotations

from typing import Any

import pytest

from polo.cli.results import print_results

PROTOCOL = {"data": "toy", "form": "f", "split": "test", "n": 4, "negatives": "uniform", "hash": "abc"}


def test_systems_stand_from_low_to_high_and_metrics_in_the_order_of_the_recipe(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def figures(value: float) -> dict[str, Any]:
        return {name: {"value": v, "low": v - 0.1, "high": v + 0.1} for name, v in
                [("z", value), ("b", 1 - value), ("a", 0.5), ("d", 0.5), ("c", 0.5)]}  # fmt: skip

    systems = {"model": figures(0.5), "good": figures(0.75), "bad": figures(0.25)}
    comparisons = [{"b": "good", "metric": "z", "difference": -0.25, "low": -0.5, "high": 0.0, "p": 0.04}]
    print_results({"systems": systems, "comparisons": comparisons, "protocol": PROTOCOL, "rows": 1000, "users": 10})
    _, head, *lines = [line.split() for line in capsys.readouterr().out.splitlines() if line]
    assert head == ["system", "z", "b", "a", "d", "model", "minus", "system,", "z"]
    assert [line[0] for line in lines[:3]] == ["bad", "model", "good"]
    assert lines[2][1] == "0.750"
    assert lines[2][-5:] == ["[-0.500,", "+0.000],", "p", "=", "0.040"]
