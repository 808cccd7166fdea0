"""What the study found, in a table and in sentences. Knows groups and differences; draws no figure.

A sentence says that something falls or differs only where a 95% interval leaves 0 out, and says what it covers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from collapse_study.summary import Difference, Group, difference

COVERS = (
    "Intervals are 95% bootstraps clustered by user, of values averaged over the seeds: they cover the choice of test "
    "users, not the choice of seeds, whose own values stand in brackets. No correction for the number of comparisons."
)
HEADER = (
    "| data | objective | variant | k | seeds | HR@1 [95%] | by seed | over SFT | dynamic - plain | NDCG@10 "
    "| valid acc. before, after | final loss | beta | kept | boundary gradient share start, end (of negatives) "
    "| gradient of a boundary / an easy negative, end |"
)


def table(groups: Sequence[Group]) -> str:
    """All groups as one Markdown table."""
    lines = [HEADER, "|" + "---|" * HEADER.count(" |")]
    for group in groups:
        plain = _find(groups, group.data, group.objective, "plain").get(group.k)
        gain = difference(group, plain) if group.variant == "dynamic" and plain is not None else None
        value, low, high = group.hit
        sft = group.over_sft
        begin, end = (group.mean(f"gradient_{when}", "boundary_share") for when in ("start", "end"))
        before, after = (group.mean("valid", at, "valid/preference_accuracy") for at in (0, 1))
        cells = [
            group.data, group.objective, group.variant, str(group.k), str(len(group.seeds)),
            f"{value:.4f} [{low:.4f}, {high:.4f}]",
            " ".join(f"{v:.4f}" for v in group.by_seed),
            f"{sft.difference:+.4f} [{sft.low:+.4f}, {sft.high:+.4f}]",
            "" if gain is None else _figures(gain),
            _n(group.mean("model/ndcg@10", "value"), 4),
            f"{_n(before)}, {_n(after)}",
            _n(group.mean("final_loss"), 4), _n(group.mean("mean_beta")), _n(group.mean("kept")),
            f"{_n(begin)}, {_n(end)} ({_n(group.mean('gradient_end', 'boundary_negatives'))})",
            f"{_g(group.mean('gradient_end', 'boundary_each'))} / {_g(group.mean('gradient_end', 'easy_each'))}",
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def conclusions(groups: Sequence[Group]) -> list[str]:
    """One paragraph for each data set and objective."""
    pairs = list(dict.fromkeys((group.data, group.objective) for group in groups))
    return [" ".join(_about(groups, *pair)) for pair in pairs] + [COVERS]


def _find(groups: Sequence[Group], data: str, objective: str, variant: str) -> dict[int, Group]:
    return {g.k: g for g in groups if (g.data, g.objective, g.variant) == (data, objective, variant)}


def _about(groups: Sequence[Group], data: str, objective: str) -> Iterator[str]:
    plain, dynamic = (_find(groups, data, objective, variant) for variant in ("plain", "dynamic"))
    yield f"{data}, {objective}:"
    fall = yield from _trend(plain, "Plain")
    if plain:
        yield _beside_sft(plain[max(plain)])
        yield from _gradient(plain[max(plain)])
    own = yield from _trend(dynamic, "With DynamicPO")
    shared = [k for k in plain if k in dynamic]
    gain = difference(dynamic[max(shared)], plain[max(shared)]) if shared else None
    if gain is not None:
        yield f"DynamicPO minus plain at k = {max(shared)}: {_figures(gain)}{_seeds(gain)}."
        if max(shared) == max(plain):
            yield _prevents(fall, own, gain)


def _trend(found: dict[int, Group], name: str) -> Iterator[str]:
    """How HR@1 at the largest k compares with that at the smallest; yields words, returns the difference."""
    if len(found) < 2:
        yield f"{name}: fewer than two values of k are finished."
        return None
    most, least = found[max(found)], found[min(found)]
    change = difference(most, least)
    if change is None:
        yield f"{name}: k = {least.k} and k = {most.k} share no seed."
        return None
    verb = {-1: "falls", 0: "does not change measurably", 1: "rises"}[change.verdict]
    yield f"{name}, HR@1 {verb} from k = {least.k} to k = {most.k}: {_figures(change)}{_seeds(change)}."
    best = max(found.values(), key=lambda group: group.hit[0])
    drop = difference(most, best) if best.k not in (most.k, least.k) else None
    if drop is not None:
        yield f"Against its best k, picked afterwards ({best.k}), which flatters the fall: {_figures(drop)}."
    return change


def _beside_sft(group: Group) -> str:
    sft = group.over_sft
    side = "above" if sft.low > 0 else "below" if sft.high < 0 else "not measurably different from"
    return f"Plain at k = {group.k} is {side} the SFT stage: {sft.difference:+.4f} [{sft.low:+.4f}, {sft.high:+.4f}]."


def _gradient(group: Group) -> Iterator[str]:
    """How much of plain's gradient reaches boundary negatives, at the start and the end of the stage."""
    names = ("boundary_share", "boundary_negatives", "boundary_gradient")
    start, end = ([group.mean(f"gradient_{when}", name) for name in names] for when in ("start", "end"))
    yield (
        f"There, boundary negatives are {_n(start[1], 2)} of all negatives at the start and get {_n(start[0], 2)} of "
        f"the gradient ({_n(start[2])} a row); at the end {_n(end[1], 2)}, {_n(end[0], 2)} ({_n(end[2])} a row)."
    )


def _prevents(fall: Difference | None, own: Difference | None, gain: Difference) -> str:
    """Whether DynamicPO prevents the fall, as far as the intervals go."""
    if fall is None:
        return "Whether HR@1 falls with k cannot be said yet."
    better = gain.verdict
    if fall.verdict >= 0:
        said = {1: "is better there", 0: "makes no measurable difference", -1: "is worse there"}[better]
        return f"So from the smallest to the largest k there is no measurable fall to prevent; DynamicPO {said}."
    if better <= 0:
        return "So it falls, and DynamicPO does not measurably prevent it."
    if own is not None and own.verdict >= 0:
        return "So it falls, and with DynamicPO no fall can be measured: consistent with DynamicPO preventing it."
    return "So it falls; DynamicPO softens the fall and does not remove it."


def _figures(one: Difference) -> str:
    t = one.test
    return f"{t.difference:+.4f} [{t.low:+.4f}, {t.high:+.4f}]"


def _seeds(one: Difference) -> str:
    return " (seeds: " + ", ".join(f"{value:+.4f}" for value in one.by_seed) + ")"


def _n(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _g(value: float | None) -> str:
    return "-" if value is None else f"{value:.2e}"
