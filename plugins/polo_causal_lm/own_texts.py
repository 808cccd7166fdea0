"""Token ids of prompts and answers that belong to their rows; offers what ``text.Texts`` offers for a catalogue.

Text: the tokenizer reads the prompt with what it puts before a text, then prompt and answer as one string; an answer
that does not end in the end mark gets one. Conversations: the tokenizer's chat template writes the prompt with the mark
after which an answer begins, then the conversation with the answer, whose end marks are the template's. An answer is
what follows the longest beginning that all these share with the prompt, so nothing is fed that is not scored or shared.
This is how TRL 1.16 reads the same files, to the token. Knows a tokenizer; knows no model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from polo import PAD, BoolArray, FloatArray, InputError, IntArray, OwnTexts, Rows, Said, Splits
from polo_causal_lm.text import Encoded, Texts

#: rows that are read by the tokenizer at once
_CHUNK = 256


class RowTexts:
    """Token ids of every row of a data set whose texts are its rows' own, made at once.

    Args:
        tokenizer: with an end token; with a chat template if the texts are conversations.
        splits: the data; ``own`` is there.

    Attributes:
        titles: of each item (an answer) the ids, the end mark included.
        title_lengths: int64 ``[items]``, how many they are.
        shorter: what makes rows shorter, in words.
        cut: ids of rows that have lost the beginning of their prompt, see :meth:`cut_to`.

    Raises:
        InputError: no end token, no chat template, or an answer without a token.
    """

    shorter = "cut prompts with policy.overlong=cut_left"

    def __init__(self, tokenizer: PreTrainedTokenizerBase, splits: Splits) -> None:
        assert splits.own is not None
        if tokenizer.eos_token is None:
            raise InputError("the tokenizer has no end token", where="policy.base", fix="use a base with an EOS token")
        if splits.own.conversational and not tokenizer.chat_template:
            raise InputError(
                f"data '{splits.name}' are conversations, and the base has no chat template to put them into words",
                where="policy.base",
                fix="use the chat variant of this base, or data that are text",
            )
        self.tokenizer, self._own = tokenizer, splits.own
        self.titles: list[IntArray] = [np.empty(0, np.int64)] * len(splits.own.answers)
        self._prompts: dict[int, IntArray] = {}
        for rows in (splits.train, splits.valid, splits.test):
            for start in range(0, len(rows), _CHUNK):
                self._read(rows[start : start + _CHUNK], splits.own)
        self.title_lengths = np.array([len(ids) for ids in self.titles], dtype=np.int64)
        self.cut: set[int] = set()

    def encode(self, rows: Rows, items: IntArray) -> Encoded:
        """Token ids of ``rows`` with ``items [B, n]``."""
        return Encoded(self.prompts(rows), [[self.titles[i] for i in row] for row in items])

    def prompts(self, rows: Rows) -> list[IntArray]:
        """Token ids of each row's prompt; the rows are the data set's own."""
        return [self._prompts[i] for i in rows.id.tolist()]

    def spelled(self, rows: Rows, items: IntArray) -> list[tuple[Said, list[Said]]]:
        """Each row's prompt and answers, as they came; what was cut from the left is there."""
        own, users = self._own, rows.user.tolist()
        return [
            (own.prompts[user], [own.answers[item] for item in line])
            for user, line in zip(users, items.tolist(), strict=True)
        ]

    def longest(self, rows: Rows) -> IntArray:
        """``[B]`` tokens of each row's longest answer."""
        found: IntArray = self.title_lengths[_answers(rows)].max(axis=1)
        return found

    def mean_length(self, rows: Rows) -> FloatArray:
        """``[B]`` mean tokens of each row's answers."""
        listed = _answers(rows)
        real = listed == rows.target[:, None] if rows.candidates is None else rows.candidates != PAD
        mean: FloatArray = np.where(real, self.title_lengths[listed], 0).sum(axis=1) / real.sum(axis=1)
        return mean

    def cut_to(self, longest: int, *rows: Rows) -> None:
        """Cuts the beginning of prompts off, so that prompt and longest answer have at most ``longest`` tokens.

        The first token stays where the tokenizer begins every text with it, and so do answers, which are never cut: a
        row whose answer leaves no room for a token of the prompt stays as it is.
        """
        for some in rows:
            for i, answer in zip(some.id.tolist(), self.longest(some).tolist(), strict=True):
                ids, room = self._prompts[i], longest - answer
                kept = int(len(ids) > 0 and ids[0] == self.tokenizer.bos_token_id)
                if len(ids) > room > kept:
                    self._prompts[i] = np.concatenate([ids[:kept], ids[len(ids) - room + kept :]])
                    self.cut.add(i)

    def shortened(self, rows: Rows) -> BoolArray:
        """``[B]`` whether a row's prompt was cut."""
        return np.array([number in self.cut for number in rows.id.tolist()], np.bool_)

    def fingerprint(self) -> str:
        """Hash of all ids, of the vocabulary and the chat template."""
        digest = hashlib.blake2b(repr(self.tokenizer.chat_template).encode(), digest_size=16)
        for token, number in sorted(self.tokenizer.get_vocab().items()):
            digest.update(f"{token}\x1f{number}\x1e".encode("utf-8", "surrogatepass"))
        for ids in [*self._prompts.values(), *self.titles]:
            digest.update(np.append(ids, -1).tobytes())
        return digest.hexdigest()

    def _read(self, rows: Rows, own: OwnTexts) -> None:
        listed = rows.target[:, None] if rows.candidates is None else rows.candidates
        lists = [row[row != PAD].tolist() for row in listed]
        prompts = [own.prompts[user] for user in rows.user.tolist()]
        before = self._ids(prompts, asking=True)
        both = [_join(p, own.answers[a]) for p, answers in zip(prompts, lists, strict=True) for a in answers]
        whole = iter(self._ids([self._ended(said) for said in both], asking=False))
        for row, ids, answers in zip(rows.id.tolist(), before, lists, strict=True):
            after = [next(whole) for _ in answers]
            shared = min(_shared(ids, one) for one in after)
            self._prompts[row] = np.array(ids[:shared], np.int64)
            for item, one in zip(answers, after, strict=True):
                self.titles[item] = np.array(one[shared:], np.int64)
            if not shared or not all(len(one) > shared for one in after):
                raise InputError(
                    f"the base's tokenizer leaves no token of {'the prompt' if not shared else 'an answer'} of row "
                    f"{row}", where="data", fix="take this row out, or use another base",
                )  # fmt: skip

    def _ended(self, said: Said) -> Said:
        end = self.tokenizer.eos_token
        return said if not isinstance(said, str) or said.endswith(end) else said + end

    def _ids(self, texts: Sequence[Said], *, asking: bool) -> list[list[int]]:
        # Marks that stand in a text are read as marks here, as the chat templates of the field rely on it
        if self._own.conversational:
            found: Any = [self._rendered(text, asking=asking) for text in texts if not isinstance(text, str)]
        else:
            found = self.tokenizer(list(texts), padding=False, truncation=False)["input_ids"]
        ids: list[list[int]] = found
        return ids

    def _rendered(self, messages: Sequence[Mapping[str, str]], *, asking: bool) -> list[int]:
        try:
            found: Any = self.tokenizer.apply_chat_template(
                [dict(message) for message in messages], add_generation_prompt=asking, tokenize=True, return_dict=True
            )
        except TemplateError as error:  # such as roles that do not take turns
            raise InputError(
                f"the base's chat template refuses a conversation: {error}",
                where="data",
                fix="mend these rows, or use another base",
            ) from error
        ids: list[int] = found["input_ids"]
        return ids


def cut_prompts(texts: RowTexts | Texts, longest: int, splits: Splits, say: Callable[[str], None]) -> None:
    """Cuts prompts of all splits from the left where prompt and answer exceed ``longest`` tokens, and says how many.

    Raises:
        InputError: the prompts are histories over a catalogue, which are never cut.
    """
    if not isinstance(texts, RowTexts):
        raise InputError(
            "policy.overlong: cut_left is for prompts that belong to their rows; one over a catalogue is never cut",
            where="policy.overlong",
            fix="use `drop`, and a shorter data.history",
        )
    texts.cut_to(longest, splits.train, splits.valid, splits.test)
    if texts.cut:
        say(f"{len(texts.cut):,} prompts are cut from the left to {longest} tokens with answer")


def _answers(rows: Rows) -> IntArray:
    return rows.target[:, None] if rows.candidates is None else rows.listed


def _join(prompt: Said, answer: Said) -> Said:
    if isinstance(prompt, str) and isinstance(answer, str):
        return prompt + answer
    assert not isinstance(prompt, str)
    assert not isinstance(answer, str)
    return [*prompt, *answer]


def _shared(a: Sequence[int], b: Sequence[int]) -> int:
    """Length of the longest common beginning.

    Example:
        >>> _shared([1, 2, 3], [1, 2, 4, 5])
        2
    """
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
