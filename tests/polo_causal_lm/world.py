"""A toy catalogue, toy splits and tiny random models of several families, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from polo import Choice, Context, ItemTable, Known, Rows, Sequences, Splits
from polo_causal_lm.engines.base import causal_lm
from polo_causal_lm.engines.choose import choose_engine, choose_tree
from polo_causal_lm.engines.masks import layer_windows
from polo_causal_lm.engines.packed import Packed
from polo_causal_lm.loading import add_lora
from polo_causal_lm.module import CandidateScorer
from polo_causal_lm.options import LoraOptions
from polo_causal_lm.quiet import quiet
from polo_causal_lm.template import Template
from polo_causal_lm.text import Encoded
from polo_causal_lm.tiny.tokenizer import train_tokenizer

TITLES = ["Abba", "Abba Gold", "Queen", "Queen II", "A", "The The", "Motörhead", "!!!", "Ñandú & Ünder", "Sigur Rós"]
VOCAB = 320
SMALL: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
#: family -> config; windows are shorter than the prompts of the tests
FAMILIES: dict[str, Callable[[], Any]] = {
    "llama": lambda: transformers.LlamaConfig(**SMALL),
    "qwen2": lambda: transformers.Qwen2Config(**SMALL),
    "qwen3": lambda: transformers.Qwen3Config(**SMALL),
    "mistral": lambda: transformers.MistralConfig(**SMALL, sliding_window=None),
    "mistral_window": lambda: transformers.MistralConfig(**SMALL, sliding_window=7),
    "gemma3_window": lambda: transformers.Gemma3TextConfig(
        **SMALL, sliding_window=6, layer_types=["sliding_attention", "full_attention"]
    ),
    "gemma3": lambda: transformers.Gemma3TextConfig(
        **SMALL, sliding_window=256, layer_types=["sliding_attention", "full_attention"]
    ),
    "gpt_neo": lambda: transformers.GPTNeoConfig(
        vocab_size=VOCAB,
        hidden_size=32,
        num_layers=2,
        num_heads=4,
        intermediate_size=48,
        max_position_embeddings=256,
        attention_types=[[["global", "local"], 1]],
        window_size=16,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    ),
    "phi3_long": lambda: transformers.Phi3Config(
        **{name: value for name, value in SMALL.items() if name != "head_dim"},
        original_max_position_embeddings=24,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "original_max_position_embeddings": 24,
            "short_factor": [1.0] * 4,
            "long_factor": [1.0, 2.0, 4.0, 8.0],
        },
    ),
    "llama_dynamic": lambda: transformers.LlamaConfig(
        **{**SMALL, "max_position_embeddings": 24},
        rope_parameters={"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0},
    ),
    "gemma2": lambda: transformers.Gemma2Config(
        **SMALL,
        sliding_window=6,
        layer_types=["sliding_attention", "full_attention"],
        attn_implementation="eager",
        final_logit_softcapping=3.0,
        attn_logit_softcapping=5.0,
    ),
}


def random_lm(family: str, dtype: torch.dtype, seed: int = 0) -> Any:
    """A model of ``family`` with weights large enough to make attention matter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = FAMILIES[family]()
        model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=config._attn_implementation)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.25)
    return model.to(dtype).eval()


def random_peft(family: str, dtype: torch.dtype, seed: int = 0) -> Any:
    """The same with adapters whose both factors are random (a fresh B is 0 and hides A's gradient); no dropout."""
    model = add_lora(random_lm(family, dtype, seed), LoraOptions(r=4, alpha=8.0, dropout=0.0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        for parameter in model.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def keep_float64(model: Any) -> Any:
    """Takes the cast to float32 out of every RMSNorm: ``x / rms(x) * w`` (``1 + w`` in Gemma) in the type of x."""
    for part in causal_lm(model).modules():
        if type(part).__name__.endswith("RMSNorm"):
            eps = part.variance_epsilon if hasattr(part, "variance_epsilon") else part.eps
            one = 1.0 if type(part).__name__.startswith("Gemma") else 0.0

            def forward(x: torch.Tensor, part: Any = part, eps: float = eps, one: float = one) -> torch.Tensor:
                return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * (one + part.weight)

            part.forward = forward
    return model


def tree_scorer(family: str, dtype: torch.dtype) -> CandidateScorer:
    """With the engine that the policy would choose, and the tree's attention in the model."""
    model = random_peft(family, dtype)
    engine, _ = choose_engine("auto", model, 128)
    assert choose_tree("auto", engine, model)[0]
    return CandidateScorer(keep_float64(model) if dtype == torch.float64 else model, engine).eval()


def random_encoded(seed: int, rows: int, n: int, longest: int = 5) -> Encoded:
    """Random token ids: prompts of 8 to 19 tokens, titles of 1 to ``longest`` tokens and the end token.

    The first two titles of a row share their beginning: one is a prefix of the other.
    """
    rng = np.random.default_rng(seed)
    prompts = [rng.integers(3, VOCAB, rng.integers(8, 20)) for _ in range(rows)]
    titles = []
    for _ in range(rows):
        own = [rng.integers(3, VOCAB, rng.integers(1, longest + 1)) for _ in range(n)]
        if n > 1:
            own[1] = np.concatenate([own[0], rng.integers(3, VOCAB, 2)])
        titles.append([np.append(title, 2) for title in own])
    return Encoded(prompts, titles)


def catalogue(seed: int, n: int, shortest: int = 1, longest: int = 7) -> list[np.ndarray]:
    """Titles that begin alike, as those of a series do: few first tokens, more with every further one."""
    rng = np.random.default_rng(seed)
    reach = np.minimum(VOCAB - 3, 4.0 ** np.arange(1, longest + 1))
    ids = 3 + (rng.random((n, longest)) * reach).astype(np.int64)
    lengths = rng.integers(shortest, longest + 1, n)
    return [np.append(row[:length], 2) for row, length in zip(ids, lengths, strict=True)]


def take(encoded: Encoded, rows: slice) -> Encoded:
    """Some of the rows."""
    return Encoded(encoded.prompts[rows], encoded.titles[rows])


def adapter_gradients(model: Any, loss: torch.Tensor) -> torch.Tensor:
    """The gradient of ``loss`` to all adapter weights, flat."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)])


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    """Relative distance, L2."""
    return float((a - b).norm() / b.norm())


def toy_rows(n: int, first: int = 0, seed: int = 0, candidates: int | None = None) -> Rows:
    """Rows over :data:`TITLES`; histories of 2 to 5 items."""
    rng = np.random.default_rng([seed, first])
    history = np.stack([rng.permutation(len(TITLES))[:5] for _ in range(n)])
    for row, length in enumerate(rng.integers(2, 6, n)):
        history[row, : 5 - length] = -1
    target = rng.integers(0, len(TITLES), n)
    rows = Rows(id=np.arange(n) + first, user=np.arange(n), history=history, target=target)
    if candidates is None:
        return rows
    return rows.with_candidates((target[:, None] + np.arange(candidates)) % len(TITLES))


def toy_splits(fingerprint: str = "toy", titles: list[str] | None = None) -> Splits:
    """A data set in which item i is mostly followed by item i + 1."""
    names = TITLES if titles is None else titles
    rng = np.random.default_rng(7)
    sequences = [[int(x) for x in (rng.integers(10) + np.arange(rng.integers(4, 12))) % len(names)] for _ in range(30)]
    nobody = Known(np.array([0]), np.array([0]), len(names))
    return Splits(
        name="toy",
        form="toy",
        items=ItemTable(names, [f"i{n}" for n in range(len(names))]),
        train=toy_rows(8),
        valid=toy_rows(4, 100),
        test=toy_rows(4, 200),
        sequences=Sequences.of(list(range(30)), sequences),
        known_train=nobody,
        known_all=nobody,
        fingerprint=fingerprint,
    )


def context(cache: Path, splits: Splits | None = None, said: list[str] | None = None, seed: int = 0) -> Context:
    """A context that builds ``tiny_lm`` and remembers what was said."""
    from polo_causal_lm.tiny.base import TinyLM

    def build(choice: Choice) -> Any:
        assert choice.name == "tiny_lm"
        return TinyLM(choice.options, made)

    made = Context(
        seed=seed,
        cache=cache,
        build=build,
        splits=toy_splits() if splits is None else splits,
        say=(lambda line: None) if said is None else said.append,
    )
    return made


def save_base(folder: Path, family: str = "llama", dtype: torch.dtype = torch.float32) -> Path:
    """A base folder: random model and a tokenizer of its vocabulary size."""
    tokenizer = train_tokenizer(TITLES, np.full(len(TITLES), 3), Template(), VOCAB)
    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        random_lm(family, dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def packed(model: Any) -> Packed:
    config = causal_lm(model).config
    windows = layer_windows(config)
    assert windows is not None
    return Packed(config, windows, causal_lm(model).dtype)
