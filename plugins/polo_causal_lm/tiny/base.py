"""Base ``tiny_lm``: makes a small Llama from the training split, once. Knows folders and fingerprints."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polo import Context, InputError, Splits, seed_of, whole_folder
from polo_causal_lm.options import TinyLMOptions
from polo_causal_lm.own_texts import RowTexts
from polo_causal_lm.quiet import quiet
from polo_causal_lm.template import Template
from polo_causal_lm.tiny.tokenizer import train_tokenizer, train_tokenizer_of_texts
from polo_causal_lm.tiny.train import make_model, train
from polo_causal_lm.tiny.windows import Titles, Whole, Words, earlier

#: position ids that the model can represent; rotary embeddings cost nothing
_LONGEST = 2048


def _code() -> str:
    """Hash of what makes the model: this package, and what makes prompts."""
    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), here.parent / "template.py", here.parent / "own_texts.py"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


class TinyLM:
    """A small Llama with its tokenizer, trained on the training sequences in the format of the policy's prompt.

    Example of a recipe::

        policy: {use: causal_lm, base: {use: tiny_lm, epochs: 12}}
    """

    def __init__(self, options: TinyLMOptions, context: Context) -> None:
        if options.hidden % (2 * options.heads):
            raise InputError(
                f"hidden ({options.hidden}) is no multiple of twice the heads ({options.heads})",
                where="policy.base.hidden",
                fix=f"use a multiple of {2 * options.heads}",
            )
        self.options, self.context = options, context
        self._template = Template()

    def prepare(self, template: Template) -> None:
        """The prompt's words, so that documents are written as prompts are."""
        self._template = template

    def fingerprint(self) -> str:
        facts = [_code(), asdict(self.options), asdict(self._template), self._splits().fingerprint, self.context.seed]
        return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()

    def path(self) -> Path:
        """The folder; trains the model if there is none yet. If another process is faster, its model is the same."""
        folder = self.context.cache / "tiny_lm" / self.fingerprint()
        if not folder.is_dir():
            with whole_folder(folder, manifest=False, replace=False) as work:
                self._make(work)
        return folder

    def _splits(self) -> Splits:
        if self.context.splits is None:
            raise InputError(
                "tiny_lm needs data to learn from", where="policy.base", fix="use it in a recipe with data"
            )
        return self.context.splits

    def _make(self, folder: Path) -> None:
        options = self.options
        tokenizer, documents = self._of_rows() if self._splits().own else self._of_titles()
        marks = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
        devices = [torch.device(self.context.device)] if self.context.device.startswith("cuda") else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed_of(self.context.seed, "tiny_lm", "weights"))
            model = make_model(options, len(tokenizer), marks, _LONGEST)
            self._say_plan(model, documents)
            train(
                model,
                documents,
                options,
                seed=self.context.seed,
                device=self.context.device,
                pad=int(tokenizer.pad_token_id),
                track=self.context.track,
            )
        with quiet():
            model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    def _of_titles(self) -> tuple[Any, Titles]:
        """Tokenizer and documents of a catalogue and its training sequences."""
        splits, template = self._splits(), self._template
        sequences = earlier(splits.sequences, self.options.hold)
        if not len(sequences.items):
            raise InputError(
                "there are no training sequences", where="data", fix="use data with sequences, or a hub base"
            )
        counts = np.bincount(sequences.items, minlength=len(splits.items))
        tokenizer = train_tokenizer(splits.items.titles, counts, template, self.options.vocab)
        texts = [template.title(title) for title in splits.items.titles]
        titles = tokenizer(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        words = Words(
            np.array(tokenizer(template.header)["input_ids"]),
            np.array(tokenizer(template.BULLET, add_special_tokens=False)["input_ids"]),
            [np.array(title) for title in titles],
            int(tokenizer.eos_token_id),
        )
        return tokenizer, Titles(words, sequences, self.options.window, self.options.skip)

    def _of_rows(self) -> tuple[Any, Whole]:
        """Tokenizer and documents of training rows whose texts are their own: each prompt with its chosen answer."""
        splits = self._splits()
        own, rows = splits.own, splits.train
        assert own is not None
        texts = [own.prompts[p] for p in np.unique(rows.user)] + [own.answers[a] for a in rows.target]
        tokenizer = train_tokenizer_of_texts(texts, self.options.vocab)
        read = RowTexts(tokenizer, splits)
        documents = zip(read.prompts(rows), rows.target.tolist(), strict=True)
        longest = min(_LONGEST, self.options.batch_tokens)
        return tokenizer, Whole([np.concatenate([ids, read.titles[item]]) for ids, item in documents], longest)

    def _say_plan(self, model: torch.nn.Module, documents: Titles | Whole) -> None:
        parameters = sum(p.numel() for p in model.parameters())
        if isinstance(documents, Titles):
            lengths, items = np.array([len(one) for one in documents.words.titles]), documents.sequences.items
            size = f"{lengths[items].mean():.1f} tokens on average, {lengths.max()} at most"
            what = f"{len(items):,} training titles of {size}"
        else:
            what = f"{sum(map(len, documents.texts)):,} tokens of {len(documents.texts):,} training rows"
        self.context.say(f"base tiny_lm: {parameters / 1e6:.1f} M parameters, {what}, {self.options.epochs} epochs")
