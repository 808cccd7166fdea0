"""Lines of a comparison as CSV, Markdown and LaTeX. Knows how they are written, not what they mean."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from polo.report.compare import Line

HEADER = ("system", "metric", "seeds", "mean", "95 % interval", "difference", "95 % interval", "p (Holm)")


def figure(value: float | None, *, sign: bool = False) -> str:
    """Three digits after the point; empty for nothing."""
    if value is None:
        return ""
    return f"{value:+.3f}" if sign else f"{value:.3f}"


def p_value(p: float | None) -> str:
    """``< 0.001`` or three digits."""
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def cells(line: Line) -> list[str]:
    """One line as words, in the order of :data:`HEADER`."""
    spread = "" if line.spread is None else f" (sd {line.spread:.3f})"
    between = ""
    if line.difference is not None:
        between = f"[{figure(line.difference_low, sign=True)}, {figure(line.difference_high, sign=True)}]"
    return [
        line.name, line.metric, f"{line.seeds}{spread}",
        figure(line.value), f"[{figure(line.low)}, {figure(line.high)}]",
        figure(line.difference, sign=True), between, p_value(line.p_holm),
    ]  # fmt: skip


def to_csv(lines: Sequence[Line]) -> str:
    """Every figure in full, a column each."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(lines[0].plain()), lineterminator="\n")
    writer.writeheader()
    writer.writerows(line.plain() for line in lines)
    return out.getvalue()


def to_markdown(lines: Sequence[Line]) -> str:
    """A GitHub-flavoured table."""
    rows = [HEADER, ["---"] * len(HEADER), *(cells(line) for line in lines)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows) + "\n"


#: characters that mean something to TeX
_TEX = str.maketrans({**{c: f"\\{c}" for c in "&%$#_{}"},
                      "~": r"\textasciitilde{}",
                      "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "<": "$<$"})  # fmt: skip


def to_latex(lines: Sequence[Line]) -> str:
    """A booktabs tabular: systems down, metrics across; a star where p (Holm) < 0.05."""
    metrics = list(dict.fromkeys(line.metric for line in lines))
    names = list(dict.fromkeys(line.name for line in lines))
    by_place = {(line.name, line.metric): line for line in lines}
    out = [r"% needs \usepackage{booktabs}; 95 % intervals and tests over users and seeds; * p < 0.05, Holm-corrected"]
    out += [r"\begin{tabular}{l" + "c" * len(metrics) + "}", r"\toprule"]
    out += [" & ".join(["system", *(metric.translate(_TEX) for metric in metrics)]) + r" \\", r"\midrule"]
    for name in names:
        row = [name.translate(_TEX)]
        for metric in metrics:
            line = by_place[name, metric]
            star = "$^{*}$" if line.p_holm is not None and line.p_holm < 0.05 else ""
            row.append(f"{line.value:.3f}{star} {{\\scriptsize [{line.low:.3f}, {line.high:.3f}]}}")
        out.append(" & ".join(row) + r" \\")
    return "\n".join([*out, r"\bottomrule", r"\end{tabular}"]) + "\n"
