"""``--verbose`` and ``--quiet``: what a run says of itself, and where faults come from."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]
RECIPE = """\
polo: 1
name: small
data: {use: demo, items: 120, users: 40, shortest: 8, longest: 10}
candidates: {n: 10}
policy: {use: mf, dim: 4}
reference: base
stages:
  prefer: {loss: dpo, sampler: {use: uniform, k: 4}, steps: 3, lr: 1e-2, batch: 32, validate: {rows: 9, every: 0}}
evaluate: {evaluators: [{use: hit_ratio, k: [1]}], baselines: [popularity]}
"""
#: watches, and fails at it
WATCHER = """
from polo import hookimpl
@hookimpl
def polo_step_ended(step): raise RuntimeError(f"lost at {step}")
"""
BROKEN = "import no_such_module_at_all\n"
#: a tracker without the method that it must have
INCOMPLETE = """
from polo import Component, hookimpl
class Half:
    def __init__(self, options, context): pass
    def log(self, metrics): raise KeyError("no such metric")
    def close(self): pass
@hookimpl
def polo_trackers(): return [Component(name="half", build=":Half", summary="half of one")]
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POLO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(RECIPE)
    (tmp_path / "watcher.py").write_text(WATCHER)
    (tmp_path / "broken.py").write_text(BROKEN)
    (tmp_path / "half.py").write_text(INCOMPLETE)
    return tmp_path


def test_a_run_tells_its_components_its_caches_its_time_and_whose_fault_it_was(place: Path, polo: Run) -> None:
    code, _, err = polo("run", "small.yaml", "--verbose", "--plugin", place / "watcher.py")
    assert code == 0
    assert re.search(r"^sampler/uniform of polo-rec \S+ \(polo_preference\): polo_preference\.\S+ .*\bk: 4\b.*built in "
                     r"\d+\.\d{3} s$", err, re.MULTILINE)  # fmt: skip
    for kind in ("data/demo", "policy/mf", "loss/dpo", "evaluator/hit_ratio", "baseline/popularity", "scorer/policy"):
        assert f"\n{kind} of polo-rec" in f"\n{err}", kind
    assert re.search(r"^prefer: neither this run nor \S+ has it, so it is trained$", err, re.MULTILINE)
    found = re.search(r"reference scores of (\d+) rows were in the cache, those of (\d+) were computed", err)
    assert found
    assert int(found[2]) > 0
    for part in ("start", "prefer", "popularity", "model", "evaluation"):
        assert re.search(rf"^{part} took \d+\.\d s \(\d+\.\d s of CPU\)$", err, re.MULTILINE), part
    assert "its hook polo_step_ended failed" in err
    assert 'raise RuntimeError(f"lost at {step}")' in err, "the line of the plugin where it failed"
    assert err.count("Traceback") == 1

    code, out, again = polo("run", "small.yaml", "stages.prefer.lr=2e-2", "-v")
    found = re.search(r"reference scores of (\d+) rows were in the cache, those of (\d+) were computed", again)
    assert found
    assert (int(found[1]) > 0, int(found[2])) == (True, 0), "the same rows under the same reference"
    code, _, err = polo("eval", out.strip().splitlines()[-1], "-v")
    assert code == 0
    assert "evaluation took" not in err, "a run's parts are those of a run"
    assert re.search(r"^model took \d", err, re.MULTILINE)


def test_quiet_is_the_table_and_errors_and_usual_is_in_between(place: Path, polo: Run) -> None:
    code, out, err = polo("run", "small.yaml", "--quiet")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].startswith("demo (leave_last_out), test split")
    code, _, err = polo("run", "small.yaml", "--plugin", place / "watcher.py", "seed=1")
    assert code == 0
    assert "its hook polo_step_ended failed" in err
    assert "Traceback" not in err
    assert " took " not in err
    code, out, err = polo("run", "small.yaml", "stages.prefer.lr=-1", "--quiet")
    assert (code, out) == (2, "")
    assert "stages.prefer.lr" in err
    code, _, err = polo("run", "small.yaml", "-q", "-v")
    assert (code, "--quiet, --verbose" in err) == (2, True)


def test_an_error_has_its_traceback_only_when_asked(place: Path, polo: Run) -> None:
    usual = polo("run", "small.yaml", "stages.prefer.lr=-1")
    told = polo("run", "small.yaml", "stages.prefer.lr=-1", "--verbose")
    assert (usual[0], told[0]) == (2, 2)
    assert "Traceback" not in usual[2]
    assert told[2].startswith("Traceback")
    assert told[2].endswith(usual[2]), "and the message last"


def test_what_broke_a_plugin_is_told_with_its_lines(place: Path, polo: Run) -> None:
    words = ("plugins", "--plugin", place / "broken.py")
    assert "Traceback" not in polo(*words)[2]
    code, _, err = polo(*words, "--verbose")
    assert code == 0
    assert re.search(r'File ".*broken\.py", line 1', err)
    words = ("plugin", "check", "--plugin", place / "half.py")
    code, out, _ = polo(*words)
    assert (code, "Traceback" in out) == (1, False)
    code, out, _ = polo(*words, "-v")
    assert code == 1
    assert re.search(r'File ".*half\.py", line 5', out)
    code, out, _ = polo("plugin", "check", "--plugin", place / "broken.py", "-v")
    assert code == 1
    assert re.search(r'File ".*broken\.py", line 1', out)
