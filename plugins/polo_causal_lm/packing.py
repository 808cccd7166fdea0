"""A trained language model as others load it: an adapter beside its base, or one model. Knows folders and names."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedTokenizerBase

from polo import InputError, Packed
from polo_causal_lm.folders import copy
from polo_causal_lm.foundation import Foundation
from polo_causal_lm.weights import Trained

#: where an export keeps a base that nobody could have by name, relative to itself; with the dot it is no hub's id
INSIDE = "./base"

_MODEL = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)"""

_ADAPTER = """\
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(BASE), folder)
tokenizer = AutoTokenizer.from_pretrained(folder)"""


def pack(
    weights: Trained,
    foundation: Foundation,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    *,
    merged: bool,
    called: str | None,
) -> Packed:
    """Writes what was trained into ``folder``; see :class:`polo.Packs`.

    Args:
        weights: what is trained.
        foundation: the base.
        tokenizer: of the base.
        folder: exists and is empty.
        merged: one model, also where an adapter was trained.
        called: how others call the base; by its id if not given, or as a folder of the export where a run made it.

    Raises:
        InputError: the base is called by something that is no id of a hub.
    """
    if called is not None and (called.count("/") > 1 or not called.strip("./~") or called[0] in "./~"):
        raise InputError(
            f"{called!r} is no id of a model hub", where="--base", fix="write it as the hub does: ORG/NAME"
        )
    public = called or foundation.public
    if merged or not weights.beside:
        weights.export(folder, tokenizer)
        what = f"a whole model; {weights.words}" + (", merged into the base" if weights.beside else "")
        return Packed(what, _MODEL, "transformers", public, "finetune")
    inside = foundation.made and called is None
    if inside:
        copy(foundation.path, folder / INSIDE)
    name = INSIDE if inside else public or str(foundation.path)
    weights.save(folder, tokenizer, name, foundation.hash)
    base = f'f"{{folder}}/{INSIDE[2:]}"' if inside else repr(name)
    needs = "" if inside or public else str(foundation.path)
    loading = _ADAPTER.replace("BASE", base)
    return Packed(f"an adapter in PEFT form; {weights.words}", loading, "peft", public, "adapter", needs)
