"""Which code counts as a module's own: all that it runs, of the trees that may change without a version."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from polo.run.imports import Code

#: a package that no distribution has installed
FILES = {
    "loose/__init__.py": "",
    "loose/core.py": "from loose import helper\nimport loose.deep.inner\nimport json\nimport numpy\n",
    "loose/helper.py": "def help():\n    from . import late\n    return late\n",
    "loose/late.py": "from .deep.inner import name\n",
    "loose/deep/__init__.py": "from ..above import thing\n",
    "loose/deep/inner.py": "name = 1\n",
    "loose/above.py": "thing = 1\n",
    "loose/typed.py": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import loose.unseen\nelse:\n    import loose.seen\n"
    ),
    "loose/unseen.py": "",
    "loose/seen.py": "",
    "loose/named.py": "import importlib\nimportlib.import_module('loose.seen')\nprint('loose.unseen')\n",
    "loose/near.py": "from importlib import import_module\nimport_module('.seen', 'loose')\nimport_module(str(1))\n",
    "loose/broken.py": "import loose.seen\ndef (\n",
    "loose/beyond.py": "from ....x import y\nimport loose.nowhere\n",
    "loose/polite.py": "from polo import Choice\n",
    "beside.py": "import loose.above\n",
}


@pytest.fixture
def loose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in ("loose", "beside")]:
        del sys.modules[name]


def names(module: str, watching: tuple[str, ...] = ()) -> set[str]:
    return {name for name in Code(watching).of(module) if name.partition(".")[0] != "polo"}


def test_law_all_that_a_module_runs_is_its_code(loose: Path) -> None:
    """What it imports, what that imports (relatively, late), and the packages around each; no json, no numpy."""
    inner = {"loose", "loose.deep", "loose.deep.inner", "loose.above"}
    assert names("loose.deep.inner") == inner
    assert names("loose.late") == inner | {"loose.late"}
    assert names("loose.core") == inner | {"loose.core", "loose.helper", "loose.late"}
    assert names("beside") == {"beside", "loose", "loose.above"}


def test_what_lies_beside_the_records_of_an_installation_is_installed_whatever_its_folder_is_called(
    loose: Path,
) -> None:
    (loose / "loose-1.0.dist-info").mkdir()
    assert names("beside") == {"beside"}


def test_what_a_type_checker_alone_imports_is_no_code_and_its_other_branch_is(loose: Path) -> None:
    assert names("loose.typed") == {"loose", "loose.typed", "loose.seen"}


def test_a_module_that_is_imported_by_its_name_counts_and_a_word_that_looks_like_one_does_not(loose: Path) -> None:
    assert names("loose.named") == {"loose", "loose.named", "loose.seen"}
    assert names("loose.near") == {"loose", "loose.near", "loose.seen"}


def test_what_watches_is_left_out_with_what_it_alone_imports_but_counts_when_it_is_asked_for(loose: Path) -> None:
    assert names("loose.core", ("loose.helper",)) == {
        "loose",
        "loose.core",
        "loose.deep",
        "loose.deep.inner",
        "loose.above",
    }
    assert "loose.helper" in names("loose.helper", ("loose.helper",))


def test_a_module_that_does_not_parse_and_a_name_that_leads_nowhere_are_no_error(loose: Path) -> None:
    assert names("loose.broken") == {"loose", "loose.broken"}
    assert names("loose.beyond") == {"loose", "loose.beyond"}


def test_a_public_name_of_polo_leads_to_the_module_that_it_comes_from(loose: Path) -> None:
    found = Code().of("loose.polite")
    assert "polo.context" in found
    assert not {"polo", "polo.errors", "polo.scores"} & set(found)


def digest(place: Path, text: str | bytes, name: str = "beside.py") -> str:
    (place / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return Code().of(name.removesuffix(".py"))[name.removesuffix(".py")]


def test_law_comments_and_spaces_change_no_hash_and_every_word_of_code_does(loose: Path) -> None:
    plain = digest(loose, "x = 1\n")
    assert digest(loose, "# why\nx  =  1  # so\n") == plain
    assert digest(loose, "x = 2\n") != plain
    assert digest(loose, "y = 1\n") != plain
    assert len(plain) == 16


def test_law_bytes_that_are_no_code_are_told_apart(loose: Path) -> None:
    assert digest(loose, "def (\n") != digest(loose, "def (  \n")
    assert digest(loose, b"x = '\xff'\n") != digest(loose, b"x = '\xfe'\n")


@pytest.mark.parametrize(("dist", "there"), [("", False), ("pluggy", True), ("no such distribution", False)])
def test_what_is_installed_counts_for_a_component_of_its_distribution_alone(
    loose: Path, dist: str, there: bool
) -> None:
    (loose / "beside.py").write_text("import pluggy\nimport packaging.version\n")
    found = Code().of("beside", dist)
    assert ("pluggy" in found) == ("pluggy._hooks" in found) == there
    assert "packaging.version" not in found


def test_one_reader_answers_for_many_modules_as_one_each_does(loose: Path) -> None:
    shared = Code()
    alone: Mapping[str, dict[str, str]] = {name: Code().of(name) for name in ("loose.core", "loose.late", "beside")}
    assert {name: shared.of(name) for name in alone} == alone
