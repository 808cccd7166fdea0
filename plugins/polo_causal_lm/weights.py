"""What of a model is trained, and its files: adapters beside frozen weights, or all weights. A class for each.

Knows models and folders; knows no data and no engine.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from polo import InputError
from polo_causal_lm.adapters import CONFIG, check_base, load_adapter, save_adapter, write_base
from polo_causal_lm.engines.base import causal_lm
from polo_causal_lm.engines.shorter import own_forwards
from polo_causal_lm.loading import add_lora
from polo_causal_lm.lora import get_peft_model_state_dict, set_peft_model_state_dict
from polo_causal_lm.options import CausalLMOptions, LoraOptions
from polo_causal_lm.quantised import dequantised
from polo_causal_lm.quiet import quiet

#: makes the base anew, with its own weights, none of them quantised
Again = Callable[[], Any]


@runtime_checkable
class Trained(Protocol):
    """One way to train a model.

    Attributes:
        model: with everything that it needs to be trained.
        words: what is trained, in words.
        beside: whether it stands beside a base that stays as it is, so that :meth:`save` writes no whole model.
    """

    model: nn.Module
    words: str
    beside: bool

    def save(self, folder: Path, tokenizer: PreTrainedTokenizerBase, base: str, base_hash: str) -> None:
        """What is trained into ``folder``, which exists.

        Args:
            folder: where.
            tokenizer: of the base.
            base: how others call the base: a hub id, or a folder.
            base_hash: sha256 of the base's bytes.
        """

    def load(self, folder: Path, base_hash: str) -> None:
        """What :meth:`save` wrote, or another program in the same form.

        Raises:
            InputError: it is missing, damaged, or of another model or base.
        """

    def export(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        """One model in Hugging Face form that scores as this one does."""


class Adapters:
    """Low-rank adapters, and modules trained whole beside them; the rest is frozen, and may be quantised.

    Args:
        lm: the base.
        options: of the adapters.
        again: makes the base anew.
        quantised: whether ``lm`` is.
    """

    beside = True

    def __init__(self, lm: Any, options: LoraOptions, again: Again, *, quantised: bool) -> None:
        self._peft = add_lora(lm, options)
        self.model: nn.Module = self._peft
        self.words = f"LoRA targets {options.targets!r}"
        self._options, self._again, self._quantised = options, again, quantised

    def save(self, folder: Path, tokenizer: PreTrainedTokenizerBase, base: str, base_hash: str) -> None:
        save_adapter(self._peft, tokenizer, folder, base, base_hash)

    def load(self, folder: Path, base_hash: str) -> None:
        load_adapter(self._peft, folder, base_hash)

    def export(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        """Base and adapters as one model: ``W + scale B A``, with W dequantised.

        The base is read again: merging into a copy of this one would round W + scale B A to few bits, or cut the ties
        between an input embedding and a head.
        """
        lm = self._again()
        if self._quantised:
            self._fill(lm, dequantised(causal_lm(self.model)))
        with torch.random.fork_rng(devices=[]):  # new adapters begin at random
            model = add_lora(lm, self._options)
        mine = get_peft_model_state_dict(self._peft, save_embedding_layers=False)
        set_peft_model_state_dict(model, {name: value.to("cpu") for name, value in mine.items()})
        with quiet():
            merged = model.merge_and_unload(safe_merge=True)
            merged.save_pretrained(str(folder))
        tokenizer.save_pretrained(str(folder))

    def _fill(self, lm: nn.Module, weights: dict[str, torch.Tensor]) -> None:
        parameters = dict(lm.named_parameters())
        with torch.no_grad():
            for name, value in weights.items():
                parameters[name].copy_(value)


class Whole:
    """All weights of a model.

    Args:
        lm: the base; all its weights are trained from now on.
    """

    beside = False

    def __init__(self, lm: Any) -> None:
        self.words = "all weights trained"
        self.model: nn.Module = lm.requires_grad_(True)

    def save(self, folder: Path, tokenizer: PreTrainedTokenizerBase, base: str, base_hash: str) -> None:
        self.export(folder, tokenizer)
        write_base(folder, base_hash)

    def load(self, folder: Path, base_hash: str) -> None:
        if (folder / CONFIG).is_file() or not (folder / "config.json").is_file():
            raise InputError(
                f"{folder} holds no whole model, and all weights are trained here",
                where=str(folder),
                fix="give a folder that a run with `lora: none` has saved, or the `lora` options of the adapters in it",
            )
        check_base(folder, base_hash)
        lm: Any = self.model
        try:
            with quiet():
                read, report = type(lm).from_pretrained(
                    str(folder), dtype=lm.dtype, use_safetensors=True, output_loading_info=True
                )
        except Exception as error:  # what transformers' parts raise on damaged files
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InputError(f"{folder} cannot be read: {first}", where=str(folder), fix="use another one") from error
        theirs, mine = (dict(model.named_parameters()) for model in (read, lm))
        # what is missing there transformers makes up, and what is too much it drops
        odd = sorted(str(name) for kind in ("missing_keys", "unexpected_keys") for name in report[kind])
        odd += sorted(set(theirs) ^ set(mine)) or [name for name in mine if theirs[name].shape != mine[name].shape]
        if odd:
            raise InputError(
                f"{folder} holds another model ({len(odd)} weights differ, such as {odd[0]})",
                where=str(folder),
                fix="use the base that it was trained from",
            )
        with torch.no_grad():
            for name, value in mine.items():
                value.copy_(theirs[name])

    def export(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        lm: Any = self.model
        with quiet(), own_forwards(lm):
            lm.save_pretrained(str(folder))
        tokenizer.save_pretrained(str(folder))


def trained(options: CausalLMOptions, lm: Any, again: Again, device: str | None, seed: int) -> Trained:
    """What of ``lm`` is trained, as the options say, on ``device``.

    Args:
        options: of the policy.
        lm: the base.
        again: makes the base anew.
        device: where all of it lies in the end; ``None`` leaves it in main memory.
        seed: of new adapters.
    """
    cuda = device is not None and device.startswith("cuda")
    with torch.random.fork_rng(devices=[torch.device(str(device))] if cuda else []):
        torch.manual_seed(seed)
        if options.lora == "none":
            made: Trained = Whole(lm)
        else:
            made = Adapters(lm, options.lora, again, quantised=options.quantise != "none")
        if device is not None:
            made.model.to(device)
    return made
