"""The pictures of the concept pages: ``python -m docs.tools.draw`` writes docs/pictures/, the same bytes every time.

The numbers of ``boundary`` are computed by the components; those of ``audits`` are what ``polo audit
recipes/lastfm_dynamicpo.yaml`` prints of the published rows. Knows no run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from docs.tools.svg import CHOSEN, EASY, LINE, REJECTED, SOFT, arrow, box, dot, line, picture, text

PLACE = Path(__file__).parents[1] / "pictures"


def row_to_loss() -> str:
    """From a row to its part of the loss, and who computes what."""
    steps = [
        ("row", ["history", "target"]),
        ("sampler.draw", ["K negatives"]),
        ("scores [1 + K]", ["policy and", "reference"]),
        ("sampler.keep", ["which of them", "enter the loss"]),
        ("beta", ["strength of", "each, [K]"]),
        ("loss", ["one number", "for the row"]),
    ]
    parts = []
    for i, (name, lines) in enumerate(steps):
        x = 12 + 124 * i
        parts.append(box(x, 30, 104, 66, stroke=CHOSEN if i in (2, 5) else LINE))
        parts.append(text(x + 52, 50, name, size=12, anchor="middle", bold=True))
        parts += [
            text(x + 52, 68 + 15 * j, words, size=11, colour=SOFT, anchor="middle") for j, words in enumerate(lines)
        ]
        if i:
            parts.append(arrow(x - 18, 63, x - 3, 63))
    x = 12 + 124 * 5 + 52
    parts += [arrow(x, 98, x, 122), text(x, 138, "mean over rows", size=11, colour=SOFT, anchor="middle")]
    parts += [line(64, 98, 64, 122), line(64, 122, 188, 122, dashes="3 3"), line(188, 122, 188, 98)]
    parts.append(
        text(126, 138, "a list that the prompt shows: drawn from it alone", size=11, colour=SOFT, anchor="middle")
    )
    return picture(760, 160, "From a row to its loss", parts)


def shared_prefix() -> str:
    """Rows of prompt and title, against one prompt with all titles beside it."""
    parts = [text(12, 22, "concatenated rows", bold=True), text(400, 22, "one prompt, titles beside it", bold=True)]
    colours = [CHOSEN, REJECTED, REJECTED, REJECTED]
    for i, colour in enumerate(colours):
        y = 36 + 34 * i
        parts += [box(12, y, 250, 24, fill="#e6ebf1"), box(264, y, 54, 24, fill=colour, stroke=colour)]
        parts.append(text(137, y + 16, "prompt", size=11, colour=SOFT, anchor="middle"))
        parts.append(text(291, y + 16, "title", size=11, colour="#ffffff", anchor="middle"))
        parts += [box(664, y, 54, 24, fill=colour, stroke=colour), line(652, 99, 664, y + 12, colour=SOFT)]
        parts.append(text(691, y + 16, "title", size=11, colour="#ffffff", anchor="middle"))
    parts += [box(400, 87, 250, 24, fill="#e6ebf1"), text(525, 103, "prompt", size=11, colour=SOFT, anchor="middle")]
    parts.append(text(12, 192, "4 x prompt + 4 titles; logits everywhere", size=12, colour=SOFT))
    parts.append(text(400, 192, "1 x prompt + 4 titles; logits at titles only", size=12, colour=SOFT))
    return picture(740, 206, "The shared prefix", parts)


def boundary() -> str:
    """Two rows of log-probabilities: which negatives are kept, and the beta of each, as the components compute them."""
    import torch

    from polo.scores import Scores
    from polo.testing import context
    from polo_dynamicpo.clustering import top_cluster
    from polo_dynamicpo.dual_margin import DualMargin
    from polo_dynamicpo.options import DualMarginOptions

    rows = [
        ("some negatives are at or above the target: those", [-6.0, -4.5, -6.0, -7.5, -10.0, -11.0, -13.0]),
        ("none is: the highest of three clusters", [-3.0, -5.0, -6.3, -8.8, -9.2, -12.4, -13.0]),
    ]
    beta = DualMargin(DualMarginOptions(base=1.0, margin=6.0), context())
    parts = []
    for i, (name, values) in enumerate(rows):
        top = 26 + 118 * i
        score = torch.tensor([values], dtype=torch.float64)
        violating = score[:, 1:] >= score[:, :1]
        keep = violating if violating.any() else top_cluster(score[:, 1:], torch.ones_like(violating))
        found = beta(Scores.of(score), keep, 0.0)[0].tolist()
        parts += [text(12, top, name, bold=True), line(30, top + 44, 730, top + 44, colour=LINE)]
        for j, value in enumerate(values):
            x = 730 + (value + 2.0) * 62
            kept = j > 0 and bool(keep[0, j - 1])
            same = j > 0 and value == values[0]
            y = top + 44 - (14 if same else 0)
            parts.append(dot(x, y, fill=CHOSEN if j == 0 else REJECTED if kept else EASY))
            if j == 0:
                parts.append(text(x, top + 68, "target", size=11, colour=CHOSEN, anchor="middle"))
            elif kept:
                parts.append(
                    text(
                        x,
                        top + 25 - (10 if same else 0),
                        f"beta {found[j - 1]:.2f}",
                        size=11,
                        colour=REJECTED,
                        anchor="middle",
                    )
                )
        parts += [
            text(x_, top + 82, f"{v:g}", size=10, colour=SOFT, anchor="middle")
            for v, x_ in ((v, 730 + (v + 2) * 62) for v in (-13, -10, -7, -4))
        ]
    parts.append(
        text(
            380,
            252,
            "log-probability of the title under the policy, in nats; grey: not in the loss",
            size=11,
            colour=SOFT,
            anchor="middle",
        )
    )
    return picture(760, 264, "Boundary negatives and the dual-margin beta", parts)


def audits() -> str:
    """What a published protocol gives away: found without any model."""
    groups = [
        ("the target found among 20", [("guessing", 0.050, EASY), ("most popular candidate", 0.252, EASY),
                                       ("looking at other rows' lists", 0.994, REJECTED)]),
        ("steps that one fixed order of the items explains", [("each sequence shuffled", 0.644, EASY),
                                                              ("as published", 1.0, REJECTED)]),
    ]  # fmt: skip
    parts, y = [], 22.0
    for name, bars in groups:
        parts.append(text(12, y, name, bold=True))
        for words, value, colour in bars:
            y += 26
            parts += [
                text(208, y + 4, words, size=12, colour=SOFT, anchor="end"),
                box(216, y - 8, 460 * value, 16, fill=colour, stroke=colour),
            ]
            parts.append(text(222 + 460 * value, y + 4, f"{100 * value:.1f} %", size=12))
        y += 36
    parts.append(
        text(
            12,
            y - 4,
            "LastFM rows and candidate lists that several papers use; no model, no history is looked at.",
            size=11,
            colour=SOFT,
        )
    )
    return picture(740, y + 8, "Why audits: what published rows give away", parts)


PICTURES: Mapping[str, Callable[[], str]] = {
    "row-to-loss": row_to_loss,
    "shared-prefix": shared_prefix,
    "boundary": boundary,
    "audits": audits,
}

if __name__ == "__main__":
    for stem, drawn in PICTURES.items():
        (PLACE / f"{stem}.svg").write_text(drawn(), encoding="utf-8")
