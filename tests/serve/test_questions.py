"""What may be asked, and what is refused and why."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polo.serve.questions import Limits, Question, Refused, question

LIMITS = Limits(history=3, candidates=2, title=5, top=4)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "is no JSON"),
        (b"\xff", 400, "is no JSON"),
        (b"[" * 100_000, 400, "is no JSON"),
        (b"[1]", 400, "is no JSON object"),
        (b"{}", 400, "history: is no list of titles"),
        (b'{"history": []}', 400, "history: is no list of titles"),
        (b'{"history": "Abba"}', 400, "history: is no list of titles"),
        (b'{"history": ["a", " "]}', 400, "history: is no list of titles"),
        (b'{"history": ["a"], "candidates": [1]}', 400, "candidates: is no list of titles"),
        (b'{"history": ["a"], "top": true}', 400, "top: is no whole number"),
        (b'{"history": ["a"], "top": 0}', 400, "top: is no whole number"),
        (b'{"history": ["a"], "nodes": 1}', 400, "unknown key 'nodes'"),
        (b'{"history": ["a"], "top": 5}', 422, "top: 5 places are more than 4"),
        (b'{"history": ["a", "b", "c", "d"]}', 422, "history: 4 titles are more than 3"),
        (b'{"history": ["a"], "candidates": ["a", "b", "c"]}', 422, "candidates: 3 titles are more than 2"),
        (b'{"history": ["abcdef"]}', 422, "more than 5 characters"),
    ],
)
def test_what_is_refused(body: bytes, status: int, said: str) -> None:
    with pytest.raises(Refused) as refused:
        question(body, LIMITS)
    assert refused.value.status == status
    told = refused.value.plain()["error"]
    assert said in f"{told.get('where', '')}: {told['what']}"


def test_what_is_not_given_is_as_on_the_command_line() -> None:
    assert question(b'{"history": ["a"]}', Limits()) == Question(("a",), 10, None)
    assert question(b'{"history": ["a"]}', LIMITS).top == 4, "no more than may be asked"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=7),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["history", "top", "x"]), inner),
    max_leaves=6,
)


@given(JSON)
def test_law_a_body_is_a_question_within_the_limits_or_refused(value: Any) -> None:
    try:
        asked: Question | Refused = question(json.dumps(value).encode(), LIMITS)
    except Refused as refused:
        asked = refused
    if isinstance(asked, Refused):
        assert asked.status in (400, 422)
    else:
        assert 1 <= len(asked.history) <= 3
        assert 1 <= asked.top <= 4
        assert all(len(title) <= 5 for title in asked.history)
