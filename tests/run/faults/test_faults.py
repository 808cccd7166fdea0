"""Things that go wrong around a run. Every case: one clear message, the right exit code, nothing half-written."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from polo.errors import InputError
from polo.store import runfolder
from polo.store.files import damage, whole_folder
from polo.store.runfolder import RunFolder
from tests.run.faults.places import Ended, Polo, leftovers, run_folder


def assert_one_message(ended: Ended, code: int, *words: str) -> None:
    errors = [line for line in ended.said.splitlines() if line.startswith("error:")]
    assert ended.code == code, ended.said
    assert len(errors) == 1, ended.said
    assert "Traceback" not in ended.said
    for word in words:
        assert word in ended.said, ended.said


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A place to mount a small disk at; it is unmounted in the end."""
    place = tmp_path / "disk"
    place.mkdir()
    yield place
    subprocess.run(["umount", str(place)], check=False, capture_output=True)


def mount(place: Path, options: str) -> None:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=False, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")


# -- the disk ---------------------------------------------


@pytest.mark.parametrize("kib", [8, 40, 120])
def test_a_full_disk_ends_the_run_with_one_message(polo: Polo, place: Path, disk: Path, kib: int) -> None:
    """Full in the description of the run (8 KiB), in its audit or log, in a checkpoint (120 KiB)."""
    mount(disk, f"size={kib}k")
    ended = polo(place, "run", "toy.yaml", f"out={disk}/runs")
    assert_one_message(ended, 1, "No space left on device", str(disk), "free some space")
    assert not leftovers(disk)


@pytest.mark.parametrize("largest", [2_000, 6_000, 10_000, 20_000])
def test_a_file_that_may_not_grow_ends_the_run_with_one_message(polo: Polo, place: Path, largest: int) -> None:
    """A quota: the recipe, the log, weights or moments do not fit. Works without rights to mount a disk."""
    ended = polo(place, "run", "toy.yaml", largest=largest)
    assert_one_message(ended, 1, "File too large", "free some space")
    assert not leftovers(run_folder(place))


def test_after_a_full_disk_the_run_goes_on(polo: Polo, place: Path) -> None:
    assert polo(place, "run", "toy.yaml", largest=20_000).code == 1
    folder = run_folder(place)
    ended = polo(place, "run", "toy.yaml", "--resume", str(folder))
    assert ended.code == 0, ended.said
    assert (folder / "results.json").is_file()


def test_a_read_only_place_for_runs_is_bad_input(polo: Polo, place: Path, disk: Path) -> None:
    mount(disk, "ro")
    ended = polo(place, "run", "toy.yaml", f"out={disk}/runs")
    assert_one_message(ended, 2, "cannot make a run folder", "Read-only file system", "out=FOLDER")


def test_a_read_only_cache_is_one_message(polo: Polo, place: Path, disk: Path) -> None:
    mount(disk, "size=4m")
    shutil.copytree(place / "cache", disk, dirs_exist_ok=True)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    ended = polo(place, "run", "toy.yaml", cache=disk)
    assert_one_message(ended, 1, "Read-only file system", str(disk), "POLO_CACHE")
    assert not leftovers(place)


# -- files that are not what was written ---------------------------------------------


@pytest.fixture(scope="module")
def finished(polo: Polo, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The place of a finished run, for others to copy."""
    from tests.run.faults.places import furnish

    place = furnish(tmp_path_factory.mktemp("finished") / "place", base)
    ended = polo(place, "run", "toy.yaml")
    assert ended.code == 0, ended.said
    return place


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def flip(path: Path, share: float = 0.7) -> None:
    raw = bytearray(path.read_bytes())
    raw[int(share * len(raw))] ^= 16
    path.write_bytes(bytes(raw))


def test_a_flipped_bit_in_cached_weights_is_named_and_they_are_trained_again(polo: Polo, copy: Path) -> None:
    for weights in (copy / "cache" / "stages").rglob("adapter_model.safetensors"):
        flip(weights)
    first = run_folder(copy)
    expected = (first / "final" / "adapter_model.safetensors").read_bytes()
    shutil.rmtree(copy / "runs")
    ended = polo(copy, "run", "toy.yaml")
    assert ended.code == 0, ended.said
    assert ended.said.count("not taken from the cache") == 2
    assert "adapter_model.safetensors is not what was written" in ended.said
    assert (run_folder(copy) / "final" / "adapter_model.safetensors").read_bytes() == expected
    assert all(damage(folder) is None for folder in (copy / "cache" / "stages").iterdir())


def test_a_truncated_stage_of_a_run_is_named_and_taken_from_the_cache(polo: Polo, copy: Path) -> None:
    folder = run_folder(copy)
    weights = folder / "stages" / "prefer" / "policy" / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    ended = polo(copy, "run", "toy.yaml", "--resume", str(folder))
    assert ended.code == 0, ended.said
    assert f"{weights} is not what was written" in ended.said
    assert weights.read_bytes() == whole


def test_when_no_checkpoint_is_intact_the_run_says_which_to_delete(polo: Polo, copy: Path) -> None:
    folder = run_folder(copy)
    shutil.rmtree(folder / "stages" / "prefer")
    shutil.rmtree(copy / "cache" / "stages")
    for moments in folder.glob("checkpoints/prefer-*/optimizer.safetensors"):
        flip(moments)
    ended = polo(copy, "run", "toy.yaml", "--resume", str(folder))
    assert_one_message(ended, 1, "optimizer.safetensors is not what was written", "delete the damaged folders")


def test_a_run_without_its_provenance_is_refused(polo: Polo, copy: Path) -> None:
    folder = run_folder(copy)
    (folder / "provenance.json").write_text("{")
    ended = polo(copy, "run", "toy.yaml", "--resume", str(folder))
    assert_one_message(ended, 2, "provenance.json: cannot be read", str(folder))


# -- the reference cache ---------------------------------------------


def test_a_cache_of_another_model_is_not_read_and_the_field_is_named(polo: Polo, copy: Path) -> None:
    """The folder of one model's scores is put in the place of another's."""
    expected = json.loads((run_folder(copy) / "results.json").read_text())
    shutil.rmtree(copy / "runs")
    shutil.rmtree(copy / "cache" / "stages")
    (own,) = (copy / "cache" / "reference").iterdir()
    first = polo(copy, "run", "toy.yaml", "stages.sft.lr=2e-3")
    assert first.code == 0, first.said
    (other,) = [folder for folder in (copy / "cache" / "reference").iterdir() if folder != own]
    shutil.rmtree(own)
    other.rename(own)
    shutil.rmtree(copy / "runs")
    shutil.rmtree(copy / "cache" / "stages")
    ended = polo(copy, "run", "toy.yaml")
    assert ended.code == 0, ended.said
    assert "is of another weights; computing again" in ended.said
    assert json.loads((run_folder(copy) / "results.json").read_text()) == expected


@pytest.mark.parametrize("share", [0.0, 0.4, 0.7, 0.99])
def test_a_flipped_bit_in_the_reference_cache_is_named_and_changes_no_weight(
    polo: Polo, copy: Path, share: float
) -> None:
    expected = (run_folder(copy) / "final" / "adapter_model.safetensors").read_bytes()
    shutil.rmtree(copy / "runs")
    shutil.rmtree(copy / "cache" / "stages")
    parts = list((copy / "cache" / "reference").rglob("part-*"))
    for part in parts:
        flip(part, share)
    ended = polo(copy, "run", "toy.yaml")
    assert ended.code == 0, ended.said
    assert ended.said.count("computing again") == len(parts)
    assert (run_folder(copy) / "final" / "adapter_model.safetensors").read_bytes() == expected


def test_cached_scores_that_are_wrong_but_whole_are_found_by_computing_some_again(polo: Polo, copy: Path) -> None:
    from safetensors import safe_open
    from safetensors.numpy import save_file

    from polo.model.reference import _content

    shutil.rmtree(copy / "runs")
    shutil.rmtree(copy / "cache" / "stages")
    for part in (copy / "cache" / "reference").rglob("part-*"):
        with safe_open(part, framework="numpy") as file:
            metadata = dict(file.metadata())
        tensors = load_file(part)
        for name in [name for name in tensors if name.startswith("scores.")]:
            tensors[name] = tensors[name] + 0.5
        save_file(tensors, part, metadata={**metadata, "content": _content(tensors)})
    ended = polo(copy, "run", "toy.yaml")
    assert_one_message(ended, 1, "cached reference scores differ from fresh ones by 0.5 nats")


# -- clocks, names, several at once ---------------------------------------------


class Clock:
    """Stands in for ``datetime``: gives the next of some hours, which need not come in order."""

    def __init__(self, *hours: int) -> None:
        self._hours = list(hours)

    def now(self, zone: object) -> object:
        from datetime import datetime

        return datetime(2026, 1, 1, self._hours.pop(0), tzinfo=zone)  # type: ignore[arg-type]


def test_a_clock_that_goes_backwards_overwrites_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runfolder, "datetime", Clock(5, 4, 5, 5))
    made = [RunFolder.create(tmp_path, "toy").path.name for _ in range(4)]
    stamps = ["20260101-050000", "20260101-040000", "20260101-050000-2", "20260101-050000-3"]
    assert made == [f"toy-{stamp}" for stamp in stamps]


def test_the_newest_run_is_found_by_stamp_and_number_among_runs_of_like_names(tmp_path: Path) -> None:
    stamp = "20260101-050000"
    for name in (f"toy-{stamp}", f"toy-{stamp}-2", f"toy-{stamp}-10", f"toy-cpu-2027{stamp[4:]}", "toy-notes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "resolved.yaml").write_text("")
    assert RunFolder.latest(tmp_path, "toy").path.name == f"toy-{stamp}-10"
    (tmp_path / f"toy-{stamp}-10" / "results.json").write_text("")
    assert RunFolder.latest(tmp_path, "toy").path.name == f"toy-{stamp}-2"


def test_two_processes_do_not_go_on_in_one_folder(tmp_path: Path) -> None:
    first = RunFolder.create(tmp_path, "toy")
    first.claim()
    second = RunFolder(first.path)
    (first.checkpoints / ".tmp-of-the-first").mkdir()
    with pytest.raises(InputError, match="another process runs in this folder"):
        second.claim()
    assert leftovers(first.path), "a folder that another process writes to is not swept"
    first.release()
    second.claim()
    assert not leftovers(first.path)


def test_a_folder_that_two_processes_put_in_one_place_is_there_whole(tmp_path: Path) -> None:
    """The other process renames its folder into place while this one is still writing."""
    place = tmp_path / "stage"
    with whole_folder(place) as slow:
        (slow / "weights").write_text("slow")
        with whole_folder(place) as fast:
            (fast / "weights").write_text("fast")
    assert (place / "weights").read_text() == "slow"
    assert damage(place) is None
    assert [path.name for path in tmp_path.iterdir()] == ["stage"]


def test_half_a_line_in_the_log_does_not_spoil_the_next_one(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "toy")
    lines = [{"stage": "sft", "step": step, "loss": 0.5} for step in range(3)]
    for line in lines:
        folder.log(line)
    path = folder.path / "metrics.jsonl"
    path.write_bytes(path.read_bytes() + b'{"stage": "sft", "st')
    folder.rewind("sft", 3)
    folder.log({"stage": "sft", "step": 3, "loss": 0.5})
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [0, 1, 2, 3]


# -- signals ---------------------------------------------


def logged(place: Path, base: Path, polo: Polo, what: str) -> int:
    """How many changes of files whose name holds ``what`` a run makes."""
    from tests.run.faults.places import furnish

    other = furnish(place.parent / "counted", base)
    changes = place.parent / "changes"
    assert polo(other, "run", "toy.yaml", changes=str(changes)).code == 0
    return sum(what in line for line in changes.read_text().splitlines())


def test_ctrl_c_twice_stops_at_once_and_leaves_nothing_half_written(polo: Polo, place: Path, base: Path) -> None:
    """The first one comes while step 3 of ``prefer`` is logged, the second amid the checkpoint that it asked for."""
    third = logged(place, base, polo, "/metrics.jsonl") - 4
    ended = polo(place, "run", "toy.yaml", signal_in=["/metrics.jsonl", third, 4])
    assert ended.code == 130, ended.said
    assert "Traceback" not in ended.said
    assert "interrupted" in ended.said
    folder = run_folder(place)
    assert not leftovers(folder)
    assert all(damage(checkpoint) is None for checkpoint in folder.glob("checkpoints/*"))
    again = polo(place, "run", "toy.yaml", "--resume", str(folder))
    assert again.code == 0, again.said


def test_ctrl_c_in_evaluation_stops_and_the_run_can_go_on(polo: Polo, place: Path) -> None:
    ended = polo(place, "run", "toy.yaml", signal_in=["/eval/parts/", 1])
    assert (ended.code, ended.said.splitlines()[-1]) == (130, "interrupted")
    folder = run_folder(place)
    assert not (folder / "results.json").exists()
    again = polo(place, "run", "toy.yaml", "--resume", str(folder))
    assert again.code == 0, again.said
