"""The policy ``causal_lm``: how likely a language model finds each title after a prompt. Ties the parts together.

score(row, item) = sum of log p(token | prompt, tokens before) over `` " " + title`` and the end token, in nats.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from polo import PAD, Context, InputError, IntArray, NamedBase, Ragged, Rows, Said, Splits, Top, Trouble
from polo_causal_lm.adapters import export_merged, load_adapter, save_adapter
from polo_causal_lm.bases import Hub, TemplateAware
from polo_causal_lm.engines.base import Layout, causal_lm
from polo_causal_lm.engines.check import check_base, check_engine, check_tree
from polo_causal_lm.engines.choose import FEW, choose_engine, choose_tree, slower_engines
from polo_causal_lm.engines.compiled import Compiled
from polo_causal_lm.engines.masks import length_limit
from polo_causal_lm.engines.tree import tree_scores
from polo_causal_lm.folders import folder_hash, keep
from polo_causal_lm.generation import generate_titles
from polo_causal_lm.loading import add_lora, check_folder, enable_checkpointing, load_model, load_tokenizer
from polo_causal_lm.module import CandidateScorer
from polo_causal_lm.options import CausalLMOptions, HubOptions
from polo_causal_lm.own_texts import RowTexts
from polo_causal_lm.template import Template
from polo_causal_lm.text import Encoded, Texts
from polo_causal_lm.topk.best import BestTitles, token_bytes
from polo_causal_lm.topk.find import Machine
from polo_causal_lm.topk.search import Ranking, Wish

#: bytes of keys and values that a search for the best titles keeps: 1 GiB
_MEMORY = 1 << 30
#: rows among which the start-up check looks for long ones, and titles of a row without a list in it
_LOOKED_AT, _TITLES = 64, 20
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}


class CausalLM:
    """A causal LM with LoRA adapters; follows :class:`polo.protocols.Policy`.

    Attributes:
        module: what is trained; may be replaced by a wrapped one (DDP, FSDP), which is then what ``score`` calls.
        engine_reason: why the engine is the one it is, one sentence.
        few: most items of a row for which ``score`` is the way also where no gradient is needed.
        tree: whether more than ``few`` are scored as a tree.
        tree_reason: why, or why not, one sentence.
        base_path: folder of the base model.
    """

    unit: Literal["logprob"] = "logprob"
    reads_own_texts = True

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
        base = self._base(template)
        self._base_name = base.name if isinstance(base, NamedBase) else None
        kept = context.kept if self._base_name is None else None
        self.base_path = base.path() if kept is None else kept
        check_folder(self.base_path)
        self._base_hash = folder_hash(self.base_path, context.cache)
        if kept is not None and context.kept_hash not in ("", self._base_hash):
            raise InputError(
                f"the base model that this run keeps is not the one that it began with: sha256 {context.kept_hash} "
                f"then, {self._base_hash} now",
                where=str(kept),
                fix="restore it, or start a new run",
            )
        self._kept: Path | None = kept
        tokenizer = load_tokenizer(str(self.base_path))
        self.texts = RowTexts(tokenizer, splits) if splits.own else Texts(tokenizer, splits.items, template)
        self.dtype = self._dtype()
        lm = load_model(str(self.base_path), self.dtype)
        config = lm.config.get_text_config()
        limit = getattr(config, "max_position_embeddings", None)
        self.max_tokens = min(options.max_tokens, limit or options.max_tokens)
        steady = length_limit(config)
        if steady is not None and steady < self.max_tokens:
            context.say(
                f"policy.max_tokens is {steady}: in a pass with a longer row the base turns the positions of all rows "
                "otherwise, so that a score would depend on the rows beside it"
            )
            self.max_tokens = steady
        self._cut(splits)
        if options.checkpointing:
            enable_checkpointing(lm)
        devices = [torch.device(context.device)] if context.device.startswith("cuda") else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(context.seed)
            self.model = add_lora(lm, options.lora).to(context.device)
        engine, self.engine_reason = choose_engine(options.engine, self.model, self.max_tokens)
        if options.engine == "auto" and engine.name == "naive":
            context.say(f"warning: using engine `naive`, which is slow: {self.engine_reason}")
        self.tree, self.few, self.tree_reason = choose_tree(options.tree, engine, self.model)
        self._scorer = CandidateScorer(self.model, engine)
        self.module: nn.Module = self._scorer
        if options.self_check:
            self._self_check(splits)
        size = token_bytes(lm.config, self.dtype)
        self._best = None if isinstance(self.texts, RowTexts) else BestTitles(self.texts, size)
        self._compiled = Compiled(causal_lm(self.model)) if options.compile else None
        if self._compiled is not None:
            self._prepare_compiled(self._compiled, splits)

    @property
    def engine(self) -> str:
        """Name of the engine in use: ``naive``, ``packed`` or ``split``."""
        return self._scorer.engine.name

    @property
    def tokenizer(self) -> Any:
        """The base's tokenizer."""
        return self.texts.tokenizer

    def encode(self, rows: Rows, items: Int[Tensor, "b n"]) -> Layout:
        """Token ids of rows and items, laid out for one forward pass on the module's device."""
        device = next(self._scorer.parameters()).device
        return self._scorer.engine.layout(self.texts.encode(rows, _numbers(items)), device)

    def score(self, rows: Rows, items: Int[Tensor, "b n"]) -> Float[Tensor, "b n"]:
        """Sums of log-probabilities in nats, float32 (float64 if the model is), on the module's device."""
        scores: Tensor = self.module(self.encode(rows, items))
        return scores

    def score_many(self, rows: Rows, items: Int[Tensor, "b n"], budget: int) -> Float[Tensor, "b n"]:
        """What :meth:`score` gives, without gradient, in evaluation mode, ``budget`` tokens at a time.

        As a tree (see ``engines.tree``), or ``few`` items at a time where that is ruled out.
        """
        if self.tree:
            device = next(self._scorer.parameters()).device
            with self._fast_layers():
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

    def top_items(
        self,
        rows: Rows,
        k: int,
        *,
        without: Ragged | None = None,
        nodes: int | None = None,
        ranking: Ranking = "sum",
        budget: int = 16384,
        memory: int = _MEMORY,
    ) -> Top:
        """As :class:`polo.TopItems` says, by best-first search over the titles' tree (see ``topk.search``).

        A model that rules the tree out scores all titles, however many.

        Args:
            rows: B rows.
            k: places.
            without: B lists of items to leave out.
            nodes: most nodes of the tree to expand for a row.
            ranking: by the ``sum`` of a title's log-probabilities or their ``mean`` over its tokens with the end token.
            budget: tokens of a pass.
            memory: bytes of keys and values that are kept; what does not fit is computed again.

        Raises:
            InputError: the prompt shows candidates, so that there is no ranking of the catalogue; or a number is off.
        """
        wish = Wish(k, ranking, nodes)
        if self._best is None:
            raise InputError("answers belong to their rows: there is no catalogue to search", where="data")
        best = self._best
        if not self.tree:
            everything = torch.arange(len(self.texts.titles))[None]
            return best.by_scoring(lambda row: self.score_many(row, everything, budget)[0], rows, wish, without)
        device = next(self._scorer.parameters()).device
        with self._fast_layers():
            return best.by_search(Machine(self.module, device, budget, memory), rows, wish, without)

    def tokens(self, items: Int[Tensor, "b n"]) -> Int[Tensor, "b n"]:
        """Tokens of each title with its end token, on the device of ``items``."""
        return torch.from_numpy(self.texts.title_lengths[_numbers(items)]).to(items.device)

    def cost(self, rows: Rows, n: int) -> IntArray:
        """Flat tokens of each row with ``n`` items of mean length."""
        return self._scorer.engine.cost(self.prompt_lengths(rows), self.texts.mean_length(rows), n)

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
        cut = self.texts.cut if isinstance(self.texts, RowTexts) else ()
        return np.array([number in cut for number in rows.id.tolist()], np.bool_)

    def keys(self, rows: Rows, items: Int[Tensor, "b n"]) -> list[bytes]:
        encoded = self.texts.encode(rows, _numbers(items))
        keys = []
        for prompt, titles in zip(encoded.prompts, encoded.titles, strict=True):
            digest = hashlib.blake2b(prompt.tobytes(), digest_size=16)
            for title in titles:
                # Token ids are never negative: a separator that cannot be one.
                digest.update(b"\xff" * 8 + title.tobytes())
            keys.append(digest.digest())
        return keys

    def advice(self, trouble: Trouble) -> str:
        """Which options mend it."""
        mend = {"start": "try policy.engine=naive", "fit": "raise policy.max_tokens or shorten data.history"}
        return mend[trouble]

    def fingerprint(self) -> str:
        facts = {
            "base": self._base_hash,
            "text": self.texts.fingerprint(),
            "dtype": str(self.dtype),
            "engine": self.engine,
            "lora": asdict(self.options.lora),
        }
        return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()

    def base_hash(self) -> str:
        """sha256 of the base's config, weights and tokenizer."""
        return self._base_hash

    def keep_base(self, folder: Path) -> None:
        """A base that was made is put into ``folder``, and adapters name it there; others stay where they are."""
        if self._base_name is None:
            keep(self.base_path, folder)
            self._kept = folder

    def start_stage(self, name: str) -> None:
        """Nothing to do."""

    def state_dict(self) -> dict[str, Tensor]:
        """The adapters' weights by parameter name, detached; what a checkpoint needs."""
        return {name: p.detach() for name, p in self._scorer.named_parameters() if p.requires_grad}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Copies what :meth:`state_dict` gave back in."""
        mine = self.state_dict()
        if set(mine) != set(state):
            raise InputError("the state is of other adapters", where="policy", fix="use the options it was made with")
        with torch.no_grad():
            for name, value in mine.items():
                value.copy_(state[name])

    def save(self, folder: Path) -> None:
        """Adapter in PEFT form with its base's hash, and the tokenizer; a kept base is named relative to ``folder``."""
        base = self._base_name or str(self.base_path)
        if self._kept is not None:
            base = os.path.relpath(self._kept.resolve(), folder.resolve())
        save_adapter(self.model, self.tokenizer, folder, base, self._base_hash)

    def load(self, folder: Path) -> None:
        load_adapter(self.model, folder, self._base_hash)

    def export(self, folder: Path) -> None:
        """A model in Hugging Face form, adapters merged into the weights, and the tokenizer."""
        export_merged(self.model, self.tokenizer, folder)

    def generate(self, rows: Rows, max_new_tokens: int = 20) -> list[str]:
        """Greedy completions of the prompts, as text without surrounding space."""
        return generate_titles(causal_lm(self.model), self.tokenizer, self.texts.prompts(rows), max_new_tokens)

    @staticmethod
    def foresee(options: CausalLMOptions, context: Context) -> Sequence[str]:
        """What the base says of itself; see :class:`polo.protocols.Foresees`."""
        base = _chosen(options, context)
        return base.foresee() if isinstance(base, Hub) else ()

    def _fast_layers(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self._compiled is None else self._compiled.layers()

    def _base(self, template: Template) -> Any:
        base = _chosen(self.options, self.context)
        if isinstance(base, TemplateAware):
            base.prepare(template)
        return base

    def _dtype(self) -> torch.dtype:
        if self.options.dtype == "auto":
            return torch.bfloat16 if self.context.device.startswith("cuda") else torch.float32
        return _DTYPES[self.options.dtype]

    def _cut(self, splits: Splits) -> None:
        """Cuts prompts from the left, if the options say so."""
        if self.options.overlong == "drop":
            return
        if not isinstance(self.texts, RowTexts):
            raise InputError(
                "policy.overlong: cut_left is for prompts that belong to their rows; one over a catalogue is never cut",
                where="policy.overlong",
                fix="use `drop`, and a shorter data.history",
            )
        self.texts.cut_to(self.max_tokens, splits.train, splits.valid, splits.test)
        if self.texts.cut:
            self.context.say(
                f"{len(self.texts.cut):,} prompts are cut from the left to {self.max_tokens} tokens with answer"
            )

    def _self_check(self, splits: Splits) -> None:
        encoded = self._few_rows(splits)
        if encoded is None:
            return
        check_base(self._scorer, encoded, self.dtype, self.options.lora.targets)
        if self.engine == "naive":
            return
        problem = check_engine(self._scorer, encoded, self.dtype, slower_engines(self._scorer.engine, self.model))
        if problem:
            self.context.say(f"warning: {problem}; using engine `{self.engine}`, which is slower")
            self.engine_reason = problem
            if self.engine == "naive":
                self.tree, self.few, self.tree_reason = False, FEW, problem
        if self.tree and (problem := check_tree(self._scorer, encoded, self.dtype)):
            self.context.say(f"warning: {problem}; long lists are scored {FEW} titles at a time, which is slower")
            self.tree_reason = problem
            self.tree, self.few = False, FEW

    def _prepare_compiled(self, compiled: Compiled, splits: Splits) -> None:
        """Compiles layers and checks them; from then on every list is scored as a tree where no gradient is needed."""
        encoded = self._few_rows(splits)
        problem = "" if self.tree else f"only a tree is scored with compiled layers, and {self.tree_reason}"
        if encoded is not None and not problem:
            problem = check_tree(self._scorer, encoded, self.dtype, compiled)
        if problem:
            self.context.say(f"warning: {problem}; layers are not compiled")
            self._compiled = None
        else:
            self.few = 0

    def _few_rows(self, splits: Splits) -> Encoded | None:
        """Two rows with much history that fit, each with as many items as its list has (else 20), long ones, if any."""
        rows = splits.train if len(splits.train) else splits.test
        if splits.own is not None:  # the longest that fit, each with its own answers
            rows = rows[np.flatnonzero(self.fits(rows))]
            rows = rows[np.argsort(-self.prompt_lengths(rows), kind="stable")[:2]] if len(rows) else rows
            return self.texts.encode(rows, rows.listed[:, :_TITLES]) if len(rows) else None
        rows = rows[np.argsort(-(rows.history != PAD).sum(axis=1), kind="stable")[:_LOOKED_AT]]
        n = min(_TITLES if rows.candidates is None else rows.candidates.shape[1], len(splits.items))
        longest = np.argsort(-self.texts.title_lengths, kind="stable")[:n]
        items = np.array([[t, *longest[longest != t][: n - 1]] for t in rows.target], dtype=np.int64)
        if self.pool == "candidates" and rows.candidates is None and len(rows):
            rows = rows.with_candidates(items)
        fitting = np.flatnonzero(self.fits(rows))[:2] if len(rows) else np.empty(0, np.int64)
        return self.texts.encode(rows[fitting], items[fitting]) if len(fitting) else None


def _numbers(items: Tensor) -> IntArray:
    array: IntArray = items.detach().cpu().numpy()
    return array


def _chosen(options: CausalLMOptions, context: Context) -> Any:
    """The base that the options name; text is a hub id or a folder."""
    chosen = options.base
    return Hub(HubOptions(id=chosen), context) if isinstance(chosen, str) else context.build(chosen)
