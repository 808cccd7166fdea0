"""Adapters on disk, in the form that peft and vLLM read. Knows files; knows no data and no engine."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerBase

from polo import InputError
from polo_causal_lm.lora import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from polo_causal_lm.quiet import quiet

WEIGHTS, CONFIG, BASE = "adapter_model.safetensors", "adapter_config.json", "base.json"


def save_adapter(model: PeftModel, tokenizer: PreTrainedTokenizerBase, folder: Path, base: str, base_hash: str) -> None:
    """Adapter weights, adapter config and tokenizer into ``folder``.

    Args:
        model: whose adapters are saved.
        tokenizer: of its base.
        folder: exists.
        base: how the config calls the base: a hub id, or a folder.
        base_hash: sha256 of the base's bytes, kept in ``base.json``.
    """
    model.peft_config["default"].base_model_name_or_path = base
    with quiet():
        model.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)
    tokenizer.save_pretrained(str(folder))
    # peft adds an empty model card, which says nothing true about this model.
    (folder / "README.md").unlink(missing_ok=True)
    write_base(folder, base_hash)


def write_base(folder: Path, base_hash: str) -> None:
    """Says beside weights on which bytes they stand; :func:`check_base` reads it."""
    (folder / BASE).write_text(json.dumps({"sha256": base_hash}) + "\n", encoding="utf-8")


def load_adapter(model: PeftModel, folder: Path, base_hash: str) -> None:
    """Adapter weights from ``folder`` into the adapters that ``model`` has.

    Raises:
        InputError: if a file is missing, damaged, or was made with other adapters or on another base than that with
            ``base_hash``. Adapters of other programs do not tell on which bytes they stand, and are taken.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise InputError(f"{folder} has no {WEIGHTS}", where=str(folder), fix="give a folder that a run has saved")
    try:
        state = load_file(str(path))
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read: {error}", where=str(folder), fix="use another checkpoint") from error
    check_base(folder, base_hash)
    _check_config(model, folder)
    mine = get_peft_model_state_dict(model, save_embedding_layers=False)
    odd = sorted(set(state) ^ set(mine)) or [k for k in mine if state[k].shape != mine[k].shape]
    if odd:
        raise InputError(
            f"{path} holds other adapters than the policy has ({len(odd)} differ, such as {odd[0]})",
            where=str(folder),
            fix="use the base and the `lora` options that it was trained with",
        )
    set_peft_model_state_dict(model, state)


def check_base(folder: Path, now: str) -> None:
    """Weights of another program do not tell on which bytes they stand, and are taken.

    Raises:
        InputError: they were trained on another base than that with the sha256 ``now``.
    """
    path = folder / BASE
    if not path.is_file():
        return
    try:
        began = str(json.loads(path.read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path} does not say on which base", where=str(folder), fix="use another checkpoint"
        ) from error
    if began != now:
        raise InputError(
            f"these weights were trained on another base model: sha256 {began} then, {now} now",
            where=str(folder),
            fix="give the base that they stand on: policy.base=FOLDER (a made one is in the folder `base` of its run)",
        )


def _check_config(model: PeftModel, folder: Path) -> None:
    path = folder / CONFIG
    if not path.is_file():
        return
    mine: Any = model.peft_config["default"]
    try:
        theirs = json.loads(path.read_text(encoding="utf-8"))
        scales = [
            alpha / (math.sqrt(r) if rooted else r)
            for alpha, r, rooted in (
                (theirs["lora_alpha"], theirs["r"], theirs.get("use_rslora", False)),
                (mine.lora_alpha, mine.r, mine.use_rslora),
            )
        ]
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
        raise InputError(f"{path} is no adapter config", where=str(folder), fix="use another checkpoint") from error
    if scales[0] != scales[1]:
        raise InputError(
            f"{path} scales its adapters by {scales[0]:g}, the policy by {scales[1]:g}",
            where=str(folder),
            fix="use the `lora` options that it was trained with",
        )
