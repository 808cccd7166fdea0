"""The model card of an export: what a run's weights are, how good they were found, and by what. Knows files of runs.

Whatever a run says is a stranger's word: it is escaped, and stands in tables and code alone. Folders of this machine
are named by their last part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from polo.audit.verdicts import of_run
from polo.evaluate.metrics import MODEL
from polo.protocols import Packed
from polo.recipe.dump import dump, flow
from polo.report.closing import closing
from polo.store.shapes import Provenance, Results, read

#: the system that is the policy before its first stage
_START: Final = "base"
_FETCH: Final = "from huggingface_hub import snapshot_download\n\n"
_TAGS: Final = ("recommendation", "preference-optimization", "polo")


def card(run: Path, packed: Packed, *, name: str, hub: bool) -> str:
    """The card in Markdown, with a head in YAML as model hubs read it.

    Args:
        run: folder of a finished run.
        packed: what the policy wrote.
        name: what the export is called: its folder's name, or its id on a hub.
        hub: whether it goes to a hub.

    Raises:
        InputError: a file of the run is missing or damaged.
    """
    results = read(run / "results.json", Results, fix="polo eval RUN writes it anew")
    facts = read(run / "provenance.json", Provenance, fix="restore the file, or run the recipe again")
    sections = [
        f"# {_plain(facts['recipe']['name'])}",
        _what(packed, facts),
        f"## Use\n\n```python\n{_FETCH if hub else ''}folder = {_place(name, hub=hub)}\n{packed.loading}\n```",
        _found(results, facts),
        _protocol(results["protocol"]),
        _audits(of_run(run)),
        _recipe(facts["recipe"]),
        _made(facts),
    ]
    return _head(packed) + "\n\n".join(sections) + "\n"


def _place(name: str, *, hub: bool) -> str:
    return f"snapshot_download({name!r})" if hub else f"{name!r}  # where these files lie"


def _head(packed: Packed) -> str:
    told: dict[str, Any] = {"library_name": packed.library} if packed.library else {}
    if packed.base:
        told |= {"base_model": packed.base, "base_model_relation": packed.relation}
    return f"---\n{dump({**told, 'tags': list(_TAGS)})}---\n\n"


def _what(packed: Packed, facts: Mapping[str, Any]) -> str:
    version = facts.get("versions", {}).get("polo-rec", "of unknown version")
    sha = facts.get("base", {}).get("sha256", "")
    base = f"Base: {_code(packed.base)}" if packed.base else "Base: one without a public name" if sha else ""
    hashed = f", sha256 {_code(sha)} over its config, tokenizer and weights." if packed.base and sha else ""
    hashed = hashed or (f" (sha256 {_code(sha)})." if base and sha else "." if base else "")
    return f"A recommender trained with polo {_plain(version)}: {_plain(packed.what)}. {base}{hashed}".rstrip()


def _found(results: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    table = closing(results)
    stages = facts["recipe"].get("stages", {})
    rows = [[line[0], _kind(line[0], stages), *line[1:]] for line in table.rows]
    which = results.get("baselines")
    few = "" if which in ("all", None) else " The recipe chose which baselines are shown."
    told = (
        f"Measured on {_plain(table.heading)}. Means with 95 % intervals, clustered by user; the last column is the "
        f"paired difference to this model.{few}"
    )
    columns = [table.columns[0], "what it is", *table.columns[1:]]
    return f"## Results\n\n{told}\n\n{_table(columns, rows)}"


def _kind(system: str, stages: Mapping[str, Any]) -> str:
    if system == MODEL:
        return "**this model**"
    if system == _START:
        return "the policy before training"
    return "an earlier stage" if system in stages else "baseline"


def _protocol(protocol: Mapping[str, Any]) -> str:
    rows = [[key, _code(flow(value))] for key, value in protocol.items() if key != "hash"]
    return (
        f"## Protocol {_code(protocol['hash'])}\n\nFigures can be compared with those of the same hash alone.\n\n"
        + _table(["part", "value"], rows)
    )


def _audits(checks: Sequence[Mapping[str, Any]]) -> str:
    if not checks:
        return "## Audits\n\nThis run keeps no audits of its data and protocol."
    return "## Audits of data and protocol\n\n" + _table(
        ["audit", "verdict", "meaning"], [[c["name"], c["verdict"], c["meaning"]] for c in checks]
    )


def _recipe(recipe: Mapping[str, Any]) -> str:
    text = dump(_without_folders(recipe))
    fence = "`" * max(3, 1 + max((len(run) for run in _ticks(text)), default=0))
    return f"## Recipe\n\nWith every default filled in.\n\n{fence}yaml\n{text}{fence}"


def _made(facts: Mapping[str, Any]) -> str:
    data, git, hardware = (facts.get(key, {}) for key in ("data", "git", "hardware"))
    rows = [[name, _code(str(version))] for name, version in facts.get("versions", {}).items()]
    rows += [
        [f"plugin {one['distribution']}" + (", a local file" if "sha256" in one else ""),
         _code(one["version"] or one.get("sha256", ""))]
        for one in facts.get("plugins", [])
        if one["distribution"] != "polo-rec"
    ]  # fmt: skip
    told = {
        "seed": facts["recipe"].get("seed"),
        "data": data.get("fingerprint"),
        "licence of the data": data.get("licence"),
        "commit": f"{git['commit']}{' (with changes)' if git.get('dirty') else ''}" if "commit" in git else None,
        "GPUs": ", ".join(map(str, hardware.get("gpus") or [])) or "none",
    }
    rows += [[name, _code(str(value))] for name, value in told.items() if value not in (None, "")]
    return "## Made with\n\n" + _table(["what", "which"], rows)


def _without_folders(value: Any) -> Any:
    """Plain data whose paths of this machine are their last parts."""
    if isinstance(value, Mapping):
        return {str(key): _without_folders(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_folders(inner) for inner in value]
    if isinstance(value, str) and (value.startswith("~") or Path(value).is_absolute()):
        return f".../{Path(value).name}"
    return value


def _ticks(text: str) -> Iterator[str]:
    return ("`" * len(part) for part in "".join(c if c == "`" else " " for c in text).split())


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [list(columns), ["---"] * len(columns), *([_plain(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _plain(text: str) -> str:
    """Words that cannot end a cell or begin markup of HTML."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def _code(text: str) -> str:
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"
