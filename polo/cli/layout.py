"""A table within a width, as lines of text. Knows cells and their widths; knows no terminal and no colours.

Columns that do not fit share what there is: narrow ones stay as they are, wide ones are folded between words (what
stands in brackets is kept whole), one with nothing in it is left out. Where not even that fits, each row becomes a list
of its own, a line for each column. Nothing is ever cut off.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len, chop_cells

#: blanks between columns
GAP: Final = 2
#: width that a word keeps before it is broken: names of runs with their stamps are whole
WORD: Final = 32
#: no table is made narrower than this
LEAST: Final = 20
#: a word, or what stands in brackets if that is short
_ATOM = re.compile(r"\[[^\[\]]{1,24}\]\S*|\S+")
_WORD = re.compile(r"\S+")
#: signs behind which a word is rather broken
_JOINTS: Final = "/_.,:=-"
_PIECE = re.compile(rf"[^\s{_JOINTS}]*[{_JOINTS}]|[^\s{_JOINTS}]+")


@dataclass(frozen=True)
class Laid:
    """Lines of a table.

    Args:
        head: lines of the columns' names; none where each row is a list.
        rows: lines of each row, each as the first column's text and the rest of the line.
        width: of the widest line.
        listed: each row is a list.
    """

    head: list[str]
    rows: list[list[tuple[str, str]]]
    width: int
    listed: bool = False

    def lines(self) -> list[str]:
        """All of it as text.

        Example:
            >>> print("\\n".join(laid(["loss", "summary"], [["dpo", "of a pair"], ["sft", "likelihood"]], 20).lines()))
            loss  summary
            dpo   of a pair
            sft   likelihood
        """
        apart = [""] if self.listed else []
        return [*self.head, *(line for row in self.rows for line in (*((a + b).rstrip() for a, b in row), *apart))]


def laid(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> Laid:
    """A table that is no wider than ``width`` columns of a terminal (or 20, if that is more).

    Args:
        columns: their names; none for a table without a head.
        rows: cells, as many in each.
        width: ``None`` for as wide as it comes.
    """
    cells = [list(columns), *map(list, rows)] if columns else list(map(list, rows))
    natural = [max(cell_len(cell) for cell in column) for column in zip(*cells, strict=True)]
    room = None if width is None else max(width, LEAST) - GAP * (len(natural) - 1)
    if room is None or sum(natural) <= room:
        return _grid(cells, natural, bool(columns))
    empty = {index for index, column in enumerate(zip(*rows, strict=True)) if not any(column)}
    if columns and empty:
        columns, *rows = ([cell for index, cell in enumerate(row) if index not in empty] for row in (columns, *rows))
        return laid(columns, rows, width) if columns else Laid([], [], 0)
    for atoms in (_ATOM, _WORD):
        least = [_least(column, atoms, headed=bool(columns)) for column in zip(*cells, strict=True)]
        if sum(least) <= room:
            break
    else:
        if columns:
            return _list(columns, rows, max(width or 0, LEAST))
    return _grid(cells, _shared(natural, least, room), bool(columns))


def _least(column: Sequence[str], atoms: re.Pattern[str], *, headed: bool) -> int:
    """The width that a column needs: its widest word; a name in its head may be broken behind a joint."""
    named = [column[0]] if headed else []
    pieces = [piece for name in named for piece in _PIECE.findall(name)]
    words = [atom for cell in column[len(named) :] for atom in atoms.findall(cell)]
    return max((min(WORD, cell_len(one)) for one in (*pieces, *words)), default=0)


def _shared(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Widths within ``room``: the widest give way first, none below its least while that fits."""
    widths = list(natural)
    for floor in (least, [1] * len(widths)):
        while sum(widths) > room:
            able = [index for index, one in enumerate(widths) if one > floor[index]]
            if not able:
                break
            widths[max(able, key=lambda index: widths[index])] -= 1
    return widths


def _grid(cells: Sequence[Sequence[str]], widths: Sequence[int], headed: bool) -> Laid:
    made = []
    for row in cells:
        folded = [fold(cell, width) for cell, width in zip(row, widths, strict=True)]
        high = max(map(len, folded))
        lines = []
        for at in range(high):
            parts = [_padded(cell[at] if at < len(cell) else "", w) for cell, w in zip(folded, widths, strict=True)]
            rest = "".join(" " * GAP + part for part in parts[1:]).rstrip()
            lines.append((parts[0] if rest else parts[0].rstrip(), rest))
        made.append(lines)
    head = [first + rest for first, rest in made[0]] if headed else []
    return Laid(head, made[1:] if headed else made, sum(widths) + GAP * (len(widths) - 1))


def _list(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Laid:
    label = min(max(map(cell_len, columns)), width // 2 - GAP)
    made: list[list[tuple[str, str]]] = []
    for row in rows:
        pairs = [[name, cell] for name, cell in zip(columns, row, strict=True) if cell]
        one = _grid(pairs, [label, width - label - GAP], headed=False)
        made.append([line for lines in one.rows for line in lines])
    return Laid([], made, width, listed=True)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def fold(text: str, width: int) -> list[str]:
    """Lines of ``text`` that are no wider than ``width``, broken between words where they fit.

    Example:
        >>> fold("0.100 [0.033, 0.183], p = 1", 15)
        ['0.100', '[0.033, 0.183],', 'p = 1']
    """
    if cell_len(text) <= width:
        return [text]
    lines = [""]
    for atom in (part for whole in _ATOM.findall(text) for part in _parts(whole, width)):
        joined = f"{lines[-1]} {atom}" if lines[-1] else atom
        if cell_len(joined) <= width:
            lines[-1] = joined
        else:
            lines += _broken(atom, width)
    return [line for line in lines if line] or [""]


def _parts(atom: str, width: int) -> list[str]:
    """What stands in brackets, word by word where it does not fit."""
    return [atom] if cell_len(atom) <= width else atom.split()


def _broken(word: str, width: int) -> list[str]:
    """A word in pieces, behind a joint where there is one in their second half."""
    pieces = []
    while cell_len(word) > width:
        piece = chop_cells(word, width)[0] or word[0]
        joint = max(piece.rfind(sign) for sign in _JOINTS) + 1
        piece = piece[:joint] if joint * 2 > len(piece) else piece
        pieces.append(piece)
        word = word[len(piece) :]
    return [*pieces, word] if word else pieces
