"""Where text becomes token ids: the only such place. Knows the template and the tokenizer; knows no model.

Prompt ids are made from the prompt as one string (begin mark as the tokenizer has it, never an end mark). A title's ids
are what `` " " + title`` adds after the bullet that every prompt ends in, then the end token. Both are kept: titles for
good, prompts by what they are made of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from polo import BoolArray, InputError, IntArray, ItemTable, Rows, Said
from polo_causal_lm.template import Template


@dataclass(frozen=True)
class Encoded:
    """B rows as token ids, before any engine lays them out.

    Args:
        prompts: B arrays of prompt ids.
        titles: B lists of n arrays: title ids with the end token.
    """

    prompts: Sequence[IntArray]
    titles: Sequence[Sequence[IntArray]]

    def __len__(self) -> int:
        return len(self.prompts)

    def keys(self) -> list[bytes]:
        """``[B]`` 16-byte keys of all ids of each row."""
        keys = []
        for prompt, titles in zip(self.prompts, self.titles, strict=True):
            digest = hashlib.blake2b(prompt.tobytes(), digest_size=16)
            for title in titles:
                # Token ids are never negative: a separator that cannot be one.
                digest.update(b"\xff" * 8 + title.tobytes())
            keys.append(digest.digest())
        return keys


class Texts:
    """Token ids of prompts and titles.

    Args:
        tokenizer: a fast tokenizer with an end token.
        items: the catalogue.
        template: the words of the prompt.

    Raises:
        InputError: if the tokenizer has no end token, or a title has no token.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, items: ItemTable, template: Template) -> None:
        if tokenizer.eos_token_id is None:
            raise InputError("the tokenizer has no end token", where="policy.base", fix="use a base with an EOS token")
        self.tokenizer, self.items, self.template = tokenizer, items, template
        self.end = int(tokenizer.eos_token_id)
        self.titles = self._encode_titles()
        #: tokens of each title, the end token included
        self.title_lengths = np.array([len(ids) for ids in self.titles], dtype=np.int64)
        self._prompts: dict[bytes, IntArray] = {}

    def encode(self, rows: Rows, items: IntArray) -> Encoded:
        """Token ids of ``rows`` with ``items [B, n]``; a row with the items of the row before shares its list."""
        titles: list[list[IntArray]] = []
        for number, row in enumerate(items):
            same = number > 0 and np.array_equal(row, items[number - 1])
            titles.append(titles[-1] if same else [self.titles[i] for i in row])
        return Encoded(self.prompts(rows), titles)

    def prompts(self, rows: Rows) -> list[IntArray]:
        """Token ids of each row's prompt."""
        keys = [self._key(rows, i) for i in range(len(rows))]
        new = [i for i, key in enumerate(keys) if key not in self._prompts]
        if new:
            for i, ids in zip(new, self._ids([self._prompt(rows, i) for i in new], special=True), strict=True):
                # A few tokenizers close every text with the end token; here the completion does.
                trimmed = ids[:-1] if ids and ids[-1] == self.end else ids
                self._prompts[keys[i]] = np.array(trimmed, dtype=np.int64)
        return [self._prompts[key] for key in keys]

    def spelled(self, rows: Rows, items: IntArray) -> list[tuple[Said, list[Said]]]:
        """Each row's prompt, and what each of ``items [B, n]`` adds to it."""
        words = [self.template.title(title) for title in self.items.titles]
        return [(self._prompt(rows, i), [words[item] for item in line]) for i, line in enumerate(items.tolist())]

    @property
    def shorter(self) -> str:
        """What makes rows shorter, in words."""
        item = int(self.title_lengths.argmax())
        title = shorten(self.items.titles[item], 60, placeholder=" ...")
        return f"shorten data.history (the longest title has {self.title_lengths[item]:,} tokens: '{title}')"

    def longest(self, rows: Rows) -> IntArray:
        """``[B]`` tokens of the longest title that a row may be asked for: that of the catalogue."""
        return np.full(len(rows), self.title_lengths.max(), np.int64)

    def mean_length(self, rows: Rows) -> float:
        """Mean tokens of the titles that rows may be asked for."""
        return float(self.title_lengths.mean())

    def shortened(self, rows: Rows) -> BoolArray:
        """``[B]`` whether a row's prompt was cut: none is."""
        return np.zeros(len(rows), np.bool_)

    def words(self, items: IntArray) -> list[str]:
        """What the ids of each of ``items [n]`` spell after a prompt, the end token left out."""
        return [self.template.title(self.items.titles[item]) for item in items]

    def fingerprint(self) -> str:
        """Hash of the template, the tokenizer's behaviour on the catalogue and its vocabulary."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(repr(self.template).encode())
        for token, number in sorted(self.tokenizer.get_vocab().items()):
            digest.update(f"{token}\x1f{number}\x1e".encode("utf-8", "surrogatepass"))
        for words in self._ids([*self.template.words, self.template.BULLET], special=True):
            digest.update(np.array([*words, -1], dtype=np.int64).tobytes())
        for ids in self.titles:
            digest.update(ids.tobytes())
        return digest.hexdigest()

    def _key(self, rows: Rows, i: int) -> bytes:
        """Hash of what the prompt of row ``i`` is made of."""
        shown = b""
        if self.template.show_candidates:
            if rows.candidates is None:
                raise InputError(
                    "the prompt shows candidates, but these rows have none",
                    where="policy.prompt.candidates",
                    fix="set it to `hidden`, or give the rows candidate lists",
                )
            shown = rows.candidates[i].tobytes()
        return hashlib.blake2b(rows.history_of(i).tobytes() + b"|" + shown, digest_size=16).digest()

    def _prompt(self, rows: Rows, i: int) -> str:
        history = [self.items.titles[h] for h in rows.history_of(i)]
        lists = rows.candidates if self.template.show_candidates else None
        return self.template.prompt(history, () if lists is None else [self.items.titles[c] for c in lists[i]])

    def _encode_titles(self) -> list[IntArray]:
        texts = [self.template.title(title) for title in self.items.titles]
        bullet = self._ids([self.template.BULLET], special=False)[0]
        after = self._ids([self.template.BULLET + text for text in texts], special=False)
        titles = []
        for number, (title, text, ids) in enumerate(zip(self.items.titles, texts, after, strict=True)):
            own = ids[len(bullet) :] if ids[: len(bullet)] == bullet else self._ids([text], special=False)[0]
            if not title.strip() or not own:
                raise InputError(
                    f"item {self.items.ids[number]!r} has a title without tokens: {title!r}",
                    where="data",
                    fix="give every item a title",
                )
            titles.append(np.array([*own, self.end], dtype=np.int64))
        return titles

    def _ids(self, texts: list[str], *, special: bool) -> list[list[int]]:
        # A title may read `</s>`: it is text then, not the mark of that name.
        encoded: Any = self.tokenizer(
            texts, add_special_tokens=special, padding=False, truncation=False, split_special_tokens=True
        )
        ids: list[list[int]] = encoded["input_ids"]
        return ids
