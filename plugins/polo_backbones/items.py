"""The table of item vectors where an encoder gives them: as a start, frozen, or behind a learnt linear map.

Knows encoders by their contract, and where a run keeps what one gave; knows no network.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from polo import Context, Encoder, InForward, InputError, Splits, whole_folder
from polo_backbones.options import ItemOptions, VectorOptions

#: the file in the folder that a run keeps, and the tensor in it
_FILE, _NAME = "items.safetensors", "vectors"


@dataclass(frozen=True)
class Given:
    """What an encoder gave, float32.

    Args:
        vectors: ``[n, d]``, row i for item i.
        encoder: the encoder, which may have a transform for every forward.
        digest: sha256 of shape and bytes.
    """

    vectors: Float[Tensor, "n d"]
    encoder: Encoder
    digest: str

    @property
    def temperature(self) -> float:
        """What scores are divided by."""
        return self.encoder.temperature if isinstance(self.encoder, InForward) else 1.0

    def keep(self, folder: Path) -> None:
        """Writes the vectors to ``folder``, if they are not there."""
        if (folder / _FILE).is_file() and _digest(_kept(folder)) == self.digest:
            return
        with whole_folder(folder, manifest=False) as work:
            save_file({_NAME: self.vectors}, work / _FILE)


def given_items(options: ItemOptions, splits: Splits, context: Context) -> Given | None:
    """The encoder's vectors, those that the run keeps if it keeps some; ``None`` where the recipe names no encoder.

    Raises:
        InputError: the encoder gives something else than a finite vector for each item, or what the run keeps is not
            what it began with.
    """
    if options.encoder is None:
        return None
    encoder: Encoder = context.build(options.encoder)
    if context.kept is not None and (context.kept / _FILE).is_file():
        vectors = _kept(context.kept)
        digest = _digest(vectors)
        if context.kept_hash not in ("", digest):
            raise InputError(
                f"the item vectors that this run keeps are not those that it began with: sha256 {context.kept_hash} "
                f"then, {digest} now",
                where=str(context.kept / _FILE),
                fix="restore the file, or start a new run",
            )
        return Given(vectors, encoder, digest)
    made = encoder.vectors(splits.items, splits)
    if made.ndim != 2 or len(made) != len(splits.items) or not np.isfinite(made).all():
        raise InputError(
            f"encoder '{options.encoder.name}' gives {list(made.shape)}, not a finite vector for each of "
            f"{len(splits.items):,} items",
            where="policy.items.encoder",
            fix="a fault of the encoder: tell its authors",
        )
    vectors = torch.from_numpy(np.ascontiguousarray(made, dtype=np.float32))
    return Given(vectors, encoder, _digest(vectors))


def _kept(folder: Path) -> Tensor:
    try:
        return load_file(folder / _FILE)[_NAME]
    except (OSError, SafetensorError, KeyError) as error:
        raise InputError(f"cannot be read: {error}", where=str(folder / _FILE), fix="restore the file") from error


def _digest(vectors: Tensor) -> str:
    head = f"{tuple(vectors.shape)}{vectors.dtype}".encode()
    return hashlib.sha256(head + vectors.numpy().tobytes()).hexdigest()


class Encoded(nn.Module):
    """Vectors of items: ``f(V_i + o_i)``, V the encoder's (trained, frozen, or ``A V + b`` with learnt A, orthonormal
    at the start, and b), o a learnt vector of the item's own if the options ask for one, f the encoder's transform for
    every forward if it has one.

    The encoder's vectors are multiplied by one number, so that their root mean square is ``init``, as that of learnt
    vectors is at the start; neither directions nor ratios of lengths change. ``scale: given`` leaves them.

    Args:
        given: the encoder's vectors.
        options: width, ``init`` and what is done with the encoder's vectors.
        own: a table of learnt vectors, at their start.
        generator: what the adapter is drawn from.

    Raises:
        InputError: vectors of another width than ``dim``, without an adapter.
    """

    def __init__(self, given: Given, options: VectorOptions, own: nn.Embedding, generator: torch.Generator) -> None:
        super().__init__()
        of, wide = options.items, given.vectors.shape[1]
        if of.as_ != "adapter" and wide != options.dim:
            raise InputError(
                f"the encoder's vectors have {wide} numbers, the policy's {options.dim}",
                where="policy.items",
                fix=f"set dim to {wide}, reduce the vectors to {options.dim}, or put them behind an adapter",
            )
        self.num_embeddings = len(given.vectors)
        size = float(given.vectors.double().square().mean().sqrt())
        vectors = given.vectors * (options.init / size if of.scale == "init" and size else 1.0)
        self.vectors: Tensor
        if of.as_ == "start":
            self.vectors = nn.Parameter(vectors)
        else:  # kept with the run, not with every checkpoint
            self.register_buffer("vectors", vectors, persistent=False)
        self.adapter = turned(wide, options.dim, generator) if of.as_ == "adapter" else None
        self.own = own if of.ids else None
        self._always = given.encoder if isinstance(given.encoder, InForward) else None

    @property
    def weight(self) -> Float[Tensor, "n d"]:
        """The vectors of all items."""
        return self._finished(self.vectors, None if self.own is None else self.own.weight)

    def forward(self, items: Int[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The vectors of items by number."""
        if items.numel() >= self.num_embeddings:  # many items many times: each is finished once
            return nn.functional.embedding(items, self.weight)
        vectors = nn.functional.embedding(items, self.vectors)
        return self._finished(vectors, None if self.own is None else self.own(items))

    def _finished(self, vectors: Tensor, own: Tensor | None) -> Tensor:
        if self.adapter is not None:
            vectors = self.adapter(vectors)
        if own is not None:
            vectors = vectors + own
        return vectors if self._always is None else self._always.forward(vectors)


def turned(inside: int, outside: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer with a random orthonormal matrix and zero bias, which keeps lengths: on the mean over directions
    where it has fewer numbers outside, else each. Vectors lie behind it as they lay before, whereas a square matrix of
    independent numbers is nearly singular and would spoil any condition number.

    Example:
        >>> layer = turned(3, 3, torch.Generator().manual_seed(0))
        >>> torch.allclose(layer.weight @ layer.weight.T, torch.eye(3), atol=1e-6)
        True
    """
    layer = nn.Linear(inside, outside, device="meta").to_empty(device="cpu")
    tall = torch.randn(max(inside, outside), min(inside, outside), generator=generator)
    basis = torch.linalg.qr(tall)[0] * math.sqrt(max(1.0, inside / outside))
    with torch.no_grad():
        layer.weight.copy_(basis if outside >= inside else basis.T)
        layer.bias.zero_()
    return layer
