"""Part ``policies``: does every policy, loss, sampler and beta of the package train and rank on this device?

Runs of ``polo run`` on a generated world: a cell passes or tells the error.
"""

from __future__ import annotations

import json
from typing import Any

from gpu_bench.report import Report
from gpu_bench.runs import BOUNDARY, DATA, LISTS, TINY, UNIFORM, place, polo, recipe, run
from polo import Context
from polo_datasets.demo import Demo
from polo_datasets.options import DemoOptions

SOFTMAX = {"loss": "softmax", "sampler": UNIFORM}
DPO = {"loss": "dpo", "sampler": UNIFORM, "beta": "fixed"}
LSA = {"use": "lsa", "k": 16}
REDUCED = {"use": "norm", "from": {"use": "rec_pca", "k": 16, "from": LSA}}

#: policies by the name of their cell
POLICIES: dict[str, dict[str, Any]] = {
    "causal_lm": {"use": "causal_lm", "base": TINY},
    "causal_lm packed": {"use": "causal_lm", "base": TINY, "engine": "packed", "checkpointing": True},
    "causal_lm naive": {"use": "causal_lm", "base": TINY, "engine": "naive"},
    "mf": {"use": "mf", "dim": 16, "l2": 1e-4},
    "lightgcn": {"use": "lightgcn", "dim": 16},
    "xsimgcl": {"use": "xsimgcl", "dim": 16},
    "gru4rec": {"use": "gru4rec", "dim": 16, "hidden": 16},
    "sasrec": {"use": "sasrec", "dim": 16},
    "sasrec encoder": {"use": "sasrec", "dim": 16, "items": {"encoder": REDUCED, "ids": True}},
    "gru4rec encoder": {"use": "gru4rec", "dim": 16, "items": {"encoder": LSA, "as": "start"}},
}
#: losses that need other negatives than four drawn uniformly, or none at all
SPECIAL: dict[str, dict[str, Any]] = {
    "sft": {}, "cross_entropy": {}, "sdpo_sampled": {"sampler": {"use": "popularity", "k": 4}},
    "sum": {"loss": {"use": "sum", "of": [{"loss": "dpo"}, {"loss": "bpr", "weight": 0.5}]}, "sampler": UNIFORM},
}  # fmt: skip
#: losses of log-probabilities, which only a text policy has
TEXT = ("cpo", "mppo", "orpo", "rpo", "sft")
EIGHT = {"use": "uniform", "k": 8}
SAMPLERS: dict[str, dict[str, Any]] = {
    "boundary": BOUNDARY,
    "catalogue": {"use": "catalogue"},
    "curriculum": {"use": "curriculum", "from": EIGHT, "n": 2},
    "dns": {"use": "dns", "from": EIGHT, "k": 2, "m": 4},
    "hard": {"use": "hard", "from": EIGHT, "n": 2},
    "in_batch": {"use": "in_batch", "k": 4},
    "noisy": {"use": "noisy", "from": EIGHT},
    "popularity": {"use": "popularity", "k": 4},
    "self_play": {"use": "self_play", "from": EIGHT, "k": 2},
    "softmax": {"use": "softmax", "from": EIGHT, "n": 2},
    "top": {"use": "top", "k": 2, "m": 4},
}
BETAS = ("batch_dynamic", "cosine", "dual_margin", "fixed", "linear")


def part(report: Report) -> None:
    """Cells ``policies/NAME``."""
    few = report.toy and not report.gpu  # a minute for all parts together
    for name, policy in POLICIES.items():
        if few and name not in ("causal_lm", "lightgcn"):
            continue
        report.cell(f"policies/{name}", lambda name=name, policy=policy: trained(name, policy, report.device))
    report.cell("policies/catalogue", lambda: whole(report.device))
    if few:
        return
    report.cell("policies/recommend", lambda: recommended(report.device))
    report.cell("policies/losses", lambda: stages(report.device, losses(text=False)))
    report.cell("policies/losses of text", lambda: stages(report.device, losses(text=True), "causal_lm"))
    report.cell("policies/samplers", lambda: stages(
        report.device, {f"with_{name}": {**DPO, "sampler": made} for name, made in SAMPLERS.items()}))  # fmt: skip
    report.cell("policies/betas", lambda: stages(
        report.device, {f"by_{name}": {**DPO, "beta": name} for name in BETAS}))  # fmt: skip


def trained(name: str, policy: dict[str, Any], device: str) -> dict[str, Any]:
    """Two stages, the second against the first as reference, and an evaluation of 20 candidates."""
    first = {"loss": "sft"} if policy["use"] == "causal_lm" else SOFTMAX
    second = {"loss": "dmpo", "sampler": BOUNDARY, "beta": "dual_margin", "average": "ema"}
    with place() as folder:
        made = recipe(name.replace(" ", "_"), policy, {"first": first, "second": second}, reference="first")
        return figures(run(folder, made, device))


def whole(device: str) -> dict[str, Any]:
    """The softmax over the catalogue, and an evaluation against all of it."""
    with place() as folder:
        made = recipe("catalogue", POLICIES["sasrec"], {"only": {"loss": "cross_entropy"}}, candidates={"n": "all"})
        return figures(run(folder, made, device))


def recommended(device: str) -> dict[str, Any]:
    """``polo recommend`` of a text policy, by search."""
    with place() as folder:
        found = run(folder, recipe("recommended", POLICIES["causal_lm"], {"only": {"loss": "sft"}}), device)
        context = Context(seed=0, cache=None, build=lambda choice: choice)
        titles = Demo(DemoOptions(**{k: v for k, v in DATA.items() if k != "use"}), context).load().items.titles
        said = json.loads(polo("recommend", str(found), "--history", "; ".join(titles[:3]), "--json"))
        return {"said": str(said)[:300]}


def losses(*, text: bool) -> dict[str, dict[str, Any]]:
    """A stage for each loss of the package: those that only a text policy has, or the others."""
    from polo.plugin.load import load_plugins

    names = sorted(load_plugins().catalogue.names("loss"))
    plain = {"sampler": UNIFORM}
    return {f"loss_{name}": {"loss": name, **SPECIAL.get(name, plain)} for name in names if (name in TEXT) == text}


def stages(device: str, asked: dict[str, dict[str, Any]], policy: str = "mf") -> dict[str, Any]:
    """Two steps of each, in one run of a policy against its own beginning."""
    short = {name: {**stage, "steps": 2, "validate": {"rows": 16}} for name, stage in asked.items()}
    with place() as folder:
        made = recipe("stages", POLICIES[policy], {"before": {**SOFTMAX, "steps": 2}, **short},
                      reference="before", candidates=LISTS)  # fmt: skip
        return {**figures(run(folder, made, device)), "stages": len(asked)}


def figures(folder: Any) -> dict[str, Any]:
    """What the evaluation found."""
    results = json.loads((folder / "results.json").read_text("utf-8"))
    return {"results": sorted(results)}
