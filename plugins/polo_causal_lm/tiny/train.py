"""Training of the small base model from scratch. Knows the model and its loop; knows no files.

AdamW (arXiv 1711.05101) with warm-up and cosine, in float32, on full softmax over the vocabulary at labelled positions
only. Deterministic for a seed on one device and one thread count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from polo import IntArray, PoloError, seed_of
from polo_causal_lm.options import TinyLMOptions
from polo_causal_lm.tiny.windows import NO_LABEL, Documents, batches


def make_model(options: TinyLMOptions, vocab: int, marks: tuple[int, int, int], longest: int) -> LlamaForCausalLM:
    """A small random Llama; ``marks``: ids of the begin, end and padding tokens. Uses torch's global generator."""
    bos, eos, pad = marks
    config = LlamaConfig(
        vocab_size=vocab,
        hidden_size=options.hidden,
        intermediate_size=(options.hidden * 8 // 3 + 63) // 64 * 64,
        num_hidden_layers=options.layers,
        num_attention_heads=options.heads,
        num_key_value_heads=options.heads,
        max_position_embeddings=longest,
        tie_word_embeddings=True,
        bos_token_id=bos,
        eos_token_id=eos,
        pad_token_id=pad,
    )
    return LlamaForCausalLM(config)


def add_dropout(model: LlamaForCausalLM, share: float) -> Callable[[], None]:
    """Dropout on embeddings and on both block outputs of every layer, by hooks; returns what takes it out again.

    Llama has none of its own, and with a few ten thousand titles to learn from a model needs it.
    """

    def drop(module: nn.Module, _: object, output: Tensor) -> Tensor:
        return functional.dropout(output, share, module.training)

    places = [model.model.embed_tokens]
    for layer in model.model.layers:
        places += [layer.self_attn.o_proj, layer.mlp.down_proj]
    handles = [place.register_forward_hook(drop) for place in places]

    def remove() -> None:
        for handle in handles:
            handle.remove()

    return remove


def title_loss(model: LlamaForCausalLM, ids: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy in nats over labelled positions; ``ids``, ``labels``: int64 ``[b, t]``."""
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
    labelled = labels != NO_LABEL
    return functional.cross_entropy(model.lm_head(hidden[labelled]), labels[labelled])


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    decayed = [p for p in model.parameters() if p.ndim > 1]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]


def train(
    model: LlamaForCausalLM,
    documents: Documents,
    options: TinyLMOptions,
    *,
    seed: int,
    device: str,
    pad: int,
    track: Callable[..., Iterable[Any]],
    after_epoch: Callable[[int, float], None] = lambda epoch, loss: None,
) -> None:
    """Trains ``model`` in place.

    Args:
        model: what :func:`make_model` made.
        documents: what is learnt, anew for each epoch.
        options: ``epochs``, ``lr``, ``batch_tokens`` and so on.
        seed: where offsets, omissions, order and dropout come from.
        device: torch device.
        pad: id of the padding token.
        track: wraps the steps in a progress bar.
        after_epoch: told the epoch's number and its mean loss in nats.

    Raises:
        PoloError: if the loss is no longer finite.
    """
    torch.manual_seed(seed_of(seed, "tiny_lm", "dropout"))
    nn.Module.to(model, device)  # transformers hides the signature of its own
    model.train()
    remove = add_dropout(model, options.dropout)
    optimiser = torch.optim.AdamW(_groups(model, options.weight_decay), lr=options.lr, betas=(0.9, 0.98))
    passes = Passes(documents, options, pad, np.random.default_rng(seed_of(seed, "tiny_lm")))
    mean = Mean(model, options.average)
    sums = np.zeros((options.epochs, 2))
    for epoch, done, ids, labels in track(passes, len(passes), "base model"):
        if epoch and not sums[epoch].any():
            after_epoch(epoch - 1, _mean(sums[epoch - 1]))
        for group in optimiser.param_groups:
            group["lr"] = options.lr * _schedule(done, options.warmup)
        x, y = torch.from_numpy(ids).to(device), torch.from_numpy(labels).to(device)
        loss = title_loss(model, x, y)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        mean.take(done)
        n = int((labels != NO_LABEL).sum())
        sums[epoch] += float(loss.detach()) * n, n
    after_epoch(options.epochs - 1, _mean(sums[-1]))
    mean.hand_on()
    remove()
    model.eval()


class Mean:
    """The mean of the weights after each step of the last ``share`` of a training (arXiv 1803.05407).

    What single steps do to single weights is chance; their mean is much less so.
    """

    def __init__(self, model: nn.Module, share: float) -> None:
        self._model, self._share, self._n = model, share, 0
        self._sums: list[Tensor] = []

    def take(self, done: float) -> None:
        """The weights after a step that began with the share ``done`` of the training behind it."""
        if not self._share or done < 1 - self._share:
            return
        weights = [p.detach() for p in self._model.parameters()]
        if not self._n:
            self._sums = [torch.zeros_like(w) for w in weights]
        torch._foreach_add_(self._sums, weights)
        self._n += 1

    def hand_on(self) -> None:
        """The mean becomes the weights; without one they stay."""
        if self._n:
            with torch.no_grad():
                for p, total in zip(self._model.parameters(), self._sums, strict=True):
                    p.copy_(total / self._n)


class Passes:
    """All steps of a training, made epoch by epoch: ``(epoch, share of the training done, ids, labels)``.

    Its length is an estimate: omissions make later epochs a little longer or shorter than the first.
    """

    def __init__(self, documents: Documents, options: TinyLMOptions, pad: int, rng: np.random.Generator) -> None:
        self.documents, self.options, self.pad, self.rng = documents, options, pad, rng
        self._first = self._epoch()

    def __len__(self) -> int:
        return len(self._first) * self.options.epochs

    def __iter__(self) -> Iterator[tuple[int, float, IntArray, IntArray]]:
        for epoch in range(self.options.epochs):
            steps = self._epoch() if epoch else self._first
            for step, (ids, labels) in enumerate(steps):
                yield epoch, (epoch + step / len(steps)) / self.options.epochs, ids, labels

    def _epoch(self) -> list[tuple[IntArray, IntArray]]:
        return list(batches(self.documents.epoch(self.rng), self.options.batch_tokens, self.pad, self.rng))


def _mean(sums: npt.NDArray[np.float64]) -> float:
    mean = float(sums[0] / max(sums[1], 1.0))
    if not math.isfinite(mean):
        raise PoloError("the loss of the base model is not finite", where="tiny_lm", fix="lower its `lr`")
    return mean


def _schedule(done: float, warmup: float) -> float:
    """Share of the peak learning rate: linear rise from a twentieth, then cosine to a tenth."""
    if done < warmup:
        return max(done / warmup, 0.05)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (done - warmup) / max(1 - warmup, 1e-9)))
