"""The policy ``causal_lm``: how likely a language model finds each title after a prompt. Ties the parts together.

score(row, item) = sum of log p(token | prompt, tokens before) over `` " " + title`` and the end token, in nats.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from polo import Context, InputError, IntArray, Packed, Rows, Said, Trouble, sent
from polo_causal_lm.bases import Hub
from polo_causal_lm.engines.base import Layout, causal_lm
from polo_causal_lm.engines.choose import FEW
from polo_causal_lm.engines.tree import tree_scores
from polo_causal_lm.foundation import Foundation, chosen_base
from polo_causal_lm.generation import generate_titles
from polo_causal_lm.hollow import hollow_of
from polo_causal_lm.loading import dtype_of, enable_checkpointing, load_model, load_tokenizer
from polo_causal_lm.options import CausalLMOptions
from polo_causal_lm.own_texts import RowTexts, cut_prompts
from polo_causal_lm.packing import pack
from polo_causal_lm.sample import few_rows
from polo_causal_lm.template import Template
from polo_causal_lm.text import Texts
from polo_causal_lm.topk.best import BestTitles, token_bytes
from polo_causal_lm.topk.finder import FindsTitles
from polo_causal_lm.ways import Ways, longest_row
from polo_causal_lm.weights import trained


class CausalLM(FindsTitles):
    """A causal LM, trained by LoRA adapters or whole; follows :class:`polo.Policy` and :class:`polo.OnHost`.

    What it finds in the catalogue (:class:`polo.TopItems` and others) it has from :class:`FindsTitles`.

    Attributes:
        module: what is trained; may be replaced by a wrapped one (DDP, FSDP), which is then what ``score`` calls.
        base_path: folder of the base model.
    """

    unit: Literal["logprob"] = "logprob"
    items_on_host: Literal[True] = True
    reads_own_texts = True
    needs = frozenset({"history"})

    def __init__(self, options: CausalLMOptions, context: Context) -> None:
        if context.splits is None:
            raise InputError("causal_lm needs data", where="policy", fix="use it in a recipe with data")
        self.options, self.context = options, context
        splits = context.splits
        shown = options.prompt.candidates == "shown"
        self.pool: Literal["candidates", "catalogue"] = "candidates" if shown or splits.own else "catalogue"
        template = Template(
            header=options.prompt.header,
            candidates_header=options.prompt.candidates_header,
            show_candidates=shown,
        )
        self._base = Foundation(options, context, template)
        self.base_path = self._base.path
        trusted = options.trust_remote_code
        tokenizer = load_tokenizer(str(self.base_path), trusted=trusted)
        self.texts = RowTexts(tokenizer, splits) if splits.own else Texts(tokenizer, splits.items, template)
        self.dtype = dtype_of(options, context.device)
        kind = None if options.quantise == "none" else options.quantise
        load = partial(load_model, str(self.base_path), self.dtype, trusted=trusted)
        self._hollow = hollow_of(options, context, self.base_path, self.dtype)
        lm = load(quantise=kind, device=context.device) if self._hollow is None else self._hollow.lm
        self.max_tokens = longest_row(lm.config.get_text_config(), options.max_tokens, context.say)
        if options.overlong == "cut_left":
            cut_prompts(self.texts, self.max_tokens, splits, context.say)
        if options.checkpointing:
            enable_checkpointing(lm)
        device = context.device if self._hollow is None else None
        self._weights = trained(options, lm, load, device, context.seed)
        self.model = self._weights.model
        self._ways = Ways(options, self.model, self.max_tokens, context.say)
        self.module: nn.Module = self._ways.scorer
        checked = options.self_check and self._hollow is None
        few = few_rows(splits, self.texts, self.pool, self.fits) if checked or options.compile else None
        if checked and few is not None:
            self._ways.check(few, self.dtype, self._weights.words)
        size = token_bytes(lm.config, self.dtype)
        self._best = None if isinstance(self.texts, RowTexts) else BestTitles(self.texts, size)
        if options.compile:
            self._ways.compile(few, self.dtype)
        if self._hollow is not None:
            self._hollow.settle(self.module)

    def fill(self) -> None:
        """As :class:`polo.FillsParts` says."""
        if self._hollow is not None:
            self._hollow.fill()
            self._hollow = None

    @property
    def engine(self) -> str:
        """Name of the engine in use: ``naive``, ``packed`` or ``split``."""
        return self._ways.engine

    @property
    def engine_reason(self) -> str:
        """Why the engine is the one it is, one sentence."""
        return self._ways.engine_reason

    @property
    def few(self) -> int:
        """Most items of a row for which :meth:`score` is the way also where no gradient is needed."""
        return self._ways.few

    @property
    def tree(self) -> bool:
        """Whether more than ``few`` are scored as a tree."""
        return self._ways.tree

    @property
    def tree_reason(self) -> str:
        """Why, or why not, one sentence."""
        return self._ways.tree_reason

    @property
    def tokenizer(self) -> Any:
        """The base's tokenizer."""
        return self.texts.tokenizer

    @property
    def base_as_is(self) -> bool:
        """Whether the base scores as it lies on the disk, and not in fewer bits."""
        return self.options.quantise == "none"

    def encode(self, rows: Rows, items: Int[Tensor, "b n"]) -> Layout:
        """Token ids of rows and items, laid out for one forward pass on the module's device."""
        device = next(self._ways.scorer.parameters()).device
        return self._ways.scorer.engine.layout(self.texts.encode(rows, _numbers(items)), device)

    def score(self, rows: Rows, items: Int[Tensor, "b n"]) -> Float[Tensor, "b n"]:
        """Sums of log-probabilities in nats, float32 (float64 if the model is), on the module's device."""
        scores: Tensor = self.module(self.encode(rows, items))
        return scores

    def score_many(self, rows: Rows, items: Int[Tensor, "b n"], budget: int) -> Float[Tensor, "b n"]:
        """What :meth:`score` gives, without gradient, in evaluation mode, ``budget`` tokens at a time.

        As a tree (see ``engines.tree``), or ``few`` items at a time where that is ruled out.
        """
        if self.tree:
            device = next(self._ways.scorer.parameters()).device
            with self._ways.fast_layers():
                return tree_scores(self.module, self.texts.encode(rows, _numbers(items)), budget, device)
        width = min(FEW, items.shape[1])
        together = max(1, budget // int(self.cost(rows, width).max()))
        groups = np.array_split(np.arange(len(rows)), -(-len(rows) // together))
        with torch.no_grad():
            return torch.cat(
                [
                    torch.cat([self.score(rows[group], columns) for columns in items[group].split(width, dim=1)], dim=1)
                    for group in groups
                ]
            )

    def tokens(self, items: Int[Tensor, "b n"]) -> Int[Tensor, "b n"]:
        """Tokens of each title with its end token, on the device of ``items``."""
        return sent(self.texts.title_lengths[_numbers(items)], items.device)

    def cost(self, rows: Rows, n: int) -> IntArray:
        """Flat tokens of each row with ``n`` items of mean length."""
        return self._ways.scorer.engine.cost(self.prompt_lengths(rows), self.texts.mean_length(rows), n)

    def spelled(self, rows: Rows, items: IntArray) -> Sequence[tuple[Said, Sequence[Said]]]:
        """Prompts, and what items add to them, as text."""
        return self.texts.spelled(rows, items)

    def prompt_lengths(self, rows: Rows) -> IntArray:
        """``[B]`` tokens of each prompt."""
        return np.array([len(ids) for ids in self.texts.prompts(rows)], dtype=np.int64)

    def fits(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """``[B]`` whether a row's prompt with its longest title (answer) has at most ``max_tokens`` tokens."""
        fits: npt.NDArray[np.bool_] = self.prompt_lengths(rows) + self.texts.longest(rows) <= self.max_tokens
        return fits

    def shortened(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """``[B]`` whether a row's prompt was cut."""
        return self.texts.shortened(rows)

    def keys(self, rows: Rows, items: Int[Tensor, "b n"]) -> list[bytes]:
        return self.texts.encode(rows, _numbers(items)).keys()

    def advice(self, trouble: Trouble) -> str:
        """Which options mend it."""
        return {"start": "try policy.engine=naive", "fit": f"raise policy.max_tokens or {self.texts.shorter}"}[trouble]

    def fingerprint(self) -> str:
        lora = self.options.lora
        facts = {
            "base": self._base.hash,
            "text": self.texts.fingerprint(),
            "dtype": str(self.dtype),
            "engine": self.engine,
            "lora": lora if lora == "none" else asdict(lora),
            "quantise": self.options.quantise,
            "code": self._base.runs,
        }
        return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()

    def base_hash(self) -> str:
        """sha256 of the base's config, weights, tokenizer and code."""
        return self._base.hash

    def facts(self) -> dict[str, Any]:
        """What is trained, in how many numbers, and what of the base is quantised or runs code of its own."""
        numbers = sum(p.numel() for p in self.state_dict().values())
        kind, runs = self.options.quantise, self._base.runs
        return {"trained": self._weights.words, "numbers": numbers, "quantised": kind, "code_of_its_own": runs}

    def keep_base(self, folder: Path) -> None:
        """A base that was made is put into ``folder``, and adapters name it there; others stay where they are."""
        self._base.keep(folder)

    def start_stage(self, name: str) -> None:
        """Nothing to do."""

    def state_dict(self) -> dict[str, Tensor]:
        """What is trained by parameter name, detached; what a checkpoint needs."""
        return {name: p.detach() for name, p in self._ways.scorer.named_parameters() if p.requires_grad}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Copies what :meth:`state_dict` gave back in."""
        mine = self.state_dict()
        if set(mine) != set(state):
            raise InputError("the state is of other weights", where="policy", fix="use the options it was made with")
        with torch.no_grad():
            for name, value in mine.items():
                value.copy_(state[name])

    def save(self, folder: Path) -> None:
        """Adapter in PEFT form (all weights: in Hugging Face form), the base's hash, and the tokenizer.

        A kept base is named relative to ``folder``.
        """
        self._weights.save(folder, self.tokenizer, self._base.called_in(folder), self._base.hash)

    def load(self, folder: Path) -> None:
        self._weights.load(folder, self._base.hash)

    def export(self, folder: Path) -> None:
        """A model in Hugging Face form, adapters merged into the (dequantised) weights, and the tokenizer."""
        self._weights.export(folder, self.tokenizer)

    def pack(self, folder: Path, *, merged: bool, base: str | None) -> Packed:
        """The adapter beside its base, or one model; see ``packing``."""
        return pack(self._weights, self._base, self.tokenizer, folder, merged=merged, called=base)

    def generate(self, rows: Rows, max_new_tokens: int = 20) -> list[str]:
        """Greedy completions of the prompts, as text without surrounding space."""
        return generate_titles(causal_lm(self.model), self.tokenizer, self.texts.prompts(rows), max_new_tokens)

    @staticmethod
    def foresee(options: CausalLMOptions, context: Context) -> Sequence[str]:
        """What the base says of itself; see :class:`polo.protocols.Foresees`."""
        base = chosen_base(options, context)
        return base.foresee() if isinstance(base, Hub) else ()


def _numbers(items: Tensor) -> IntArray:
    array: IntArray = items.detach().cpu().numpy()
    return array
