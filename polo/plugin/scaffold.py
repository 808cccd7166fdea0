"""The files of a new plugin, from templates. Knows names and text; writes nothing and imports no plugin.

A template's file name and text hold ``$words`` (:class:`string.Template`); ``__word__`` in a path is replaced too,
``dot-`` at the start of a name is a dot, and the ending ``.tmpl`` is dropped.
"""

from __future__ import annotations

import keyword
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from typing import Final

from polo.errors import InputError
from polo.plugin.component import KINDS, PLUGIN_API
from polo.words import did_you_mean

TEMPLATES: Final = Path(__file__).with_name("templates")
#: distributions of plugins begin like this, so that an index finds them
PREFIX: Final = "polo-plugin-"
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST: Final = 40


def words(name: str, kind: str, version: str) -> dict[str, str]:
    """What stands for the words of the templates.

    Args:
        name: of the plugin, with or without ``polo-plugin-`` before it.
        kind: of its component.
        version: of the polo that it is made with.

    Raises:
        InputError: there is no such kind, or a package cannot be called so.

    Example:
        >>> said = words("near-miss", "sampler", "0.1.0")
        >>> [said[word] for word in ("dist", "module", "component", "cls")]
        ['polo-plugin-near-miss', 'polo_plugin_near_miss', 'near_miss', 'NearMissSampler']
    """
    if kind not in KINDS:
        raise InputError(f"no kind of component is called {kind!r}", fix=did_you_mean(kind, KINDS, label="kinds"))
    short = name.replace("_", "-").removeprefix(PREFIX)
    if not _NAME.fullmatch(short) or len(short) > _LONGEST or keyword.iskeyword(short):
        raise InputError(
            f"{name!r} is no name for a plugin",
            fix=f"lower-case letters and digits, words joined by '-', at most {_LONGEST} of them: near-miss",
        )
    dist = PREFIX + short
    said = {
        "name": short,
        "dist": dist,
        "module": dist.replace("-", "_"),
        "component": short.replace("-", "_"),
        "cls": "".join(part.capitalize() for part in (*short.split("-"), kind)),
        "kind": kind,
        "hook": KINDS[kind],
        "api": str(PLUGIN_API),
        **_versions(version),
    }
    facts = tomllib.loads((TEMPLATES / "kinds" / kind / "kind.toml").read_text("utf-8"))
    return said | {key: Template(text).substitute(said) for key, text in facts.items()}


def _versions(version: str) -> dict[str, str]:
    """From this version on, below the next one that may break contracts: the next minor one before 1.0.

    Example:
        >>> _versions("0.1.3"), _versions("2.4.0")
        ({'polo_from': '0.1', 'polo_below': '0.2'}, {'polo_from': '2.4', 'polo_below': '3'})
    """
    major, minor = (int(part) for part in version.split(".")[:2])
    return {"polo_from": f"{major}.{minor}", "polo_below": f"{major + 1}" if major else f"0.{minor + 1}"}


def scaffold(said: Mapping[str, str]) -> dict[str, str]:
    """Path inside the new package -> its text.

    Args:
        said: what :func:`words` gave.
    """
    return dict(sorted(_files(said)))


def _files(said: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for folder in (TEMPLATES / "common", TEMPLATES / "kinds" / said["kind"]):
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.name != "kind.toml":
                yield _path(file.relative_to(folder), said), Template(file.read_text("utf-8")).substitute(said)


def _path(template: Path, said: Mapping[str, str]) -> str:
    parts = [re.sub(r"^dot-", ".", part) for part in template.parts]
    text = "/".join(parts).removesuffix(".tmpl")
    return re.sub(r"__(module|component)__", lambda found: said[found[1]], text)
