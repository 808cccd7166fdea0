"""The reference policy: frozen weights, and a cache of what they score.

A row is computed once: its scores are kept under a key of exactly what was fed to the model, in safetensors parts whose
folder is named by everything else that determines them. Knows keys and scores; knows no prompt, no stage.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor

from polo.data import IntArray, Rows
from polo.errors import PoloError
from polo.model.frozen import release
from polo.model.passes import score_in_passes
from polo.model.sharding import agreed
from polo.model.weights import Weights, under
from polo.protocols import Policy
from polo.sending import sent
from polo.store.files import write_bytes
from polo.store.provenance import versions

#: rows of a loaded cache that are computed again and compared before the cache is believed
CHECKED = 8
#: nats by which they may differ; bf16 paths are about 1e-2 apart from each other
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3, torch.bfloat16: 0.15}
#: rows kept in memory before a part is written
PART = 4096

FORMAT = "2"
#: metadata of a part beside its header: sha256 of keys and scores
CONTENT = "content"

ScoreArray = npt.NDArray[np.floating]


class ScoreCache:
    """Scores by 16-byte key, kept in memory and in parts on disk.

    Args:
        folder: where parts live; made when the first one is written. ``None`` keeps everything in memory.
        header: what determines the scores beside the key; a part with another header is not read.
        say: told about parts that cannot be used.
        rank: written into file names, so that processes do not meet.
    """

    def __init__(
        self, folder: Path | None, header: Mapping[str, str], say: Callable[[str], None], rank: int = 0
    ) -> None:
        self._folder, self._header, self._say, self._rank = folder, {"format": FORMAT, **header}, say, rank
        self._known: dict[bytes, ScoreArray] = {}
        self._fresh: list[bytes] = []
        self._from_disk: set[bytes] = set()
        if folder is not None and folder.is_dir():
            for part in sorted(folder.glob("part-*.safetensors")):
                self._read(part)

    def __len__(self) -> int:
        return len(self._known)

    def _read(self, part: Path) -> None:
        try:
            with safe_open(part, framework="numpy") as file:
                header = file.metadata() or {}
                content = header.pop(CONTENT, "")
                differing = sorted(k for k in {*header, *self._header} if header.get(k) != self._header.get(k))
                if differing:
                    self._say(f"reference cache {part} is of another {' and '.join(differing)}; computing again")
                    return
                tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
            if _content(tensors) != content:
                self._say(f"reference cache {part} is not what was written (sha256 differs); computing again")
                return
            for name in [name for name in tensors if name.startswith("scores.")]:
                keys = tensors["keys." + name.removeprefix("scores.")]
                found = {row.tobytes(): value for row, value in zip(keys, tensors[name], strict=True)}
                self._known.update(found)
                self._from_disk.update(found)
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            self._say(f"reference cache {part} cannot be read ({error}); computing again")

    def get(self, key: bytes) -> ScoreArray | None:
        return self._known.get(key)

    def came_from_disk(self, key: bytes) -> bool:
        return key in self._from_disk

    def put(self, key: bytes, scores: ScoreArray) -> None:
        self._known[key] = scores
        self._fresh.append(key)

    def flush_if_full(self) -> None:
        """Writes a part when there is enough for one.

        Called between forwards, never amid the rows of one: a run that goes on then meets the rows of a forward either
        all on disk or none, computes the same groups again, and gets the same bits.
        """
        if len(self._fresh) >= PART:
            self.flush()

    def flush(self) -> None:
        """Writes what is not on disk yet as one part."""
        if self._folder is None or not self._fresh:
            return
        tensors: dict[str, npt.NDArray[np.generic]] = {}
        by_length: dict[int, list[bytes]] = {}
        for key in self._fresh:
            by_length.setdefault(len(self._known[key]), []).append(key)
        for length, keys in by_length.items():
            tensors[f"keys.{length}"] = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, 16).copy()
            tensors[f"scores.{length}"] = np.stack([self._known[key] for key in keys])
        name = hashlib.blake2b(b"".join(self._fresh), digest_size=6).hexdigest()
        metadata = {**self._header, CONTENT: _content(tensors)}
        write_bytes(self._folder / f"part-{self._rank}-{name}.safetensors", save(tensors, metadata=metadata))
        self._fresh.clear()


def _content(tensors: Mapping[str, npt.NDArray[np.generic]]) -> str:
    """sha256 of names and bytes; safetensors itself would read a flipped bit as another number."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        sha.update(name.encode())
        sha.update(tensors[name].tobytes())
    return sha.hexdigest()


class Reference:
    """Scores under frozen weights, from the cache where it has them.

    Args:
        policy: the policy whose weights are exchanged for ``weights`` while the reference scores.
        weights: the frozen weights.
        cache: see :class:`ScoreCache`.
        tokens_per_pass: memory limit of one forward.
        autocast: the type that autocast computes in, ``None`` without autocast.

    Attributes:
        tolerance: nats by which scores of the same weights may differ, by the type they are computed in.
    """

    def __init__(
        self,
        policy: Policy,
        weights: Weights,
        cache: ScoreCache,
        tokens_per_pass: int,
        autocast: torch.dtype | None = None,
    ) -> None:
        self._policy, self._weights, self.cache, self._budget = policy, weights, cache, tokens_per_pass
        self._unchecked, self._found, self._computed = CHECKED, 0, 0
        self._later: _Later | None = None
        self.tolerance = max(TOLERANCE.get(dtype, 1e-3) for dtype in (_dtype(policy), autocast or torch.float64))

    def score(self, rows: Rows, items: Int[Tensor, "b n"]) -> Float[Tensor, "b n"]:
        """Reference scores ``[B, n]`` without gradient, in float32 (float64 where the policy computes in it).

        On the module's device, and without waiting for it: what is fresh enters the cache at the next call.

        Must be called by all processes, with a row at least, if the weights are sharded: what one of them finds in its
        cache another may have to compute, and that takes all of them.
        """
        self._settle()
        device = next(self._policy.module.parameters()).device
        keys = self._policy.keys(rows, items)
        known = [self.cache.get(key) for key in keys]
        self._check(rows, items, keys, known)
        missing = np.array([i for i, value in enumerate(known) if value is None], dtype=np.int64)
        self._found, self._computed = self._found + len(rows) - len(missing), self._computed + len(missing)
        if agreed(self._policy.module, len(missing)):
            fresh = _wide(self._compute(rows, items, missing))
            self._later = _Later([keys[i] for i in missing], fresh)
            if device.type == "cpu":
                self._settle()
            if len(missing) == len(rows):
                return fresh.clone()
        else:
            release(self._weights)
        if not len(missing):
            return sent(np.stack([value for value in known if value is not None]), device)
        return _mixed(known, fresh, missing, device)

    @property
    def asked(self) -> str:
        """How often the cache had what was asked for."""
        return f"reference scores of {self._found:,} rows were in the cache, those of {self._computed:,} were computed"

    def flush(self) -> None:
        """Writes what is not on disk yet."""
        self._settle()
        self.cache.flush()

    def _settle(self) -> None:
        """Takes the scores that were computed last into the cache."""
        if self._later is None:
            return
        for key, value in zip(self._later.keys, self._later.read(), strict=True):
            self.cache.put(key, value)
        self._later = None
        self.cache.flush_if_full()

    def _compute(self, rows: Rows, items: Int[Tensor, "b n"], only: IntArray) -> Float[Tensor, "m n"]:
        with under(self._policy.module, self._weights):
            return score_in_passes(self._policy, rows, items, self._budget, only)

    def _check(self, rows: Rows, items: Tensor, keys: list[bytes], known: list[ScoreArray | None]) -> None:
        """Computes the first rows that come from disk again and compares."""
        old: list[int] = []
        if self._unchecked:
            old = [i for i, key in enumerate(keys) if known[i] is not None and self.cache.came_from_disk(key)]
            old = old[: self._unchecked]
        if not agreed(self._policy.module, len(old)):
            return
        again = self._compute(rows, items, np.asarray(old, dtype=np.int64))
        if not old:
            return
        found = np.stack([value for i in old if (value := known[i]) is not None])
        worst = float(np.abs(_exact(again) - found).max())
        if not worst <= self.tolerance:
            raise PoloError(
                f"cached reference scores differ from fresh ones by {worst:.3g} nats (allowed: {self.tolerance:g})",
                where="reference cache",
                fix="delete the folder `reference` in the polo cache and report it if it happens again",
            )
        self._unchecked -= len(old)


class _Later:
    """Scores on their way to the host, where the cache wants them; nobody waits for them before they are read.

    Args:
        keys: of the rows.
        scores: ``[m, n]``, float32 or float64.
    """

    def __init__(self, keys: list[bytes], scores: Tensor) -> None:
        self.keys, self._scores, self._ready = keys, scores, None
        if scores.is_cuda:
            self._scores = torch.empty(scores.shape, dtype=scores.dtype, pin_memory=True)
            self._scores.copy_(scores, non_blocking=True)
            self._ready = torch.cuda.Event()
            self._ready.record()

    def read(self) -> ScoreArray:
        """As numpy."""
        if self._ready is None:
            array: ScoreArray = self._scores.numpy()
            return array
        self._ready.synchronize()
        return self._scores.numpy().copy()  # the cache keeps it, and pinned memory is scarce


def _mixed(known: list[ScoreArray | None], fresh: Tensor, missing: IntArray, device: torch.device) -> Tensor:
    """Scores of all rows: those known, and the fresh ones of the others."""
    here = np.array([i for i, value in enumerate(known) if value is not None], dtype=np.int64)
    both = torch.cat([fresh, sent(np.stack([value for value in known if value is not None]), device)])
    return both[sent(np.argsort(np.concatenate([missing, here])), device)]


def _wide(scores: Tensor) -> Tensor:
    """In a type that holds the values exactly."""
    return scores if scores.dtype == torch.float64 else scores.float()


def _exact(scores: Tensor) -> ScoreArray:
    """As numpy, in a type that holds the values exactly."""
    array: ScoreArray = _wide(scores).cpu().numpy()
    return array


def _dtype(policy: Policy) -> torch.dtype:
    return next(policy.module.parameters()).dtype


def cache_header(policy: Policy, weights_digest: str, precision: str, base: str, code: str) -> dict[str, str]:
    """What determines a score beside the row and the items: each field by name, so that a difference can be named."""
    made = {"policy": policy.fingerprint(), "weights": weights_digest, "precision": precision}
    return {**made, "base": base, "code": code, "versions": json.dumps(versions(), sort_keys=True)}


def cache_folder(cache: Path, header: Mapping[str, str]) -> Path:
    """Where scores with this header are kept."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()
    return cache / "reference" / digest[:16]
