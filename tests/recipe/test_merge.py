"""Layers: the rules of merging, and overrides as layers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polo.recipe.merge import merge, overlay
from polo.recipe.node import Node
from polo.recipe.reader import parse
from tests.recipe.texts import YAMLISH

KEYS = st.sampled_from("abc")
# trees of one shape: a key in upper case holds a mapping in every layer, one in lower case a scalar or list
SHAPED = st.recursive(
    st.dictionaries(KEYS, st.integers() | st.lists(st.integers(), max_size=2), max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("ABC"), inner, max_size=3),
    max_leaves=8,
)


def node(tree):
    if isinstance(tree, dict):
        return Node({key: node(value) for key, value in tree.items()}, "here", None, dict.fromkeys(tree, "here"))
    return Node(tuple(map(node, tree)) if isinstance(tree, list) else tree, "here")


def merged(*layers):
    result = node(layers[0])
    for layer in layers[1:]:
        result = merge(result, node(layer), [])
    return result.plain()


def told(base: str, *words: str):
    problems = []
    tree = merge(parse(base, "r.yaml"), overlay(words, Path(), problems), problems)
    return tree.plain(), [str(problem) for problem in problems]


def both_shapes(tree):
    """Mappings under upper-case keys only, scalars under lower-case ones only."""
    return all(isinstance(value, dict) == key.isupper() for key, value in tree.items()) and all(
        both_shapes(value) for value in tree.values() if isinstance(value, dict)
    )


@given(SHAPED.filter(both_shapes), SHAPED.filter(both_shapes), SHAPED.filter(both_shapes))
def test_law_merging_is_associative_where_layers_have_one_shape_and_no_use(a, b, c):
    assert merged(merged(a, b), c) == merged(a, merged(b, c))


@given(SHAPED)
def test_law_an_empty_layer_changes_nothing(tree):
    assert merged(tree, {}) == tree
    assert merged({}, tree) == tree


@given(SHAPED, SHAPED)
def test_law_a_layer_twice_is_a_layer_once(base, layer):
    assert merged(base, layer, layer) == merged(base, layer)


@pytest.mark.parametrize(
    ("base", "layer", "result"),
    [
        ({"k": [1, 2]}, {"k": [3]}, {"k": [3]}),
        ({"x": {"use": "a", "p": 1}}, {"x": {"q": 2}}, {"x": {"use": "a", "p": 1, "q": 2}}),
        ({"x": {"use": "a", "p": 1}}, {"x": {"use": "a", "q": 2}}, {"x": {"use": "a", "p": 1, "q": 2}}),
        ({"x": {"use": "a", "p": 1}}, {"x": {"use": "b", "q": 2}}, {"x": {"use": "b", "q": 2}}),
        ({"x": {"use": "a", "p": 1}}, {"x": "b"}, {"x": "b"}),
        ({"x": {"use": "a", "p": 1}}, {"x": "a"}, {"x": {"use": "a", "p": 1}}),
        ({"x": "a"}, {"x": {"p": 1}}, {"x": {"use": "a", "p": 1}}),
        ({"x": "a"}, {"x": {"use": "b", "p": 1}}, {"x": {"use": "b", "p": 1}}),
        ({"x": {"use": "a", "p": 1}}, {"x": None}, {"x": None}),
        ({"x": None}, {"x": {"use": "a"}}, {"x": {"use": "a"}}),
        ({"x": {"p": {"use": "a", "r": 1}}}, {"x": {"p": {"use": "b"}, "q": 1}}, {"x": {"p": {"use": "b"}, "q": 1}}),
    ],
)
def test_a_layer_that_changes_use_replaces_the_mapping_and_others_merge(base, layer, result):
    assert merged(base, layer) == result


@pytest.mark.parametrize(
    ("base", "words", "result"),
    [
        ("a: {b: 1}", ["a.b=2", "c=no"], {"a": {"b": 2}, "c": "no"}),
        ("a: 1", ["a="], {"a": None}),
        ("a: 1", ["a=b=c"], {"a": "b=c"}),
        ("a: 1", ["a={use: x, k: [1]}"], {"a": {"use": "x", "k": [1]}}),
        (
            "e: [{use: x, k: [1, 5]}, y]",
            ["e.0.k=[1]", "e.1.k=[2]"],
            {"e": [{"use": "x", "k": [1]}, {"use": "y", "k": [2]}]},
        ),
        ("e: [1, 2]", ["e=[3]"], {"e": [3]}),
        ("l: {use: x, t: 1}", ["l.u=2", "l.use=y"], {"l": {"u": 2, "use": "y"}}),
        ("l: {use: x, t: 1}", ["l.use=y", "l.u=2"], {"l": {"u": 2, "use": "y"}}),
        ("l: x", ["l.u=2", "l=y"], {"l": {"u": 2, "use": "y"}}),
        ("l: x", ["l=y", "l.u=2"], {"l": {"u": 2, "use": "y"}}),
        ("a: 1", ["a=2", "a=3"], {"a": 3}),
    ],
)
def test_overrides_are_one_layer_on_top(base, words, result):
    assert told(base, *words) == (result, [])


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("a", "has a '='"),
        ("=1", "empty part"),
        ("a..b=1", "empty part"),
        ("e.2=1", "count from 0 to 1"),
        ("e.-1=1", "count from 0 to 1"),
        ("e.first=1", "'first' is no entry of a list of 2"),
        ("a=[1", "not YAML"),
        ("a={b: 1, b: 2}", "written twice"),
        ("a=!!int 1", "tags"),
        (".".join("a" * 50) + "=1", "50 parts"),
    ],
)
def test_words_that_are_no_overrides_are_named(word, message):
    _, problems = told("e: [1, 2]", word)
    assert message in problems[0]
    assert problems[0].startswith(f"override {word[:60]!r}"[:60])


@given(st.lists(st.text() | st.tuples(st.sampled_from(["a", "e", "e.0", "e.9", "l.use", "l"]), YAMLISH).map("=".join)))
def test_law_any_override_is_taken_or_refused_with_a_problem(words):
    problems = []
    merge(parse("{e: [1, {k: 2}], l: {use: x}}", "r.yaml"), overlay(words, Path(), problems), problems).plain()
    assert all(problem.where.startswith(("override ", "r.yaml")) for problem in problems)
