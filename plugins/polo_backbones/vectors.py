"""What every embedding policy is: a vector for each row, one for each item, and their product.

Knows the policy contract, files and rankings. Where vectors come from is the business of a network (``VectorNet``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from polo import PAD, Context, InputError, IntArray, Packed, Ragged, Rows, Splits, Top, best_columns, sent
from polo_backbones.items import Encoded, given_items
from polo_backbones.lengths import unit_length
from polo_backbones.options import VectorOptions
from polo_backbones.packing import pack_vectors
from polo_backbones.product import listed_products, paired_products

#: a list of a row with at least this share of the catalogue is looked up in the product with all items
_WIDE = 8
#: scores that a ranking of the whole catalogue holds at a time
_BLOCK = 1 << 20
_FILE, _FACTS = "policy.safetensors", "policy.json"

Result = TypeVar("Result")


class VectorNet(nn.Module):
    """Vectors of rows and of items, before they are scaled; subclasses say where they come from.

    Args:
        options: how two vectors make a score.

    Attributes:
        item: the table of item vectors; looked up by number, or whole as ``item.weight``.
        tau: what scores are divided by.
    """

    item: nn.Embedding | Encoded

    def __init__(self, options: VectorOptions) -> None:
        super().__init__()
        self._cosine, self.tau = options.score == "cosine", options.tau

    def of_rows(self, batch: dict[str, Tensor]) -> Float[Tensor, "b d"]:
        """A vector for each row."""
        raise NotImplementedError

    def of_items(self, items: Tensor | None) -> Float[Tensor, "..."]:
        """A vector for each of ``items`` (any shape), or for all of the catalogue."""
        raise NotImplementedError

    def both(self, batch: dict[str, Tensor], items: Tensor | None) -> tuple[Tensor, Tensor]:
        """The vectors of rows and items; for networks that make both at once."""
        return self.of_rows(batch), self.of_items(items)

    def rows(self, vectors: Tensor) -> Tensor:
        """Vectors of rows as they enter the product: length and temperature are in them."""
        return self.items(vectors) / self.tau

    def items(self, vectors: Tensor) -> Tensor:
        """Vectors of items as they enter the product."""
        return unit_length(vectors) if self._cosine else vectors

    def forward(self, compute: Callable[[VectorNet], Result]) -> Result:
        """What ``compute`` makes of the network: weights that several processes share are whole in here alone."""
        return compute(self)

    def vectors(self, batch: dict[str, Tensor]) -> tuple[Float[Tensor, "b d"], Float[Tensor, "n d"]]:
        """Vectors of rows and of the whole catalogue as they enter the product."""
        row, item = self.both(batch, None)
        return self.rows(row), self.items(item)

    def scores(self, batch: dict[str, Tensor], items: Int[Tensor, "b n"]) -> Float[Tensor, "b n"]:
        """Products; one form or another by shape alone, the same to within rounding."""
        if items.numel() < self.catalogue:
            row, item = self.both(batch, items)
            return paired_products(self.rows(row), self.items(item))
        row, item = self.vectors(batch)
        if items.shape[1] * _WIDE >= self.catalogue:
            return (row @ item.T).gather(1, items)
        return listed_products(row, item, items)

    @property
    def catalogue(self) -> int:
        """How many items there are."""
        raise NotImplementedError


class VectorPolicy:
    """``score(row, item) = <u, v> / tau`` of a vector of the row and one of the item, or of both at length 1.

    Follows :class:`polo.Policy`, :class:`polo.Embeds`, :class:`polo.TopItems`, :class:`polo.ScoresMany`,
    :class:`polo.OnHost` and, for the vectors of an encoder, :class:`polo.Based`.

    Attributes:
        module: what is trained; may be replaced by a wrapped one.
        few: most items of a row for which vectors of items are gathered row by row where no gradient is needed.
    """

    unit: Literal["similarity"] = "similarity"
    items_on_host: Literal[True] = True
    pool: Literal["catalogue"] = "catalogue"
    few = 256

    def __init__(self, name: str, options: VectorOptions, context: Context) -> None:
        self.name, self.options, self.device = name, options, torch.device(context.device)
        self.splits = splits_of(name, context)
        self._given = given_items(options.items, self.splits, context)
        self.net = self._made(torch.Generator().manual_seed(_seed(context, name))).to(self.device)
        self.module: nn.Module = self.net
        cold = int((self.splits.train.target_counts(len(self.splits.items)) == 0).sum())
        if cold:
            context.say(
                f"{name}: {cold:,} of {len(self.splits.items):,} items are the target of no training row; "
                "as a candidate each is scored by the vector that it started from, but for what it is as a negative"
            )

    def _made(self, generator: torch.Generator) -> VectorNet:
        """The network, with the encoder's vectors of items in the place of its table if there is an encoder."""
        net = self.network(self.splits, generator)
        if self._given is not None and isinstance(net.item, nn.Embedding):
            net.item, net.tau = (
                Encoded(self._given, self.options, net.item, generator),
                net.tau * self._given.temperature,
            )
        return net

    def network(self, splits: Splits, generator: torch.Generator) -> VectorNet:
        """The network, its weights drawn from ``generator``."""
        raise NotImplementedError

    def fed(self, rows: Rows) -> dict[str, IntArray]:
        """What of each row the network reads, as arrays with a line for each row."""
        raise NotImplementedError

    def batch(self, fed: dict[str, IntArray]) -> dict[str, Tensor]:
        """What :meth:`fed` gave, as the network takes it."""
        return {name: sent(value, self.device) for name, value in fed.items()}

    # -- scores -------------------------------------------------------------------------------------------------

    def score(self, rows: Rows, items: Int[Tensor, "b n"]) -> Float[Tensor, "b n"]:
        """Products, float32, on the module's device."""
        batch, wanted = self.batch(self.fed(rows)), sent(items, self.device)
        scores: Tensor = self.module(lambda net: net.scores(batch, wanted))
        return scores

    def score_many(self, rows: Rows, items: Int[Tensor, "b n"], budget: int) -> Float[Tensor, "b n"]:
        """The product with the whole catalogue, of which ``items`` are looked up; ``budget`` is no limit here."""
        with torch.no_grad():
            users, everything = self.vectors(rows)
            return (users @ everything.T).gather(1, sent(items, self.device))

    def user_vectors(self, rows: Rows) -> Float[Tensor, "b d"]:
        return self.vectors(rows)[0]

    def item_vectors(self) -> Float[Tensor, "n d"]:
        vectors: Tensor = self.module(lambda net: net.items(net.of_items(None)))
        return vectors

    def vectors(self, rows: Rows) -> tuple[Float[Tensor, "b d"], Float[Tensor, "n d"]]:
        """Both at once."""
        batch = self.batch(self.fed(rows))
        both: tuple[Tensor, Tensor] = self.module(lambda net: net.vectors(batch))
        return both

    def top_items(self, rows: Rows, k: int, *, without: Ragged | None = None, nodes: int | None = None) -> Top:
        """The best items by the product with all of them; always proven."""
        if k < 1:
            raise InputError(f"k is {k}", where=f"policy '{self.name}'", fix="ask for one item or more")
        places, scores = np.full((len(rows), k), PAD, np.int64), np.full((len(rows), k), -np.inf)
        together = max(1, _BLOCK // len(self.splits.items))
        with torch.no_grad():
            items = self.item_vectors().T
            for start in range(0, len(rows), together):
                part = slice(start, start + together)
                found = _without(self.user_vectors(rows[part]) @ items, None if without is None else without[part])
                column, best = (one.cpu().numpy() for one in best_columns(found, k))
                places[part, : column.shape[1]] = np.where(np.isfinite(best), column, PAD)
                scores[part, : best.shape[1]] = best
        return Top(places, scores, places != PAD)

    def tokens(self, items: Int[Tensor, "b n"]) -> Int[Tensor, "b n"]:
        return torch.ones_like(items)

    def cost(self, rows: Rows, n: int) -> IntArray:
        """Vectors that a row takes: one and its items'."""
        return np.full(len(rows), 1 + n, dtype=np.int64)

    def keys(self, rows: Rows, items: Int[Tensor, "b n"]) -> list[bytes]:
        whole = np.concatenate([*self.fed(rows).values(), items.cpu().numpy()], axis=1)
        return [hashlib.blake2b(line.tobytes(), digest_size=16).digest() for line in whole]

    # -- what is kept -------------------------------------------------------------------------------------------

    def facts(self) -> dict[str, object]:
        """What weights belong to: a network of these options and sizes."""
        shapes = {name: list(p.shape) for name, p in self.net.state_dict().items()}
        return {"policy": self.name, "options": asdict(self.options), "shapes": shapes, "items": self.base_hash()}

    def base_hash(self) -> str:
        """sha256 of the encoder's vectors; empty without an encoder."""
        return "" if self._given is None else self._given.digest

    def keep_base(self, folder: Path) -> None:
        """The encoder's vectors, so that the run needs neither the encoder nor its files again."""
        if self._given is not None:
            self._given.keep(folder)

    def fingerprint(self) -> str:
        """Hash of the options, the sizes and the data, whose training rows decide what is read of a row."""
        facts = json.dumps({**self.facts(), "data": self.splits.fingerprint}, sort_keys=True)
        return hashlib.blake2b(facts.encode(), digest_size=16).hexdigest()

    def start_stage(self, name: str) -> None:
        """Nothing to do."""

    def save(self, folder: Path) -> None:
        """Weights as ``policy.safetensors``, and what they belong to as ``policy.json``."""
        weights = {name: p.detach().cpu().contiguous() for name, p in self.net.state_dict().items()}
        save_file(weights, folder / _FILE)
        (folder / _FACTS).write_text(json.dumps(self.facts(), indent=2, sort_keys=True) + "\n", encoding="utf-8")

    def pack(self, folder: Path, *, merged: bool, base: str | None) -> Packed:
        """Vectors of items with their ids, and all weights; see ``packing``."""
        training = self.module.training
        self.module.eval()
        try:
            with torch.no_grad():
                vectors = self.item_vectors()
        finally:
            self.module.train(training)
        self.save(folder)
        return pack_vectors(vectors, self.splits.items, self.name, folder, merged=merged, base=base)

    def load(self, folder: Path) -> None:
        """Loads what :meth:`save` wrote.

        Raises:
            InputError: the folder holds no weights, or those of a network of other sizes.
        """
        path = folder / _FILE
        if not path.is_file():
            raise InputError(
                f"no weights of policy '{self.name}' (no {_FILE})", where=str(folder), fix="give a folder of such a run"
            )
        weights = load_file(path)
        mine = {name: tuple(p.shape) for name, p in self.net.state_dict().items()}
        theirs = {name: tuple(value.shape) for name, value in weights.items()}
        if mine != theirs:
            name = min(name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name))
            raise InputError(
                f"the weights are of another network: '{name}' is {theirs.get(name, 'not there')} in the file, "
                f"{mine.get(name, 'not there')} by the recipe",
                where=str(path),
                fix="use the policy options and the data that they were trained with",
            )
        self.net.load_state_dict(weights)


def table(size: int, options: VectorOptions, generator: torch.Generator) -> nn.Embedding:
    """``size`` vectors, normally distributed."""
    return nn.Embedding(size, options.dim, _weight=torch.randn(size, options.dim, generator=generator) * options.init)


def splits_of(name: str, context: Context) -> Splits:
    """The data; an embedding policy cannot be built without."""
    if context.splits is None:
        raise InputError(f"{name} needs data", where="policy", fix="use it in a recipe with data")
    return context.splits


def _seed(context: Context, name: str) -> int:
    from polo import seed_of

    return seed_of(context.seed, "policy", name)


def _without(scores: Float[Tensor, "b n"], without: Ragged | None) -> Float[Tensor, "b n"]:
    """The scores with ``-inf`` for what is left out of each line; changes them."""
    if without is not None:
        line = torch.arange(len(scores)).repeat_interleave(torch.from_numpy(without.lengths))
        scores[sent(line, scores.device), sent(without.items, scores.device)] = -torch.inf
    return scores
