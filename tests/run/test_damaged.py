"""Any file of a run may be anything: a command ends with what it is asked for or with sentences, never a traceback.

The run is made once. A case replaces one file, asks every command that reads runs, and puts the file back.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polo.cli import main
from tests.run.toy import RECIPE, Main

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("\ud800")
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
#: what is read without a model, and some of what a model is made of; the deep form takes every file of the run
READ = ["results.json", "provenance.json", "metrics.jsonl", "audits.json", "fingerprints.json", "resolved.yaml",
        "eval/per_row.parquet", "eval/scores-model.parquet", "eval/examples.json"]  # fmt: skip
WEIGHTS = ["final/adapter_config.json", "final/adapter_model.safetensors", "final/manifest.json", "final/base.json",
           "base/config.json", "base/tokenizer.json", "base/tokenizer_config.json", "base/model.safetensors",
           "stages/prefer/manifest.json", "stages/prefer/policy/adapter_config.json",
           "stages/sft/policy/adapter_model.safetensors", "checkpoints/prefer-4/state.json",
           "checkpoints/prefer-4/manifest.json", "checkpoints/prefer-4/optimizer.safetensors"]  # fmt: skip


@pytest.fixture(scope="module")
def run(original: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished run, and the recipe beside it."""
    place = tmp_path_factory.mktemp("damaged")
    (place / "toy.yaml").write_text(RECIPE)
    run = place / "runs" / "run"
    shutil.copytree(original[0], pristine(run))
    return Path(shutil.copytree(original[0], run))


def pristine(run: Path) -> Path:
    """The run as it was."""
    return run.parent.with_name("pristine")


def ends(words: list[object]) -> int:
    """The exit code of a command; any exception but the ordinary end is a failure of the test."""
    try:
        main([str(word) for word in words])
    except SystemExit as ended:
        return int(ended.code or 0)
    raise AssertionError("a command has ended in no way")


@contextmanager
def replaced(run: Path, name: str, content: bytes) -> Iterator[None]:
    """The run with another content of one file, inside the block; whatever happens to the run there is undone."""
    (run / name).unlink()  # it may be linked to one of the cache
    (run / name).write_bytes(content)
    try:
        yield
    finally:
        shutil.rmtree(run)
        shutil.copytree(pristine(run), run)


def reading(run: Path) -> list[list[object]]:
    """Commands that read and neither load a model nor data."""
    out, copy = run.parent.with_name("report.html"), run.parent.with_name("copy.yaml")
    return [
        ["report", run, "--out", out], ["report", run, run, "--out", out], ["compare", run], ["compare", run, "--json"],
        ["compare", run, "--metric", "all", "--latex"], ["compare", run, "--with", "markov", "--markdown"],
        ["ls", "runs", "--runs", run.parent], ["ls", "runs", "--runs", run.parent, "--json"],
        ["cp", run / "resolved.yaml", copy, "--force"], ["validate", run / "resolved.yaml"],
        ["show", run / "resolved.yaml"],
    ]  # fmt: skip


def building(run: Path) -> list[list[object]]:
    """Commands that load data and models."""
    title = json.loads((run / "eval" / "examples.json").read_text())[0]["history"][0]
    resume = ["run", run.parent.with_name("toy.yaml"), f"out={run.parent}", "--resume", run]
    return [["recommend", run, "--history", title], ["eval", run], resume, [*resume, "--retrain"]]


def holds(commands: list[list[object]], run: Path, name: str, content: bytes) -> None:
    for words in commands:
        with replaced(run, name, content):
            assert ends(words) in (0, 1, 2), words


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*at, key))


def with_value(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = with_value(copy[place[0]], place[1:], new)
    return copy


@st.composite
def contents(draw: st.DrawFn, file: Path) -> bytes:
    """Any JSON; a part of what was there; or, of JSON, what was there with any value at one place, or without it."""
    old = file.read_bytes()
    kind = draw(st.sampled_from(["json", "cut", "place", "place", "remove", "bytes"]))
    if kind in ("place", "remove") and file.suffix == ".json":
        value = json.loads(old)
        place = draw(st.sampled_from(list(places(value))))
        if kind == "place" or not place:
            return json.dumps(with_value(value, place, draw(JSON))).encode()
        owner = value
        for key in place[:-1]:
            owner = owner[key]
        del owner[place[-1]]
        return json.dumps(value).encode()
    if kind == "cut":
        return old[: draw(st.integers(0, len(old)))]
    if kind == "bytes":
        return draw(st.binary(max_size=40))
    return json.dumps(draw(JSON)).encode()


def law(examples: int) -> Callable[[Any], Any]:
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)


@pytest.mark.parametrize("file", READ)
@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"null", b"[" * 100_000], ids=["empty", "list", "map", "null", "deep"]
)
def test_a_file_of_another_shape_is_never_a_traceback(run: Path, polo: Main, file: str, content: bytes) -> None:
    holds(reading(run), run, file, content)


@law(60)
@given(st.data())
def test_law_any_content_of_any_file_is_read_or_refused(run: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(READ))
    content = data.draw(contents(run / name))
    holds(data.draw(st.sampled_from([[words] for words in reading(run)])), run, name, content)


@pytest.mark.parametrize("content", [b"{}", b'{"recipe": []}', b"[]"])
def test_provenance_of_another_shape_is_one_sentence_everywhere(
    run: Path, polo: Main, content: bytes, capsys: Any
) -> None:
    commands = [*reading(run)[:3], *building(run)]
    for words in commands:
        with replaced(run, "provenance.json", content):
            code, _, err = polo(*words)
        assert code in (1, 2), words
        assert err.count("error:") == 1
        assert "provenance.json" in err


@pytest.mark.parametrize("file", WEIGHTS)
def test_what_a_model_is_made_of_is_loaded_or_refused(run: Path, polo: Main, file: str) -> None:
    holds(building(run)[:2], run, file, b'{"a": [1]}')


@pytest.mark.fuzz
@law(2000)
@given(st.data())
def test_law_any_content_of_any_file_is_read_or_refused_deeply(run: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(READ))
    holds(reading(run), run, name, data.draw(contents(run / name)))


@pytest.mark.fuzz
@law(150)
@given(st.data())
def test_law_any_content_of_any_file_is_built_from_or_refused_deeply(run: Path, data: st.DataObject) -> None:
    names = [str(path.relative_to(run)) for path in sorted(run.rglob("*")) if path.is_file() and path.name != ".lock"]
    name = data.draw(st.sampled_from(names))
    holds(building(run), run, name, data.draw(contents(run / name)))
