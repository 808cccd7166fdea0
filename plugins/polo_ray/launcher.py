"""The launcher ``ray``: has Ray Train run the processes, shows what the first says, and hands signals on.

Knows Ray; knows nothing of what the processes compute. The run's folder, the cache (POLO_CACHE) and the current folder
must be on storage that every node sees, and every node needs polo and its plugins.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from polo import Context, InputError, PoloError, Work
from polo_ray.options import RayOptions
from polo_ray.words import Words
from polo_ray.worker import work as run_worker

_WHERE = "--launcher"
#: seconds between two looks at what was said
POLL = 0.2


class Ray:
    """Workers of a Ray cluster; follows :class:`polo.Launcher`."""

    def __init__(self, options: RayOptions, context: Context) -> None:
        self.options, self._say, self._storage = options, context.say, context.cache / "ray"

    def launch(self, work: Work) -> int:
        """Runs the processes as workers of Ray Train.

        Raises:
            InputError: Ray is not installed, or there are to be fewer processes than ``least``.
            PoloError: Ray does not start, or workers were lost once more than there are restarts.
        """
        least = self.options.least or work.processes
        if least > work.processes:
            raise InputError(
                f"at least {least} workers, of at most {work.processes}", where=_WHERE, fix="raise --processes"
            )
        if importlib.util.find_spec("ray") is None:
            raise InputError("Ray is not installed here", where=_WHERE, fix="pip install 'polo-rec[ray]'")
        import ray

        ours = not ray.is_initialized()
        if ours:
            self._start(ray, work.processes)
        try:
            return self._launch(ray, work, least)
        finally:
            if ours:
                ray.shutdown()

    def _start(self, ray: Any, processes: int) -> None:
        """Connects to a cluster or starts a local one, with room for all workers."""
        address = self.options.address or os.environ.get("RAY_ADDRESS")
        room = None if address else max(os.cpu_count() or 1, math.ceil(self.options.cpus * processes))
        for name in ("ray", "ray.train", "ray.data"):
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            ray.init(address=address, num_cpus=room, include_dashboard=False, log_to_driver=False,
                     configure_logging=False)  # fmt: skip
        except Exception as error:  # Ray raises what its parts raise: timeouts, sockets, values
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise PoloError(
                f"Ray does not start: {first}", where=_WHERE, fix="look at the cluster with `ray status`"
            ) from error

    def _launch(self, ray: Any, work: Work, least: int) -> int:
        listener = beside(ray, Words, work.again)
        failure: list[BaseException] = []

        def fit() -> None:
            try:
                self._trainer(work, least, listener).fit()
            except BaseException as error:  # told below, by the thread that asked
                failure.append(error)

        thread = threading.Thread(target=fit, daemon=True)
        try:
            with _signals(ray, listener):
                thread.start()
                while thread.is_alive():
                    thread.join(POLL)
                    _show(ray, listener)
            _show(ray, listener)
            first = ray.get(listener.first.remote())
        except ray.exceptions.RayError as error:  # this node's own part of Ray is gone, and with it the trainer
            raise _told(error) from error
        if first is None and failure:
            raise _told(failure[0])
        if first is None:
            return 0
        rank, code = first
        if rank:
            sys.stderr.write(ray.get(listener.tail.remote(rank)))
        if code < 0:
            raise PoloError(
                f"process {rank + 1} was ended by {signal.Signals(-code).name}, more often than there are restarts "
                f"({self.options.restarts})",
                where=_WHERE,
                fix="go on with the same command and --resume RUN; if memory ran out, lower tokens_per_pass",
            )
        return int(code)

    def _trainer(self, work: Work, least: int, listener: Any) -> Any:
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer

        from polo_ray.group import OwnGroup

        options = self.options
        self._storage.mkdir(parents=True, exist_ok=True)
        return TorchTrainer(
            run_worker,
            train_loop_config={
                "words": list(work.words),
                "python": sys.executable,
                "folder": str(Path.cwd()),
                "environment": _settings(),
                "listener": listener,
            },
            torch_config=OwnGroup(),
            scaling_config=ScalingConfig(
                num_workers=work.processes if least == work.processes else (least, work.processes),
                use_gpu=options.gpus > 0,
                resources_per_worker={"CPU": options.cpus, **({"GPU": options.gpus} if options.gpus else {})},
                elastic_resize_monitor_interval_s=options.resize,
            ),
            run_config=RunConfig(
                storage_path=str(self._storage.resolve()), failure_config=FailureConfig(max_failures=options.restarts)
            ),
        )


def beside(ray: Any, kind: type, *arguments: object) -> Any:
    """An actor on the node of this process: Ray puts one that asks for no CPU on any node, and it dies with that."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=here)(kind).remote(*arguments)


def _settings() -> dict[str, str]:
    """What of our environment the processes need wherever they run."""
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    told = {name: value for name, value in os.environ.items() if name.startswith(("POLO_", "HF_", "TOKENIZERS_"))}
    return {**told, "OMP_NUM_THREADS": threads}


def _show(ray: Any, listener: Any) -> None:
    for stream, text in ray.get(listener.heard.remote()):
        where = sys.stdout if stream == "stdout" else sys.stderr
        where.write(text)
        where.flush()


def _told(error: BaseException) -> PoloError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return PoloError(
        "the workers of Ray are lost:\n" + "\n".join(f"  {line}" for line in lines[-8:]),
        where=_WHERE,
        fix="look at the cluster with `ray status`; go on with the same command and --resume RUN",
    )


@contextmanager
def _signals(ray: Any, listener: Any) -> Iterator[None]:
    """Ctrl-C and SIGTERM are handed on to the processes, which save and end."""

    def hand_on(number: int, frame: FrameType | None) -> None:
        listener.ask.remote(number)

    old = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
