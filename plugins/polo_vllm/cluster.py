"""The worker on a Ray cluster: one actor for each engine, fed with the numbers of parts by Ray Data.

Knows Ray; the actors run what a child process runs. The job folder and the model's folder must be on storage that every
node sees (set POLO_CACHE), and every node needs vLLM and this package.
"""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from polo import InputError, PoloError
from polo_vllm.worker.files import JobFolder
from polo_vllm.worker.run import Worker


def require_ray() -> None:
    """Raises InputError where Ray Data is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise InputError(
            "Ray is not installed here", where="evaluate.scorer.process", fix="pip install 'polo-rec[vllm,ray]'"
        )


def _start(ray: Any) -> None:
    """Connects to a cluster or starts a local one."""
    try:
        ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False)
    except Exception as error:
        # Ray raises what its parts raise: timeouts, sockets, values.
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise PoloError(
            f"Ray does not start: {first}",
            where="evaluate.scorer.process",
            fix="look at the cluster with `ray status`, or use process: child",
        ) from error


class Actor:
    """Loads an engine once, then does part after part: what Ray Data calls for each batch of part numbers."""

    def __init__(self, job: str) -> None:
        self._said: list[str] = []
        self._worker = Worker(JobFolder(Path(job)), lambda event: self._said.append(event.get("say", "")))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        for part in batch["part"]:
            self._worker.do(int(part))
        said, self._said = " ".join(self._said), []
        return {"part": batch["part"], "say": [said] + [""] * (len(batch["part"]) - 1)}


def events(job: JobFolder, engines: int, gpus: int) -> Iterator[Mapping[str, Any]]:
    """Has the missing parts done on the cluster of ``RAY_ADDRESS`` (a local one if it is not set); tells of each.

    Args:
        job: the folder.
        engines: actors.
        gpus: of each actor; 0 on a CPU.

    Raises:
        PoloError: when an actor dies; parts that are done are kept.
    """
    import ray
    import ray.data
    from ray.exceptions import RayError

    ours = not ray.is_initialized()
    if ours:
        _start(ray)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        parts = ray.data.from_items([{"part": part} for part in job.missing()], override_num_blocks=len(job.missing()))
        done = parts.map_batches(
            Actor,
            fn_constructor_args=[str(job.path.resolve())],
            compute=ray.data.ActorPoolStrategy(size=engines),
            batch_size=1,
            num_gpus=gpus or None,
        )
        for row in done.iter_rows():
            yield from itertools.chain([{"say": row["say"]}] if row["say"] else [], [{"part": int(row["part"])}])
    except RayError as error:
        lines = str(error).strip().splitlines()
        raise PoloError(
            "a vLLM actor failed:\n" + "\n".join(f"  {line}" for line in lines[-8:]),
            where="evaluate.scorer",
            fix="start again with the same command: parts that are scored already are kept",
        ) from error
    finally:
        if ours:
            ray.shutdown()
