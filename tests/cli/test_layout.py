"""Tables within a width: never wider, and nothing of them is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from polo.cli.layout import GAP, LEAST, fold, laid

TEXT = st.text(st.sampled_from("ab _-./[],中é1"), max_size=40)


@st.composite
def tables(draw):
    columns = draw(st.integers(1, 7))
    row = st.lists(TEXT, min_size=columns, max_size=columns)
    return draw(row), draw(st.lists(row, min_size=1, max_size=4))


def letters(texts) -> list[str]:
    return sorted("".join("".join(texts).split()))


@given(tables(), st.integers(1, 100))
def test_law_no_line_is_wider_than_asked_and_no_letter_is_lost(table, width) -> None:
    columns, rows = table
    made = laid(columns, rows, width)
    assert all(cell_len(line) <= max(width, LEAST) for line in made.lines())
    shown = letters(made.lines())
    if not made.listed:
        kept = [index for index in range(len(columns)) if any(row[index] for row in rows)]
        full = letters([*columns, *(cell for row in rows for cell in row)])
        assert shown in (full, letters([cell for row in (columns, *rows) for cell in (row[i] for i in kept)]))
    else:
        told = [text for row in rows for name, cell in zip(columns, row, strict=True) if cell for text in (name, cell)]
        assert shown == letters(told)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4), st.integers(1, 100))
def test_law_a_list_of_names_is_no_wider_either(rows, width) -> None:
    made = laid((), rows, width)
    assert all(cell_len(line) <= max(width, LEAST) for line in made.lines())
    assert letters(made.lines()) == letters(text for row in rows for text in row)


@given(tables())
def test_law_without_a_width_each_row_is_a_line(table) -> None:
    columns, rows = table
    made = laid(columns, rows, None)
    assert len(made.lines()) == 1 + len(rows)
    for row, line in zip((columns, *rows), made.lines(), strict=True):
        assert all(cell.rstrip() in line for cell in row)


@given(TEXT, st.integers(2, 30))
def test_law_folding_keeps_the_order_of_letters(text, width) -> None:
    lines = fold(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_wide_columns_share_what_narrow_ones_leave() -> None:
    # 20 = 3 + 2 + 15: the name is as wide as it is, the text is folded in what is left
    made = laid(["id", "text"], [["dpo", "logistic loss of each pair"]], 20)
    assert made.lines() == ["id   text", "dpo  logistic loss", "     of each pair"]
    assert made.width == 3 + GAP + 15


def test_an_interval_is_kept_whole_where_that_fits() -> None:
    # 40 = 6 + 2 + 15 + 2 + 15, and an interval takes 14
    row = [["model", "0.117 [0.050, 0.200]", "0.550 [0.433, 0.683]"]]
    made = laid(["system", "hit_ratio@1", "preference_accuracy"], row, 40)
    assert made.lines() == [
        "system  hit_ratio@1      preference_",
        "                         accuracy",
        "model   0.117            0.550",
        "        [0.050, 0.200]   [0.433, 0.683]",
    ]


def test_rows_of_many_columns_become_lists() -> None:
    made = laid([f"column{n}" for n in range(9)], [["value"] * 9, ["other"] * 8 + [""]], 40)
    assert made.listed
    assert made.lines()[:2] == ["column0  value", "column1  value"]
    assert made.lines()[9:11] == ["", "column0  other"]
    assert "column8  other" not in made.lines()


def test_a_word_that_fits_nowhere_is_broken_behind_a_joint() -> None:
    # the joint must stand in the second half of what fits: behind 11 of 12 letters, not behind 2 of 12
    assert fold("preference_accuracy", 12) == ["preference_", "accuracy"]
    assert fold("a_preferenceaccuracy", 12) == ["a_preference", "accuracy"]
    assert fold("/home/somebody/runs/toy-20261126-195308", 20) == ["/home/somebody/runs/", "toy-20261126-195308"]
