"""A local plugin with one component of each kind that a recipe needs; no arithmetic, only options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, MinLen

from polo import Choice, Component, Context, Ref, hookimpl


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    #: shown items,
    #: the newest last
    history: Annotated[int, Ge(1)] = 5
    path: Path | None = None
    header: bool = False


@dataclass(frozen=True, kw_only=True)
class Lora:
    r: Annotated[int, Ge(1)] = 8
    dropout: Annotated[float, Ge(0), Le(1)] = 0.0


@dataclass(frozen=True, kw_only=True)
class PolicyOptions:
    base: str | Ref["base"] = field(default_factory=lambda: Choice("base", "toy_base"))
    lora: Lora | None = field(default_factory=Lora)
    heads: Mapping[str, Lora] = field(default_factory=dict)
    dtype: Literal["auto", "fp32"] = "auto"


@dataclass(frozen=True, kw_only=True)
class BaseOptions:
    hidden: Annotated[int, Ge(8)] = 64


@dataclass(frozen=True, kw_only=True)
class LossOptions:
    tau: Annotated[float, Gt(0)] = 1.0
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


@dataclass(frozen=True, kw_only=True)
class SumOptions:
    parts: Annotated[tuple[Ref["loss"], ...], MinLen(1)]
    weights: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class SamplerOptions:
    k: Annotated[int, Ge(1)] = 3


@dataclass(frozen=True, kw_only=True)
class WrapperOptions:
    #: the sampler that draws
    from_: Ref["sampler"]


@dataclass(frozen=True, kw_only=True)
class EvaluatorOptions:
    k: Annotated[tuple[Annotated[int, Ge(1)], ...], MinLen(1)] = (1, 5)


class Anything:
    """Keeps its options."""

    def __init__(self, options: Any, context: Context) -> None:
        self.options = options


def _toy(name: str, options: str | None) -> Component:
    target = None if options is None else f"toy_plugin:{options}"
    return Component(name=name, build=":Anything", options=target, summary=f"toy {name}", source="nowhere, eq. 1")


@hookimpl
def polo_data_sources():
    return [_toy("toy_data", "DataOptions")]


@hookimpl
def polo_policies():
    return [_toy("toy_policy", "PolicyOptions")]


@hookimpl
def polo_bases():
    return [_toy("toy_base", "BaseOptions")]


@hookimpl
def polo_negative_samplers():
    return [_toy("toy_uniform", "SamplerOptions"), _toy("toy_wrapper", "WrapperOptions")]


@hookimpl
def polo_loss_heads():
    return [_toy("toy_loss", "LossOptions"), _toy("toy_bare", None), _toy("toy_sum", "SumOptions")]


@hookimpl
def polo_evaluators():
    return [_toy("toy_hits", "EvaluatorOptions")]
