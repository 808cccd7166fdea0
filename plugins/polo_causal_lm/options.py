"""Options of the causal-LM policy and its bases. Knows types, bounds and defaults; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen

from polo import InputError, Ref


@dataclass(frozen=True, kw_only=True)
class LoraOptions:
    """Low-rank adapters (LoRA, arXiv 2106.09685), by peft."""

    #: rank of each adapter
    r: Annotated[int, Ge(1)] = 8
    #: the adapter's output is scaled by alpha / r
    alpha: Annotated[float, Gt(0)] = 32.0
    #: dropout on the adapter's input while training
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.1
    #: scale by alpha / sqrt(r) instead (rsLoRA, arXiv 2312.03732), so that a higher rank does not learn more slowly
    rslora: bool = False
    #: train each row's length and direction apart (DoRA, arXiv 2402.09353); slower: such layers have no shortened form
    dora: bool = False
    #: modules that are trained whole beside the adapters, in ``dtype``; names as peft matches them (as ``lm_head``)
    modules_to_save: tuple[str, ...] = ()
    #: which modules get one: every linear layer but the head, or names as peft matches them (such as ``q_proj``)
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"


@dataclass(frozen=True, kw_only=True)
class PromptOptions:
    """What the prompt says."""

    #: ``shown``: the row's candidates stand in the prompt, so only they can be scored; ``hidden``: any item can be
    candidates: Literal["shown", "hidden"] = "hidden"
    #: the line before the history
    header: Annotated[str, MinLen(1)] = "Titles in the order in which one person chose them:"
    #: the line before the candidates, if they are shown
    candidates_header: Annotated[str, MinLen(1)] = "The last title of the list below is one of these:"


@dataclass(frozen=True, kw_only=True)
class CausalLMOptions:
    """A causal language model that scores titles by their log-probability after a prompt; trained by LoRA, or whole."""

    #: the model to start from: a base component, or a text: a Hugging Face hub id or a local folder
    base: str | Ref["base"]
    #: the adapters that are trained, everything else being frozen; ``none``: all weights are trained, no adapters
    lora: LoraOptions | Literal["none"] = field(default_factory=LoraOptions)
    #: hold the frozen matrices of the layers in 4 bits (``nf4``, QLoRA, arXiv 2305.14314, without double quantisation)
    #: or 8 bits a weight (``int8``, one scale a row, activations as they are); needs the extra ``quant``
    quantise: Literal["none", "nf4", "int8"] = "none"
    #: run code that comes with the base and is none of transformers', as whoever made it wrote it; refused otherwise
    trust_remote_code: bool = False
    #: what the prompt says
    prompt: PromptOptions = field(default_factory=PromptOptions)
    #: how candidates are laid out in a pass: ``auto`` takes the fastest form that the model allows
    engine: Literal["auto", "naive", "packed", "split"] = "auto"
    #: without gradient, let titles of a row share the tokens that they begin with, and cut long lists into passes:
    #: ``auto`` for more than 64 titles, ``always`` or ``never``; models that rule it out are scored 64 titles at a time
    tree: Literal["auto", "always", "never"] = "auto"
    #: compile the layers (torch.compile) for evaluation, which takes half a minute or more at the start; every list is
    #: then scored as a tree. Meant for GPUs: on a CPU it gained nothing
    compile: bool = False
    #: longest prompt with its longest title, in tokens; longer rows are dropped, counted and named, never truncated
    max_tokens: Annotated[int, Ge(8)] = 512
    #: what becomes of longer rows whose texts are their own: ``drop``, as all others, or ``cut_left``: the beginning of
    #: the prompt goes (never an answer), and how many were cut is said
    overlong: Literal["drop", "cut_left"] = "drop"
    #: recompute activations in the backward pass: less memory, more time
    checkpointing: bool = False
    #: compare the engine with the naive form on two rows before anything is trained
    self_check: bool = True
    #: type of the base's weights; ``auto``: bfloat16 on a GPU, float32 on a CPU and where all weights are trained.
    #: Adapters are never below float32
    dtype: Literal["auto", "float32", "bfloat16", "float64"] = "auto"

    def __post_init__(self) -> None:
        if self.quantise == "none":
            return
        if self.lora == "none":
            raise InputError("quantised weights cannot be trained", fix="give `lora` options, or leave quantise out")
        if self.dtype == "float64":
            raise InputError("quantise computes in float32 or bfloat16", fix="use dtype: float32")


@dataclass(frozen=True, kw_only=True)
class HubOptions:
    """A model that exists already."""

    #: a Hugging Face hub id such as ``meta-llama/Llama-3.2-1B``, or a local folder
    id: Annotated[str, MinLen(1)]
    #: branch, tag or commit on the hub
    revision: str | None = None


@dataclass(frozen=True, kw_only=True)
class TinyLMOptions:
    """A small Llama with a tokenizer of its own, both made from the training split; cached by fingerprint.

    Over a catalogue it learns titles after titles; where rows have texts of their own, their prompts with the chosen
    answers, whole (``window`` and ``skip`` do nothing then).

    The defaults are for two to five minutes of one CPU core and 50,000 to 100,000 training titles. The learning rate is
    low on purpose: at 5e-3 the model stays for two to four epochs where it knows popularity only, and how long is
    chance, down to the last bit of a weight; at 1e-3 it is through within the first (MovieLens-100K).
    """

    #: width of the model
    hidden: Annotated[int, Ge(16)] = 128
    #: how many decoder layers
    layers: Annotated[int, Ge(1)] = 2
    #: attention heads; ``hidden`` must be a multiple of twice this
    heads: Annotated[int, Ge(1)] = 4
    #: tokens at most (259 are bytes and marks); what neither a title nor a prompt needs is left out of the vocabulary
    vocab: Annotated[int, Ge(300)] = 8192
    #: passes over the training sequences
    epochs: Annotated[int, Ge(1)] = 12
    #: peak learning rate of AdamW, reached after the warm-up, then cosine to a tenth
    lr: Annotated[float, Gt(0)] = 1e-3
    #: weight decay of AdamW, on matrices only
    weight_decay: Annotated[float, Ge(0)] = 0.1
    #: share of the steps over which the learning rate rises
    warmup: Annotated[float, Ge(0), Le(1)] = 0.05
    #: tokens of one optimiser step, at most
    batch_tokens: Annotated[int, Ge(64)] = 1024
    #: most titles of one training window
    window: Annotated[int, Ge(2)] = 20
    #: dropout on embeddings and on the output of every attention and feed-forward block
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.1
    #: share of the steps, the last ones, whose weights are averaged into the model; 0 keeps the weights after the last
    average: Annotated[float, Ge(0), Le(1)] = 0.3
    #: share of each training sequence, its latest titles (rounded up), that the base does not read, so that later
    #: stages have rows that are new to it; ``latest: 0.2`` trains a stage on no others. Rows with texts of their own
    #: have no sequences, and all are read
    hold: Annotated[float, Ge(0), Lt(1)] = 0.0
    #: share of titles left out at random, anew in each epoch, so that neighbours are also learnt at a distance
    skip: Annotated[float, Ge(0), Lt(1)] = 0.1


#: a decay rate of a running mean
_Decay = Annotated[float, Ge(0), Lt(1)]


@dataclass(frozen=True, kw_only=True)
class AdamW8Options:
    """Options of ``adamw_8bit``; needs the extra ``quant``."""

    #: decay of the running means of gradients and of their squares
    betas: tuple[_Decay, _Decay] = (0.9, 0.999)
    #: added to the root of the mean square
    eps: Annotated[float, Gt(0)] = 1e-8
    #: weights of fewer numbers are remembered in float32
    smallest: Annotated[int, Ge(1)] = 4096
