"""From a folder or hub id to a frozen model with trainable adapters. Knows transformers and peft; knows no data.

Code that comes with a model is never run, nor asked about, nor fetched; weights are read as safetensors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from polo import InputError
from polo_causal_lm.options import LoraOptions
from polo_causal_lm.quiet import quiet

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_TOKENIZER = ("tokenizer.json", "tokenizer.model", "vocab.json")
_WHERE = "policy.base"


def check_folder(folder: Path) -> None:
    """Refuses a folder that is no base model, naming what it lacks.

    Raises:
        InputError: if there is no such folder, or config, weights or tokenizer are missing.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}", where=_WHERE, fix="give a folder or a hub id that exists")
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} has no config.json", where=_WHERE, fix="point it at a model in Hugging Face form")
    if (folder / "adapter_config.json").is_file():  # transformers would load whatever model that names
        raise InputError(
            f"{folder} is an adapter (it has adapter_config.json), which names another model",
            where=_WHERE,
            fix="give the model itself; a run goes on from an adapter with init_from",
        )
    if not any((folder / name).is_file() for name in _WEIGHTS):
        hint = "convert its weights to safetensors" if list(folder.glob("*.bin")) else "complete the download"
        raise InputError(f"{folder} has no weights (model.safetensors)", where=_WHERE, fix=hint)
    if not any((folder / name).is_file() for name in _TOKENIZER):
        raise InputError(
            f"{folder} has no tokenizer (tokenizer.json)", where=_WHERE, fix="save the tokenizer beside it"
        )


def load_tokenizer(path: str, revision: str | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or hub id; padding falls back on the end token."""
    tokenizer: PreTrainedTokenizerBase = _read(
        path, lambda: AutoTokenizer.from_pretrained(path, revision=revision, trust_remote_code=False)
    )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(path: str, dtype: torch.dtype, revision: str | None = None) -> Any:
    """The causal LM of a folder or hub id, in ``dtype``, in evaluation mode.

    ``sdpa`` attention unless the model soft-caps its attention logits, which ``sdpa`` cannot do.
    """
    config = _read(path, lambda: AutoConfig.from_pretrained(path, revision=revision, trust_remote_code=False))
    _no_kernels(path, config)
    text = config.get_text_config()
    capped = getattr(text, "attn_logit_softcapping", None) is not None
    attention = {"attn_implementation": "eager"} if capped else {}
    return _read(
        path,
        lambda: AutoModelForCausalLM.from_pretrained(
            path, revision=revision, dtype=dtype, use_safetensors=True, trust_remote_code=False, **attention
        ),
    )


def _no_kernels(path: str, config: Any) -> None:
    """A config may name code on the hub by which its model computes; transformers would fetch and execute it.

    Raises:
        InputError: it does.
    """
    for level in (config, config.get_text_config()):
        for option in ("_attn_implementation", "_experts_implementation"):
            named = getattr(level, option, None)
            if named is not None and "/" in str(named):
                raise InputError(
                    f"the config of {path!r} asks for code of its own ({named}), which is never run",
                    where=_WHERE,
                    fix=f"take `{option.strip('_')}` out of its config.json",
                )


def _read(path: str, load: Any) -> Any:
    try:
        with quiet():
            return load()
    except Exception as error:
        # On files that are not what they should be, transformers raises what its parts raise.
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        local = Path(path).is_dir()
        fix = (
            "check that the folder is a complete model in Hugging Face form"
            if local
            else "check the id and the network (with HF_HUB_OFFLINE=1 only cached models load; some need a login), "
            "or give a local folder"
        )
        raise InputError(f"cannot load {path!r}: {first}", where=_WHERE, fix=fix) from error


def enable_checkpointing(model: Any, *, reentrant: bool = False) -> None:
    """Recompute each layer's activations in the backward pass (while training only)."""
    # The old name warns since transformers 5.22 and goes with version 6; before, there was no other.
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": reentrant})


def add_lora(model: Any, options: LoraOptions) -> PeftModel:
    """Freezes ``model`` and gives it trainable adapters, in float32 at least.

    Raises:
        InputError: if ``options.targets`` matches no module.
    """
    targets = options.targets if isinstance(options.targets, str) else list(options.targets)
    config = LoraConfig(
        r=options.r,
        lora_alpha=options.alpha,  # type: ignore[arg-type] # peft says int, and divides by r whatever number it is
        lora_dropout=options.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    try:
        with quiet():
            return get_peft_model(model, config)
    except ValueError as error:
        names = {name.rsplit(".", 1)[-1] for name, one in model.named_modules() if isinstance(one, torch.nn.Linear)}
        dropout = "lora_dropout" in str(error)
        raise InputError(
            f"LoRA targets {options.targets!r}: what they match takes no such adapter: {str(error).splitlines()[0]}",
            where="policy.lora.dropout" if dropout else "policy.lora.targets",
            fix="use `lora: {dropout: 0}`" if dropout else f"use `all-linear`, or some of: {', '.join(sorted(names))}",
        ) from error
