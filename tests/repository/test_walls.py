"""The walls around plugins: the engine knows none of them, and they know polo's public names and nobody else's.

Read from the sources, so that the walls hold for every folder of ``plugins/`` and no list must name it.
"""

from __future__ import annotations

import pytest

import polo
from tests.repository.sources import PLUGINS, ROOT, imports, modules


def _trespasses(folder: str, forbidden: set[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in modules(folder)
        for line, module, _ in imports(path)
        if module.partition(".")[0] in forbidden
    ]


def test_law_the_engine_imports_no_plugin() -> None:
    assert _trespasses("polo", set(PLUGINS)) == []


@pytest.mark.parametrize("plugin", PLUGINS)
def test_law_a_plugin_imports_no_other_plugin(plugin: str) -> None:
    assert _trespasses(f"plugins/{plugin}", set(PLUGINS) - {plugin}) == []


@pytest.mark.parametrize("plugin", PLUGINS)
def test_law_a_plugin_imports_public_names_of_polo_only(plugin: str) -> None:
    public = set(polo.__all__)
    private = [
        f"{path.relative_to(ROOT)}:{line} imports {name or 'all'} of {module}"
        for path in modules(f"plugins/{plugin}")
        for line, module, name in imports(path)
        if module.partition(".")[0] == "polo"
        and (module, name) != ("polo", "")
        and (module != "polo" or name not in public)
    ]
    assert private == []


def test_an_import_is_found_wherever_it_stands(tmp_path) -> None:  # else the laws above would hold of nothing
    path = tmp_path / "one.py"
    path.write_text(
        "import a.b\n\n\ndef f():\n    from c.d import e\n    if e:\n        import g\n\n\nfrom . import h\n"
    )
    assert sorted(imports(path)) == [(1, "a.b", ""), (5, "c.d", "e"), (7, "g", "")]
