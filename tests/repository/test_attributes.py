"""Whatever the engine looks for in a component is declared: a protocol of ``polo.protocols``, exported by ``polo``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import polo
from polo import protocols
from tests.repository.sources import ROOT, modules

#: attributes that are asked for by name though no protocol declares them, and of what, since it is no component
FOREIGN = {
    "attr": "ast.Attribute",
    "ge": "annotated_types.Ge and Interval",
    "gt": "annotated_types.Gt and Interval",
    "id": "ast.Name",
    "mallopt": "the C library, if it is glibc",
    "module": "the wrapper that torch puts around a module",
    "strerror": "OSError",
    "tag": "events of PyYAML",
}
DECLARED = {
    name: found
    for name, found in vars(protocols).items()
    if isinstance(found, type) and getattr(found, "_is_protocol", False)
}


def asked(path: Path) -> Iterator[tuple[int, str]]:
    """``(line, name)`` of every attribute that a file asks an object for by a literal name."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr"):
            name = node.args[1]
            if isinstance(name, ast.Constant) and not str(name.value).startswith("__"):
                yield node.lineno, str(name.value)


def test_law_a_component_is_asked_by_isinstance_and_never_for_a_name() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} asks for {name!r}: declare it in polo/protocols/ and use isinstance"
        for path in modules("polo")
        for line, name in asked(path)
        if name not in FOREIGN
    ]
    assert found == []


def test_no_foreign_attribute_is_listed_in_vain() -> None:
    assert {name for path in modules("polo") for _, name in asked(path)} >= set(FOREIGN)


def test_law_every_protocol_is_public_and_can_be_asked_for() -> None:
    assert len(DECLARED) > 30
    assert set(DECLARED) <= set(polo.__all__)
    assert [name for name, found in DECLARED.items() if not getattr(found, "_is_runtime_protocol", False)] == []
    assert all(getattr(polo, name) is found for name, found in DECLARED.items())


def test_names_are_found_wherever_they_are_asked_for(tmp_path: Path) -> None:  # else the law would hold of nothing
    path = tmp_path / "one.py"
    path.write_text("if getattr(a, 'b', None):\n    c = lambda x: hasattr(x, 'd') and getattr(x, name) and x.__doc__\n")
    assert sorted(asked(path)) == [(1, "b"), (2, "d")]
