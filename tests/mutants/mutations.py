"""All small ways to break a source file. Knows syntax trees; runs nothing.

The operators are mutmut's: other numbers, ``+`` for ``-``, ``<=`` for ``<``, ``and`` for ``or``, True for False, a
condition that always or never holds. Left out is what raises at once (None for an argument), since any test that runs
the line sees it, and what cannot be seen: annotations, decorators, messages of errors, and switches that change no
result (:data:`WITHOUT_EFFECT`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import libcst as cst
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

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, _PASSED_OVER) or (
            isinstance(node, cst.Arg) and node.keyword is not None and node.keyword.value in WITHOUT_EFFECT
        ):
            return False
        for takes, operator in mutators.mutation_operators:
            if operator in OPERATORS and isinstance(node, takes):
                line = self.get_metadata(PositionProvider, node, None)
                if line is not None:
                    self.found += [(line.start.line, node, other) for other in operator(node)]
        return True


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
