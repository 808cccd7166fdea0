"""The strict reader: YAML 1.2 scalars, positions, and a PoloError for whatever is not a recipe."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from polo.errors import InputError, RecipeError
from polo.recipe.dump import dump
from polo.recipe.reader import MAX_BYTES, MAX_DEPTH, parse, read_file
from polo.recipe.scalars import scalar
from tests.recipe.texts import TREES, YAMLISH
from tests.toys import refusal


@settings(max_examples=300)
@given(st.text() | YAMLISH)
@example('"\\U7fffffff"')
@example("!!binary x")
@example("%YAML 9" + "9" * 5000 + ".1\n---\na: 1")
@example("&a [*a]")
@example("[" * 5000)
@example("? [a]\n: 1")
@example("a: 1\n\x07")
@example("\ud800")
def test_law_any_text_is_read_or_refused_with_a_polo_error(text):
    error = refusal(lambda: parse(text, "r.yaml").plain())
    assert error is None or str(error).startswith("r.yaml:")


@given(st.dictionaries(st.text().filter(lambda key: key != "<<"), TREES, max_size=4))
def test_law_dumped_data_reads_back_to_itself(tree):
    assume("${" not in dump(tree))  # the only text that cannot be written
    read = parse(dump(tree), "r.yaml").plain()
    assert read == tree
    assert json.dumps(read) == json.dumps(tree)  # 1 and 1.0 are told apart


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5), ("5e6", 5e6), ("-.5", -0.5), ("1.", 1.0), ("no", "no"), ("on", "on"), ("yes", "yes"),
        ("3:20", "3:20"), ("0o17", 15), ("0x1F", 31), ("017", 17), ("1_000", "1_000"), ("2024-01-01", "2024-01-01"),
        ("~", None), ("", None), ("null", None), ("True", True), ("FALSE", False), ("tRUE", "tRUE"),
        ("+.inf", float("inf")),
    ],
)  # fmt: skip
def test_scalars_follow_the_yaml_1_2_core_schema(text, value):
    found = scalar(text)
    assert (found, type(found)) == (value, type(value))


def test_quoted_scalars_are_text():
    assert parse("""{a: '1e-5', b: "true", c: ''}""", "r").plain() == {"a": "1e-5", "b": "true", "c": ""}


def test_every_value_and_key_knows_its_place():
    root = parse("a:\n  - x\n  - {b: 1}\n", "r.yaml")
    assert root.keys["a"] == "r.yaml:1:1"
    item = root.value["a"].value[1]
    assert (item.where, item.keys["b"], item.value["b"].where) == ("r.yaml:3:5", "r.yaml:3:6", "r.yaml:3:9")


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("a: 1\nb: 2\na: 3", "r.yaml:3:1", "key 'a' is written twice, first at r.yaml:1:1"),
        ("{a: 1, a: 1}", "r.yaml:1:8", "written twice"),
        ("a: !!int 1", "r.yaml:1:4", "tags"),
        ("a: !x {b: 1}", "r.yaml:1:4", "tags"),
        ("a: ! x", "r.yaml:1:4", "tags"),
        ("a: ${HOME}/x", "r.yaml:1:4", "not filled in"),
        ("a: .nan", "r.yaml:1:4", "not a number"),
        ("a: 1e999", "r.yaml:1:4", "too large"),
        ("a: " + "9" * 5000, "r.yaml:1:4", "5000 digits"),
        ("1: a", "r.yaml:1:1", "a key must be text"),
        ("? [a]\n: 1", "r.yaml:1:3", "a key must be text"),
        ("x: &b {c: 1}\ny:\n  <<: *b", "r.yaml:3:3", "merge keys"),
        ("a: *b", "r.yaml:1:4", "repeats nothing"),
        ("a: &b [*b]", "r.yaml:1:8", "stands inside what it repeats"),
        ("a: &b 1\nc: &b 2", "r.yaml:2:4", "used twice"),
        ("a: 1\n---\nb: 2", "r.yaml:2:1", "second document"),
        ("a: [1, 2", "r.yaml:1:9", "not YAML"),
        ("a: \x07", "r.yaml:1:4", "U+0007"),
        ('a: "\\U7fffffff"', "r.yaml:1:1", "not YAML"),
        ('a: "\\ud800"', "r.yaml:1:4", "lone surrogate"),
    ],
)
def test_what_is_refused_has_a_place(text, where, what):
    with pytest.raises(RecipeError) as caught:
        parse(text, "r.yaml")
    problem = caught.value.problems[0]
    assert what in problem.what
    assert problem.where == where or what == "not YAML"  # PyYAML may point at the token before


def test_several_problems_are_told_at_once():
    with pytest.raises(RecipeError) as caught:
        parse("a: !!int 1\na: 2\nb: .nan\n", "r.yaml")
    assert [problem.where for problem in caught.value.problems] == ["r.yaml:1:4", "r.yaml:2:1", "r.yaml:3:4"]


def test_anchors_repeat_a_value():
    assert parse("a: &x {b: [1]}\nc: *x", "r").plain() == {"a": {"b": [1]}, "c": {"b": [1]}}


def test_anchors_that_multiply_are_bounded():
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )
    with pytest.raises(RecipeError, match="more than"):
        parse(laughs, "r.yaml")


def test_anchors_that_nest_are_bounded():
    deep = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 2 * MAX_DEPTH))
    with pytest.raises(RecipeError, match="through an anchor"):
        parse(deep, "r.yaml")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_depth_is_bounded(opening):
    with pytest.raises(RecipeError, match="nested deeper"):
        parse(opening * 200, "r.yaml")


def test_files_that_are_no_recipes(tmp_path):
    def told(content: bytes | None) -> str:
        path = tmp_path / "r.yaml"
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(content)
        with pytest.raises(InputError) as caught:
            read_file(path)
        return str(caught.value).replace(str(tmp_path), "")

    assert told(None).startswith("/r.yaml: no such recipe file")
    assert told(b"").startswith("/r.yaml:1:1: the recipe is empty")
    assert told(b"# only a comment\n").startswith("/r.yaml:1:1: the recipe is empty")
    assert told(b"just text").startswith("/r.yaml:1:1: a recipe is a mapping")
    assert told(b"a: 1\nb: \xff\n").startswith("/r.yaml:2:4: not UTF-8 (byte 0xff)")
    assert told("a: 1".encode("utf-16")).startswith("/r.yaml:1:1: not UTF-8")
    assert told(b"#" * (MAX_BYTES + 1)).startswith("/r.yaml: longer than")
    with pytest.raises(InputError, match="is a folder"):
        read_file(tmp_path)


def test_a_byte_order_mark_is_no_part_of_the_recipe(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    node, _ = read_file(path)
    assert node.plain() == {"a": 1}


@given(st.dictionaries(st.text("abcdefgh", min_size=1), st.integers() | st.text("xyz _-"), max_size=5))
def test_law_block_and_flow_forms_of_plain_data_agree(tree):
    block = yaml.safe_dump(tree, default_flow_style=False, default_style='"' if not tree else None)
    flow = yaml.safe_dump(tree, default_flow_style=True)
    assert parse(block, "r").plain() == parse(flow, "r").plain()
