"""The job folder and the loop over its parts: whole parts, shares, resumption, and workers that die."""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import polo_vllm.worker
from polo import InputError, PoloError
from polo_vllm.child import Workers, devices_of, environment, interpreter
from polo_vllm.place import job_folder, temporary_model
from polo_vllm.worker.files import JobFolder
from polo_vllm.worker.run import work_off
from tests.polo_vllm.world import TableEngine

SETTINGS = {"task": "score", "strategy": "trie", "tolerance": 1e-3, "adapter": None, "engine": {"model": "x"}}
TITLES = [[5, 2], [5, 6, 2], [7, 2]]
PARTS = [[(10 * p + i, [1, 2, 3 + i], [i, 2]) for i in range(2)] for p in range(5)]


def make(path: Path) -> JobFolder:
    job = JobFolder(path)
    job.create(SETTINGS, TITLES, PARTS)
    return job


def table(settings: Mapping[str, Any]) -> Any:
    return TableEngine(settings)


def test_parts_hold_exact_scores_tokens_and_how_they_were_made(tmp_path: Path) -> None:
    job, events = make(tmp_path), []
    work_off(job, tell=events.append, start=table)
    assert [event["part"] for event in events if "part" in event] == [0, 1, 2, 3, 4]
    for part in range(5):
        columns, facts = job.part(part)
        for row, scores, tokens, number in zip(
            job.work(part), columns["scores"], columns["tokens"], columns["row"], strict=True
        ):
            assert number == row.row
            assert scores == pytest.approx(TableEngine().exact(row), abs=1e-12)
            assert tokens == [len(title) for title in row.titles]
        assert (facts["strategy"], facts["vllm"]) == ("trie", "table")
    assert not list(tmp_path.rglob(".tmp-*"))


def test_a_second_start_leaves_finished_parts_alone_and_does_the_others(tmp_path: Path) -> None:
    job = make(tmp_path)
    done: list[int] = []

    def tell(event: Mapping[str, Any]) -> None:
        done.extend([event["part"]] if "part" in event else [])

    work_off(job, tell=tell, go_on=lambda: len(done) < 2, start=table)
    assert (done, job.missing()) == ([0, 1], [2, 3, 4])
    before = [(tmp_path / "scores" / f"part-0000{p}.parquet").stat().st_mtime_ns for p in (0, 1)]
    work_off(job, tell=tell, start=table)
    assert done == [0, 1, 2, 3, 4]
    assert before == [(tmp_path / "scores" / f"part-0000{p}.parquet").stat().st_mtime_ns for p in (0, 1)]


def test_a_job_without_missing_parts_starts_no_engine(tmp_path: Path) -> None:
    job = make(tmp_path)
    work_off(job, tell=lambda event: None, start=table)

    def never(settings: Mapping[str, Any]) -> Any:
        raise AssertionError("an engine was started")

    work_off(job, tell=lambda event: None, start=never)


@given(st.integers(1, 7))
def test_shares_are_disjoint_and_together_the_whole(n: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        job = make(Path(place))
        shares = [job.missing((i, n)) for i in range(n)]
    assert sorted(part for share in shares for part in share) == [0, 1, 2, 3, 4]


def test_a_job_that_was_not_written_to_its_end_is_none(tmp_path: Path) -> None:
    def parts() -> Any:
        yield PARTS[0]
        raise OSError("disk full")

    job = JobFolder(tmp_path)
    with pytest.raises(OSError, match="disk full"):
        job.create(SETTINGS, TITLES, parts())
    assert not job.exists()


def test_the_worker_needs_nothing_of_polo() -> None:
    """It is started by interpreters that have vLLM and pyarrow only."""
    allowed = set(sys.stdlib_module_names) | {"pyarrow", "vllm", "torch"}
    for path in Path(polo_vllm.worker.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            assert {name.split(".")[0] for name in names} <= allowed, path


def test_a_worker_that_dies_is_one_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    """No such model: with vLLM the engine refuses to load it, without vLLM the import fails; both are a crash."""
    job = make(tmp_path)
    with pytest.raises(PoloError) as caught, Workers(job.path, None, 1, 1) as workers:
        list(workers.events())
    assert "the vLLM worker ended with exit code 1" in str(caught.value)
    assert "Error" in str(caught.value)
    assert (tmp_path / "worker-0.log").read_text().splitlines()[-1].strip() in str(caught.value)


def test_no_worker_outlives_the_block(tmp_path: Path) -> None:
    with Workers(make(tmp_path).path, None, 2, 1) as workers:
        assert all(Path(f"/proc/{pid}").exists() for pid in workers.pids)
    assert len(workers.pids) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers.pids)


@pytest.mark.parametrize(
    ("python", "message"), [("/nowhere/python", "no interpreter"), ("/bin/false", "no Python that works")]
)
def test_an_interpreter_that_cannot_be_used_is_refused(python: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        interpreter(python)


def test_a_child_gets_no_ranks_no_paths_of_ours_and_its_own_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "TORCHELASTIC_RUN_ID", "PYTHONPATH"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    found = environment("/other/python", devices_of(1, 2, 2))
    assert found["CUDA_VISIBLE_DEVICES"] == "6,7"
    assert found["HF_HUB_OFFLINE"] == "1"
    assert not {"RANK", "WORLD_SIZE", "TORCHELASTIC_RUN_ID", "PYTHONPATH"} & set(found)
    assert environment(None)["PYTHONPATH"] == "1"


def test_a_job_folder_stays_when_work_fails_and_goes_when_it_ends(tmp_path: Path) -> None:
    def fail() -> None:
        with job_folder(tmp_path, "k") as place:
            (place / "half").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with job_folder(tmp_path, "k") as place:
        assert (place / "half").exists()
        with job_folder(tmp_path, "k") as other:
            assert other != place
    assert list(tmp_path.iterdir()) == []


def test_model_folders_of_dead_processes_are_removed_and_those_of_living_ones_are_not(tmp_path: Path) -> None:
    """Process 1 lives as long as the machine; no process has a number beyond the kernel's limit of 2^22."""
    for name in ("model-1-x", "model-5000000-x"):
        (tmp_path / name).mkdir()
    with temporary_model(tmp_path) as place:
        assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["model-1-x", place.name])
    assert [p.name for p in tmp_path.iterdir()] == ["model-1-x"]


def test_a_full_disk_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(PoloError, match="No space left"), temporary_model(tmp_path):
        raise OSError(28, "No space left on device")
