"""The encoder ``text_encoder``: a language model reads what is said of items. Knows texts, models and batches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polo import Context, InputError, ItemTable, Splits, Vectors
from polo_tfllmer.options import TextEncoderOptions
from polo_tfllmer.prints import print_of
from polo_tfllmer.texts import texts_of
from polo_tfllmer.vector_cache import Floats, VectorCache, key_of

#: endings of what makes a model: config, weights, tokenizer
_ENDINGS = (".json", ".safetensors", ".model", ".txt", ".jinja")
#: texts of a part of the cache: what a crash may cost
_PART = 1024


class TextEncoder:
    """``pool(model(prefix + text))`` of the last layer's states, for any local encoder or decoder. Float32.

    ``mean`` is over the tokens of the text, prefix and special tokens included, as sentence-transformers has it. Texts
    are read in batches of like length, padded on the right, which changes a vector by rounding alone. Each text is read
    once: its vector is kept in the cache by the bytes of the model, the options and the text, part by part, so that a
    crash costs one part.

    Example (see the tests for a model that is made in place):
        >>> from polo.testing import context
        >>> TextEncoder(TextEncoderOptions(), context()).vectors(ItemTable(["Alien"], ["7"]), None)
        Traceback (most recent call last):
        polo.errors.InputError: policy.items.encoder: no model is given
          -> set model to a folder with config.json, weights and tokenizer
    """

    def __init__(self, options: TextEncoderOptions, context: Context) -> None:
        self.options, self._context = options, context
        self.folder = Path(options.model).expanduser()

    def vectors(self, items: ItemTable, splits: Splits) -> Vectors:
        texts = [self.options.prefix + text for text in texts_of(items, self.options.columns)]
        cache = VectorCache(self._context.cache / "vectors" / self._reading())
        new = sorted({text for text in texts if key_of(text) not in cache.found})
        if new:
            self._read(new, cache)
        return np.stack([cache.found[key_of(text)] for text in texts])

    def _read(self, texts: Sequence[str], cache: VectorCache) -> None:
        """Computes the vectors of texts and keeps them, shortest first."""
        tokenizer, model = self._loaded()
        with _quiet():
            ids = tokenizer(list(texts), truncation=True, max_length=self.options.max_tokens)["input_ids"]
        order = sorted(range(len(texts)), key=lambda i: len(ids[i]))
        keys: list[bytes] = []
        parts: list[Floats] = []
        batches = list(by_length([len(ids[i]) for i in order], self.options.tokens_per_pass))
        label = f"text_encoder: {len(texts):,} texts"
        for number, batch in enumerate(self._context.track(batches, total=len(batches), label=label)):
            chosen = order[batch]
            keys += [key_of(texts[i]) for i in chosen]
            parts.append(self._forward(model, [ids[i] for i in chosen]))
            if len(keys) >= _PART or number == len(batches) - 1:
                cache.add(keys, np.concatenate(parts))
                keys, parts = [], []

    def _forward(self, model: Any, ids: Sequence[Sequence[int]]) -> Floats:
        lengths = torch.tensor([len(one) for one in ids])
        padded = torch.zeros(len(ids), max(1, int(lengths.max())), dtype=torch.long)
        for line, one in zip(padded, ids, strict=True):
            line[: len(one)] = torch.tensor(one, dtype=torch.long)
        there = torch.arange(padded.shape[1]) < lengths[:, None].clamp_min(1)
        device = self._context.device
        with torch.no_grad():
            states = model(input_ids=padded.to(device), attention_mask=there.long().to(device)).last_hidden_state
        pooled = pool(states.float().cpu(), lengths, self.options.pooling)
        found: Floats = pooled.numpy()
        return found

    def _loaded(self) -> tuple[Any, Any]:
        """Tokenizer and model, in evaluation mode."""
        from transformers import AutoModel, AutoTokenizer

        try:
            with _quiet():
                tokenizer = AutoTokenizer.from_pretrained(str(self.folder), local_files_only=True)
                dtype = getattr(torch, self.options.dtype)
                model = AutoModel.from_pretrained(
                    str(self.folder), local_files_only=True, use_safetensors=True, dtype=dtype
                )
        except (OSError, ValueError, KeyError) as error:
            raise self._wrong(f"no model that can be loaded: {str(error).strip().splitlines()[0]}") from error
        if model.config.is_encoder_decoder:
            model = model.get_encoder()
        return tokenizer, model.to(self._context.device).eval()

    def _reading(self) -> str:
        """What a vector depends on besides its text, as a name for a folder."""
        o = self.options
        if not o.model:
            raise InputError("no model is given", where="policy.items.encoder",
                             fix="set model to a folder with config.json, weights and tokenizer")  # fmt: skip
        if not (self.folder / "config.json").is_file():
            raise self._wrong("no config.json in this folder" if self.folder.is_dir() else "no such folder")
        whole = hashlib.sha256(f"{o.pooling}\0{o.max_tokens}\0{o.dtype}".encode())
        for path in sorted(self.folder.iterdir()):
            if path.suffix in _ENDINGS and path.is_file():
                with path.open("rb") as file:
                    whole.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
        return whole.hexdigest()[:32]

    def _wrong(self, what: str) -> InputError:
        fix = "give a folder with config.json, model.safetensors and tokenizer files"
        return InputError(what, where=str(self.folder), fix=fix)

    def fingerprint(self) -> str:
        """Of the bytes of the model and the options, but not the model's place."""
        o = self.options
        return print_of("text_encoder", None, self._reading(), o.prefix, *o.columns)


def pool(states: Float[Tensor, "b l d"], lengths: Int[Tensor, " b"], how: str) -> Float[Tensor, "b d"]:
    """One vector for each text of its states, which stand first; 0 for a text without a token.

    Example (the third state is padding):
        >>> states = torch.tensor([[[1.0], [3.0], [9.0]]])
        >>> [pool(states, torch.tensor([2]), how).item() for how in ("mean", "last", "cls")]
        [2.0, 3.0, 1.0]
    """
    there = torch.arange(states.shape[1]) < lengths[:, None]
    states = torch.where(there[..., None], states, 0.0)
    if how == "mean":
        return states.sum(dim=1) / lengths.clamp_min(1)[:, None]
    place = (lengths - 1).clamp_min(0) if how == "last" else torch.zeros_like(lengths)
    return states[torch.arange(len(states)), place]


def by_length(lengths: Sequence[int], most: int) -> Iterator[slice]:
    """Slices of ascending lengths, each of at most ``most`` tokens when padded to its longest, of one text at least.

    Example:
        >>> list(by_length([1, 1, 2, 9], 4))
        [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None)]
    """
    start = 0
    for end in range(1, len(lengths) + 1):
        if end == len(lengths) or (end + 1 - start) * lengths[end] > most:
            yield slice(start, end)
            start = end


@contextmanager
def _quiet() -> Iterator[None]:
    """Within it, transformers draws no progress bars and says nothing that is no error."""
    from transformers.utils import logging

    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
