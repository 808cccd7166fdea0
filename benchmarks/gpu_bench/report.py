"""One JSON file of cells, written anew after each, and the time that a part has. Knows no measurement."""

from __future__ import annotations

import gc
import json
import os
import platform
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Any

import torch

PACKAGES = ("torch", "transformers", "peft", "accelerate", "numpy", "triton", "bitsandbytes", "scikit-learn")

#: environment variable with the cells that are not tried again
GIVEN_UP = "POLO_GPU_BENCH_GIVEN_UP"


class TimeUp(BaseException):
    """The part's time is over."""


class Skipped(Exception):  # noqa: N818 - as above
    """A cell that means nothing here; its words are the reason."""


class Report:
    """Cells by ``part/name``. Those that are in the file already are not measured again; failed ones are.

    Args:
        file: where the report is written; read first if it exists.
        device: ``cuda`` or ``cpu``.
        toy: sizes are toys, and figures mean nothing.
    """

    def __init__(self, file: Path | None, device: str, *, toy: bool) -> None:
        self._file, self.device, self.toy = file, device, toy
        found = json.loads(file.read_text("utf-8")) if file is not None and file.exists() else {}
        self.cells: dict[str, dict[str, Any]] = found.get("cells", {})
        self.failed: list[str] = []
        #: the device answers no more in this process
        self.broken = False
        self._given_up = os.environ.get(GIVEN_UP, "").split(",")
        self._machine = machine(device)
        self._until = float("inf")

    @property
    def gpu(self) -> bool:
        return self.device == "cuda"

    @property
    def left(self) -> float:
        """Seconds that the part still has."""
        return self._until - time.monotonic()

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Ends the block with :class:`TimeUp` after ``seconds``, as soon as Python has its turn."""

        def over(_: int, __: FrameType | None) -> None:
            raise TimeUp

        before = signal.signal(signal.SIGALRM, over)
        self._until = time.monotonic() + seconds
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            self._until = float("inf")

    def cell(self, name: str, measure: Callable[[], dict[str, Any]]) -> None:
        """Measures a cell unless it is there, and writes the file. A cell that fails is told and does not end the part.

        Raises:
            TimeUp: there is no time left.
        """
        known = self.cells.get(name)
        if name in self._given_up:
            self.failed.append(name)
            return
        if known is not None and known["status"] in ("done", "skipped") and known["toy"] == self.toy:
            print(f"{name}: known already", flush=True)
            return
        if self.left <= 0:
            raise TimeUp
        began = time.monotonic()
        try:
            found = {"status": "done", **measure()}
        except Skipped as reason:
            found = {"status": "skipped", "reason": str(reason)}
        except Exception as error:  # whatever it is, the other cells have their turn
            found = {"status": "failed", "error": f"{type(error).__name__}: {error}"[:2000],
                     "trace": traceback.format_exc()[-6000:]}  # fmt: skip
            self.failed.append(name)
            self.broken = "CUDA error" in str(error) or "device-side assert" in str(error)
        if found.get("agrees") is False:
            self.failed.append(name)
        self.cells[name] = {**found, "toy": self.toy, "took_s": round(time.monotonic() - began, 2), **self._machine}
        self.write()
        shown = {k: v for k, v in found.items() if not isinstance(v, (list, dict)) and k != "trace"}
        print(f"{name}: {shown}", flush=True)
        if self.broken:
            self._again()
        tidy()

    def _again(self) -> None:
        """Starts this program anew, without the cells that failed: after a fault the device computes nothing more."""
        os.environ[GIVEN_UP] = ",".join(filter(None, (*self._given_up, *self.failed)))
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.argv])

    def write(self) -> None:
        """The whole report, in one move."""
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        made = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        made.write_text(json.dumps({"format": 1, "cells": self.cells}, indent=1) + "\n", encoding="utf-8")
        made.replace(self._file)


def tidy() -> None:
    """Gives back what nobody holds."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def machine(device: str) -> dict[str, Any]:
    """What a cell was measured on: device, driver and versions."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    if device != "cuda":
        return {"device": "cpu (not run on a GPU)", "versions": versions}
    found = torch.cuda.get_device_properties(0)
    return {
        "device": f"{found.name}, {found.total_memory / 2**30:.0f} GiB, {torch.cuda.device_count()} visible",
        "driver": _driver(),
        "versions": {**versions, "cuda": torch.version.cuda},
    }


def _driver() -> str:
    try:
        words = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return said.splitlines()[0].strip() if said.strip() else "unknown"
