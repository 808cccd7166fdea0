"""What vLLM loads: the base with adapters beside it, or one merged model. Knows adapter files; loads no weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from safetensors import safe_open

from polo import FloatArray, InputError, PoloError, Ragged, Rows, Top

_WHERE = "evaluate.scorer"
WEIGHTS, CONFIG, WHOLE = "adapter_model.safetensors", "adapter_config.json", "config.json"
#: adapters on these are more than vLLM's adapters on the fly can do
_OUTER = ("lm_head", "embed_tokens")


@runtime_checkable
class Texts(Protocol):
    """Where rows become token ids; ``Encoded`` has ``prompts`` (B arrays) and ``titles`` (B lists of n arrays)."""

    end: int
    tokenizer: Any

    def encode(self, rows: Rows, items: npt.NDArray[np.int64]) -> Any: ...

    def words(self, items: npt.NDArray[np.int64]) -> list[str]:
        """What each item's ids spell after a prompt, the end token left out."""


@runtime_checkable
class TextPolicy(Protocol):
    """What a policy offers beyond the contract of all policies, so that another engine can take its place."""

    texts: Texts
    base_path: Path
    dtype: Any

    def save(self, folder: Path) -> None:
        """Adapters in PEFT form."""

    def export(self, folder: Path) -> None:
        """A whole model, adapters merged."""


#: for (text, next tokens) of many questions, in token ids, the log-probabilities in nats of each question's next tokens
Ask = Callable[[Sequence[tuple[Sequence[int], Sequence[int]]]], Sequence[FloatArray]]


@runtime_checkable
class Searches(Protocol):
    """A text policy that searches its titles for the best with another engine, which it asks what follows a text."""

    def top_items_asking(
        self, ask: Ask, rows: Rows, k: int, *, without: Ragged | None = None, nodes: int | None = None
    ) -> Top:
        """As ``TopItems.top_items``."""

    def longest_text(self, rows: Rows) -> int:
        """Tokens of the longest prompt with the longest title of all."""


@runtime_checkable
class Rounds(Protocol):
    """A policy that may score with another form of its base than that on disk, such as one in fewer bits."""

    #: whether the folder ``base_path`` with the adapters on it scores as the policy does
    base_as_is: bool


@dataclass(frozen=True)
class Adapter:
    """What an adapter folder says of itself."""

    rank: int
    outer: tuple[str, ...]
    odd: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path) -> Adapter:
        """Reads config and tensor names.

        Raises:
            PoloError: if the folder is no adapter in PEFT form.
        """
        try:
            config = json.loads((folder / CONFIG).read_text("utf-8"))
            with safe_open(str(folder / WEIGHTS), "numpy") as file:
                names = list(file.keys())
        except (OSError, ValueError) as error:
            raise PoloError(
                f"the policy saved no adapter in PEFT form: {error}", where=_WHERE, fix="use evaluate.scorer=policy"
            ) from error
        odd = [name for name in ("use_dora", "lora_bias", "modules_to_save", "layer_replication") if config.get(name)]
        odd += ["bias"] if config.get("bias", "none") != "none" else []
        rank = max([config["r"], *(config.get("rank_pattern") or {}).values()])
        outer = tuple(module for module in _OUTER if any(f".{module}." in name for name in names))
        return cls(rank, outer, tuple(odd))

    @property
    def on_the_fly(self) -> str:
        """Why vLLM cannot apply it itself; empty if it can."""
        if self.outer:
            return f"adapters on {' and '.join(self.outer)} have to be merged"
        if self.odd:
            return f"adapters with {', '.join(self.odd)} have to be merged"
        return "" if self.rank <= 512 else f"adapters of rank {self.rank} have to be merged"


@dataclass(frozen=True)
class Model:
    """Folders for vLLM. ``digest`` is of the adapters' weights; ``note`` says why it is this form."""

    folder: Path
    adapter: Path | None
    rank: int | None
    digest: str
    note: str


def prepare(policy: TextPolicy, lora: Literal["auto", "request", "merge"], place: Path) -> Model:
    """Writes what vLLM needs of ``policy`` below ``place``, an existing folder that the caller removes.

    Raises:
        InputError: if the adapters cannot be used in the way asked for, or in any.
    """
    saved = place / "adapter"
    saved.mkdir()
    policy.save(saved)
    if (saved / WHOLE).is_file() and not (saved / CONFIG).is_file():
        return _whole(saved, lora)
    adapter = Adapter.read(saved)
    digest = hashlib.sha256((saved / WEIGHTS).read_bytes()).hexdigest()[:32]
    obstacle = adapter.on_the_fly
    if not obstacle and isinstance(policy, Rounds) and not policy.base_as_is:
        obstacle = "adapters on a quantised base have to be merged, as vLLM would take the base as it is"
    if lora == "request" and obstacle:
        raise InputError(f"vLLM cannot apply these adapters: {obstacle}", where=f"{_WHERE}.lora", fix="use lora: merge")
    if lora == "request" or (lora == "auto" and not obstacle):
        return Model(policy.base_path, saved, adapter.rank, digest, "adapters applied by vLLM")
    if adapter.outer and _tied(policy.base_path):
        raise InputError(
            "this model shares its output layer with its input embedding, so adapters on "
            f"{' and '.join(adapter.outer)} cannot be merged into a model that vLLM reads",
            where=_WHERE,
            fix="use evaluate.scorer=policy, or train with policy.lora.targets=all-linear, which leaves both out",
        )
    merged = place / "merged"
    merged.mkdir()
    policy.export(merged)
    return Model(merged, None, None, digest, f"adapters merged{f': {obstacle}' if obstacle else ''}")


def _whole(saved: Path, lora: str) -> Model:
    """A policy all of whose weights were trained is the model that vLLM loads."""
    if lora == "request":
        raise InputError(
            "all weights were trained: there are no adapters", where=f"{_WHERE}.lora", fix="use lora: auto"
        )
    digest = hashlib.sha256()
    for file in sorted(saved.glob("*.safetensors")):
        digest.update(file.read_bytes())
    return Model(saved, None, None, digest.hexdigest()[:32], "all weights were trained")


def _tied(base: Path) -> bool:
    config = json.loads((base / "config.json").read_text("utf-8"))
    # transformers' own default for a config that does not say.
    tied: bool = config.get("tie_word_embeddings", config.get("text_config", {}).get("tie_word_embeddings", False))
    return tied
