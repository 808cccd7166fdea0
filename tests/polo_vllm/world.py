"""A real text policy over a random model that vLLM can run on a CPU (heads of 32), and an engine made of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from polo import Context, ItemTable, Known, Rows, Sequences, Splits
from polo_causal_lm.options import CausalLMOptions, LoraOptions
from polo_causal_lm.policy import CausalLM
from polo_causal_lm.quiet import quiet
from polo_causal_lm.template import Template
from polo_causal_lm.tiny.tokenizer import train_tokenizer
from polo_vllm.worker.files import Row

#: one is the beginning of another; some begin in ways that a tokenizer may join with what stands before them
TITLES = ["Abba", "Abba Gold", "A", "- Abba", "-", "--", "Queen", "Queen II", "!!!", "Ñandú & Ünder", "</s>", "10,000"]
VOCAB = 320


def base(folder: Path, *, tied: bool = False, joining: bool = False) -> Path:
    """A random Llama with weights large enough to make attention matter, and its tokenizer.

    ``joining``: one that joins letters across the places where a prompt ends and a title begins.
    """
    config = transformers.LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=512,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=tied,
    )
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(config)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.2)
        folder.mkdir(parents=True)
        model.save_pretrained(folder)
    tokenizer = train_tokenizer(TITLES, np.full(len(TITLES), 3), Template(), VOCAB)
    if joining:
        raw = Tokenizer(models.BPE())
        raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        raw.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=VOCAB,
            special_tokens=["<pad>", "<s>", "</s>"],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        raw.train_from_iterator([f"\n- {title}" for title in TITLES] * 3, trainer)
        raw.post_processor = tokenizer.backend_tokenizer.post_processor
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_object=raw, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
        )
    tokenizer.save_pretrained(folder)
    return folder


def rows(n: int, candidates: int = 8, seed: int = 0) -> Rows:
    """``n`` users with histories of 1 to 12 items and candidate lists."""
    rng = np.random.default_rng(seed)
    history = rng.integers(0, len(TITLES), (n, 12))
    for i, length in enumerate(rng.integers(1, 13, n)):
        history[i, : 12 - length] = -1
    lists = np.stack([rng.permutation(len(TITLES))[:candidates] for _ in range(n)])
    return Rows(np.arange(n), np.arange(n) + 1000, history, lists[:, 0], lists)


def context(cache: Path, said: list[str] | None = None, track: Any = None) -> Context:
    """A context over :data:`TITLES` that remembers what was said."""
    splits = Splits(
        name="toy",
        form="toy",
        items=ItemTable(TITLES, [f"i{n}" for n in range(len(TITLES))]),
        train=rows(4),
        valid=rows(4, seed=1),
        test=rows(4, seed=2),
        sequences=Sequences.of([0], [[0, 1]]),
        known_train=Known(np.array([0]), np.array([0]), len(TITLES)),
        known_all=Known(np.array([0]), np.array([0]), len(TITLES)),
        fingerprint="toy",
    )
    more = {} if track is None else {"track": track}
    say = (lambda line: None) if said is None else said.append
    return Context(seed=0, cache=cache, build=lambda choice: None, splits=splits, say=say, **more)


def policy(base_folder: Path, cache: Path, targets: Any = "all-linear", **options: Any) -> CausalLM:
    """The policy ``causal_lm`` with trained weights that are random (fresh adapters change nothing)."""
    plain = {"lora": LoraOptions(r=4, alpha=8.0, dropout=0.0, targets=targets), "dtype": "float32"}
    made = CausalLM(CausalLMOptions(base=str(base_folder), **{**plain, **options}), context(cache))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for parameter in made.model.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.1)
    return made


def exact(model: Any, row: Row) -> list[float]:
    """Sums of log-probabilities by transformers, one title at a time, without any cache."""
    found = []
    for title in row.titles:
        with torch.no_grad():
            logprobs = model(torch.tensor([[*row.prompt, *title]])).logits[0].double().log_softmax(-1)
        start = len(row.prompt) - 1
        found.append(sum(float(logprobs[start + i, token]) for i, token in enumerate(title)))
    return found


class TableEngine:
    """Next-token log-probabilities from a hash of everything before; a prefix cache in blocks that forgets logits.

    Like vLLM it answers for cached positions with leftovers: 0.0 under a token that is not there.
    """

    on_cpu, has_adapter, version = False, False, "table"

    def __init__(self, settings: Mapping[str, Any] | None = None, block: int = 4, vocab: int = 12) -> None:
        self.settings, self.block, self.vocab = settings, block, vocab
        self._cached: set[tuple[int, ...]] = set()

    def use_adapter(self, folder: str | None) -> None:
        """None here."""

    def forget(self) -> None:
        self._cached.clear()

    def logprobs(self, before: Sequence[int]) -> np.ndarray:
        logits = np.random.default_rng([7, *before]).normal(size=self.vocab)
        return logits - np.log(np.exp(logits).sum())

    def exact(self, row: Row) -> list[float]:
        return [
            sum(self.logprobs([*row.prompt, *title[:i]])[token] for i, token in enumerate(title))
            for title in row.titles
        ]

    def next_logprobs(self, prompts: Any, children: Any) -> list[dict[int, float]]:
        self.warm(prompts)
        found = []
        for prompt, ids in zip(prompts, children, strict=True):
            logprobs = self.logprobs(prompt)
            best = int(logprobs.argmax())
            found.append({best: float(logprobs[best]), **{token: float(logprobs[token]) for token in ids}})
        return found

    def prompt_logprobs(self, prompts: Any, *, use_cache: bool) -> list[tuple[int, list[dict[int, float] | None]]]:
        found = []
        for prompt in prompts:
            cached = self._reach(prompt) if use_cache else 0
            entries: list[dict[int, float] | None] = [None]
            for i in range(1, len(prompt)):
                wrong = i - 1 < cached
                entries.append({-1: 0.0} if wrong else {prompt[i]: float(self.logprobs(prompt[:i])[prompt[i]])})
            found.append((cached, entries))
            self.warm([prompt])
        return found

    def warm(self, prompts: Any) -> None:
        for prompt in prompts:
            ends = range(self.block, len(prompt) + 1, self.block)
            self._cached |= {tuple(prompt[:end]) for end in ends}

    def _reach(self, prompt: Sequence[int]) -> int:
        """Cached tokens; the last one is always computed."""
        ends = [end for end in range(self.block, len(prompt), self.block) if tuple(prompt[:end]) in self._cached]
        return max(ends, default=0)
