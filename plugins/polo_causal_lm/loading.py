"""From a folder to a model, and to one with trainable adapters. Knows transformers and peft; knows no data.

Code that comes with a model is not run, nor asked about, nor fetched, unless the caller trusts it; weights are read as
safetensors.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from polo import InputError
from polo_causal_lm.lora import LoraConfig, PeftModel, get_peft_model
from polo_causal_lm.options import CausalLMOptions, LoraOptions
from polo_causal_lm.quantised import Kind, how_to_load, settle
from polo_causal_lm.quiet import quiet

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_TOKENIZER = ("tokenizer.json", "tokenizer.model", "vocab.json")
_WHERE = "policy.base"
_TRUST = "read that code; if you trust whoever wrote it, say policy.trust_remote_code=true; or use another base"
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}


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


def own_code(folder: Path) -> list[str]:
    """What of a base is made by code that comes with it: ``model``, ``tokenizer``; nothing for most."""
    config, tokenizer = (_json(folder / name) for name in ("config.json", "tokenizer_config.json"))
    return [name for name, said in (("model", config), ("tokenizer", tokenizer)) if said.get("auto_map")]


def check_code(folder: Path, *, trusted: bool) -> list[str]:
    """What runs code of its own, if that is trusted; a base that cannot do without is refused if it is not.

    Raises:
        InputError: transformers has no such model, or no such tokenizer, and the code beside it is not trusted.
    """
    named = own_code(folder)
    if trusted:
        return named
    known = {"model": _json(folder / "config.json").get("model_type") in CONFIG_MAPPING, "tokenizer": True}
    needed = [name for name in named if not known[name]]
    if needed:
        raise InputError(
            f"the {' and '.join(needed)} of {str(folder)!r} is code that comes with it, which is not run",
            where=_WHERE,
            fix=_TRUST,
        )
    return []


def _json(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # whoever loads it says so
        return {}
    return said if isinstance(said, dict) else {}


def dtype_of(options: CausalLMOptions, device: str) -> torch.dtype:
    """The type of the base's weights. Steps of what is trained are lost in the rounding of bfloat16, so ``auto`` takes
    that for frozen weights only.
    """
    if options.dtype != "auto":
        return _DTYPES[options.dtype]
    return torch.bfloat16 if options.lora != "none" and device.startswith("cuda") else torch.float32


def load_tokenizer(path: str, *, trusted: bool = False) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or hub id; padding falls back on the end token."""
    tokenizer: PreTrainedTokenizerBase = _read(
        path, lambda: AutoTokenizer.from_pretrained(path, trust_remote_code=trusted)
    )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(
    path: str, dtype: torch.dtype, *, trusted: bool = False, quantise: Kind | None = None, device: str = "cpu"
) -> Any:
    """The causal LM of a folder or hub id, in ``dtype``, in evaluation mode.

    ``sdpa`` attention unless the model soft-caps its attention logits, which ``sdpa`` cannot do.

    Args:
        path: folder or id.
        dtype: of its weights.
        trusted: code that comes with the model may run.
        quantise: hold the layers' matrices in fewer bits.
        device: where quantised weights are made; others stay in main memory.
    """
    attention = attention_of(path, trusted=trusted)
    extra: dict[str, Any] = {} if attention is None else {"attn_implementation": attention}
    if quantise is not None:
        extra |= {"quantization_config": how_to_load(quantise, dtype), "device_map": {"": device}}
    lm = _read(
        path,
        lambda: AutoModelForCausalLM.from_pretrained(
            path, dtype=dtype, use_safetensors=True, trust_remote_code=trusted, **extra
        ),
    )
    if quantise is not None:
        settle(lm)
    return lm


def attention_of(path: str, *, trusted: bool = False) -> str | None:
    """What must compute a model's attention; ``None`` for its default.

    Raises:
        InputError: its config asks for code of its own.
    """
    config = _read(path, lambda: AutoConfig.from_pretrained(path, trust_remote_code=trusted))
    _no_kernels(path, config)
    return "eager" if getattr(config.get_text_config(), "attn_logit_softcapping", None) is not None else None


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
            _TRUST
            if "trust_remote_code" in str(error)
            else (
                "check that the folder is a complete model in Hugging Face form"
                if local
                else "check the id and the network (with HF_HUB_OFFLINE=1 only cached models load; some need a login), "
                "or give a local folder"
            )
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
        use_rslora=options.rslora,
        use_dora=options.dora,
        modules_to_save=_whole_modules(model, options.modules_to_save),
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


def _whole_modules(model: Any, wished: tuple[str, ...]) -> list[str] | None:
    """The names as peft takes them; it passes over those that match nothing."""
    names = [name for name, _ in model.named_modules() if name]
    lost = [one for one in wished if not any(name == one or name.endswith(f".{one}") for name in names)]
    if lost:
        ends = sorted({name.rsplit(".", 1)[-1] for name in names})
        raise InputError(
            f"LoRA modules_to_save name nothing in the base: {', '.join(lost)}",
            where="policy.lora.modules_to_save",
            fix=f"use some of: {', '.join(end for end in ends if not end.isdigit())}",
        )
    return list(wished) or None
