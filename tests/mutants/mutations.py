"""All small ways to break a source file. Knows syntax trees; runs nothing.

The operators are mutmut's: other numbers, ``+`` for ``-``, ``<=`` for ``<``, ``and`` for ``or``, True for False, a
condition that always or never holds. Left out is what raises at once (None for an argument), since any test that runs
the line sees it, and what cannot be seen: annotations, decorators, messages of errors, switches that change no result
(:data:`WITHOUT_EFFECT`), how much is computed at a time (:data:`AT_A_TIME`), and the sign of the last axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation import mutators

OPERATORS = (
    mutators.operator_number,
    mutators.operator_name,
    mutators.operator_augmented_assignment,
    mutators.operator_remove_unary_ops,
    mutators.operator_keywords,
    mutators.operator_swap_op,
    mutators.operator_if_exp,
)
#: keywords whose value changes no result: checks of what holds anyway, and how memory is used
WITHOUT_EFFECT = frozenset({"strict", "frozen", "kw_only", "repr", "copy", "non_blocking", "assume_unique"})
#: how much is computed at a time, which is memory and no result
AT_A_TIME = frozenset({"_ENTRIES", "ENTRIES", "_CHUNK", "CHUNK", "_BLOCK", "at_first"})
#: methods whose first argument is an axis; axes -1 and 1 of a matrix are one
OF_AXES = frozenset(
    {"sum", "any", "all", "mean", "amax", "amin", "argsort", "cumsum", "logsumexp", "log_softmax", "softmax"}
)
_PASSED_OVER = (cst.Annotation, cst.Decorator, cst.Raise, cst.Import, cst.ImportFrom, cst.FormattedString)


@dataclass(frozen=True)
class Mutation:
    """One change of one file.

    Args:
        path: of the file, from the root of the repository.
        line: where, from 1.
        before: what stood there.
        after: what stands there instead.
        text: the whole changed file.
    """

    path: Path
    line: int
    before: str
    after: str
    text: str


class _Collector(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, cst.CSTNode, cst.CSTNode]] = []
        self._axes: set[cst.CSTNode] = set()

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, _PASSED_OVER) or _without_effect(node) or node in self._axes:
            return False
        if isinstance(node, cst.Call) and m.matches(node.func, m.Attribute()) and node.func.attr.value in OF_AXES:
            self._axes.update(arg for arg in node.args if arg.keyword is None and _minus_one(arg))
        for takes, operator in mutators.mutation_operators:
            if operator in OPERATORS and isinstance(node, takes):
                line = self.get_metadata(PositionProvider, node, None)
                if line is not None:
                    self.found += [(line.start.line, node, other) for other in operator(node)]
        return True


def _minus_one(node: cst.CSTNode) -> bool:
    return m.matches(node, m.Arg(value=m.UnaryOperation(m.Minus(), m.Integer("1"))))


def _without_effect(node: cst.CSTNode) -> bool:
    if isinstance(node, cst.SimpleStatementLine):
        return any(m.matches(name, m.Name()) and name.value in AT_A_TIME for name in m.findall(node, m.Name()))
    if isinstance(node, cst.Arg) and node.keyword is not None:
        return node.keyword.value in WITHOUT_EFFECT or (node.keyword.value in ("dim", "axis") and _minus_one(node))
    return False


def mutations(path: Path, root: Path) -> Iterator[Mutation]:
    """Every mutation of the file ``root / path``, from its top to its end."""
    wrapper = MetadataWrapper(cst.parse_module((root / path).read_text("utf-8")))
    collector = _Collector()
    wrapper.visit(collector)
    original = wrapper.module
    lines = original.code.splitlines()
    for line, node, other in collector.found:
        text = original.deep_replace(node, other).code  # type: ignore[union-attr] # a module stays a module
        changed = text.splitlines()
        if text != original.code:
            yield Mutation(path, line, lines[line - 1].strip(), _line(changed, line), text)


def choose(area: Sequence[Mutation], n: int, order: Sequence[float]) -> list[Mutation]:
    """``n`` of them, at most one a line: those with the smallest of the numbers ``order``, one for each mutation.

    Example:
        >>> made = [Mutation(Path("a.py"), line, "", "", "") for line in (1, 1, 2, 3)]
        >>> [one.line for one in choose(made, 2, [0.3, 0.1, 0.9, 0.2])]
        [1, 3]
    """
    taken: dict[tuple[Path, int], Mutation] = {}
    for _, one in sorted(zip(order, area, strict=True), key=lambda pair: pair[0]):
        if len(taken) < n:
            taken.setdefault((one.path, one.line), one)
    return list(taken.values())


def _line(lines: Sequence[str], line: int) -> str:
    return lines[line - 1].strip() if line <= len(lines) else ""
