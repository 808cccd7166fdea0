"""What LPO (arXiv 2508.14947) says of control: r2 sets how fast rejected answers fall, whatever chosen ones do.

    python benchmarks/lpo_control.py --out FOLDER            4 objectives x 3 seeds of recipe chat_lpo on a CPU
    python benchmarks/lpo_control.py --report --out FOLDER   table and page of what is there
    python benchmarks/lpo_control.py --toy                   seconds; checks the machinery, shows nothing

Every cell begins with the same supervised weights of its seed, which are the reference. Log-ratios to it are those of
the recipe's validation pairs, at every measurement of the stage, per token (LPO averages over tokens) and summed.
Finished cells are skipped, so the same command goes on after a stop. Data: `$POLO_DATA/preferences`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
#: objective -> what it changes of recipe chat_lpo; DPO is that of LPO's release: beta 0.2, summed, no SFT term
OBJECTIVES: Mapping[str, tuple[str, ...]] = {
    "LPO r2=0.1": ("stages.prefer.loss.r2=0.1",),
    "LPO r2=1": ("stages.prefer.loss.r2=1.0",),
    "LPO r2=2": ("stages.prefer.loss.r2=2.0",),
    "DPO": ("stages.prefer.loss=dpo", "stages.prefer.sampler=given"),
}
#: what is read of every measurement
CHOSEN, REJECTED = "valid/log_ratio/chosen/mean", "valid/log_ratio/rejected/mean"
FIGURES = (CHOSEN, REJECTED, "valid/log_ratio/chosen", "valid/log_ratio/rejected", "valid/rewards/accuracies")
TOY = (
    "data.held_out=0.05", "policy.base.hidden=16", "policy.base.layers=1", "policy.base.heads=1",
    "policy.base.vocab=300", "policy.base.epochs=1", "stages.sft.epochs=null", "stages.sft.steps=1",
)  # fmt: skip


def options(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objectives", nargs="+", choices=list(OBJECTIVES), default=list(OBJECTIVES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--every", type=int, default=15, help="steps between measurements")
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--out", type=Path, default=Path("runs/lpo-control"))
    parser.add_argument("--max-tokens", type=int, default=512, help="prompts are cut to it, longer answers left out")
    parser.add_argument("--base", help="folder of a base for all seeds; one is made for each seed if not given")
    parser.add_argument("--data", help="a file of pairs instead of the recipe's")
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args(words)
    if given.toy:
        given.steps, given.every = 2, 1
        given.seeds, given.objectives = given.seeds[:1], given.objectives[:2]
    return given


def overrides(given: argparse.Namespace, objective: str, seed: int) -> list[str]:
    """What a cell changes of the recipe."""
    return [
        *OBJECTIVES[objective], f"seed={seed}", "stages.prefer.epochs=null",
        f"stages.prefer.steps={given.steps}", f"stages.prefer.lr={given.lr}",
        f"stages.prefer.batch={given.batch}", f"stages.prefer.validate.every={given.every}",
        "evaluate.start=false", "device=cpu",
        f"out={given.out / 'runs'}", f"policy.max_tokens={given.max_tokens}",
        *([f"data.train={given.data}"] if given.data else []), *([f"policy.base={given.base}"] if given.base else []),
        *(TOY if given.toy else ()),
    ]  # fmt: skip


def measure(given: argparse.Namespace, objective: str, seed: int) -> dict[str, Any]:
    """Runs a cell; its figures by step, and those of the test pairs at the end."""
    from polo.plugin.load import load_plugins
    from polo.recipe import load
    from polo.run.opening import named
    from polo.run.run import Run

    plugins = load_plugins()
    words = overrides(given, objective, seed)
    resolved = named(load(RECIPES / "chat_lpo.yaml", overrides=words, profile="cpu", plugins=plugins, gpu=False))
    folder, results = Run(resolved, plugins).execute()
    seen = [line for line in folder.metrics() if line["stage"] == "prefer" and CHOSEN in line]
    model = {name: results["systems"]["model"][name]["value"] for name in
             ("preference_accuracy", "reward_accuracy", "length_controlled_accuracy", "likelihood/chosen",
              "likelihood/rejected")}  # fmt: skip
    return {"objective": objective, "seed": seed, "steps": [line["step"] for line in seen], "test": model,
            "rows": results["rows"], **{name: [line[name] for line in seen] for name in FIGURES}}  # fmt: skip


def table(cells: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: at the end of the stage, mean over seeds and the range of them."""
    heads = {
        "chosen, nats a token": lambda one: one[CHOSEN][-1],
        "rejected, nats a token": lambda one: one[REJECTED][-1],
        "chosen, nats": lambda one: one["valid/log_ratio/chosen"][-1],
        "rejected, nats": lambda one: one["valid/log_ratio/rejected"][-1],
        "reward accuracy, test": lambda one: one["test"]["reward_accuracy"],
        "length-controlled, test": lambda one: one["test"]["length_controlled_accuracy"],
    }
    lines = ["| objective | seeds | " + " | ".join(heads) + " |", "|---" * (2 + len(heads)) + "|"]
    for name, own in grouped(cells).items():
        said = []
        for value in heads.values():
            found = [value(one) for one in own]
            said.append(f"{np.mean(found):+.3f} ({min(found):+.3f} to {max(found):+.3f})")
        lines.append(f"| {name} | {len(own)} | " + " | ".join(said) + " |")
    return "\n".join(lines)


def grouped(cells: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Cells by objective, in the study's order."""
    return {name: own for name in OBJECTIVES if (own := [one for one in cells if one["objective"] == name])}


def page(cells: Sequence[Mapping[str, Any]]) -> str:
    """One HTML file with figures as in polo's report: a panel for each objective, one for each kind of answer."""
    from polo.report.svg import lines

    def mean(own: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
        return list(zip(map(float, own[0]["steps"]), np.mean([one[name] for one in own], axis=0).tolist(), strict=True))

    groups = grouped(cells)
    panels = [
        lines(f"{name}: log-ratio per token, mean of {len(own)} seeds",
              {"chosen": mean(own, CHOSEN), "rejected": mean(own, REJECTED)}, "step")
        for name, own in groups.items()
    ]  # fmt: skip
    panels += [
        lines(f"{word} answers: log-ratio per token", {name: mean(own, key) for name, own in groups.items()}, "step")
        for word, key in (("chosen", CHOSEN), ("rejected", REJECTED))
    ]
    panels += [
        lines(f"{name}: rejected, every seed",
              {f"seed {one['seed']}": list(zip(map(float, one["steps"]), one[REJECTED], strict=True)) for one in own},
              "step")
        for name, own in groups.items()
    ]  # fmt: skip
    style = (files("polo.report") / "templates" / "style.css").read_text("utf-8")
    drawn = "".join(str(panel) for panel in panels if panel)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>polo: control of LPO</title>'
        f"<style>{style}</style></head><body><main><h1>Log-ratios of chosen and rejected answers over training</h1>"
        f'<div class="plots">{drawn}</div></main></body></html>\n'
    )


def main(words: Sequence[str] | None = None) -> int:
    """Runs what is missing, then reports."""
    from polo.store.files import write_bytes, write_json

    given = options(words)
    given.out = given.out.absolute()
    home = given.out / "cells"
    home.mkdir(parents=True, exist_ok=True)
    for seed in given.seeds:
        for objective in given.objectives:
            record = home / f"{objective.replace(' ', '_')}-{seed}.json"
            if not given.report and not record.is_file():
                write_json(record, measure(given, objective, seed))
                print(f"{record.stem}: done", file=sys.stderr, flush=True)
    cells = [json.loads(path.read_text("utf-8")) for path in sorted(home.glob("*.json"))]
    write_bytes(given.out / "control.html", page(cells).encode())
    print(table(cells))
    return 0


if __name__ == "__main__":
    sys.exit(main())
