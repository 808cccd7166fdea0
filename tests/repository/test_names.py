"""The engine names no component: its plugin alone knows what it is called, and what its options are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from polo.plugin.component import KINDS
from polo.plugin.load import load_plugins
from tests.repository.sources import PLUGINS, ROOT, modules

#: names of components that are words of the engine too, and what they mean there
WORDS = {
    "boundary": "negatives close to the chosen item, whose share the collapse monitor measures",
    "candidates": "the list that is ranked for a row",
    "catalogue": "all items, and all components",
    "cosine": "the shape of a learning rate",
    "csv": "a format of tables",
    "file": "what is read and written",
    "fixed": "of a size or place that does not change",
    "given": "what a user or a caller says",
    "hub": "where models are put for others",
    "hit_ratio": "the figure that validation computes itself",
    "length": "of a list or a text",
    "norm": "the length of a gradient",
    "order": "of rows, keys and arguments",
    "policy": "the model that is trained",
    "precision": "the number type of matrix products",
    "random": "numpy's module",
    "reward": "beta times a log-ratio",
    "rows": "what is trained and measured on",
    "run": "of a recipe, and its folder",
    "sequences": "what each user took, oldest first",
    "sum": "Python's function",
    "text": "a string",
    "ties": "equal scores, and the rule for them",
    "top": "the best of a list",
    "uniform": "a distribution, and how lists are drawn",
}
#: words of one file
PLACES = {("polo/store/provenance.py", "vllm"): "a distribution whose version is noted"}
#: a path into the options of a component, such as ``policy.max_tokens``; ``use`` is the recipe's own key
OPTION = re.compile(rf"\b(?:{'|'.join(KINDS)})\.(?!use\b)[a-z_]+\b")


def components() -> set[str]:
    """The names of all components of polo's own plugins."""
    catalogue = load_plugins().catalogue
    entries = [entry for kind in KINDS for entry in catalogue.entries(kind)]
    return {entry.name for entry in entries if entry.record.entry in PLUGINS}


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """``(line, text)`` of the string literals of a file that are no docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {id(node.body[0].value) for node in ast.walk(tree)
            if isinstance(node, holders) and node.body and isinstance(node.body[0], ast.Expr)}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


def words(path: Path) -> Iterator[tuple[int, str]]:
    """``(line, word)`` of all identifiers of a file and all words of its texts, docstrings and comments apart."""
    for line, text in texts(path):
        yield from ((line, word) for word in re.findall(r"\w+", text))
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield node.lineno, name


def named(names: set[str]) -> list[tuple[str, int, str]]:
    """``(file, line, name)`` wherever the engine has one of these words."""
    return [
        (path.relative_to(ROOT).as_posix(), line, word)
        for path in modules("polo")
        for line, word in words(path)
        if word in names
    ]


def test_law_the_engine_names_no_component() -> None:
    """Where a message must say what helps, components are found by their tags, or asked for advice."""
    names = components() - set(WORDS)
    assert len(names) > 50
    found = [f"{file}:{line} {name}" for file, line, name in named(names) if (file, name) not in PLACES]
    assert found == [], "let the component say it; if the word means something else there, say what in WORDS"


def test_no_word_is_allowed_in_vain() -> None:
    assert components() >= set(WORDS)
    assert {name for _, _, name in named(set(WORDS))} == set(WORDS)
    assert {(file, name) for file, _, name in named({name for _, name in PLACES})} == set(PLACES)


def test_law_the_engine_names_no_option_of_a_component() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in modules("polo")
        for line, text in texts(path)
        for name in OPTION.findall(text)
    ]
    assert found == [], "let the component say it: see polo.Advises"


def test_words_are_found_wherever_they_stand(tmp_path: Path) -> None:  # else the laws above would hold of nothing
    path = tmp_path / "one.py"
    path.write_text('"""a"""\n# b\nx = f"(c) {d.e}"\n\n\ndef f(g, *, h=1):\n    """i"""\n    return j(k="policy.l")\n')
    assert {word for _, word in words(path)} == {"x", "c", "d", "e", "f", "g", "h", "j", "k", "policy", "l"}
    assert [OPTION.findall(text) for _, text in texts(path) if "." in text] == [["policy.l"]]
