"""Text becomes ids in one way: in a prompt, as a completion, for any title."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from polo import InputError, ItemTable, Rows
from polo_causal_lm.template import Template
from polo_causal_lm.text import Texts
from polo_causal_lm.tiny.tokenizer import train_tokenizer
from tests.polo_causal_lm.world import TITLES, toy_rows

#: titles as catalogues have them: no line breaks, not blank
TITLE = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=12).filter(str.strip)


def tokenizer(titles: list[str], template: Template | None = None) -> Any:
    return train_tokenizer(titles, np.full(len(titles), 3), template or Template(), 400)


def table(titles: list[str]) -> ItemTable:
    return ItemTable(titles, [str(i) for i in range(len(titles))])


def row(history: list[int], target: int = 0) -> Rows:
    return Rows(id=np.array([0]), user=np.array([0]), history=np.array([history]), target=np.array([target]))


@given(st.lists(TITLE, min_size=1, max_size=5, unique=True))
@settings(max_examples=40)
def test_a_title_has_the_same_tokens_in_a_prompt_and_as_a_completion(titles: list[str]) -> None:
    texts = Texts(tokenizer(TITLES), table(titles), Template())
    empty = texts.tokenizer(Template().header)["input_ids"]
    bullet = texts.tokenizer(Template.BULLET, add_special_tokens=False)["input_ids"]
    expected = [*empty]
    for ids in texts.titles:
        expected += [*bullet, *ids[:-1]]
        assert ids[-1] == texts.end
    assert texts.prompts(row(list(range(len(titles)))))[0].tolist() == [*expected, *bullet]


@given(TITLE)
@example("</s>")
@settings(max_examples=40)
def test_prompt_and_completion_together_are_the_text(title: str) -> None:
    texts = Texts(tokenizer(TITLES), table([title]), Template())
    ids = np.concatenate([texts.prompts(row([0]))[0], texts.titles[0][:-1]])
    assert texts.tokenizer.decode(ids[1:]) == Template().prompt([title]) + " " + title


def test_prompts_have_the_begin_mark_no_end_mark_and_no_trailing_space() -> None:
    texts = Texts(tokenizer(TITLES), table(TITLES), Template())
    ids = texts.prompts(row([1, 2]))[0]
    assert ids[0] == texts.tokenizer.bos_token_id
    assert texts.end not in ids
    assert texts.tokenizer.decode(ids).endswith("Queen\n-")


def test_a_title_that_reads_like_a_mark_is_text() -> None:
    texts = Texts(tokenizer(TITLES), table(["</s>", "<s>"]), Template())
    assert all(set(ids[:-1]).isdisjoint({0, 1, 2}) for ids in texts.titles)
    assert np.count_nonzero(texts.prompts(row([0, 1]))[0] < 3) == 1, "the begin mark alone"


def test_a_tokenizer_that_adds_end_marks_is_trimmed() -> None:
    from tokenizers import processors

    own = tokenizer(TITLES)
    own.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    texts = Texts(own, table(TITLES), Template())
    assert texts.end not in texts.prompts(row([1, 2]))[0]


def test_shown_candidates_stand_in_the_prompt_in_their_order() -> None:
    template = Template(show_candidates=True)
    texts = Texts(tokenizer(TITLES, template), table(TITLES), template)
    rows = row([0, 1]).with_candidates(np.array([[2, 3]]))
    text = texts.tokenizer.decode(texts.prompts(rows)[0], skip_special_tokens=True)
    assert "\n* Queen\n* Queen II\n" in text
    other = rows.with_candidates(np.array([[3, 2]]))
    assert not np.array_equal(texts.prompts(rows)[0], texts.prompts(other)[0]), "prompts are kept by row and candidates"
    with pytest.raises(InputError, match="candidates"):
        texts.prompts(row([0, 1]))


@pytest.mark.parametrize("title", ["", "  "])
def test_a_title_without_tokens_is_refused_with_its_item(title: str) -> None:
    with pytest.raises(InputError, match="item '1'"):
        Texts(tokenizer(TITLES), table(["Abba", title]), Template())


def test_a_tokenizer_without_end_token_is_refused() -> None:
    own = tokenizer(TITLES)
    own.eos_token = None
    with pytest.raises(InputError, match="end token"):
        Texts(own, table(TITLES), Template())


def test_prompts_are_the_same_whichever_rows_are_asked_for_together() -> None:
    rows = toy_rows(6)
    together = Texts(tokenizer(TITLES), table(TITLES), Template()).prompts(rows)
    alone = Texts(tokenizer(TITLES), table(TITLES), Template())
    for i in (3, 0, 5, 0):
        assert np.array_equal(alone.prompts(rows[np.array([i])])[0], together[i])
